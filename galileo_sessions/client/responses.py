"""What a response means: a count, a project's columns, or an error that says what to do. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NoReturn, cast

from attrs import field, frozen

from galileo_sessions import errors
from galileo_sessions.client.explain import explain
from galileo_sessions.client.query import CountQuery
from galileo_sessions.filters.catalog import ColumnCatalog, load_catalog
from galileo_sessions.filters.nodes import ALWAYS

_COUNT = re.compile(rb'\s*\{\s*"total_count"\s*:\s*(0|[1-9][0-9]{0,17})\s*\}\s*')
_MAX_COUNT = 2**63 - 1
_KEPT = 2048  # characters of a body that stay in an error
_REDACTED = 64 * 1024  # bytes of a body's beginning that are searched for credentials, which are under 16 KiB

_ERRORS: dict[int, tuple[type[errors.ResponseError], str]] = {
    400: (errors.BadRequestError, ""),
    401: (errors.AuthenticationError, ". Check the credentials, and that they belong to this deployment"),
    403: (errors.PermissionDeniedError, ". The credentials are known, but can't read this project"),
    404: (
        errors.NotFoundError,
        ". Check the project's id, and that base_url (GALILEO_API_URL) is the API's address, not the console's",
    ),
    429: (errors.RateLimitedError, ""),
}

Redact = Callable[[str], str]
"""Takes credentials out of text: a server may repeat what it was sent."""


@frozen
class Response:
    """An HTTP response whose body was read. Its repr shows neither headers nor body, which may repeat credentials."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    """The body, or as much of it as the transport was asked to read."""
    origin: str = ""
    """The base URL that was asked."""


def total_count(body: bytes, redact: Redact = str) -> int:
    """
    The count in the body of a 200.

    Raises:
        DecodeError: unless it is a JSON object whose one `total_count` is an integer from 0 to 2**63 - 1.
            Other keys are ignored, for the API may grow.
    """
    match = _COUNT.fullmatch(body)
    if match is not None:
        return int(match[1])
    data = load_json(body, redact)
    count = cast("dict[str, object]", data).get("total_count") if isinstance(data, dict) else None
    if type(count) is not int or not 0 <= count <= _MAX_COUNT:
        raise _undecodable(body, redact, 'expected {"total_count": n} with an integer n of 0 or more')
    return count


def column_catalog(body: bytes, redact: Redact = str) -> ColumnCatalog:
    """
    The columns in the body of a 200.

    Raises:
        DecodeError: unless it is a JSON object that `load_catalog` reads.
    """
    data = load_json(body, redact)
    clean = redact(body.decode()).encode()
    if clean != body:  # what is quoted below is cut, and could leave a part of a credential
        data = load_json(clean, redact)
    try:
        return load_catalog(data)
    except errors.FilterDecodeError as error:
        problem = str(error)
    raise _undecodable(clean, redact, problem)


def load_json(body: bytes, redact: Redact = str) -> object:
    """
    The JSON in the body of a 200, strictly: UTF-8, no NaN or Infinity, no key twice.

    Raises:
        DecodeError: with the beginning of the body.
    """
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        problem = "too deep" if isinstance(error, RecursionError) else str(error)
        is_json = not isinstance(error, json.JSONDecodeError | UnicodeDecodeError)
    raise _undecodable(body, redact, problem, is_json=is_json)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a key stands twice")
    return entries


def _undecodable(body: bytes, redact: Redact, problem: str, *, is_json: bool = True) -> errors.DecodeError:
    text = _beginning(body, redact)
    said = f"the service answered 200, but not with what was asked for: {problem}; got {_excerpt(text)}"
    return errors.DecodeError(said, body=text, is_json=is_json)


def _beginning(body: bytes, redact: Redact) -> str:
    """The beginning of a body; credentials are taken out before the cuts, which could leave a part of one."""
    clean = redact(body[:_REDACTED].decode("utf-8", "replace"))
    return (clean if len(body) <= _REDACTED else clean[: -_REDACTED // 4])[:_KEPT]


def _excerpt(text: str) -> str:
    return errors.brief(text) if text else "an empty body"


def error_of(response: Response, redact: Redact = str, query: CountQuery | None = None) -> errors.ResponseError:
    """
    The error that a response other than 200 to `query` stands for, without credentials.

    Args:
        response: The response.
        redact: Takes credentials out of its texts.
        query: What was asked; a 422 is drawn on its filter.
    """
    status, headers = response.status, response.headers
    body = _beginning(response.body, redact)
    kept: dict[str, Any] = {
        "status": status,
        "headers": {name.lower(): redact(value) for name, value in headers.items() if name.lower() != "set-cookie"},
        "body": body,
        "retry_after": retry_after(headers.get("Retry-After"), answered_at(headers)),
    }
    title = _title(status) + (f" from {response.origin}" if response.origin else "")
    if 300 <= status < 400:
        location = errors.brief(redact(headers.get("Location", "nowhere")))
        hint = "The client follows no redirect, which could carry the key elsewhere. Set base_url (GALILEO_API_URL)"
        return errors.RedirectError(f"{title}: to {location}. {hint}", **kept)
    said = _said(_detail(response.body), body, redact)
    if status == 422:
        where, filters = (query.where, query.filters) if query else (ALWAYS, ())
        issues, drawn = explain(redact(response.body.decode("utf-8", "replace")).encode(), where, filters)
        return errors.ValidationError(f"{title}: {drawn or said}", issues=issues, **kept)
    other = errors.ServerError if status >= 500 else errors.ResponseError
    kind, hint = _ERRORS.get(status, (other, ""))
    wait = kept["retry_after"]
    asked = f". It asks to wait {wait:,.0f} s" if wait else ""
    return kind(f"{title}: {said}{asked}{hint}", **kept)


def _said(detail: object, body: str, redact: Redact) -> str:
    return _excerpt(redact(detail) if isinstance(detail, str) else body)


def retry_after(value: str | None, now: datetime) -> float | None:
    """
    Seconds that a Retry-After header asks to wait, by RFC 9110: a number, or a date.

    Returns:
        0 for a date in the past; None without a header, and for what is neither a number nor a date.
    """
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", value.strip(" \t")):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())


def answered_at(headers: Mapping[str, str]) -> datetime:
    """When the service wrote an answer, by its own clock, the answer's Date header; without one, by this machine's."""
    try:
        date = parsedate_to_datetime(headers["Date"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return datetime.now(UTC)
    return date.replace(tzinfo=date.tzinfo or UTC)


def _title(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _detail(body: bytes) -> object:
    """FastAPI's `detail`, or the message of Galileo's `standard_error`, or None."""
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    entries = cast("dict[str, Any]", data)
    if "detail" in entries:
        return cast("object", entries["detail"])
    standard = entries.get("standard_error")
    return cast("dict[str, object]", standard).get("message") if isinstance(standard, dict) else None
