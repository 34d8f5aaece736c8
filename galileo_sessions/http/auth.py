"""
Credentials: what users give, how a token is obtained, what requests carry, and how secrets are
removed from responses.

One login, or one call of a user's function, obtains the token for all waiting counts. A token that
the service refuses is replaced. A refused login isn't repeated for 30 s. If the login fails
otherwise, or the function can't connect, the waiting counts fail with its error, and the retry
policy decides whether they try again.
"""

import asyncio
import json
import re
import sys
from base64 import b64encode
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from copy import copy
from functools import partial
from math import inf
from typing import Any, TypeAlias, assert_never, cast
from urllib.parse import urlencode

from attrs import astuple, evolve, field, frozen
from multidict import CIMultiDict

from galileo_sessions.display import brief
from galileo_sessions.errors import (
    AttemptTimeoutError,
    ConfigurationError,
    GalileoError,
    LoginError,
    as_permanent,
)
from galileo_sessions.http.environment import (
    VARIABLES,
    credentials_in_environment,
    observability_cloud,
    setting,
    settings_together,
)
from galileo_sessions.http.responses import BASE_URL_HINT, Response, response_error
from galileo_sessions.http.secret import Secret, hidden, redact, spellings_of, unwrapped
from galileo_sessions.http.shared import Shared
from galileo_sessions.http.transport import RequestHeaders, Transport, is_momentary
from galileo_sessions.version import __version__

_OURS = {
    "User-Agent": f"galileo-sessions/{__version__} Python/{sys.version.split()[0]}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
}
_LOGIN_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
_RESERVED = (
    "content-type",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "host",
    "authorization",
)
_KEY_HEADERS = ("Galileo-API-Key", "Splunk-AO-API-Key")
_EXTRA = VARIABLES["EXTRA_HEADERS"][0]
_OF_CREDENTIALS = re.compile(
    "auth|bearer|cookie|credential|jwt|key|oidc|passphrase|passw|pwd|secret|session|signature"
    "|token|(?<![a-z])sign(?![a-z])",
    re.IGNORECASE,
)
"""A part of the names of headers whose values are secrets."""
_RECENT_TOKENS = 8  # a server can still repeat a token that has been replaced
_MAX_LOGIN = 64 * 1024  # bytes that the response to a login can have
_PAUSE = 30.0  # seconds without another login after a refusal
_LOG = "Log in the function what it raises: that isn't shown, as it can hold a secret"
_TRY_LATER = (408, 425, 429)  # of the 4xx, those that don't mean a wrong password

# ---- credentials ---------------------------------------------------------------------------------

Rules: TypeAlias = tuple[tuple[str, str, str], ...]
"""What text can't have, as a pattern; what is wrong with text that has it; and a hint."""
_TEXT = (
    (r"\A\Z", "must be text that isn't empty", ""),
    ("[\ud800-\udfff]", "isn't valid UTF-8", "Check how the environment or the file was encoded"),
)
_USER = (
    *_TEXT,
    (":", "must not have a colon", "Write auth=PasswordAuth(...) if the service has a login"),
)
_HEADER = (
    *_TEXT,
    (r"\A\s|\s\Z", "begins or ends with white space, perhaps a line break from a file", "Strip it"),
    (r"[^ -~]", "has a character that isn't printable ASCII", ""),
)
_KEY = (
    *_HEADER,
    (
        "(?i)\\ABearer ",
        'begins with "Bearer"',
        "Leave the word out; a token is auth=BearerAuth(...)",
    ),
)
_NAME = (
    (r"\A\Z|[^A-Za-z0-9!#$%&'*+.^_`|~-]", "has a name that HTTP doesn't allow", ""),
)  # by RFC 9110


