"""Counts that failed: what is told of them, in the words of the command line."""

from __future__ import annotations

import json
import re
from typing import TextIO

import click
from attrs import Factory, define

from galileo_sessions.cli.screen import printable
from galileo_sessions.client.results import CountResult
from galileo_sessions.errors import FilterError, GalileoError

_EXAMPLES = 3
_VARIABLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]+")
_HISTORY = re.compile(r"; nothing has been accepted for .*$")
_WORDS = (
    (r", or write GalileoSessions\(api_key=\.\.\.\)", ""),
    (r"give auth=BasicAuth\(\.\.\.\)", "set GALILEO_USERNAME and GALILEO_PASSWORD"),
    (r"Timeouts\(attempt=\.\.\.\) or timeout= allow\b", "30 seconds, or than --timeout allows"),
    (r"\btimeout= ran out", "--timeout ran out"),
    (r"\bbase_url\b", "GALILEO_API_URL"),
    (r"\blog_stream_id (?=')", "--log-stream "),
    (r"\bexperiment_id (?=')", "--experiment "),
    (r"\bmetrics_testing_id (?=')", "--metrics-testing "),
    (r"the project_id\b", "the project's id"),
    (r"\. For several write count_all\(\[\.\.\.\]\)", ""),
)
"""What the library says of Python's arguments, and what the command line calls them."""


class Refused(click.ClickException):
    """What can't be used: a filter, an id, a time or a setting. Its message says all, so no usage stands before it."""

    exit_code = 2


def message(error: GalileoError) -> str:
    """An error's text, with options and variables of the environment for the arguments of Python."""
    text = error.message  # each line begins with the project
    if not isinstance(error, FilterError):  # which shows the filter as it was written
        for pattern, word in _WORDS:
            text = re.sub(pattern, word, text)
    return printable(text)


def failure(error: GalileoError) -> str:
    """An error's project, label and message; further lines are indented."""
    query = error.query
    place = (
        "" if query is None else f"{query.project_id}: " if query.tag is None else f"{query.project_id} {query.tag}: "
    )
    return f"{printable(place)}{message(error)}".replace("\n", "\n  ")


def error_row(result: CountResult, error: GalileoError) -> dict[str, object]:
    """What programs are told of a count that failed."""
    label = {} if result.query.tag is None else {"label": result.query.tag}
    told = {"type": type(error).__name__, "message": message(error)}
    return {"project_id": result.query.project_id, **label, "error": told}


@define
class Failures:
    """Counts of failures by their kind: the first three of each are told at once, the others are only counted."""

    file: TextIO | None
    """Where all of them are written in the end, as JSON lines."""
    _rows: list[str] = Factory(list[str])
    _kinds: dict[tuple[str, str], int] = Factory(dict[tuple[str, str], int])

    def add(self, result: CountResult, error: GalileoError) -> str | None:
        """Takes note of one; returns what is told of it, or None where three like it have been told."""
        if self.file is not None:
            self._rows.append(f"{json.dumps(error_row(result, error))}\n")
        kind = type(error).__name__, _VARIABLE.sub("#", _HISTORY.sub("", error.message))
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        return failure(error) if self._kinds[kind] <= _EXAMPLES else None

    def summary(self) -> list[str]:
        """A line for each kind of which not all were told."""
        where = "--errors FILE writes all of them" if self.file is None else f"all of them are in {self.file.name}"
        return [
            f"{number:,} counts failed with the same {name}, of which the first {_EXAMPLES} are above; {where}"
            for (name, _), number in self._kinds.items()
            if number > _EXAMPLES
        ]

    def write(self) -> None:
        """
        Writes all of them to the file, if there is one.

        Raises:
            OSError: if it can't be written.
        """
        if self.file is not None:
            self.file.writelines(self._rows)
            self.file.flush()
