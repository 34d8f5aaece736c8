"""
Everything this package raises, in one tree.

::

    GalileoError                      .status .query .attempts .elapsed; of count_all also .report
    ├─ ConfigurationError             also a ValueError
    │  └─ ClosedError                 also a RuntimeError
    ├─ ProjectLookupError             also a LookupError; .projects
    ├─ LogStreamLookupError           also a LookupError; .log_streams
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
    ├─ JudgementError
    ├─ ResponseError                  .status .headers .body .retry_after
    │  ├─ RedirectError               3xx
    │  ├─ AuthenticationError         401 ─ LoginError
    │  ├─ PermissionDeniedError       403
    │  ├─ NotFoundError               404
    │  ├─ ValidationError             422; .issues
    │  ├─ RateLimitedError            429
    │  └─ ServerError                 5xx
    └─ DecodeError                    200 without a count or columns

Every error pickles and comes back equal; none holds a credential.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from galileo_sessions.details import Attempt, Issue

if TYPE_CHECKING:  # errors are below all these; tools find the names in `galileo_sessions`
    from galileo_sessions.api.projects import LogStream, Project
    from galileo_sessions.api.query import CountQuery
    from galileo_sessions.counting.results import CountReport

__all__ = [
    "AttemptTimeoutError",
    "AuthenticationError",
    "ClosedError",
    "ConfigurationError",
    "ConnectError",
    "DateAsTextWarning",
    "DeadlineExceededError",
    "DecodeError",
    "DisconnectedError",
    "FilterCheckError",
    "FilterDecodeError",
    "FilterError",
    "FilterParseError",
    "FilterTooLargeError",
    "FilterTypeError",
    "GalileoError",
    "JudgementError",
    "LogStreamLookupError",
    "LoginError",
    "NotFoundError",
    "PermissionDeniedError",
    "ProjectLookupError",
    "ProtocolError",
    "QueueScopedFilterWarning",
    "RateLimitedError",
    "RedirectError",
    "ResponseError",
    "ServerError",
    "TLSError",
    "TransportError",
    "UnknownColumnError",
    "ValidationError",
    "ZeroCountWarning",
]

Phase: TypeAlias = Literal["connect", "response", "body"]


class GalileoError(Exception):
    """
    The root of the tree: `except GalileoError` catches all that this package raises.

    Its text is the message with the project and, after several attempts, their number and the
    seconds waited; then a drawing, if there is one; and on the last line, the hint.
    """

    query: "CountQuery | None" = None
    """The query, if a request for it raised this; else None."""
    attempts: tuple[Attempt, ...] = ()
    """
    Its attempts, and those of others with the same query that it waited for, the oldest first.
    """
    elapsed: float | None = None
    """Seconds from the call to this error; None if no request raised it."""
    report: "CountReport | None" = None
    """
    A `CountReport` of the results until then, if `count_all`, `count_by` or `explain` raised this;
    else None.
    """
    status: int | None = None
    """The HTTP status, such as 503; None if the service didn't answer with an error."""
    call: str = ""
    """The call of a column's method that refused its arguments; else empty."""
    _is_permanent = False  # whether a retry would fail alike; set where the class can't tell

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint: str = hint
        """What to write instead, or to check; empty if the message is enough."""

    @property
    def message(self) -> str:
        """What is wrong, without the project, the attempts and the hint."""
        return str(self.args[0])

    def __str__(self) -> str:
        notes: list[str] = []
        if self.query is not None:
            name = self.query.project_name
            project = f"project {self.query.project_id}"
            notes.append(project if name is None else f"{project} {name!r}")
        if len(self.attempts) > 1:
            waited = sum(attempt.waited for attempt in self.attempts)
            notes += [f"{len(self.attempts)} attempts", f"{waited:.1f} s waited"]
        text = f"{self.call}: {self.message}" if self.call else self.message
        if notes:
            sentence = text.partition("\n")[0].removesuffix(":")
            text = f"{sentence} ({', '.join(notes)}){text[len(sentence) :]}"
        return with_hint(text, self.hint)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.args == other.args and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), self.args))

    def __reduce__(self) -> tuple[Any, ...]:
        # BaseException would call __init__ with args only, without the keywords; and OSError, a
        # base of TimeoutError, sets args in __init__ only.
        return type(self).__new__, (type(self), *self.args), {**self.__dict__, "args": self.args}


E = TypeVar("E", bound=GalileoError)


def as_permanent(error: E) -> E:
    """
    Marks an error that a retry would only repeat, although other errors of its class may be
    temporary.
    """
    error._is_permanent = True  # pyright: ignore[reportPrivateUsage]  # for the client, not for users
    return error


def is_permanent(error: GalileoError) -> bool:
    """Whether `as_permanent` has marked the error."""
    return error._is_permanent  # pyright: ignore[reportPrivateUsage]  # as above


def with_hint(text: str, hint: str) -> str:
    """A text with a hint on the last line, after any drawing."""
    return f"{text}\nhint: {hint}" if hint else text


class ConfigurationError(GalileoError, ValueError):
    """A setting or an argument can't be used; the hint says what to write instead."""


class ClosedError(ConfigurationError, RuntimeError):
    """
    The client is closed, or the stream was left or not entered, so the call can't be made now.

    In the next release it will no longer be a `ConfigurationError`.
    """


def closed_error() -> ClosedError:
    """The error that a closed client raises."""
    hint = "Make a new one, or count inside its `async with`"
    return ClosedError("this GalileoSessions is closed", hint=hint)


