"""
Counts by day, bin or value: the query of the whole and those of its parts, and their results put
together.

A whole of 0 has no parts to count. A rest costs no request: it is the whole minus the parts, but at
least 0. Sessions can arrive between the requests; if the parts then exceed the whole, the total is
their sum, or the largest of them if they overlap.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

from attrs import evolve, frozen

from galileo_sessions.api.query import CountQuery
from galileo_sessions.counting.results import CountReport, CountResult
from galileo_sessions.counting.stream import CountStream, Steps, Targets, report_of
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.contradictions import contradiction_in
from galileo_sessions.filters.nodes import NEVER, Filter
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

        is_hopeless = contradiction_in(template.where) is not None
        columns = {leaf.column_id for leaf in leaves_of(template.where)}

        def narrowed_to(part: Filter, tag: Any = None) -> CountQuery:
            return evolve(template, where=template.where & part, tag=tag)

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
        Counts the whole of each target, and then its parts, unless the whole is 0.

        Args:
            targets: The targets.
            stream: Makes the stream.

        Raises:
            Exception: as `report_of` does. Its `report` has the results of the targets that are
                complete until then.
        """
        counting = stream(targets, self.whole, then=self._then)

        def report(so_far: CountReport) -> CountReport:
            complete = [each for each in counting.steps if self._is_complete(each)]
            return evolve(so_far, results=tuple(map(self._result_of, complete)))

        return report(await report_of(counting, report))

    def _then(self, result: CountResult, query: CountQuery) -> Iterable[CountQuery]:
        """The parts follow a whole that isn't 0."""
        return self.parts if query is self.whole and result.total_count else ()

    def _is_complete(self, steps: Steps) -> bool:
        """Whether all counts of a target have ended."""
        _, whole = steps[0]
        return len(steps) == 1 + len(self.parts) * bool(whole.total_count)

    def _result_of(self, steps: Steps) -> CountResult:
        (_, whole), *parts = steps
        by_label = {query.tag: part for query, part in parts}
        return self.result(
            whole, [by_label[label] for label in self.partition if label in by_label]
        )


def _is_excluded(part: Filter, narrowed: Filter) -> bool:
    """Whether only what a part is narrowed by contradicts it, as a bin outside of its bounds."""
    return contradiction_in(narrowed) is not None and contradiction_in(part) is None