def check_text(
    what: str,
    rules: Rules,
    secret: Secret[str],
    refuse: Callable[..., Exception] = ConfigurationError,
) -> None:
    """
    Checks text by rules. No local variable holds it, because a traceback can show those.

    Raises:
        ConfigurationError: or another kind of error, if it isn't text, or breaks a rule.
    """
    if hasattr(secret.reveal(), "get_secret_value"):  # as pydantic's SecretStr has
        kind = type(secret.reveal()).__name__
        raise refuse(f"{what} is a {kind}, not text", hint="Pass its .get_secret_value()")
    for pattern, problem, hint in rules:
        if not isinstance(secret.reveal(), str) or re.search(pattern, secret.reveal()):
            raise refuse(f"{what} {problem}", hint=hint)


@frozen
class ApiKeyAuth:
    """An API key from the console; it needs no login."""

    key: Secret[str] = field(converter=hidden)
    """The key, in printable ASCII."""
    header: str | None = None
    """
    The name of the header. None means both Galileo-API-Key and Splunk-AO-API-Key: deployments read
    either.
    """

    def __attrs_post_init__(self) -> None:
        check_text("the API key", _KEY, self.key)
        if self.header is not None:
            check_text("the header", _NAME, hidden(self.header))


TokenFunction: TypeAlias = Callable[[], Awaitable[str | Secret[str]]]
"""An async function that returns a token, such as a user's."""


def _hidden_token(token: str | Secret[str] | TokenFunction) -> Secret[Any]:
    return hidden(cast("str", token))


@frozen
class BearerAuth:
    """A token obtained elsewhere, or a function that obtains one."""

    token: Secret[Any] = field(converter=_hidden_token)
    """The token, in printable ASCII and without the word "Bearer"; or an async function without
    arguments that returns it. It is called when a request first needs a token, and again when the
    service rejects the token.
    """

    def __attrs_post_init__(self) -> None:
        if not callable(self.token.reveal()):
            check_text("the token", _KEY, self.token)


@frozen
class BasicAuth:
    """A user name and a password, sent with each request as HTTP Basic authentication."""

    username: str | Secret[str]
    """The user name, without a colon. Unlike the password, it is shown unless it is a `Secret`."""
    password: Secret[str] = field(converter=hidden)
    """The password, as text that isn't empty."""

    def __attrs_post_init__(self) -> None:
        check_text("the user name of a BasicAuth", _USER, hidden(self.username))
        check_text("the password", _TEXT, self.password)


@frozen
class PasswordAuth:
    """A user name and a password, exchanged for a token at POST /login when first needed."""

    username: str | Secret[str]
    """The user name. Unlike the password, it is shown unless it is a `Secret`."""
    password: Secret[str] = field(converter=hidden)
    """The password, as text that isn't empty."""

    def __attrs_post_init__(self) -> None:
        check_text("the user name", _TEXT, hidden(self.username))
        check_text("the password", _TEXT, self.password)


Credentials: TypeAlias = ApiKeyAuth | BearerAuth | BasicAuth | PasswordAuth
Headers: TypeAlias = Mapping[str, str | Secret[str]]


def find_credentials(api_key: ApiKeyAuth | None, auth: Secret[Credentials | None]) -> Credentials:
    """
    The credentials: `api_key`, `auth`, or else what the environment says.

    Raises:
        ConfigurationError: if there are none, if both arguments are given, or if one can't be sent
            in a header.
    """
    # Perhaps it is a key in the wrong place, so it isn't shown.
    if not isinstance(auth.reveal(), Credentials | None):
        kinds = "an ApiKeyAuth, a BearerAuth, a PasswordAuth or a BasicAuth"
        raise ConfigurationError(f"auth must be {kinds}", hint="For an API key write api_key=...")
    if api_key is not None and auth.reveal() is not None:
        raise ConfigurationError("api_key and auth can't both be given", hint="Give one of them")
    return api_key or auth.reveal() or _credentials_of_environment()


def _credentials_of_environment() -> Credentials:
    if cloud := observability_cloud():
        return ApiKeyAuth(cloud[1][1], header="X-SF-Token")
    if jwt := setting("JWT_TOKEN"):
        return BearerAuth(jwt[1])
    if key := setting("API_KEY"):
        return ApiKeyAuth(key[1])
    if login := settings_together("USERNAME", "PASSWORD"):
        (_, username), (_, password) = login
        return PasswordAuth(username, password)
    hint = "Set it, in Python also api_key=..."
    if sso := setting("SSO_ID_TOKEN"):
        hint = f"{sso[0]} isn't read: exchange it for a JWT, and pass auth=BearerAuth(...)"
    raise ConfigurationError("no credentials: GALILEO_API_KEY isn't set", hint=hint)


