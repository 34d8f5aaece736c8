"""What counts return: the result of each target, the progress of a fan-out, and counts by day, bin or value."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import copy
from typing import Any, Generic, TypeAlias, TypeVar, cast, final

from attrs import Factory, field, frozen

from galileo_sessions import display
from galileo_sessions.client.breakdown import ALL, PREVIOUS, UNFILTERED, WHOLE, Breakdown, Key
from galileo_sessions.client.projects import ProjectId
from galileo_sessions.client.query import CountQuery
from galileo_sessions.display import brief, some
from galileo_sessions.errors import Attempt, ConfigurationError, GalileoError
from galileo_sessions.filters.partitions import Partition

V = TypeVar("V")


@frozen(repr=False)
class CountResult:
    """The result of one target: a count, or an error. Its repr is one line."""

    index: int
    """The target's position, from 0."""
    target: CountQuery | ProjectId = field(hash=False)
    """The target, as it was given."""
    query: CountQuery | None
    """The query that was counted; None if the target isn't the id of a project."""
    total_count: int | None
    """The count; None if there is an error. With `by=`, each session of the whole counts once."""
    error: GalileoError | None
    """The error, or with `by=` the first one; None if there is a count."""
    attempts: tuple[Attempt, ...]
    """The attempts of all its requests, in the order of the counts; empty for `NEVER`, which needs no request."""
    elapsed: float
    """Seconds from the start of its first count to the end of its last one, with waits and retries."""
    parts: Any = field(default=None, repr=False, eq=False)
    """Not for programs: read `counts_by` instead, which has the parts that `by=` adds."""

    @property
    def errors(self) -> tuple[GalileoError, ...]:
        """The errors of all its counts: with `by=`, each part can have one."""
        if self.parts is not None:
            return cast("ProjectCounts", self.parts).errors
        return () if self.error is None else (self.error,)

    @property
    def counts_by(self) -> "CountsBy":
        """
        With `by=`, the counts of the parts.

        Raises:
            GalileoError: the first error, if a count failed.
            ConfigurationError: without `by=`.
        """
        if self.parts is not None:
            return cast("ProjectCounts", self.parts).counts_by
        _ = self.unwrap()
        raise ConfigurationError("there are no parts. Write count_many(..., by=partition)")

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
        tag = "" if self.query is None or self.query.tag is None else f", {brief(self.query.tag)}"
        return f"<CountResult: {what}, project {_project_of(self)}{tag}>"


@frozen
class Progress:
    """The progress of a fan-out."""

    done: int
    """How many counts have a result. A target is one count, or with `by=` several."""
    failed: int
    """How many of them have an error."""
    total: int | None
    """How many counts there are; with `by=`, it grows as parts follow. None if the targets have no length."""
    in_flight: int
    """Requests in flight in the whole client."""
    width: int
    """How many requests can be in flight at once now."""
    elapsed: float
    """Seconds since the stream was entered, up to its end."""
    rate: float
    """How many requests can be sent per second now; infinite while there is no limit."""
    breaker_open: bool
    """True while the service accepts nothing, and only single probes are sent."""

    @property
    def remaining(self) -> float | None:
        """Seconds until the end, at the pace so far; None while they are unknown."""
        if self.total is None or not self.done:
            return None
        return max(0, self.total - self.done) * self.elapsed / self.done  # a list can grow


OnProgress: TypeAlias = Callable[[Progress], object]


def _named(result: CountResult) -> dict[str, str | None]:
    """The project of a result, for a row."""
    query = result.query
    if query is None:
        return {"project_id": str(result.target), "project_name": None}
    return {"project_id": query.project_id, "project_name": query.project_name}


def _labelled(label: Any) -> dict[str, Any]:
    """A label for a row; the labels of two dimensions are joined, and listed as well."""
    if isinstance(label, tuple):
        return {"label": display.label_text(cast("object", label)), "labels": label}
    return {"label": label}


def _project_of(result: CountResult, *, with_tag: bool = False) -> str:
    """The project's id or target and its name, and the tag if it is wanted."""
    query = result.query
    if query is None:
        return brief(result.target)
    tag = str(query.tag) if with_tag and query.tag is not None else ""
    return " ".join(filter(None, [query.project_id, display.shortened(query.project_name or ""), tag]))


