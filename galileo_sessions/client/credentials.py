"""
Credentials: what they are, where they come from, and how an attempt carries them.

No local variable of a frame that raises holds a plain secret: problems are found by functions that return text.
"""

import re
from base64 import b64encode
from typing import TypeAlias, assert_never

from attrs import frozen

from galileo_sessions.client.secret import Secret, from_environment, hide
from galileo_sessions.errors import ConfigurationError, brief

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def header_name(name: object) -> str:
    """
    The name of an HTTP header, as RFC 9110 has it.

    Raises:
        ConfigurationError: if it is none.
    """
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise ConfigurationError(f"header {brief(name)} is no name of an HTTP header")
    return name


def header_problem(secret: Secret[object]) -> str | None:
    """Why a header can't carry a secret, in words that don't show it; None if it can."""
    value = secret.reveal()
    if not isinstance(value, str) or not value:
        return f"is text that isn't empty, got {'empty text' if isinstance(value, str) else type(value).__name__}"
    if value != value.strip():
        return "begins or ends with white space, perhaps a line break from a file. Strip it"
    if not value.isprintable() or not value.isascii():
        return "has a character that a header can't carry; it is printable ASCII"
    return None


def _text_problem(secret: Secret[object]) -> str | None:
    """Why a secret can't be sent as text, in words that don't show it."""
    value = secret.reveal()
    if not isinstance(value, str) or not value:
        return "is text that isn't empty"
    return None if _is_unicode(value) else "isn't valid UTF-8. Check how the environment or the file was encoded"


def _is_unicode(text: str) -> bool:
    """Whether text can be encoded: what the environment holds beside UTF-8 comes as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


# Each constructor hides what it was given before it looks at it, and then forgets it: tracebacks show local variables,
# those of an __init__ that attrs would generate as well. Fields are set first, for tracebacks show `self` too.


@frozen(init=False)
class ApiKeyAuth:
    """
    An API key, as the console makes it; it needs no login.

    Args:
        key: The key.
        header: Its header's name; newer deployments call it Splunk-AO-API-Key.
    """

    key: Secret[str]
    header: str = "Galileo-API-Key"

    def __init__(self, key: str | Secret[str], header: str = "Galileo-API-Key") -> None:
        hidden = hide(key)
        del key
        _set(self, key=hidden, header=header)
        _refuse("the API key", header_problem(hidden))
        _ = header_name(header)


@frozen(init=False)
class BearerAuth:
    """A token that something else has obtained; it isn't refreshed."""

    token: Secret[str]

    def __init__(self, token: str | Secret[str]) -> None:
        hidden = hide(token)
        del token
        _set(self, token=hidden)
        _refuse("the token", header_problem(hidden))


@frozen(init=False)
class BasicAuth:
    """A user name and a password, sent with each request as HTTP Basic authentication."""

    username: str
    password: Secret[str]

    def __init__(self, username: str, password: str | Secret[str]) -> None:
        name, hidden = Secret(username), hide(password)
        del username, password
        _set(self, username=name, password=hidden)
        if _text_problem(name) or ":" in name.reveal():
            raise ConfigurationError("a username of HTTP Basic authentication is text without a colon")
        _refuse("the password", _text_problem(hidden))
        _set(self, username=name.reveal())


@frozen(init=False)
class PasswordAuth:
    """A user name and a password, exchanged for a token at POST /login when first needed."""

    username: str
    password: Secret[str]

    def __init__(self, username: str, password: str | Secret[str]) -> None:
        name, hidden = Secret(username), hide(password)
        del username, password
        _set(self, username=name, password=hidden)
        _refuse("the user name", _text_problem(name))
        _refuse("the password", _text_problem(hidden))
        _set(self, username=name.reveal())


def _refuse(name: str, problem: str | None) -> None:
    if problem is not None:
        raise ConfigurationError(f"{name} {problem}")


def _set(auth: object, **fields: object) -> None:
    for name, value in fields.items():
        object.__setattr__(auth, name, value)  # it is frozen


Auth: TypeAlias = ApiKeyAuth | BearerAuth | BasicAuth | PasswordAuth


def find_credentials(api_key: Secret[str] | None, auth: Secret[object] | None) -> Auth:
    """
    The credentials: `api_key`, `auth`, else GALILEO_API_KEY, else GALILEO_USERNAME with GALILEO_PASSWORD.

    Raises:
        ConfigurationError: if there are none, if both arguments are given, or if one can't be sent in a header.
    """
    if api_key is not None and auth is not None:
        raise ConfigurationError("api_key and auth exclude each other. Give one of them")
    if api_key is not None:
        return ApiKeyAuth(api_key)
    if auth is not None:
        return _checked(auth)
    key, username, password = (from_environment(f"GALILEO_{name}") for name in ("API_KEY", "USERNAME", "PASSWORD"))
    if key is not None:
        return ApiKeyAuth(key)
    if username is not None and password is not None:
        return PasswordAuth(username.reveal(), password)
    if username is not None or password is not None:
        missing = "GALILEO_PASSWORD" if username is not None else "GALILEO_USERNAME"
        raise ConfigurationError(f"{missing} isn't set; GALILEO_USERNAME and GALILEO_PASSWORD go together")
    raise ConfigurationError("no credentials. Set GALILEO_API_KEY in the environment, or pass api_key=...")


def _checked(auth: Secret[object]) -> Auth:
    if isinstance(found := auth.reveal(), Auth):
        return found
    del found  # perhaps a key, given in the wrong place
    raise ConfigurationError("auth is ApiKeyAuth(...), BearerAuth(...), PasswordAuth(...) or BasicAuth(...)")


def static_headers(auth: Auth) -> dict[str, Secret[str]]:
    """The header that authenticates each request; empty for a `PasswordAuth`, which logs in first."""
    match auth:
        case ApiKeyAuth(key, header):
            return {header: key}
        case BearerAuth(token):
            return {"Authorization": bearer(token)}
        case BasicAuth(username, password):
            return {"Authorization": Secret(f"Basic {_basic(username, password).reveal()}")}
        case PasswordAuth():
            return {}
        case _:
            assert_never(auth)


def bearer(token: Secret[str]) -> Secret[str]:
    """The value of the Authorization header for a token."""
    return Secret(f"Bearer {token.reveal()}")


def _basic(username: str, password: Secret[str]) -> Secret[str]:
    return Secret(b64encode(f"{username}:{password.reveal()}".encode()).decode("ascii"))


def secrets_of(auth: Auth) -> list[Secret[str]]:
    """What must not be shown."""
    match auth:
        case ApiKeyAuth(secret) | BearerAuth(secret):
            return [secret]
        case BasicAuth(username, password) | PasswordAuth(username, password):
            return [_basic(username, password), password]
        case _:
            assert_never(auth)
