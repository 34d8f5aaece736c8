"""
Everything this package raises, in one tree.

::

    GalileoError                      raised by a request: .query .attempts .elapsed; by count_all: .report
    ├─ ConfigurationError             also a ValueError
    ├─ FilterError                    also a ValueError
    │  ├─ FilterTypeError             also a TypeError
    │  ├─ FilterTooLargeError
    │  ├─ FilterDecodeError           .path
    │  ├─ FilterParseError            .text .offset
    │  ├─ FilterCheckError            .issues
    │  └─ UnknownColumnError          also a KeyError
    ├─ TransportError
    │  ├─ ConnectError ─ TLSError
    │  ├─ DisconnectedError
    │  ├─ AttemptTimeoutError         also a TimeoutError; .phase
    │  └─ ProtocolError
    ├─ DeadlineExceededError          also a TimeoutError; .last
    ├─ ResponseError                  .status .headers .body .retry_after
    │  ├─ RedirectError               3xx
    │  ├─ BadRequestError             400
    │  ├─ AuthenticationError         401 ─ LoginError
    │  ├─ PermissionDeniedError       403
    │  ├─ NotFoundError               404
    │  ├─ ValidationError             422; .issues
    │  ├─ RateLimitedError            429
    │  └─ ServerError                 5xx
    └─ DecodeError                    200, but not a count, or no columns

Every error pickles and comes back equal; none holds a credential.
"""

import reprlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

if TYPE_CHECKING:  # for annotations alone: at run time this module imports no other
    from galileo_sessions.client.query import CountQuery
    from galileo_sessions.client.results import CountReport
    from galileo_sessions.filters.nodes import Filter


