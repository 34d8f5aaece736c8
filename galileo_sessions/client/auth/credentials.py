"""What users give as credentials, where it is found, and which header carries it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any, TypeAlias, assert_never

from attrs import Attribute, field, frozen

from galileo_sessions.client.secret import Secret, from_environment
from galileo_sessions.display import brief
from galileo_sessions.errors import ConfigurationError

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_NO_TEXT = "must be non-empty text"

# These functions return a problem as text, because a frame that raises must not hold a plain secret.


def name_problem(name: Secret[str]) -> str | None:
    """Why a header can't have this name, by RFC 9110; None if it can."""
    return None if _HEADER_NAME.fullmatch(name.reveal()) else f"must have a valid name, got {brief(name.reveal())}"


def header_problem(secret: Secret[str]) -> str | None:
    """Why a header can't carry a secret; None if it can."""
    value = secret.reveal()
    if not isinstance(value, str) or not value:
        return _NO_TEXT
    if value != value.strip():
        return "begins or ends with white space, perhaps a line break from a file. Strip it"
    return None if value.isascii() and value.isprintable() else "has a character that isn't printable ASCII"


def _text_problem(secret: Secret[str]) -> str | None:
    """Why a user name or a password can't be sent; None if it can."""
    value = secret.reveal()
    if not isinstance(value, str) or not value:
        return _NO_TEXT
    if any("\ud800" <= character <= "\udfff" for character in value):  # bytes that Python couldn't decode
        return "isn't valid UTF-8. Check how the environment or the file was encoded"
    return None


def _basic_user_problem(secret: Secret[str]) -> str | None:
    return _text_problem(secret) or ("must not have a colon" if ":" in secret.reveal() else None)


def _hidden(value: str | Secret[str]) -> Secret[str]:
    return value if isinstance(value, Secret) else Secret(value)


def _checked(what: str, problem_of: Callable[[Secret[str]], str | None]) -> Callable[[object, Any, Any], None]:
    def check(_credentials: object, _field: Attribute[Any], value: str | Secret[str]) -> None:
        problem = problem_of(_hidden(value))
        if problem is not None:
            raise ConfigurationError(f"{what} {problem}")

    return check


@frozen
class ApiKeyAuth:
    """An API key, as the console makes it; it needs no login."""

    key: Secret[str] = field(converter=_hidden, validator=_checked("the API key", header_problem))
    header: str = field(default="Galileo-API-Key", validator=_checked("the header", name_problem))
    """The name of its header; newer deployments call it Splunk-AO-API-Key."""


@frozen
class BearerAuth:
    """A token obtained elsewhere; it isn't renewed."""

    token: Secret[str] = field(converter=_hidden, validator=_checked("the token", header_problem))


@frozen
class BasicAuth:
    """A user name and a password, sent with each request as HTTP Basic authentication."""

    username: str = field(validator=_checked("the user name of a BasicAuth", _basic_user_problem))
    password: Secret[str] = field(converter=_hidden, validator=_checked("the password", _text_problem))


@frozen
class PasswordAuth:
    """A user name and a password, exchanged for a token at POST /login when first needed."""

    username: str = field(validator=_checked("the user name", _text_problem))
    password: Secret[str] = field(converter=_hidden, validator=_checked("the password", _text_problem))


Credentials: TypeAlias = ApiKeyAuth | BearerAuth | BasicAuth | PasswordAuth


def find_credentials(api_key: ApiKeyAuth | None, auth: Credentials | None) -> Credentials:
    """
    The credentials: `api_key`, `auth`, else GALILEO_API_KEY, else GALILEO_USERNAME with GALILEO_PASSWORD.

    Raises:
        ConfigurationError: if there are none, if both arguments are given, or if one can't be sent in a header.
    """
    if api_key is not None and auth is not None:
        raise ConfigurationError("api_key and auth can't both be given. Give one of them")
    given = api_key or auth
    if given is not None:
        if not isinstance(given, Credentials):  # perhaps a key in the wrong place, so the text doesn't show it
            raise ConfigurationError("auth must be an ApiKeyAuth, a BearerAuth, a PasswordAuth or a BasicAuth")
        return given
    key, username, password = (from_environment(f"GALILEO_{name}") for name in ("API_KEY", "USERNAME", "PASSWORD"))
    if key is not None:
        return ApiKeyAuth(key)
    if username is not None and password is not None:
        return PasswordAuth(username.reveal(), password)
    if username is not None or password is not None:
        raise ConfigurationError("GALILEO_USERNAME and GALILEO_PASSWORD go together. Set both")
    raise ConfigurationError("no credentials. Set GALILEO_API_KEY in the environment, or pass api_key=...")


def header_and_secrets(credentials: Credentials) -> tuple[Secret[dict[str, str]], list[Secret[str]]]:
    """The header that authenticates each request, empty for a `PasswordAuth`, which logs in; and what isn't shown."""
    match credentials:
        case ApiKeyAuth(key, header):
            return Secret({header: key.reveal()}), [key]
        case BearerAuth(token):
            return bearer(token), [token]
        case BasicAuth(username, password):
            basic = _basic(username, password)
            return Secret({"Authorization": f"Basic {basic.reveal()}"}), [password, basic]
        case PasswordAuth(username, password):
            return Secret({}), [password, _basic(username, password)]
        case _:
            assert_never(credentials)


def bearer(token: Secret[str]) -> Secret[dict[str, str]]:
    """The header that carries a token."""
    return Secret({"Authorization": f"Bearer {token.reveal()}"})


def _basic(username: str, password: Secret[str]) -> Secret[str]:
    return Secret(b64encode(f"{username}:{password.reveal()}".encode()).decode("ascii"))
