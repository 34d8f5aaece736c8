"""What each request carries beside its credentials."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from galileo_sessions.client.credentials import Auth, header_name, static_headers
from galileo_sessions.client.secret import Secret
from galileo_sessions.errors import ConfigurationError, brief
from galileo_sessions.version import __version__

_RESERVED = ("content-type", "content-length", "transfer-encoding", "accept-encoding", "host", "authorization")


def request_headers(extra: Secret[Mapping[str, str]] | None, auth: Auth) -> Secret[Mapping[str, str]]:
    """
    The headers of each request, without its credentials.

    Args:
        extra: The user's own, which replace ours of the same name, whatever its case.
        auth: The credentials, whose header `extra` can't set.

    Raises:
        ConfigurationError: if one of the user's headers is reserved, stands twice, has a name that is none,
            or isn't printable text.
    """
    ours = {
        "User-Agent": f"galileo-sessions/{__version__} Python/{platform.python_version()}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
    }
    if extra is None:
        return Secret(ours)
    if not isinstance(extra.reveal(), Mapping):
        raise ConfigurationError("headers= is a dict of names and values. Write headers={'X-Team': 'blue'}")
    names = {name.lower() for name in _checked(extra, {*_RESERVED, *(name.lower() for name in static_headers(auth))})}
    return Secret({name: value for name, value in ours.items() if name.lower() not in names} | {**extra.reveal()})


def _checked(extra: Secret[Mapping[str, str]], reserved: set[str]) -> list[str]:
    """The user's names; their values may be secret, and so no frame here holds one."""
    found: list[str] = []
    for name in extra.reveal():
        if header_name(name).lower() in map(str.lower, found):
            raise ConfigurationError(f"headers= has {brief(name)} twice; upper and lower case are the same")
        if name.lower() in reserved:
            raise ConfigurationError(
                f"headers= can't set {name}, which this client sets itself. For credentials use auth="
            )
        if not _is_value(extra.reveal()[name]):
            raise ConfigurationError(f"headers= takes printable text, which the value of {name} isn't")
        found.append(name)
    return found


def _is_value(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()
