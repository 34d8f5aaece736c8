"""
Counts by day, bin or value: the query of the whole and those of its parts, and their results put
together.

A whole of 0 has no parts to count. A rest costs no request: it is the whole minus the parts, but at
least 0. Sessions can arrive between the requests; if the parts then exceed the whole, the total is
their sum, or the largest of them if they overlap.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

from attrs import evolve, frozen

from galileo_sessions.api.query import CountQuery
from galileo_sessions.counting.results import CountReport, CountResult
from galileo_sessions.counting.stream import CountStream, Targets, report_of
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.contradictions import contradiction_in
from galileo_sessions.filters.nodes import NEVER, Filter, all_of
from galileo_sessions.filters.partitions import Partition
from galileo_sessions.filters.tree import leaves_of


@frozen(eq=False, repr=False)
class Breakdown:
    """The queries of a partition: templates, which lack the project."""

    partition: Partition
    whole: CountQuery
    parts: tuple[CountQuery, ...]
    """One for each label, which is its tag."""

    @classmethod
    def of(cls, template: CountQuery, partition: Mapping[Any, Filter]) -> Self:
        """
        The breakdown of what a template counts.

        Raises:
            FilterTypeError: if `partition` isn't a mapping of label to filter.
            FilterError: if it has no parts.
        """
        made = partition if isinstance(partition, Partition) else Partition(partition)
        if not made:
            raise FilterError("the partition has no parts", hint="Leave out by=, or give it some")

        outer = all_of([template.where, *template.filters])
        is_hopeless = contradiction_in(outer) is not None
        columns = {leaf.column_id for leaf in leaves_of(outer)}

        def narrowed_to(part: Filter, tag: Any = None) -> CountQuery:
            return evolve(template, where=all_of([outer, part]), filters=(), tag=tag)

        parts: list[CountQuery] = []
        for label, part in made.items():
            query = narrowed_to(part, label)
            # A part on other columns than the filter's can't contradict it.
            concerned = {leaf.column_id for leaf in leaves_of(part)}
            may_contradict = is_hopeless or not columns.isdisjoint(concerned)
            if may_contradict and _is_excluded(part, query.where):
                query = evolve(query, where=NEVER)
            parts.append(query)
        return cls(made, narrowed_to(made.whole), tuple(parts))

    def result(self, whole: CountResult, parts: Sequence[CountResult]) -> CountResult:
        """The result of a target. It has an error if one of its counts has."""
        counted = (whole, *parts)
        counts: dict[Any, Any] = {}
        if whole.ok:
            counts = dict.fromkeys(self.partition, 0)
        for label, part in zip(self.partition, parts, strict=False):
            counts[label] = part.error or part.total_count
        error = next(filter(None, [each.error for each in counted]), None)
        total = None
        if error is None:
            total = self._reconcile(counts, whole.unwrap())
        return evolve(
            whole,
            total_count=total,
            error=error,
            attempts=tuple([attempt for each in counted for attempt in each.attempts]),
            elapsed=sum([each.elapsed for each in counted]),
            parts=counts,
            labels=tuple(self.partition),
        )

    def _reconcile(self, counts: dict[Any, int], whole: int) -> int:
        """
        Adds the rest, if the partition has one, and returns the total.

        Sessions can arrive between the requests, so the parts can exceed the whole.
        """
        known = sum(counts.values())
        least = known if self.partition.disjoint else max(counts.values(), default=0)
        if self.partition.rest is not None:
            counts[self.partition.rest] = max(0, whole - known)
        return max(whole, least)

    async def count(self, targets: Targets, stream: Callable[..., CountStream]) -> CountReport:
        """
        Counts all wholes, and then the parts of those that aren't 0.

        Args:
            targets: The targets of the wholes.
            stream: Makes the stream of each pass.

        Raises:
            Exception: as `report_of` does. Its `report` has the results of the targets that are
                complete until then.
        """
        wholes = await report_of(stream(targets, self.whole), self._report)
        full = [whole.target for whole in wholes.results if whole.total_count]
        total = wholes.progress.done + len(full) * len(self.parts)
        before = evolve(wholes.progress, total=total)
        counting = stream(full, *self.parts, before=before)
        parts = await report_of(counting, partial(self._report, wholes))
        return self._report(wholes, parts)

    def _report(self, wholes: CountReport, parts: CountReport | None = None) -> CountReport:
        """
        The report of both passes, or of the first one.

        A target has no result until all its counts have ended. If one of them failed, its result
        has the error.
        """
        last = parts or wholes
        counted = {part.index: part for part in last.results} if parts else {}
        results: list[CountResult] = []
        first = 0
        for whole in wholes.results:
            end = first + len(self.parts) * bool(whole.total_count)
            own = [counted[index] for index in range(first, end) if index in counted]
            if len(own) == end - first:
                results.append(self.result(whole, own))
            first = end
        return CountReport(tuple(results), last.progress)


def _is_excluded(part: Filter, narrowed: Filter) -> bool:
    """Whether only what a part is narrowed by contradicts it, as a bin outside of its bounds."""
    return contradiction_in(narrowed) is not None and contradiction_in(part) is None