def header_and_secrets(
    credentials: Credentials,
) -> tuple[Secret[dict[str, str]], list[Secret[str]]]:
    """
    The header that authenticates a request (none if its token is yet to be obtained), and the
    secrets to hide.
    """
    secrets: list[Secret[str]] = [
        value for value in astuple(credentials, recurse=False) if isinstance(value, Secret)
    ]
    match credentials:
        case ApiKeyAuth(key, header):
            names = [header] if header else _KEY_HEADERS
            return Secret(dict.fromkeys(names, key.reveal())), secrets
        case BearerAuth(token) if callable(token.reveal()):
            return Secret({}), []
        case BearerAuth(token):
            return bearer(token), secrets
        case BasicAuth(user, password):
            login = _basic(user, password)
            return Secret({"Authorization": f"Basic {login.reveal()}"}), [*secrets, login]
        case PasswordAuth(user, password):
            return Secret({}), [*secrets, _basic(user, password)]
        case _:
            assert_never(credentials)


def _basic(user: str | Secret[str], password: Secret[str]) -> Secret[str]:
    """A user name and a password as HTTP Basic authentication writes them."""
    return Secret(b64encode(f"{hidden(user).reveal()}:{password.reveal()}".encode()).decode())


def bearer(token: Secret[str]) -> Secret[dict[str, str]]:
    """The header that carries a token."""
    return Secret({"Authorization": f"Bearer {token.reveal()}"})


# ---- what a login, or a user's function, brings --------------------------------------------------


def login_form(credentials: PasswordAuth) -> Secret[bytes]:
    """The body of POST /login."""
    fields = {
        "username": hidden(credentials.username).reveal(),
        "password": credentials.password.reveal(),
    }
    return Secret(urlencode(fields).encode("ascii"))


def token_of(response: Response) -> Secret[str]:
    """
    The token in the response to POST /login. The rest of its body isn't kept, because a 422 repeats
    the password.

    Raises:
        LoginError: if the login is refused, or the response has no token.
        ResponseError: for a redirect, a 429 or a 5xx.
    """
    status = response.status
    origin = f"the login at {response.origin}"
    if status == 200:
        # A ConfigurationError is a ValueError.
        with suppress(ValueError, RecursionError, TypeError, KeyError):
            return BearerAuth(json.loads(response.body)["access_token"]).token
        problem = f"{origin} answered 200 without an access_token"
        raise LoginError(problem, status=status, hint=BASE_URL_HINT)
    if 400 <= status < 500 and status not in _TRY_LATER:
        hint = "Check the user name and the password (GALILEO_USERNAME, GALILEO_PASSWORD)"
        if status in (404, 405):
            hint = BASE_URL_HINT
        raise LoginError(f"{origin} answered {status}", status=status, hint=hint)
    raise response_error(evolve(response, body=b"", origin=origin))


async def token_from(function: Secret[TokenFunction], seconds: float) -> Secret[str]:
    """
    The token that a user's function returns. No error has what the function raises, because that
    can hold a secret.

    Raises:
        LoginError: if the function raises, isn't async, or returns anything but a token. Its status
            is 503 if another call can succeed, else 401.
        AttemptTimeoutError: if it takes longer than so many seconds.
    """
    what = f"{getattr(function.reveal(), '__name__', 'the function')}() of BearerAuth"
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            token = hidden(await function.reveal()())
    except (Exception, asyncio.CancelledError) as problem:  # the function is the user's
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        if isinstance(problem, asyncio.CancelledError) and task.cancelling():
            raise
        text = f"{what} failed with {type(problem).__name__}"
        error: GalileoError = LoginError(
            text, status=401, hint=f"It must be an `async def` without arguments. {_LOG}"
        )
        if is_momentary(problem):
            error = LoginError(text, status=503, retriable=True, hint=_LOG)
        if limit.expired():
            error = AttemptTimeoutError(f"{what} took too long", phase="response")
    else:
        check_text(f"the result of {what}", _KEY, token, partial(LoginError, status=401))
        return token
    # Outside the except blocks, so that no secret stays reachable through __context__.
    raise error


