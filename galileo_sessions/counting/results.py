"""
What counts return: the result of each target, the progress of a fan-out, and counts by day, bin or
value.
"""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, TypeAlias, cast, final

from attrs import field, frozen

from galileo_sessions.api.projects import ProjectId
from galileo_sessions.api.query import CountQuery
from galileo_sessions.details import Attempt
from galileo_sessions.display import brief, chart, preformatted, quantity, shortened
from galileo_sessions.errors import ConfigurationError, GalileoError


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
    """
    Its attempts, and those of other counts of the same query that it waited for; empty for `NEVER`.
    """
    elapsed: float
    """
    Seconds from the start to the end of the count, with waits and retries; with `by=`, the sum of
    its counts.
    """
    parts: dict[Any, int | GalileoError] | None = field(default=None, hash=False)
    """
    With `by=`, the count of each label or its error, and that of a rest if it is known; empty if
    the whole failed. If all counts succeeded, `counts_by` has them.
    """

    labels: tuple[Any, ...] = field(default=(), hash=False, kw_only=True)
    """With `by=`, the labels of the parts, also if the whole failed."""
    doubt: str = field(default="", kw_only=True)
    """
    With `check=True`, why a count of 0 may be wrong: the project lists no columns, so its id may be
    wrong; else empty.
    """

    @property
    def errors(self) -> tuple[GalileoError, ...]:
        """The errors of all its counts: with `by=`, each part can have one."""
        own: Any = self.error
        counts = (self.parts or {None: own}).values()
        return tuple([count for count in counts if isinstance(count, GalileoError)])

    @property
    def counts_by(self) -> "CountsBy":
        """
        With `by=`, the counts of the parts.

        Raises:
            GalileoError: the first error, if a count failed.
            ConfigurationError: without `by=`.
        """
        total = self.unwrap()
        if self.parts is None:
            hint = "Write count_all(..., by=partition)"
            raise ConfigurationError("there are no parts", hint=hint)
        query = cast("CountQuery", self.query)
        return CountsBy(
            query.project_id,
            cast("dict[Any, int]", self.parts),
            total=total,
            project_name=query.project_name,
            log_stream=query.log_stream_name,
        )

    def rows(self) -> list[dict[str, Any]]:
        """
        A dict with `project_id`, `project_name`, `tag`, `total_count` and `error`, and for a
        `LogStream` `log_stream`.

        With `by=`, one for each label, with `label`, `whole` and `share`, too: `whole` is the
        `total_count` of the result, and a share is from 0 to 1 of it. If a count failed,
        `total_count` is None, and `error` says why; if that of the whole failed, in each row.
        """
        own: Any = self.error or self.total_count
        rows: list[dict[str, Any]] = []
        for label, count in (self.parts or dict.fromkeys(self.labels or [None], own)).items():
            row = self._identity()
            known = None if isinstance(count, GalileoError) else count
            counted: dict[str, Any] = {"total_count": known}
            if self.parts is not None:
                row["label"] = label
                counted |= _share(known, self.total_count)
            error = f"{type(count).__name__}: {count}" if isinstance(count, GalileoError) else None
            rows.append({**row, **counted, "error": error})
        return rows

    def _identity(self) -> dict[str, Any]:
        """The keys of a row that say what was counted."""
        query = self.query
        if query is None:
            return {"project_id": str(self.target), "project_name": None, "tag": None}
        identity = {key: getattr(query, key) for key in ("project_id", "project_name", "tag")}
        if query.log_stream_name is not None:
            identity["log_stream"] = query.log_stream_name
        return identity

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
        what = quantity(self.total_count or 0, "session")
        if self.error is not None:
            what = type(self.error).__name__
        return f"<CountResult: {what}, project {identified(self)}>"


def _share(count: int | None, whole: int | None) -> dict[str, Any]:
    """The whole, and the share that a count is of it, if both are known and the whole isn't 0."""
    return {"whole": whole, "share": count / whole if count is not None and whole else None}


