"""What counts return: the result of each target, the progress of a fan-out, and counts by day, bin or value."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, TypeAlias, TypeVar, cast, final

from attrs import field, frozen

from galileo_sessions import display
from galileo_sessions.client.query import CountQuery
from galileo_sessions.display import brief
from galileo_sessions.errors import Attempt, ConfigurationError, GalileoError

V = TypeVar("V")


@frozen(repr=False)
class CountResult:
    """The result of one target: a count, or an error. Its repr is one line."""

    index: int
    """The target's position, from 0."""
    query: CountQuery
    total_count: int | None
    """The count; None if there is an error."""
    error: GalileoError | None
    attempts: tuple[Attempt, ...]
    elapsed: float
    """Seconds from when a worker took the target to its result."""

    @property
    def ok(self) -> bool:
        """Whether there is a count."""
        return self.error is None

    def unwrap(self) -> int:
        """
        The count.

        Raises:
            GalileoError: the error, if there is one.
        """
        if self.error is not None:
            raise copy(self.error)  # because each raise adds frames to the traceback
        return cast("int", self.total_count)

    def __repr__(self) -> str:
        what = _some(self.total_count or 0, "session") if self.error is None else type(self.error).__name__
        tag = "" if self.query.tag is None else f", {brief(self.query.tag)}"
        return f"<CountResult: {what}, project {self.query.project_id}{tag}>"


@frozen
class Progress:
    """The progress of a fan-out."""

    done: int
    """How many targets have a result."""
    failed: int
    """How many of them have an error."""
    total: int | None
    """How many targets there are; None if they have no length."""
    in_flight: int
    """Requests in flight in the whole client."""
    width: int
    """How many requests can be in flight at once, now."""
    elapsed: float
    """Seconds since the stream was entered, up to its end."""
    rate: float
    """How many requests can be sent per second, now; infinite until the service has refused one."""
    breaker_open: bool
    """True while the service accepts nothing, and only single probes are sent."""

    @property
    def remaining(self) -> float | None:
        """Seconds to the end at the pace so far; None while it is unknown."""
        if self.total is None or not self.done:
            return None
        return max(0, self.total - self.done) * self.elapsed / self.done  # a list can grow


OnProgress: TypeAlias = Callable[[Progress], object]


@frozen(repr=False)
class CountReport:
    """All results of a fan-out, in the order of the targets. Its repr is one line."""

    results: tuple[CountResult, ...]
    progress: Progress
    """The progress at the end."""

    @property
    def counts(self) -> tuple[int | None, ...]:
        """The count of each target; None if it failed."""
        return tuple([result.total_count for result in self.results])

    @property
    def errors(self) -> tuple[GalileoError, ...]:
        """The errors of the targets that failed; `error.query` is the target."""
        return tuple([result.error for result in self.results if result.error is not None])

    @property
    def total(self) -> int:
        """The sum of the counts."""
        return sum([result.total_count or 0 for result in self.results])

    def rows(self) -> list[dict[str, Any]]:
        """A dict for each result, for pandas and csv: `project_id`, `tag`, `total_count` and `error`."""
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
        return display.html_chart(("project id", "sessions"), named, repr(self)[1:-1], self.total)

    def raise_for_errors(self) -> None:
        """
        Raises the errors, if there are any.

        Raises:
            ExceptionGroup: with all of them.
        """
        if self.errors:
            raise ExceptionGroup(f"{len(self.errors)} of {len(self.results)} counts failed", self.errors)


def _copy(counts: Mapping[str, Any]) -> dict[str, Any]:
    return dict(counts)


