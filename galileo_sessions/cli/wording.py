"""Errors in the words of the command line: on one line, with a hint that names options and variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from galileo_sessions import errors
from galileo_sessions.display import printable
from galileo_sessions.errors import FilterCheckError, FilterError, GalileoError, ValidationError

T = TypeVar("T")

MOST = 3
"""How many mistakes of a kind are shown."""

_HINTS: dict[type[GalileoError], str] = {
    errors.AuthenticationError: "Check GALILEO_API_KEY, and that it belongs to the deployment at GALILEO_API_URL",
    errors.LoginError: "Check GALILEO_USERNAME and GALILEO_PASSWORD, and that GALILEO_API_URL isn't the console's",
    errors.PermissionDeniedError: "The credentials are valid, but can't read this project",
    errors.NotFoundError: "Check the project's id, and that GALILEO_API_URL isn't the console's",
    errors.RedirectError: "Set GALILEO_API_URL to the address that answers",
    errors.DecodeError: "Check that GALILEO_API_URL isn't the console's",
    errors.TLSError: "Check that this port has TLS. For your own CA, set SSL_CERT_FILE",
    errors.ConnectError: "Check GALILEO_API_URL, the proxy and the network",
    errors.DeadlineExceededError: "Raise --timeout",
    errors.RateLimitedError: "Try again later",
    errors.ServerError: "Try again later",
}


class Refused(click.ClickException):
    """An invalid filter, id, time or setting. The message is enough, so click doesn't show the usage."""

    exit_code = 2


def message_of(error: GalileoError) -> str:
    """The message and the hint on one line; text that doesn't parse follows, with the place marked."""
    first, line_break, drawing = error.message.partition("\n")
    if isinstance(error, FilterCheckError):
        first = "; ".join([*dict.fromkeys([issue.msg for issue in error.issues])][:MOST])
    if isinstance(error, FilterCheckError | ValidationError):
        line_break = drawing = ""  # `explain` draws the filter
    own = error.hint if isinstance(error, FilterError | LookupError) else ""  # filters are written as in Python
    hint = next((_HINTS[kind] for kind in type(error).__mro__ if kind in _HINTS), own)
    return printable(first + (hint and f". {hint}") + line_break + drawing)


def line_of(error: GalileoError) -> str:
    """The project, the part and what is wrong, on one line."""
    query = error.query
    if query is None:
        return message_of(error)
    words = [query.project_id, query.project_name, query.tag]
    return f"{one_line(' '.join([str(word) for word in words if word]))}: {message_of(error)}"


def one_line(text: str) -> str:
    """Text in which everything is escaped that could control a terminal or break a line."""
    return printable(text).replace("\n", "\\n")


def read_option(option: str, read: Callable[..., T], *values: object, **more: object) -> T:
    """
    Calls `read` for an option's value.

    Raises:
        Refused: with the name of the option, if the value can't be read.
    """
    try:
        return read(*values, **more)
    except (ValueError, OverflowError) as error:  # as all errors of filters, settings and times are
        said = message_of(error) if isinstance(error, GalileoError) else printable(str(error))
        raise Refused(f"{option}: {said}") from None