@frozen(repr=False)
class CountReport:
    """All results of a fan-out, in the order of the targets. Its repr is one line."""

    results: tuple[CountResult, ...]
    """A result for each target, in their order, whether it has a count or an error."""
    progress: Progress
    """The progress at the end."""

    @property
    def counts(self) -> tuple[int | None, ...]:
        """The count of each target; None if it failed."""
        return tuple([result.total_count for result in self.results])

    @property
    def errors(self) -> tuple[GalileoError, ...]:
        """The errors of the targets that failed; `error.query` has the project, unless the target isn't one."""
        return _errors_of(self.results)

    @property
    def total(self) -> int:
        """The sum of the counts, without the targets that failed."""
        return sum([result.total_count or 0 for result in self.results])

    def rows(self) -> list[dict[str, Any]]:
        """
        A dict for each result, for pandas and csv: `project_id`, `project_name`, `tag`, `total_count` and `error`.

        With `by=`, a dict for each label, which has `label` in place of `tag`, and for two dimensions `labels`.
        """
        rows: list[dict[str, Any]] = []
        for result in self.results:
            if result.parts is not None:
                rows += cast("ProjectCounts", result.parts).rows()
            else:
                tag = None if result.query is None else result.query.tag
                rows.append({**_named(result), "tag": tag, "total_count": result.total_count, "error": result.error})
        for row in rows:
            error = row["error"]
            if "label" in row:
                row.update(_labelled(row["label"]))
            row["error"] = None if error is None else f"{type(error).__name__}: {error}"
        return rows

    def __repr__(self) -> str:
        failed = f", {len(self.errors):,} failed" if self.errors else ""
        return f"<CountReport: {some(len(self.results), 'result')}, total {self.total:,}{failed}>"

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        named = [(_project_of(result, with_tag=True), result.total_count) for result in self.results]
        return display.html_chart(("project", "sessions"), named, repr(self)[1:-1], self.total)

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
    """The counts of one project: the whole, its parts, and what it is compared with."""

    breakdown: Breakdown
    results: "dict[Key, CountResult]"
    """The results of its queries. Parts of a whole that is 0 have none."""
    counts: dict[Any, int | None] = field(init=False, default=Factory(lambda self: self._counts(), takes_self=True))
    """The count of each label, a rest included; None if it isn't known. With two dimensions, labels are pairs."""

    @property
    def whole(self) -> "CountResult":
        """The result of the whole."""
        return self.results[WHOLE]

    @property
    def errors(self) -> tuple[GalileoError, ...]:
        """The errors of the counts that failed."""
        return _errors_of(self.results.values())

    @property
    def error(self) -> GalileoError | None:
        """The error of the whole, or of the previous period."""
        compared = [self.results[key] for key in (WHOLE, PREVIOUS) if key in self.results]
        return next(iter(_errors_of(compared)), None)

    @property
    def total(self) -> int | None:
        """The sessions, each counted once, as in `CountsBy.total`; None if that count failed."""
        whole = self.whole.total_count
        if whole is None or not self.breakdown.disjoint:
            return whole
        return max(whole, sum([count or 0 for count in self.counts.values()]))

    @property
    def change(self) -> Change | None:
        """The whole compared with the previous period; None unless both are known."""
        earlier, now = self._count(PREVIOUS), self.whole.total_count
        return None if earlier is None or now is None else Change(earlier, now)

    @property
    def unfiltered(self) -> int | None:
        """The count of the whole without the filter; None if it isn't known."""
        return self._count(UNFILTERED)

    @property
    def counts_by(self) -> "CountsBy":
        """
        The counts as `count_by` returns them.

        Raises:
            GalileoError: the first error, if a count failed.
        """
        if self.errors:
            raise copy(self.errors[0])
        counts = cast("dict[Any, int]", self.counts)
        query = cast("CountQuery", self.whole.query)
        return CountsBy(
            query.project_id,
            counts,
            self.breakdown.disjoint,
            whole=self.whole.unwrap(),
            project_name=query.project_name,
        )

    def rows(self) -> list[dict[str, Any]]:
        """A dict for each label whose count is known or failed; and one for the whole if it has none or failed."""

        def row(label: Any, count: int | None, error: GalileoError | None) -> dict[str, Any]:
            return {**_named(self.whole), "label": label, "total_count": count, "error": error}

        failed = {label: self._failure(label) for label, count in self.counts.items() if count is None}
        rows = [
            row(label, count, failed.get(label))
            for label, count in self.counts.items()
            if count is not None or failed[label] is not None
        ]
        if rows and self.error is None:
            return rows
        whole, change = row(None, self.whole.total_count, self.error), self.change
        if change is not None:
            whole |= {"previous_count": change.earlier, "change": change.difference, "change_percent": change.percent}
        return [*rows, whole]

    def _counts(self) -> dict[Any, int | None]:
        if not self.breakdown.dimensions:
            return {}
        rows, *columns = self.breakdown.dimensions
        if not columns:
            return self._divided(WHOLE, rows)
        cells = {(row, label): count for row in rows for label, count in self._divided((row,), columns[0]).items()}
        if rows.rest is not None:
            for label, count in self._divided((ALL,), columns[0]).items():
                cells[rows.rest, label] = _left(count, [cells[row, label] for row in rows])
        return cells

    def _divided(self, key: Key, dimension: Partition) -> dict[Any, int | None]:
        """The counts of the parts of a key, and their rest."""
        counts = {label: self._count((*key, label)) for label in dimension}
        if dimension.rest is not None:
            counts[dimension.rest] = _left(self._count(key), counts.values())
        return counts

    def _count(self, key: Key) -> int | None:
        """The count of a key; None if it isn't known."""
        result = self.results.get(key)
        if result is not None or key in (WHOLE, PREVIOUS, UNFILTERED):
            return None if result is None else result.total_count
        count = self._count(key[:-1])  # 0 has no parts; the key (ALL,) is the whole
        return count if key == (ALL,) or not count else None

    def _failure(self, label: Any) -> GalileoError | None:
        """The error of a label's count, or of the part that it divides; None if the whole failed, or for a rest."""
        key: Key = label if len(self.breakdown.dimensions) == 2 else (label,)
        keys = [key, key[:1], (ALL, *key[1:])]  # for the rest of the first dimension, the total of its column
        results = [self.results[each] for each in keys if each in self.results]
        return next(iter(_errors_of(results)), None)