class _Held(Mapping[str, V]):
    """A mapping of what it holds."""

    _held: Mapping[str, V]

    def __getitem__(self, key: str) -> V:
        return self._held[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


@final
@frozen(repr=False)
class CountsBy(_Held[int]):
    """
    A mapping from each label of a partition to its count; `print` draws it as bars.

    `dict(counts)` is plain data. Two objects are equal if they have the same project and counts.
    """

    project_id: str
    _held: dict[str, int] = field(converter=_copy, hash=False)
    disjoint: bool = field(default=True, eq=False)
    """Whether no session is in two parts, as far as the partition knows."""

    @property
    def total(self) -> int:
        """The sum of the counts. A session in two parts, such as one with two tags, is counted twice."""
        return sum(self.values())

    def rows(self) -> list[dict[str, Any]]:
        """
        A dict for each label, for pandas and csv: `project_id`, `label`, `total_count`, and `share`.

        A share is from 0 to 1 of the total; it is None if parts can overlap.
        """
        total = self._whole()
        return [
            {
                "project_id": self.project_id,
                "label": label,
                "total_count": count,
                "share": None if total is None else count / (total or 1),
            }
            for label, count in self.items()
        ]

    def _whole(self) -> int | None:
        return self.total if self.disjoint else None

    def change_from(self, earlier: "CountsBy") -> list[dict[str, Any]]:
        """
        What changed since earlier counts: a dict for each label, and a last one whose label is `total`.

        Equal labels are compared with each other. If labels differ, as those of two weeks do, parts are compared in
        their order. Each dict has `label`, `earlier`, `total_count`, `difference`, and `change`, the difference divided
        by the earlier count; it is None if that was 0.

        Raises:
            ConfigurationError: if the numbers of labels differ.
        """
        if len(self) != len(earlier):
            numbers = f"{len(self)} labels with {len(earlier)}"
            raise ConfigurationError(f"change_from can't compare {numbers}. Count by partitions of the same length")
        before = earlier if self.keys() == earlier.keys() else dict(zip(self, earlier.values(), strict=True))
        pairs = [(label, before[label], count) for label, count in self.items()]
        return [
            {
                "label": label,
                "earlier": old,
                "total_count": new,
                "difference": new - old,
                "change": (new - old) / old if old else None,
            }
            for label, old, new in [*pairs, ("total", earlier.total, self.total)]
        ]

    def __repr__(self) -> str:
        return f"<CountsBy: {_some(len(self), 'label')}, total {self.total:,}>"

    def __str__(self) -> str:
        return display.chart([*self.items()], total=self._whole())

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.html_chart(("label", "sessions"), [*self.items()], f"total {self.total:,}", self._whole())


@final
@frozen(repr=False)
class CountsTable(_Held[CountsBy]):
    """
    The counts of several projects by day, bin or value: a mapping from project id to `CountsBy`, in the given order.

    Projects with a count that failed are missing; `errors` has the reasons.
    """

    _held: dict[str, CountsBy] = field(converter=_copy, hash=False)
    errors: tuple[GalileoError, ...] = ()
    """The errors of the counts that failed; `error.query` has the project, and the label as its `tag`."""

    @property
    def total(self) -> int:
        """The sum of the counts of all projects in the table."""
        return sum([counts.total for counts in self.values()])

    def rows(self) -> list[dict[str, Any]]:
        """The rows of each project, one after another."""
        return [row for counts in self.values() for row in counts.rows()]

    def raise_for_errors(self) -> None:
        """
        Raises the errors, if there are any.

        Raises:
            ExceptionGroup: with all of them.
        """
        if self.errors:
            raise ExceptionGroup(f"{_some(len(self.errors), 'count')} failed", self.errors)

    def __repr__(self) -> str:
        failed = f", {len(self.errors):,} failed" if self.errors else ""
        return f"<CountsTable: {_some(len(self), 'project')}, total {self.total:,}{failed}>"

    def __str__(self) -> str:
        return display.chart(self._totals(), total=self.total)

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.html_chart(("project id", "sessions"), self._totals(), repr(self)[1:-1], self.total)

    def _totals(self) -> list[tuple[str, int | None]]:
        return [(project_id, counts.total) for project_id, counts in self.items()]


def by_project(projects: Sequence[str], report: CountReport, *, rest: str | None, disjoint: bool) -> CountsTable:
    """
    The counts of each project, by the tags of its queries.

    Args:
        projects: The ids.
        report: The results: as many for each project, in the order of the projects.
        rest: The label whose count, that of all sessions, becomes that of the sessions in no part.
        disjoint: Whether no session is in two parts.
    """
    size = len(report.results) // max(1, len(projects))
    tables: dict[str, CountsBy] = {}
    for number, project in enumerate(projects):
        results = report.results[number * size : (number + 1) * size]
        if all(result.ok for result in results):
            counts = {result.query.tag: result.unwrap() for result in results}
            if rest is not None:
                everything = counts.pop(rest)
                counts[rest] = rest_of(everything, counts.values())
            tables[project] = CountsBy(project, counts, disjoint)
    return CountsTable(tables, report.errors)


def rest_of(everything: int, parts: Iterable[int]) -> int:
    """The sessions in no part; at least 0, because sessions can arrive between the requests."""
    return max(0, everything - sum(parts))


def _some(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
