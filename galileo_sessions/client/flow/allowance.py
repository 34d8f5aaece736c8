"""
How much more a service will take, as it says itself in the headers of its answers. Pure functions.

Read are the `RateLimit` field of the IETF draft on rate limit headers (https://datatracker.ietf.org/doc/
draft-ietf-httpapi-ratelimit-headers/) in its present and former forms, and the widespread `X-RateLimit-*`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from galileo_sessions.client.responses import answered_at

_ITEM = re.compile(r"""(?:"[^"]*"|[^",])+""")  # of a list, at whose commas outside quotes it is split
_PARAMETER = re.compile(r"(?:^|[;,\s])([a-z]+)\s*=\s*(\d{1,15})(?![\d.])")
_NUMBER = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*(?:[,;].*)?")
_PAIRS = (("RateLimit-Remaining", "RateLimit-Reset"), ("X-RateLimit-Remaining", "X-RateLimit-Reset"))
_EPOCH, _MILLISECONDS = 10**9, 10**12  # a reset so large is a time since 1970, in seconds or in milliseconds


def allowance(headers: Mapping[str, str]) -> tuple[int, float] | None:
    """
    The requests that a service will take, and the seconds until it will take more.

    Returns:
        The smaller one of several; None without headers that say both.
    """
    if (text := headers.get("RateLimit")) is not None:
        return _of_field(text)
    for name, reset in _PAIRS:
        if (remaining := headers.get(name)) is not None:
            return _of_pair(remaining, headers.get(reset, ""), headers)
    return None


def _of_field(text: str) -> tuple[int, float] | None:
    """`"default";r=50;t=30`, one or several; of former drafts `limit=100, remaining=50, reset=30`."""
    if "remaining" in text:
        former = dict(_PARAMETER.findall(text))
        return _both(former.get("remaining"), former.get("reset"))
    items = [dict(_PARAMETER.findall(re.sub(r'"[^"]*"', "", item))) for item in _ITEM.findall(text)]
    found = [both for item in items if (both := _both(item.get("r"), item.get("t"))) is not None]
    return min(found, default=None)


def _of_pair(remaining: str, reset: str, headers: Mapping[str, str]) -> tuple[int, float] | None:
    numbers = [match[1] if (match := _NUMBER.fullmatch(text)) else None for text in (remaining, reset)]
    both = _both(*numbers)
    if both is None or both[1] < _EPOCH:
        return both
    at = both[1] / 1000 if both[1] >= _MILLISECONDS else both[1]
    return both[0], max(0.0, at - answered_at(headers).timestamp())


def _both(remaining: str | None, reset: str | None) -> tuple[int, float] | None:
    return None if remaining is None or reset is None else (int(float(remaining)), float(reset))
