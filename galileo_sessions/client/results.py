"""What counts return: the result of each target, the progress of a fan-out, and counts by day, bin or value."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from typing import Any, TypeAlias, TypeVar, cast, final

from attrs import Factory, field, frozen

from galileo_sessions import display
from galileo_sessions.client.query import Breakdown, CountQuery
from galileo_sessions.display import brief, some
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
    """Seconds this target took."""

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
        what = some(self.total_count or 0, "session") if self.error is None else type(self.error).__name__
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
    """How many requests can be in flight at once now."""
    elapsed: float
    """Seconds since the stream was entered, up to its end."""
    rate: float
    """How many requests can be sent per second now; infinite until the service has refused one."""
    breaker_open: bool
    """True while the service accepts nothing, and only single probes are sent."""

    @property
    def remaining(self) -> float | None:
        """Seconds until the end, at the pace so far; None while they are unknown."""
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
        return _errors_of(self.results)

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
        return f"<CountReport: {some(len(self.results), 'result')}, total {self.total:,}{failed}>"

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
            raise ExceptionGroup(repr(self)[1:-1], self.errors)


# ---- counts by day, bin or value -------------------------------------------------------------------------------------


@frozen
class Change:
    """An earlier count and a later one."""

    earlier: int
    total_count: int

    @property
    def difference(self) -> int:
        """The later count minus the earlier one."""
        return self.total_count - self.earlier

    @property
    def relative(self) -> float | None:
        """The difference divided by the earlier count; None if that was 0."""
        return self.difference / self.earlier if self.earlier else None

    @property
    def percent(self) -> float | None:
        """`relative` in percent, to one decimal."""
        return None if self.relative is None else round(100 * self.relative, 1)


@frozen
class ProjectCounts:
    """The counts of one project: all its sessions, their parts, and what they are compared with."""

    breakdown: Breakdown
    """What was counted. The other fields are the results of its queries."""
    whole: CountResult
    parts: dict[str, CountResult]
    previous: CountResult | None
    unfiltered: CountResult | None
    errors: tuple[GalileoError, ...]
    """The errors of the counts that failed."""

    @property
    def project_id(self) -> str:
        """The project."""
        return self.whole.query.project_id

    @property
    def error(self) -> GalileoError | None:
        """The error of the whole, or of the previous period."""
        return self.whole.error if self.previous is None else self.whole.error or self.previous.error

    @property
    def sum_of_parts(self) -> int | None:
        """The sum of the parts; None if one of them failed."""
        counts = [part.total_count for part in self.parts.values()]
        return None if None in counts else sum(cast("list[int]", counts))

    @property
    def rest_count(self) -> int | None:
        """The whole minus the parts, at least 0; None without a rest, or if one of these counts failed."""
        if self.breakdown.rest is None or self.whole.total_count is None or self.sum_of_parts is None:
            return None
        return max(0, self.whole.total_count - self.sum_of_parts)  # sessions can arrive between the requests

    @property
    def counts(self) -> dict[str, int | None]:
        """The count of each part, None if it failed; then that of the rest, if it is known."""
        counts = {label: part.total_count for label, part in self.parts.items()}
        if self.breakdown.rest is not None and self.rest_count is not None:
            counts[self.breakdown.rest] = self.rest_count
        return counts

    @property
    def total(self) -> int | None:
        """The sessions, each counted once, as in `CountsBy.total`; None if that count failed."""
        if self.whole.total_count is None or not self.breakdown.disjoint:
            return self.whole.total_count
        return max(self.whole.total_count, self.sum_of_parts or 0)

    @property
    def change(self) -> Change | None:
        """The whole compared with the previous period; None unless both are known."""
        if self.previous is None or self.previous.total_count is None or self.whole.total_count is None:
            return None
        return Change(self.previous.total_count, self.whole.total_count)

    def rows(self) -> list[dict[str, Any]]:
        """A dict for each part and the rest, and one for the whole if there are no parts or it failed."""

        def row(label: str | None, count: int | None, error: GalileoError | None) -> dict[str, Any]:
            return {"project_id": self.project_id, "label": label, "total_count": count, "error": error}

        rows = [row(label, part.total_count, part.error) for label, part in self.parts.items()]
        if self.rest_count is not None:
            rows.append(row(self.breakdown.rest, self.rest_count, None))
        if rows and self.error is None:
            return rows
        whole, change = row(None, self.whole.total_count, self.error), self.change
        if change is not None:
            whole |= {"previous_count": change.earlier, "change": change.difference, "change_percent": change.percent}
        return [*rows, whole]

    @property
    def counts_by(self) -> "CountsBy":
        """The counts as `count_by` returns them, if none of them failed."""
        counts = cast("dict[str, int]", self.counts)
        return CountsBy(self.project_id, counts, self.breakdown.disjoint, whole=self.whole.unwrap())


class Collector:
    """
    Collects the results of `breakdown.targets(projects)`, in any order.

    It holds only the results of projects that aren't complete.
    """

    def __init__(self, breakdown: Breakdown) -> None:
        self._breakdown = breakdown
        self._size = len(breakdown.queries)
        self._pending: dict[int, list[CountResult]] = {}

    def add(self, result: CountResult) -> ProjectCounts | None:
        """Adds a result; returns the counts of its project once they are complete."""
        project = result.index // self._size
        results = self._pending.setdefault(project, [])
        results.append(result)
        if len(results) < self._size:
            return None
        del self._pending[project]
        results.sort(key=lambda result: result.index)
        plan, ordered = self._breakdown, iter(results)
        parts = {label: next(ordered) for label in plan.parts}
        whole = next(ordered)
        previous = None if plan.previous is None else next(ordered)
        unfiltered = None if plan.unfiltered is None else next(ordered)
        return ProjectCounts(plan, whole, parts, previous, unfiltered, _errors_of(results))


def _copy(counts: Mapping[str, Any]) -> dict[str, Any]:
    return dict(counts)


class _Held(Mapping[str, V]):
    """A mapping of results. It equals every mapping with the same items."""

    _held: Mapping[str, V]

    def __getitem__(self, key: str) -> V:
        return self._held[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __hash__(self) -> int:
        return hash(frozenset(self._held.items()))


@final
@frozen(repr=False, eq=False)
class CountsBy(_Held[int]):
    """
    A mapping from each label of a partition to its count; `print` draws it as bars.

    `dict(counts)` is plain data. The object equals every mapping with the same items, except the counts of another
    project.
    """

    project_id: str
    _held: dict[str, int] = field(converter=_copy)
    disjoint: bool = True
    """Whether no session is in two parts, as far as the partition knows."""
    whole: int = field(default=Factory(lambda self: sum(self.values()), takes_self=True), kw_only=True)
    """The sessions that were divided, each counted once. Default: the sum of the counts."""

    @property
    def total(self) -> int:
        """
        The sessions that were divided, each counted once, whether or not they are in a part.

        If sessions arrive between the requests, parts that can't overlap can exceed it. Then it is their sum.
        """
        return max(self.whole, sum(self.values())) if self.disjoint else self.whole

    def rows(self) -> list[dict[str, Any]]:
        """
        A dict for each label, for pandas and csv: `project_id`, `label`, `total_count`, and `share`.

        A share is from 0 to 1 of the total.
        """
        total = self.total or 1
        return [
            {
                "project_id": self.project_id,
                "label": label,
                "total_count": count,
                "share": count / total,
            }
            for label, count in self.items()
        ]

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
        changes = {label: Change(before[label], count) for label, count in self.items()}
        return [
            {
                "label": label,
                "earlier": change.earlier,
                "total_count": change.total_count,
                "difference": change.difference,
                "change": change.relative,
            }
            for label, change in [*changes.items(), ("total", Change(earlier.total, self.total))]
        ]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CountsBy) and self.project_id != other.project_id:
            return False
        return super().__eq__(other)

    def __hash__(self) -> int:
        return super().__hash__()

    def __repr__(self) -> str:
        return f"<CountsBy: {some(len(self), 'label')}, total {self.total:,}>"

    def __str__(self) -> str:
        return display.chart([*self.items()], total=self.total)

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.html_chart(("label", "sessions"), [*self.items()], f"total {self.total:,}", self.total)


@final
@frozen(repr=False, eq=False)
class CountsTable(_Held[CountsBy]):
    """
    The counts of several projects by day, bin or value: a mapping from project id to `CountsBy`, in the given order.

    Projects with a count that failed are missing; `errors` has the reasons. The object equals every mapping with the
    same items.
    """

    _held: dict[str, CountsBy] = field(converter=_copy)
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
            raise ExceptionGroup(repr(self)[1:-1], self.errors)

    def __repr__(self) -> str:
        failed = f", {len(self.errors):,} failed" if self.errors else ""
        return f"<CountsTable: {some(len(self), 'project')}, total {self.total:,}{failed}>"

    def __str__(self) -> str:
        return display.chart(self._totals(), total=self.total)

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.html_chart(("project id", "sessions"), self._totals(), repr(self)[1:-1], self.total)

    def _totals(self) -> list[tuple[str, int | None]]:
        return [(project_id, counts.total) for project_id, counts in self.items()]


def _errors_of(results: Iterable[CountResult]) -> tuple[GalileoError, ...]:
    return tuple([result.error for result in results if result.error is not None])