def _left(whole: int | None, parts: Collection[int | None]) -> int | None:
    """The rest: the whole minus the parts, at least 0, because sessions can arrive between the requests."""
    if whole is None or None in parts:
        return None
    return max(0, whole - sum(cast("Collection[int]", parts)))


def _copy(counts: Mapping[Any, Any]) -> dict[Any, Any]:
    return dict(counts)


class _Held(Mapping[Any, V], Generic[V]):
    """A mapping of results. It equals every mapping with the same items."""

    _held: Mapping[Any, V]

    def __getitem__(self, key: Any) -> V:
        return self._held[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __hash__(self) -> int:
        return hash(frozenset(self._held.items()))


@final
@frozen(repr=False, eq=False)
class CountsBy(_Held[int]):
    """
    A mapping from each label of a partition to its count; `print` draws it as bars, or pairs of labels as a grid.

    `dict(counts)` is plain data. The object equals every mapping with the same items, except the counts of another
    project.
    """

    project_id: str
    """The project's UUID, as text."""
    _held: dict[Any, int] = field(converter=_copy)
    disjoint: bool = True
    """Whether no session is in two parts, as far as the partition knows."""
    whole: int = field(default=Factory(lambda self: sum(self.values()), takes_self=True), kw_only=True)
    """The sessions that were divided, each counted once. Default: the sum of the counts."""
    project_name: str | None = field(default=None, kw_only=True)
    """The project's name, if a `Project` was given."""

    @property
    def total(self) -> int:
        """
        The sessions that were divided, each counted once, whether or not they are in a part.

        If sessions arrive between the requests, parts that can't overlap can exceed it. Then it is their sum.
        """
        return max(self.whole, sum(self.values())) if self.disjoint else self.whole

    def rows(self) -> list[dict[str, Any]]:
        """
        A dict for each label, for pandas and csv: `project_id`, `project_name`, `label`, `total_count`, and `share`.

        A share is from 0 to 1 of the total. With two dimensions, each dict also has the pair of `labels`.
        """
        total = self.total or 1
        rows: list[dict[str, Any]] = []
        for label, count in self.items():
            project = {"project_id": self.project_id, "project_name": self.project_name}
            rows.append({**project, **_labelled(label), "total_count": count, "share": count / total})
        return rows

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
        return display.counts_text(self, self.total)

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.counts_html(self, self.total)


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
        return display.grid(self._cells())

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.html_grid(self._cells(), repr(self)[1:-1])

    def _cells(self) -> dict[tuple[str, str], int]:
        """The count of each label by project, and the project's total."""
        cells: dict[tuple[str, str], int] = {}
        total = "total"
        while any(total in map(display.label_text, counts) for counts in self.values()):
            total = f"({total})"
        for project_id, counts in self.items():
            project = counts.project_name or project_id
            while (project, total) in cells:  # two projects can have the same name
                project = f"{project} {project_id}"
            cells[project, total] = counts.total
            cells |= {(project, display.label_text(label)): count for label, count in counts.items()}
        return cells


def _errors_of(results: Iterable[CountResult]) -> tuple[GalileoError, ...]:
    return tuple([result.error for result in results if result.error is not None])
