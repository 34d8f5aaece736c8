"""
Credentials: what they are, where they come from, and how an attempt carries them.

A secret is a `str` that doesn't show itself: its repr, and so every traceback with local variables, holds `***`.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import TypeAlias, assert_never
from urllib.parse import quote, quote_plus

from attrs import field, frozen

from galileo_sessions.errors import ConfigurationError, brief


class Secret(str):
    """Text that can be sent but isn't shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def header_secret(name: str, value: object) -> Secret:
    """
    The secret, if a header can carry it.

    Raises:
        ConfigurationError: otherwise; it names the secret by `name` and never shows it.
    """
    if not isinstance(value, str) or not value:
        got = "empty text" if isinstance(value, str) else type(value).__name__
        raise ConfigurationError(f"{name} is text that isn't empty, got {got}")
    if value != value.strip():
        raise ConfigurationError(f"{name} begins or ends with white space, perhaps a line break from a file. Strip it")
    if not value.isprintable() or not value.isascii():
        raise ConfigurationError(f"{name} has a character that a header can't carry; it is printable ASCII")
    return Secret(value)


def _api_key(value: str) -> Secret:
    return header_secret("the API key", value)


def _token(value: str) -> Secret:
    return header_secret("the token", value)


def _header_name(value: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", value):
        raise ConfigurationError(f"header {brief(value)} is no name of an HTTP header")
    return value


def _basic_username(value: str) -> str:
    if not isinstance(value, str) or ":" in value:
        raise ConfigurationError("a username of HTTP Basic authentication is text without a colon")
    return value


def _password(value: str) -> Secret:
    if not isinstance(value, str) or not value:
        raise ConfigurationError("the password is text that isn't empty")
    return Secret(value)


@frozen
class ApiKeyAuth:
    """
    An API key, as the console makes it; it needs no login.

    Args:
        key: The key.
        header: Its header's name; newer deployments call it Splunk-AO-API-Key.
    """

    key: str = field(converter=_api_key)
    header: str = field(default="Galileo-API-Key", converter=_header_name)


@frozen
class BearerAuth:
    """A token that something else has obtained; it isn't refreshed."""

    token: str = field(converter=_token)


@frozen
class BasicAuth:
    """A user name and a password, sent with each request as HTTP Basic authentication."""

    username: str = field(converter=_basic_username)
    password: str = field(converter=_password)


@frozen
class PasswordAuth:
    """A user name and a password, exchanged for a token at POST /login when first needed."""

    username: str
    password: str = field(converter=_password)


Auth: TypeAlias = ApiKeyAuth | BearerAuth | BasicAuth | PasswordAuth


def find_credentials(api_key: str | None, auth: Auth | None, environ: Mapping[str, str]) -> Auth:
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
        if not isinstance(auth, Auth):
            raise ConfigurationError("auth is ApiKeyAuth(...), BearerAuth(...), PasswordAuth(...) or BasicAuth(...)")
        return auth
    key, username, password = (environ.get(f"GALILEO_{name}") for name in ("API_KEY", "USERNAME", "PASSWORD"))
    if key:
        return ApiKeyAuth(key)
    if username and password:
        return PasswordAuth(username, password)
    if username or password:
        missing = "GALILEO_PASSWORD" if username else "GALILEO_USERNAME"
        raise ConfigurationError(f"{missing} isn't set; GALILEO_USERNAME and GALILEO_PASSWORD go together")
    raise ConfigurationError(
        "no credentials. Set GALILEO_API_KEY in the environment, or write GalileoSessions(api_key=...)"
    )


def static_headers(auth: Auth) -> dict[str, str]:
    """The header that authenticates each request; empty for a `PasswordAuth`, which logs in first."""
    match auth:
        case ApiKeyAuth(key, header):
            return {header: key}
        case BearerAuth(token):
            return bearer(token)
        case BasicAuth(username, password):
            return {"Authorization": Secret(f"Basic {_basic(username, password)}")}
        case PasswordAuth():
            return {}
        case _:
            assert_never(auth)


def bearer(token: str) -> dict[str, str]:
    """The header for a token."""
    return {"Authorization": Secret(f"Bearer {token}")}


def _basic(username: str, password: str) -> Secret:
    return Secret(b64encode(f"{username}:{password}".encode()).decode("ascii"))


def secrets_of(auth: Auth) -> list[str]:
    """What must not be shown."""
    match auth:
        case ApiKeyAuth(secret) | BearerAuth(secret):
            return [secret]
        case BasicAuth(username, password) | PasswordAuth(username, password):
            return [_basic(username, password), password]
        case _:
            assert_never(auth)


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret replaced by `***`: plain, percent-encoded, or written as JSON or Python would."""
    forms = {
        form for secret in secrets for form in (secret, quote(secret), quote_plus(secret), json.dumps(secret)[1:-1])
    }
    for form in sorted(forms | {repr(str(form))[1:-1] for form in forms}, key=len, reverse=True):
        text = text.replace(form, "***")
    return text
