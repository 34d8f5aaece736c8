"""What each request carries beside its credentials."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping

from galileo_sessions.client.credentials import Auth, header_name, static_headers
from galileo_sessions.client.secret import Secret
from galileo_sessions.errors import ConfigurationError, brief
from galileo_sessions.version import __version__

_RESERVED = ("content-type", "content-length", "transfer-encoding", "accept-encoding", "host", "authorization")
_SECRET_NAME = re.compile("auth|cookie|credential|jwt|key|passw|secret|session|signature|token", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,;]+")
_SHORT, _WORD, _LONG = 6, 8, 20  # characters of a secret value, of a word in one, and of a word in any value, at least


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


def secret_values(headers: Secret[Mapping[str, str]]) -> Iterator[Secret[str]]:
    """What is secret in headers: values of which the name says so, and words that are as long as a key."""
    for name in headers.reveal():
        value = Secret(headers.reveal()[name])
        if _SECRET_NAME.search(name) is None:
            yield from _words(value, _LONG)
        elif len(value.reveal()) >= _SHORT:
            yield value
            yield from _words(value, _WORD)


def _words(value: Secret[str], least: int) -> Iterator[Secret[str]]:
    """The token of `Bearer abc`, and each value of `a=abc; b=def`."""
    for word in map(Secret, _BETWEEN.split(value.reveal())):
        for part in (word, Secret(word.reveal().partition("=")[2])):
            if len(part.reveal()) >= least:
                yield part


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
