"""
How many more requests a service will take, as its rate limit headers say. Pure functions.

Read are the `RateLimit` field of the IETF's draft (https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/)
and the widespread pairs `RateLimit-Remaining` with `-Reset` and `X-RateLimit-Remaining` with `-Reset`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from galileo_sessions.client.responses import answered_at

_FIELDS = ("RateLimit", "RateLimit-Remaining", "X-RateLimit-Remaining")
_ITEM = re.compile(r'("[^"]*")((?:\s*;\s*\w+=(?:"[^"]*"|[\d.]+))*)')  # of a list: a policy's name and its parameters
_NUMBER = re.compile(r";\s*([rt])=(\d{1,15}(?:\.\d{1,9})?)")
_OTHER_UNIT = re.compile(r'("[^"]*")[^,]*;\s*qu="(?!requests")')
_PAIR = re.compile(r"^(\d{1,15})(?![\d.])[^/]*/(\d{1,15}(?:\.\d{1,9})?)(?!\d)")
_EPOCH = 10**9  # a reset so large is a time since 1970


def allowance(headers: Mapping[str, str]) -> tuple[int, float] | None:
    """
    The requests that a service will take, and the seconds until it will take more; the least of several.

    Quotas that don't count requests are left out. A reset in whole seconds is rounded up, so one second is taken off:
    a few refusals cost less than a second too many.

    Args:
        headers: Of a response, by names of any case; a multidict, if a field can occur more than once.
    """
    if not any(field in headers for field in _FIELDS):
        return None
    text: dict[str, str] = {}
    for name, value in headers.items():  # a list may be split over several fields
        text[name.lower()] = f"{text[name.lower()]}, {value}" if name.lower() in text else value
    others = _OTHER_UNIT.findall(text.get("ratelimit-policy", ""))
    items = [
        dict(_NUMBER.findall(more)) for name, more in _ITEM.findall(text.get("ratelimit", "")) if name not in others
    ]
    found = [(item["r"], item["t"]) for item in items if len(item) == 2]  # both r and t
    for prefix in ("", "x-"):
        found += _PAIR.findall(
            "/".join(text.get(f"{prefix}ratelimit-{name}", "").strip() for name in ("remaining", "reset"))
        )
    return min(((int(float(remaining)), _seconds(reset, headers)) for remaining, reset in found), default=None)


def _seconds(reset: str, headers: Mapping[str, str]) -> float:
    seconds = float(reset)
    if seconds >= _EPOCH:
        seconds -= answered_at(headers).timestamp()
    return max(0.0, seconds if "." in reset else seconds - 1)
