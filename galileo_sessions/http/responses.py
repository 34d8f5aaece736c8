"""
An HTTP response, and the error that it stands for unless it is a 200.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import responses as phrases
from typing import Any

from attrs import define, field

from galileo_sessions.display import brief, shortened
from galileo_sessions.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RedirectError,
    ResponseError,
    ServerError,
    ValidationError,
)

_MAX_BODY = 2048  # characters of a body that an error keeps

_HTML = re.compile("<(!doctype )?html", re.IGNORECASE)

_OWN = re.compile('"(detail|standard_error)"')  # in the JSON of the service's own refusals

BASE_URL_HINT = "Set base_url (GALILEO_API_URL) to the address of the API, not of the console"
"""What to do if something else answers: a console, a gateway or a proxy."""

_KEY = "Check that the key (GALILEO_API_KEY) hasn't expired, and is for base_url (GALILEO_API_URL)"

_ERRORS: dict[int, tuple[type[ResponseError], str]] = {
    3: (
        RedirectError,
        "Set base_url (GALILEO_API_URL): a redirect isn't followed, to protect the key",
    ),
    5: (ServerError, ""),
    401: (AuthenticationError, _KEY),
    403: (
        PermissionDeniedError,
        "Ask for access to the project: the credentials are valid, but can't read it",
    ),
    404: (NotFoundError, "Check the project's id, and base_url (GALILEO_API_URL)"),
    405: (ResponseError, BASE_URL_HINT),
    422: (ValidationError, ""),
    429: (RateLimitedError, ""),
}
"""The error and the hint for a status, or for its hundreds."""

# In the address of Splunk's gateway, which checks the token's role.
_CLOUD = ".observability.splunkcloud.com/"

_ROLE = (
    "Check that the token is an API token with the role agent_observability_admin, "
    "and hasn't expired"
)

_GATEWAY = (
    "A gateway or a proxy seems to refuse this: check its rules, and base_url (GALILEO_API_URL)"
)


@define  # frozen would take three times as long to make
class Response:
    """
    An HTTP response whose body was read. Its repr shows neither headers nor body, which can repeat
    credentials.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    """The body, or its beginning if the transport read only that."""
    origin: str = ""
    """The base URL that the request was sent to."""

    @property
    def text(self) -> str:
        """The beginning of the body, as an error keeps it."""
        return self.body[: 4 * _MAX_BODY].decode("utf-8", "replace")[:_MAX_BODY]

    @property
    def excerpt(self) -> str:
        """The body in a few words, for the message of an error."""
        return brief(self.text) if self.body else "an empty body"

    @property
    def title(self) -> str:
        """The status, its phrase and the origin: how the message of an error begins."""
        title = f"{self.status} {phrases.get(self.status, '')}".rstrip()
        return f"{title} from {self.origin}" if self.origin else title


def response_error(response: Response, problem: str = "", **details: Any) -> ResponseError:
    """
    The error that a response other than 200 stands for.

    Args:
        response: A response without secrets.
        problem: What is wrong, if the caller has read that from the body.
        details: Other arguments for the error, such as the `issues` of a 422.
    """
    kind, hint = _kind_and_hint(response)
    told, action, retriable = _standard_error(response)
    if kind is RedirectError:
        told = f"to {brief(response.headers.get('Location', 'nowhere'))}"
    now = _date(response.headers.get("Date", "")) or datetime.now(UTC)
    wait = retry_after(response.headers.get("Retry-After", ""), now)
    asks = f"; it asks for a wait of {wait:,.0f} s" if wait else ""
    headers = {name.lower(): value for name, value in response.headers.items()}
    _ = headers.pop("set-cookie", None)
    return kind(
        f"{response.title}: {problem or told + asks}",
        status=response.status,
        headers=headers,
        body=response.text,
        retry_after=wait,
        retriable=retriable,
        hint=action or hint,
        **details,
    )


def _kind_and_hint(response: Response) -> tuple[type[ResponseError], str]:
    """The class of a response's error, and what to do unless the service says that."""
    status, text = response.status, response.text
    kind, hint = _ERRORS.get(status) or _ERRORS.get(status // 100) or (ResponseError, "")
    match status:
        case 404 if _HTML.search(text):
            hint = BASE_URL_HINT
        case 401 | 403 if _CLOUD in response.origin:
            hint = _ROLE
        case 403 if not _OWN.search(text):
            hint = _GATEWAY
        case _:
            pass
    return kind, hint


def _standard_error(response: Response) -> tuple[str, str, bool]:
    """
    Reads Galileo's `standard_error`, an object in the body of an error.

    Returns:
        What is wrong, what to do, and whether Galileo says that a retry may succeed. Without a
        `standard_error`, there is only what is wrong: FastAPI's `detail` if it is text, or else the
        beginning of the body.
    """
    detail = response.excerpt
    given: dict[Any, Any] = {}
    with suppress(ValueError, RecursionError):
        data = json.loads(response.body)
        match data:
            case {"detail": str(text)} if text:
                detail = brief(text)
            case _:
                pass
        match data:
            case {"standard_error": {**found}}:
                given = found
            case _:
                pass
    problem = _text_of(given, "message") or detail
    hint = _text_of(given, "user_action").rstrip(" .")
    link = _text_of(given, "documentation_link")
    if link:
        hint = f"{hint}. See {link}".removeprefix(". ")
    return problem, hint, given.get("retriable") is True


def _text_of(given: Mapping[Any, Any], name: str) -> str:
    text = given.get(name)
    return shortened(text, 400) if isinstance(text, str) else ""


def retry_after(value: str, now: datetime) -> float | None:
    """
    The seconds to wait by a Retry-After header, which is a number or a date (RFC 9110).

    Returns:
        0 for a date in the past; None for what is neither a number nor a date.
    """
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", value.strip(" \t")):
        return float(value)
    date = _date(value)
    return None if date is None else max(0.0, (date - now).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return date.replace(tzinfo=date.tzinfo or UTC)
