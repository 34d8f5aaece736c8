"""Errors as the command line shows them: on one line, with the library's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from galileo_sessions.display import one_line, printable
from galileo_sessions.errors import FilterCheckError, GalileoError, ValidationError

T = TypeVar("T")

MOST = 3
"""How many mistakes of a kind are shown."""


class Refused(click.ClickException):
    """An invalid filter, id, time or setting. Its message is enough, so the usage isn't shown."""

    exit_code = 2


class Failed(click.ClickException):
    """An error of a request, with its own exit status."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        vars(self)["exit_code"] = exit_code  # to type checkers, it belongs to the class


def message_of(error: GalileoError) -> str:
    """The message and the hint on one line; below it, text that doesn't parse, with its place."""
    first, line_break, drawing = error.message.partition("\n")
    if isinstance(error, FilterCheckError):
        texts = dict.fromkeys([issue.msg for issue in error.issues])
        first = "; ".join([*texts][:MOST])
    if isinstance(error, FilterCheckError | ValidationError):
        line_break = drawing = ""  # `explain` draws the filter
    return printable(first + (error.hint and f". {error.hint}") + line_break + drawing)


def line_of(error: GalileoError) -> str:
    """The project, the part and what is wrong, on one line."""
    query = error.query
    if query is None:
        return message_of(error)
    words = [query.project_id, query.project_name, query.tag]
    return f"{one_line(' '.join([str(word) for word in words if word]))}: {message_of(error)}"


def read_option(option: str, read: Callable[..., T], *values: object, **more: object) -> T:
    """
    Calls `read` for an option's value.

    Raises:
        Refused: with the name of the option, if the value can't be read.
    """
    try:
        return read(*values, **more)
    except (ValueError, OverflowError) as error:  # as all errors of filters, settings and times are
        problem = message_of(error) if isinstance(error, GalileoError) else printable(str(error))
        raise Refused(f"{option}: {problem}") from None