class ProjectLookupError(GalileoError, LookupError):
    """No project has this name, or several have it."""

    def __init__(self, message: str, projects: Iterable["Project"] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.projects: tuple[Project, ...] = tuple(projects)
        """Each `Project` that has the name; empty if there is none."""


class LogStreamLookupError(GalileoError, LookupError):
    """No log stream of a project has this name, or several have it."""

    def __init__(
        self, message: str, log_streams: Iterable["LogStream"] = (), *, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.log_streams: tuple[LogStream, ...] = tuple(log_streams)
        """Each `LogStream` that has the name; empty if there is none."""


class FilterError(GalileoError, ValueError):
    """A filter that can't be built or sent."""


class FilterTypeError(FilterError, TypeError):
    """A value or an operand whose type a filter can't hold."""


class FilterTooLargeError(FilterError):
    """A tree deeper than 100 levels, or with more than 10,000 leaves."""


class FilterDecodeError(FilterError):
    """Plain data that isn't a filter, a query or a catalog."""

    def __init__(self, message: str, path: tuple[str | int, ...] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path: tuple[str | int, ...] = path
        """
        The keys and positions that lead to the error, outermost first:
        `("and", 0, "filter")`.
        """


class FilterParseError(FilterError):
    """Text that isn't a filter."""

    def __init__(self, message: str, *, text: str, offset: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.text: str = text
        """The whole text, as it was given."""
        self.offset: int = offset
        """Where the error begins, in characters from 0."""


class FilterCheckError(FilterError):
    """
    A filter that contradicts itself, or doesn't fit a project's columns; the text marks the parts
    that are wrong.
    """

    def __init__(self, message: str, *, issues: tuple[Issue, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.issues: tuple[Issue, ...] = issues
        """One for each of these parts, from left to right."""


class UnknownColumnError(FilterError, KeyError):
    """A column id that a project's catalog doesn't have."""


class QueueScopedFilterWarning(UserWarning):
    """A filter that only works in annotation queues."""


class DateAsTextWarning(UserWarning):
    """
    A time given as text to an untyped column is compared as text:
    `Col("created_at") == "2026-05-03T00:00Z"`.
    """


class ZeroCountWarning(UserWarning):
    """
    All counts of a filter are 0, and the filter contradicts itself or doesn't fit the project's
    columns; or a count is 0, and the project has no columns.

    A client warns once about each column and project.
    """

    report: "CountReport | None" = None
    """
    A `CountReport` of all results, if `count_all` or `count_by` raised this, because warnings are
    errors; else None.
    """


class TransportError(GalileoError):
    """
    No complete response arrived. The request can be sent again, because counting changes nothing.
    """


class ConnectError(TransportError):
    """
    No connection was made: the host is unknown or refuses it, or this process has no file
    descriptor left.
    """


class TLSError(ConnectError):
    """The server's certificate isn't trusted, or isn't for this host."""


class DisconnectedError(TransportError):
    """The connection was closed before the response was complete."""


class AttemptTimeoutError(TransportError, TimeoutError):
    """One attempt took longer than `Timeouts` allows."""

    def __init__(self, message: str, *, phase: Phase, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.phase: Phase = phase
        """What the attempt was waiting for; "response" is the status and the headers."""


class ProtocolError(TransportError):
    """
    The response isn't HTTP, is too long, or is compressed although the client accepts no
    compression.
    """


class DeadlineExceededError(GalileoError, TimeoutError):
    """The time given by `timeout=` ran out."""

    def __init__(self, message: str, *, last: GalileoError | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.last: GalileoError | None = last
        """The error of the last attempt; None if there was no attempt."""


class JudgementError(GalileoError):
    """A limit can't be judged, because a project lacks what that takes, such as any session."""


class ResponseError(GalileoError):
    """
    The service answered with a status other than 200. The most common statuses have subclasses.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        headers: Mapping[str, str] = MappingProxyType({}),
        body: str = "",
        retry_after: float | None = None,
        retriable: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status: int = status  # pyright: ignore[reportIncompatibleVariableOverride]  # never None here
        """The HTTP status, such as 503."""
        self.headers: Mapping[str, str] = dict(headers)
        """The response's headers by lower-case name, without cookies."""
        self.body: str = body
        """The beginning of the body, at most 2 KiB."""
        self.retry_after: float | None = retry_after
        """Seconds to wait, from the Retry-After header; None without one."""
        self.retriable: bool = retriable
        """Whether the service's `standard_error` says that a retry may succeed."""


class RedirectError(ResponseError):
    """3xx: the client doesn't follow redirects, because they could send the key elsewhere."""


class AuthenticationError(ResponseError):
    """401: the service rejects the credentials."""


class LoginError(AuthenticationError):
    """
    The login was refused, its response has no token, or the function of a `BearerAuth` failed: as a
    503 if it couldn't connect, else as a 401.
    """


class PermissionDeniedError(ResponseError):
    """
    403: the credentials are valid, but can't read this project; or a gateway refuses the request.
    """


class NotFoundError(ResponseError):
    """404: the project doesn't exist, or the base URL isn't the API's."""


class ValidationError(ResponseError):
    """
    422: the request isn't valid. The text marks the parts of the filter that the service names.
    """

    def __init__(self, message: str, *, issues: tuple[Issue, ...] = (), **response: Any) -> None:
        super().__init__(message, **response)
        self.issues: tuple[Issue, ...] = issues
        """The entries of the response's `detail`; empty if that isn't a list."""


class RateLimitedError(ResponseError):
    """429: too many requests; `retry_after` is the time to wait, if the service gives one."""


class ServerError(ResponseError):
    """5xx: the service or its gateway failed, or refuses requests for now."""


class DecodeError(GalileoError):
    """
    A 200 without the expected body; for a count, `{"total_count": n}` with an integer n of 0 or
    more.
    """

    def __init__(self, message: str, *, body: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.body: str = body
        """The beginning of the body, at most 2 KiB."""