class _Brief(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 80
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 4
        self.maxlevel = 3

    def repr_int(self, x: int, level: int) -> str:
        return str(x) if x.bit_length() < 200 else f"<an int of {x.bit_length():,} bits>"


_BRIEF = _Brief()


def brief(value: object) -> str:
    """
    A value as its owner wrote it, shortened to fit into a message.

    Returns:
        At most 120 characters, whatever the value.
    """
    text = _BRIEF.repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


class GalileoError(Exception):
    """
    The root of the tree: `except GalileoError` catches all that this package raises.

    Its text ends with the project, and with the number of attempts and the seconds waited if there were several.

    Attributes:
        query: What was being counted, when a request raised this.
        attempts: The attempts that were made for it, oldest first.
        elapsed: Seconds from the call to this error.
        report: What `count_all` had counted until it raised this.
    """

    query: "CountQuery | None" = None
    attempts: tuple["Attempt", ...] = ()
    elapsed: float | None = None
    report: "CountReport | None" = None

    def __init__(self, message: str) -> None:
        super().__init__(message)

    @property
    def message(self) -> str:
        """The text alone. `str` adds the project, and the attempts if there were several."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        notes = [] if self.query is None else [f"project {self.query.project_id}"]
        if len(self.attempts) > 1:
            waited = sum(attempt.waited for attempt in self.attempts)
            notes += [f"{len(self.attempts)} attempts", f"{waited:.1f} s waited"]
        if not notes:
            return self.message
        first, line_break, drawing = self.message.partition("\n")
        colon = ":" if first.endswith(":") else ""
        return f"{first.removesuffix(':')} ({', '.join(notes)}){colon}{line_break}{drawing}"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.args == other.args and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), self.args))

    def __reduce__(self) -> tuple[Any, ...]:
        # BaseException would call __init__ with args alone and miss the keywords.
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(cls: type[GalileoError], args: tuple[Any, ...]) -> GalileoError:
    error = cls.__new__(cls, *args)
    error.args = args  # OSError, a base of TimeoutError, sets them in __init__ only
    return error


@frozen
class Attempt:
    """One request that was sent, or tried to be."""

    number: int
    """1 for the first."""
    status: int | None
    """The HTTP status, or None where no answer came."""
    error: GalileoError | None
    """What went wrong, or None."""
    waited: float
    """Seconds waited before it: for a permit, a pause, or a backoff."""
    elapsed: float
    """Seconds from admission to the last byte, or to the error."""
    width: int = 0
    """Requests that the client let be under way at once, after this one."""
    rate: float = 0.0
    """Requests that it sent a second at most, after this one."""
    closed: bool = False
    """Whether the service accepted nothing, after this one, so that the client sent single probes only."""


class ConfigurationError(GalileoError, ValueError):
    """The client can't work as it was set up; the text says what to set."""


class FilterError(GalileoError, ValueError):
    """A filter that can't be built, or that can't be sent."""


class FilterTypeError(FilterError, TypeError):
    """A value or an operand of a kind that a filter can't hold."""


class FilterTooLargeError(FilterError):
    """A tree deeper than 100 levels, or with more than 10,000 leaves."""


class FilterDecodeError(FilterError):
    """
    Plain data that isn't a filter.

    Attributes:
        path: The keys and positions that lead to the fault, outermost first.
    """

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


class FilterParseError(FilterError):
    """
    Text that isn't a filter.

    Attributes:
        text: The text.
        offset: Where in it the fault begins, in characters from 0.
    """

    def __init__(self, message: str, *, text: str, offset: int) -> None:
        super().__init__(message)
        self.text = text
        self.offset = offset


class FilterCheckError(FilterError):
    """
    A filter that doesn't fit a project's columns; the text draws it with each leaf that doesn't.

    Attributes:
        issues: One for each of those leaves; `loc` is the way to it in `dump_filter(where)`, `node` the leaf.
    """

    def __init__(self, message: str, *, issues: tuple["Issue", ...] = ()) -> None:
        super().__init__(message)
        self.issues = issues


class UnknownColumnError(FilterError, KeyError):
    """A column id that a project's catalog doesn't have."""


class QueueScopedFilterWarning(UserWarning):
    """A filter that means something in annotation queues only."""


class DateAsTextWarning(UserWarning):
    """A time as text beside a column of no type, which compares text: `Col("created_at") == "2026-05-03T00:00Z"`."""


class TransportError(GalileoError):
    """No whole answer came; the request may be sent again, for counting changes nothing."""


class ConnectError(TransportError):
    """No connection: the host is unknown, refuses, or this process has no socket left."""


class TLSError(ConnectError):
    """The server's certificate isn't trusted, or isn't for this host."""


class DisconnectedError(TransportError):
    """The connection ended before the answer did."""


class AttemptTimeoutError(TransportError, TimeoutError):
    """
    One attempt took longer than `Timeouts` allows.

    Attributes:
        phase: "connect" where `Timeouts.connect` ran out, "response" before the answer's head, or "body".
    """

    def __init__(self, message: str, *, phase: Literal["connect", "response", "body"]) -> None:
        super().__init__(message)
        self.phase = phase


class ProtocolError(TransportError):
    """
    The answer isn't HTTP, or can't be what was asked for: it is too long, or compressed though that wasn't asked for.

    Attributes:
        worth_retrying: Whether another attempt may fare better; where the answer is too long or compressed it won't.
    """

    def __init__(self, message: str, *, worth_retrying: bool = True) -> None:
        super().__init__(message)
        self.worth_retrying = worth_retrying


class DeadlineExceededError(GalileoError, TimeoutError):
    """
    The time given by `timeout=` ran out.

    Attributes:
        last: What the last attempt met, or None if there was none.
    """

    def __init__(self, message: str, *, last: GalileoError | None = None) -> None:
        super().__init__(message)
        self.last = last


class ResponseError(GalileoError):
    """
    The server answered, but not with a count.

    Attributes:
        status: The HTTP status.
        headers: The answer's headers by lower-case name, without cookies.
        body: The beginning of its body as text, at most 2 KiB.
        retry_after: Seconds that the service asked to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        headers: Mapping[str, str] = MappingProxyType({}),
        body: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: Mapping[str, str] = dict(headers)
        self.body = body
        self.retry_after = retry_after


class RedirectError(ResponseError):
    """3xx: the client follows no redirects, for they could carry the key elsewhere."""


class BadRequestError(ResponseError):
    """400: the request can't be understood; a gateway in between is the usual author."""


class AuthenticationError(ResponseError):
    """401: the service doesn't know the credentials."""


class LoginError(AuthenticationError):
    """The login was refused, or answered with no token."""


class PermissionDeniedError(ResponseError):
    """403: the credentials are known, but may not read this project."""


class NotFoundError(ResponseError):
    """404: no such project, or the base URL isn't the API's."""


@frozen
class Issue:
    """One complaint of a 422, as FastAPI words it, or of a catalog's check."""

    loc: tuple[str | int, ...]
    """Where in the request: ("body", "filter_tree", …); of a check, where in the filter."""
    msg: str
    type: str
    node: "Filter | None" = field(default=None)
    """The part of the filter that `loc` leads to, where it can be found."""


class ValidationError(ResponseError):
    """
    422: the service can't read the request.

    Attributes:
        issues: Each entry of the answer's `detail`; empty where it has no such list.
    """

    def __init__(self, message: str, *, issues: tuple[Issue, ...] = (), **response: Any) -> None:
        super().__init__(message, **response)
        self.issues = issues


class RateLimitedError(ResponseError):
    """429: too many requests; `retry_after` tells how long to wait, if the service does."""


class ServerError(ResponseError):
    """5xx: the service or its gateway is in trouble."""


class DecodeError(GalileoError):
    """
    A 200 whose body isn't `{"total_count": n}` with an integer n of 0 or more, or isn't a list of columns.

    Attributes:
        body: The beginning of the body as text, at most 2 KiB.
        is_json: Whether it is JSON at all. Else it is the page of something that stands before the service, or was cut
            off, so that the count is tried again as after a 503.
    """

    def __init__(self, message: str, *, body: str = "", is_json: bool = True) -> None:
        super().__init__(message)
        self.body = body
        self.is_json = is_json