@frozen
class Progress:
    """The progress of a fan-out."""

    done: int
    """
    How many counts have a result. With `by=`, each target has those of its whole and of its parts.
    """
    failed: int
    """How many of them have an error."""
    total: int | None
    """
    How many counts there are; with `by=`, those of the parts are added once their whole is counted.
    None if the targets have no length.
    """
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


def identified(result: CountResult) -> str:
    """The project's id and name, and the tag; or the target, if it isn't a project."""
    query = result.query
    if query is None:
        return brief(result.target)
    tag = None if query.tag is None else brief(query.tag)
    names = [shortened(name or "") for name in (query.project_name, query.log_stream_name)]
    return " ".join(filter(None, (query.project_id, *names, tag)))


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
        """
        The errors of the targets that failed; `error.query` has the project, unless the target
        isn't one.
        """
        return tuple([result.error for result in self.results if result.error is not None])

    @property
    def total(self) -> int:
        """The sum of the counts, without the targets that failed."""
        return sum([result.total_count or 0 for result in self.results])

    def rows(self) -> list[dict[str, Any]]:
        """
        A dict for each result, for pandas and csv: `project_id`, `project_name`, `tag`,
        `total_count` and `error`.

        With `by=`, a dict for each label, which has `label`, `whole` and `share`, too.
        """
        return [row for result in self.results for row in result.rows()]

    def __repr__(self) -> str:
        text = f"{quantity(len(self.results), 'result')}, total {self.total:,}"
        if self.errors:
            text += f", {len(self.errors):,} failed"
        return f"<CountReport: {text}>"

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        counts = [(identified(result), result.total_count) for result in self.results]
        return preformatted(f"{repr(self)[1:-1]}\n{chart(counts, 120, total=self.total)}")

    def raise_for_errors(self) -> None:
        """
        Raises the errors, if there are any.

        Raises:
            ExceptionGroup: with all of them.
        """
        if self.errors:
            raise ExceptionGroup(repr(self)[1:-1], self.errors)


# ---- counts by day, bin or value -----------------------------------------------------------------


@final
class CountsBy(dict[Any, int]):
    """
    A dict from each label of a partition to its count; `print` draws it as bars.

    Args:
        project_id: The project's UUID, as text.
        counts: The count of each label.
        total: The sessions that were divided; by default, the sum of the counts.
        project_name: The project's name, if it is known.
        log_stream: The log stream's name, if they are the counts of a `LogStream`.
    """

    def __init__(
        self,
        project_id: str,
        counts: Mapping[Any, int],
        *,
        total: int | None = None,
        project_name: str | None = None,
        log_stream: str | None = None,
    ) -> None:
        super().__init__(counts)
        self.project_id: str = project_id
        """The project's UUID, as text."""
        self.total: int = sum(counts.values()) if total is None else total
        """
        The sessions that were divided, each counted once, whether or not they are in a part.

        If sessions arrive between the requests, the parts can exceed it. Then it is their sum, or
        if they can overlap, the largest of them; so no share is above 1.
        """
        self.project_name: str | None = project_name
        """The project's name, if it is known."""
        self.log_stream: str | None = log_stream
        """The log stream's name, if they are the counts of a `LogStream`."""

    def rows(self) -> list[dict[str, Any]]:
        """
        A dict for each label, for pandas and csv: `project_id`, `project_name`, `label`,
        `total_count`, `whole` and `share`.

        `whole` is the total, and a share is from 0 to 1 of it; None if the total is 0.
        """
        project = {"project_id": self.project_id, "project_name": self.project_name}
        if self.log_stream is not None:
            project["log_stream"] = self.log_stream
        rows: list[dict[str, Any]] = []
        for label, count in self.items():
            counted = {"label": label, "total_count": count}
            rows.append({**project, **counted, **_share(count, self.total)})
        return rows

    def __repr__(self) -> str:
        return f"<CountsBy: {quantity(len(self), 'label')}, total {self.total:,}>"

    def __str__(self) -> str:
        return chart([(str(label), count) for label, count in self.items()], total=self.total)

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return preformatted(self)
