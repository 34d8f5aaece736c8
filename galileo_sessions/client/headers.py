"""What each request carries beside its credentials."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping

from galileo_sessions.client.credentials import Auth, static_headers
from galileo_sessions.errors import ConfigurationError
from galileo_sessions.version import __version__

_RESERVED = ("content-type", "content-length", "transfer-encoding", "accept-encoding", "host", "authorization")


def request_headers(extra: Mapping[str, str], auth: Auth) -> dict[str, str]:
    """
    The headers of each request, without its credentials.

    Args:
        extra: The user's own.
        auth: The credentials, whose header `extra` can't set.

    Raises:
        ConfigurationError: if one of the user's headers is reserved, or isn't printable text.
    """
    _check(extra, {*_RESERVED, *(name.lower() for name in static_headers(auth))})
    return {
        "User-Agent": f"galileo-sessions/{__version__} Python/{platform.python_version()}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        **extra,
    }


def _check(extra: Mapping[str, str], reserved: Iterable[str]) -> None:
    for name, value in extra.items():
        if not isinstance(name, str) or not isinstance(value, str) or not (name + value).isprintable():
            raise ConfigurationError(f"headers= takes printable text, which {name!r} or its value isn't")
        if name.lower() in reserved:
            raise ConfigurationError(
                f"headers= can't set {name}, which this client sets itself. For credentials use auth="
            )
