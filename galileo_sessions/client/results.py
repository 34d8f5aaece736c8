"""What counts return: the result of each target, how far a fan-out is, and counts by day, bin or value."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, TypeAlias, cast, final

from attrs import field, frozen

from galileo_sessions import display
from galileo_sessions.client.query import CountQuery
from galileo_sessions.errors import Attempt, GalileoError


@frozen
class CountResult:
    """What became of one target: a count, or an error."""

    index: int
    """Its place among the targets, from 0."""
    query: CountQuery
    total_count: int | None
    """The count, or None if there is an error."""
    error: GalileoError | None
    attempts: tuple[Attempt, ...]
    elapsed: float
    """Seconds from when a worker took the target."""

    @property
    def ok(self) -> bool:
        """Whether the count came."""
        return self.error is None

    def unwrap(self) -> int:
        """
        The count.

        Raises:
            GalileoError: the error, if there is one.
        """
        if self.error is not None:
            raise copy(self.error)  # for each raise adds its frames to what it raises
        return cast("int", self.total_count)


@frozen
class Progress:
    """How far a fan-out is."""

    done: int
    """Targets that have a result."""
    failed: int
    """Those of them that have an error."""
    total: int | None
    """All targets, if their number can be asked for."""
    in_flight: int
    """Requests under way, of the whole client."""
    width: int
    """Requests that may be under way at once, now."""
    elapsed: float
    """Seconds from when the stream was entered to now, or to its end."""
    rate: float
    """Requests that may be sent a second, now."""
    closed: bool
    """Whether the service accepts nothing at present, so that the client waits, and sends single probes."""

    @property
    def limit(self) -> int:
        """The former name of `width`."""
        return self.width


OnProgress: TypeAlias = Callable[[Progress], object]


@frozen(repr=False)
class CountReport:
    """All results of a fan-out, in the order of the targets; it prints short."""

    results: tuple[CountResult, ...]
    progress: Progress
    """How it stood at the end."""

    @property
    def counts(self) -> tuple[int | None, ...]:
        """Each target's count, None where it failed."""
        return tuple([result.total_count for result in self.results])

    @property
    def errors(self) -> tuple[GalileoError, ...]:
        """The errors of those that failed; `error.query` tells which."""
        return tuple([result.error for result in self.results if result.error is not None])

    @property
    def total(self) -> int:
        """The sum of the counts that came."""
        return sum([result.total_count or 0 for result in self.results])

    def rows(self) -> list[dict[str, Any]]:
        """A dict for each result, as pandas and csv take them: `project_id`, `tag`, `total_count` and `error`."""
        return [
            {
                "project_id": result.query.project_id,
                "tag": result.query.tag,
                "total_count": result.total_count,
                "error": None if result.error is None else f"{type(result.error).__name__}: {result.error}",
            }
            for result in self.results
        ]

    def __repr__(self) -> str:
        failed = f", {len(self.errors):,} failed" if self.errors else ""
        return f"<CountReport: {_some(len(self.results), 'result')}, total {self.total:,}{failed}>"

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        named = [(f"{result.query.project_id} {result.query.tag or ''}", result.total_count) for result in self.results]
        return display.html_chart(("project id", "sessions"), named, repr(self)[1:-1])

    def raise_for_errors(self) -> None:
        """
        Raises what failed, if anything did.

        Raises:
            ExceptionGroup: of the errors.
        """
        if self.errors:
            raise ExceptionGroup(f"{len(self.errors)} of {len(self.results)} counts failed", self.errors)


def _copy(counts: Mapping[str, Any]) -> dict[str, Any]:
    return dict(counts)


@final
@frozen(repr=False)
class CountsBy(Mapping[str, int]):
    """
    A mapping from each label of a partition to its count; `print` draws it as bars.

    `dict(counts)` is plain data. It is equal to the same counts of the same project.
    """

    project_id: str
    _counts: dict[str, int] = field(converter=_copy, hash=False)

    @property
    def total(self) -> int:
        """The sum of the counts. Where parts overlap, as values of a collection do, it counts a session in each."""
        return sum(self._counts.values())

    def rows(self) -> list[dict[str, Any]]:
        """A dict for each label, with `project_id`, `label` and `total_count`, as pandas and csv take them."""
        return [{"project_id": self.project_id, "label": label, "total_count": count} for label, count in self.items()]

    def __getitem__(self, label: str) -> int:
        return self._counts[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        first = ", ".join([f"{display.shortened(label)}: {count:,}" for label, count in [*self.items()][:3]])
        more = ", ..." if len(self) > 3 else ""
        return f"<CountsBy: {_some(len(self), 'label')}, total {self.total:,}; {first}{more}>"

    def __str__(self) -> str:
        return display.chart([*self.items()])

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.html_chart(("label", "sessions"), [*self.items()], f"total {self.total:,}")


@final
@frozen(repr=False)
class CountsTable(Mapping[str, CountsBy]):
    """
    Counts by something of several projects: a mapping from project id to `CountsBy`, in the order of the projects.

    A project with a count that failed isn't in it; `errors` has why.
    """

    _tables: dict[str, CountsBy] = field(converter=_copy, hash=False)
    errors: tuple[GalileoError, ...] = ()
    """What failed; `error.query` has the project, and the label as its `tag`."""

    @property
    def total(self) -> int:
        """The sum of the counts, of the projects that are in it."""
        return sum([counts.total for counts in self.values()])

    def rows(self) -> list[dict[str, Any]]:
        """The rows of each project's counts, one project after the other."""
        return [row for counts in self.values() for row in counts.rows()]

    def raise_for_errors(self) -> None:
        """
        Raises what failed, if anything did.

        Raises:
            ExceptionGroup: of the errors.
        """
        if self.errors:
            raise ExceptionGroup(f"{_some(len(self.errors), 'count')} failed", self.errors)

    def __getitem__(self, project_id: str) -> CountsBy:
        return self._tables[project_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        failed = f", {len(self.errors):,} failed" if self.errors else ""
        return f"<CountsTable: {_some(len(self), 'project')}, total {self.total:,}{failed}>"

    def __str__(self) -> str:
        return "\n".join([f"{counts.project_id}  {counts.total:>14,}  {_sparks(counts)}" for counts in self.values()])

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        rows = ((counts.project_id, f"{counts.total:,}", _sparks(counts)) for counts in self.values())
        return display.html_table(("project id", "sessions", ""), rows, len(self), repr(self)[1:-1])


def by_project(projects: Sequence[str], report: CountReport) -> CountsTable:
    """
    The counts of each project, by the tags of its queries.

    Args:
        projects: The ids.
        report: The results: as many for each project, in the order of the projects.
    """
    size = len(report.results) // max(1, len(projects))
    tables: dict[str, CountsBy] = {}
    for number, project in enumerate(projects):
        results = report.results[number * size : (number + 1) * size]
        if all(result.ok for result in results):
            tables[project] = CountsBy(project, {result.query.tag: result.unwrap() for result in results})
    return CountsTable(tables, report.errors)


def _some(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _sparks(counts: CountsBy) -> str:
    return display.sparkline([*counts.values()])