# ---- requests with credentials -------------------------------------------------------------------


class Authentication:
    """
    Makes the headers of requests, with the credentials of a client, and removes all secrets from
    the responses.

    Args:
        credentials: The client's credentials.
        headers: The user's headers for each request, if any. They replace the client's of the same
            name, ignoring case.
        transport: Sends logins.
        shared: Makes one login for all who wait.
        login_timeout: Seconds that a login, or a user's function, can take.

    Raises:
        ConfigurationError: if a header is reserved, has an invalid name, or a value that isn't
            printable ASCII.
    """

    def __init__(
        self,
        credentials: Credentials,
        headers: Secret[Headers | Secret[Headers] | None],
        transport: Transport,
        shared: Shared,
        login_timeout: float,
    ) -> None:
        header, secrets = header_and_secrets(credentials)
        reserved = {*_RESERVED, *(name.lower() for name in header.reveal())}
        own = unwrapped(headers) or Secret[Headers]({})
        given = _checked_headers(own, reserved)
        extra = _checked_headers(_extra_headers(), reserved, _EXTRA)
        self._headers = _merged(extra, Secret(_OURS), given, header)
        self._secrets = [
            *secrets,
            *_secrets_in(own, are_all=isinstance(headers.reveal(), Secret)),
            *_secrets_in(_extra_data()),
            *credentials_in_environment(),
        ]
        self._spellings = spellings_of(self._secrets)
        self._transport = transport
        self._shared = shared
        self._with_token: RequestHeaders | None = None
        # Those with the last token, until they are accepted.
        self._unproven: RequestHeaders | None = None
        self._recent_tokens: deque[Secret[str]] = deque(maxlen=_RECENT_TOKENS)
        self._refusal: LoginError | None = None
        self._refused_until = -inf
        self._obtain: TokenFunction | None = None
        if isinstance(credentials, PasswordAuth):
            self._obtain = partial(self._log_in, login_form(credentials), login_timeout)
        elif isinstance(credentials, BearerAuth) and callable(credentials.token.reveal()):
            self._obtain = partial(token_from, credentials.token, login_timeout)
        self.has_new_tokens: bool = self._obtain is not None
        """Whether the first request after a 401 carries a new token."""

    async def headers(self, until: float) -> RequestHeaders:
        """
        The headers of a request, with the credentials; waits for a login that is in progress, or
        begins one.

        Args:
            until: When the attempt ends, on the loop's clock.

        Raises:
            LoginError: if the login is refused, and for 30 s after that without another request; or
                if the user's function failed.
            GalileoError: if the login fails otherwise, or takes too long.
        """
        if self._obtain is None:
            return self._headers
        if self._with_token is not None:
            return self._with_token
        if self._refusal is not None and asyncio.get_running_loop().time() < self._refused_until:
            raise copy(self._refusal)
        renew = partial(self._renew, self._obtain)
        headers = await self._shared.get("login", renew, until, is_kept=True)
        if headers is None:
            problem = "no token came within the time of one attempt"
            raise AttemptTimeoutError(problem, phase="response")
        return headers

    def accepted(self, headers: RequestHeaders) -> None:
        """The response to these headers wasn't a 401."""
        if headers is self._unproven:
            self._unproven = None

    def refused(self, headers: RequestHeaders, error: GalileoError) -> GalileoError:
        """
        The response to these headers was a 401: the next request has a new token, if there can be
        one.

        Returns its error, which is permanent if no request has ever been accepted with the token.
        """
        if headers is self._with_token:
            self._with_token = None
        if headers is self._unproven:
            return as_permanent(error)
        return error

    def without_secrets(self, response: Response) -> Response:
        """A response whose headers and body, which can repeat credentials, are redacted."""
        headers = CIMultiDict[str]()
        for name, value in response.headers.items():
            redacted = redact(value.encode("utf-8", "surrogateescape"), self._spellings)
            headers.add(name, redacted.decode("utf-8", "surrogateescape"))
        text = response.body.replace(b"\0", b"")  # of UTF-16, this leaves plain ASCII
        return evolve(response, headers=headers, body=redact(text, self._spellings))

    async def _renew(self, obtain: TokenFunction) -> RequestHeaders:
        try:
            token = hidden(await obtain())
        except LoginError as error:
            if not error.retriable:
                self._refusal = error
                self._refused_until = asyncio.get_running_loop().time() + _PAUSE
            raise
        self._with_token = self._unproven = headers = _merged(self._headers, bearer(token))
        self._recent_tokens.append(token)
        self._spellings = spellings_of([*self._secrets, *self._recent_tokens])
        return headers

    async def _log_in(self, form: Secret[bytes], seconds: float) -> Secret[str]:
        until = asyncio.get_running_loop().time() + seconds
        headers = _merged(self._headers, Secret(_LOGIN_TYPE))
        response = await self._transport.request(
            "/login", form, headers, until=until, max_body=_MAX_LOGIN
        )
        if response.status != 200:
            response = self.without_secrets(response)
        return token_of(response)


