"""What has been counted so far, and what has failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TextIO, TypeAlias

import click
from attrs import Factory, define

from galileo_sessions.cli.output import json_line
from galileo_sessions.client.query import CountQuery
from galileo_sessions.client.results import CountResult
from galileo_sessions.display import printable
from galileo_sessions.errors import GalileoError

_EXAMPLES = 3

_Kind: TypeAlias = tuple[str, int | None]  # the error's type and HTTP status


class Refused(click.ClickException):
    """An invalid filter, id, time or setting. The message says it all, so click shows no usage with it."""

    exit_code = 2


def failure(error: GalileoError) -> str:
    """The project and the label that an error is about, and its text; further lines are indented."""
    query = error.query
    place = "" if query is None else f"{query.project_id} {query.tag or ''}".rstrip() + ": "
    return printable(f"{place}{error.message}").replace("\n", "\n  ")


@define
class Tally:
    """Counts results, and groups failures by error type and HTTP status."""

    expected: int | None
    """The number of results, if it is known."""
    file: TextIO | None
    """Where all failures are written, as JSON lines."""
    counted: int = 0
    total: int = 0
    """The sessions, each counted once; without the filter in `unfiltered`."""
    unfiltered: int = 0
    found: int = 0
    """The sessions in the parts of `--by`, or all without it; the rest isn't in a part."""
    last: Sequence[CountQuery] = ()
    """What counted them in the last project."""
    misfit: str = ""
    """What doesn't fit in its filters, if nothing was found."""
    _rows: list[str] = Factory(list[str])
    _failed: Counter[_Kind] = Factory(Counter[_Kind])
    _examples: dict[_Kind, list[GalileoError]] = Factory(dict[_Kind, list[GalileoError]])

    @property
    def failed(self) -> int:
        """The number of failures."""
        return self._failed.total()

    def add(self, result: CountResult) -> None:
        """Adds a result."""
        if result.error is None:
            self.counted += 1
            return
        if self.file is not None:
            self._rows.append(f"{json_line(result)}\n")
        kind = type(result.error).__name__, getattr(result.error, "status", None)
        self._failed[kind] += 1
        if self._failed[kind] <= _EXAMPLES:
            self._examples.setdefault(kind, []).append(result.error)

    def failures(self) -> list[str]:
        """Writes the failures to the file; returns three of each kind, and how many more there are."""
        if self.file is not None:
            self.file.writelines(self._rows)
            self.file.flush()
        lines: list[str] = []
        for kind, errors in self._examples.items():
            lines += map(failure, errors)
            if more := self._failed[kind] - len(errors):
                lines.append(f"{more:,} more counts failed with {kind[0]}; --errors FILE writes all of them")
        return lines

    def __str__(self) -> str:
        expected = "" if self.expected is None else f" of {self.expected:,}"
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.counted:,}{expected} counted{failed}, total {self.total:,}"