def _checked_headers(
    headers: Secret[Headers], reserved: set[str], source: str = ""
) -> RequestHeaders:
    """
    The headers. Reserved ones are refused; those of a source are left out, and their names aren't
    shown.
    """
    if not isinstance(headers.reveal(), Mapping):  # its repr can hold a secret
        kind = type(headers.reveal()).__name__
        problem = f"headers must be a mapping of name to text, got {kind}"
        raise ConfigurationError(problem, hint='Write {"X-Team": "blue"}')
    accepted: Secret[dict[str, str]] = Secret({})
    given = [(Secret(name), hidden(value)) for name, value in headers.reveal().items()]
    seen = CIMultiDict[None]()
    for name, value in given:
        what = f"a header in {source}" if source else f"the header {brief(name.reveal())}"
        check_text(what, _NAME, name)
        check_text(what, _HEADER, value)
        if name.reveal() in seen:
            raise ConfigurationError(f"{what} is given twice: case doesn't count in its name")
        seen[name.reveal()] = None
        if name.reveal().lower() not in reserved:
            accepted.reveal()[name.reveal()] = value.reveal()
        elif not source:
            problem = f"{what} is set by the client itself"
            raise ConfigurationError(problem, hint="For credentials pass auth=")
    return accepted


def _extra_headers() -> Secret[Headers]:
    """The headers that the environment adds; none beside a realm."""
    if setting("EXTRA_HEADERS") is None or setting("REALM") is not None:
        return Secret({})
    data = _extra_data()
    if not isinstance(data.reveal(), dict):
        problem = f"{_EXTRA} must be a JSON object"
        raise ConfigurationError(problem, hint='Write it as {"X-Gateway-Key": "..."}')
    return data


def _extra_data() -> Secret[Any]:
    """The data of the variable; None if it isn't JSON."""
    source = setting("EXTRA_HEADERS")
    with suppress(ValueError, RecursionError):
        return Secret(None if source is None else json.loads(source[1].reveal()))
    return Secret(None)


def _secrets_in(headers: Secret[Headers], *, are_all: bool = False) -> list[Secret[str]]:
    """
    The values to hide: those given as a `Secret`, and those of headers with a credential's name;
    or all.
    """
    if not isinstance(headers.reveal(), Mapping):  # the variable's, if it isn't used
        return []
    return [
        hidden(value)
        for name, value in headers.reveal().items()
        if isinstance(value, Secret)
        or (isinstance(value, str) and (are_all or _OF_CREDENTIALS.search(name)))
    ]


def _merged(*headers: RequestHeaders) -> RequestHeaders:
    """Joins headers. A later one replaces an earlier one of the same name, whatever its case."""
    merged = CIMultiDict[str]()  # as aiohttp would make it for each request
    for some in headers:
        merged.update(some.reveal())
    return Secret(merged)
