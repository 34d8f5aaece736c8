"""What each part of a filter counts, to see which condition makes a count what it is."""

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import evolve, field, frozen

from galileo_sessions.api.query import CountQuery
from galileo_sessions.counting.results import CountResult
from galileo_sessions.display import cell, preformatted, quantity
from galileo_sessions.errors import GalileoError, Issue
from galileo_sessions.filters.nodes import And, Comparison, Filter, TextFilter, all_of
from galileo_sessions.filters.tree import Path, children, draw

MAX_NODES = 200
_NONE = "no session satisfies this condition"


@frozen
class NodeCount:
    """What one node of a filter counts by itself."""

    path: Path
    """
    Where it is in `dump_filter(explanation.where)`, as keys and positions: `("and", 1, "not")`. The
    root's is empty.
    """
    node: Filter
    """The condition that is counted: the whole filter, or a part of it."""
    total_count: int | None
    """The sessions that satisfy it; None if the count failed."""
    without: int | None = None
    """
    The sessions that satisfy the filter without it, if it is one of at most 199 that the root joins
    by `&`. None for other nodes, or if that count failed.
    """
    error: GalileoError | None = None
    """The error, if one of the two counts failed; else None."""
    complaint: str = ""
    """Why it doesn't fit the project's columns; empty if it fits."""


@frozen(repr=False)
class Explanation:
    """What each part of a filter counts in a project; `print` draws it."""

    where: Filter
    """
    The filter that is explained. Flat filters are joined by `&`. Beside other conditions, a lower
    bound and the upper bound after it, as those of a period, are one condition.
    """
    nodes: tuple[NodeCount, ...]
    """The root first, and then one level after another; at most 200."""
    left_out: int = field(default=0, kw_only=True)
    """How many more nodes there are."""

    def rows(self) -> list[dict[str, Any]]:
        """
        A dict for each node, for pandas and csv: `path`, `filter`, `total_count`, `without` and
        `complaint`.
        """
        return [
            {
                "path": ".".join(map(str, each.path)),
                "filter": repr(each.node),
                "total_count": each.total_count,
                "without": each.without,
                "complaint": each.complaint,
            }
            for each in self.nodes
        ]

    def __repr__(self) -> str:
        total = cell(self.nodes[0].total_count)
        return f"<Explanation: {quantity(len(self.nodes), 'node')}, total {total}>"

    def __str__(self) -> str:
        notes = {
            each.path: f"{cell(each.total_count):>12}{_without(each):>14}" for each in self.nodes
        }
        marks = {each.path: mark for each in self.nodes if (mark := _mark(each))}
        head = f"{'sessions':>12}"
        if any(each.without is not None for each in self.nodes):
            head += f"{'without it':>14}"
        drawing = draw(self.where, marks, notes=notes, head=head)
        if self.left_out:
            drawing += f"\n{self.left_out:,} more nodes aren't counted"
        return drawing

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return preformatted(self)


def _without(each: NodeCount) -> str:
    return "" if each.without is None else f"{each.without:,}"


def _mark(each: NodeCount) -> str:
    """What is remarkable about a node."""
    if each.error is not None:
        return f"{type(each.error).__name__}: {each.error.message}"
    is_condition = each.without is not None or isinstance(each.node, Comparison)
    return each.complaint or (_NONE if each.total_count == 0 and is_condition else "")


@frozen(eq=False, repr=False)
class Plan:
    """The counts that explain a query."""

    query: CountQuery
    nodes: dict[Path, Filter]
    """The whole filter first, whose path is empty."""
    without: dict[Path, Filter]
    """The filter without each condition that the root joins by `&`."""
    left_out: int

    @classmethod
    def of(cls, query: CountQuery) -> "Plan":
        """The plan for a query; its filter becomes `Explanation.where`."""
        where = _with_ranges(all_of([query.where, *query.filters]))
        nodes: list[tuple[Path, Filter]] = [((), where)]
        for path, node in nodes:  # the list grows during the loop
            nodes += [((*path, *step), child) for step, child in children(node)]
        without: dict[Path, Filter] = {}
        # The cost grows with the square of the number.
        if isinstance(where, And) and len(where.children) < MAX_NODES:
            for i in range(len(where.children)):
                others = [*where.children[:i], *where.children[i + 1 :]]
                without["and", i] = all_of(others)
        query = evolve(query, where=where, filters=())
        left_out = max(0, len(nodes) - MAX_NODES)
        return cls(query, dict(nodes[:MAX_NODES]), without, left_out)

    def targets(self) -> list[CountQuery]:
        """
        The queries to count: one for each node, and one without each condition that the root joins
        by `&`.
        """
        wanted = [*self.nodes.items(), *self.without.items()]
        return [evolve(self.query, where=where, tag=path) for path, where in wanted]

    def in_any_case(self, results: Iterable[CountResult]) -> list[CountQuery]:
        """For each text that no session has in this case, the query that ignores case."""
        queries: dict[Filter, CountQuery] = {}
        for node, result in zip(self.nodes.values(), results, strict=False):
            if isinstance(node, TextFilter) and node.case_sensitive and result.total_count == 0:
                where = evolve(node, case_sensitive=False)
                queries[node] = evolve(self.query, where=where, tag=node)
        return list(queries.values())

    def explanation(
        self,
        results: Sequence[CountResult],
        issues: Iterable[Issue],
        in_any_case: Iterable[CountResult],
    ) -> Explanation:
        """
        The explanation.

        Args:
            results: The results of `targets`, in their order.
            issues: What doesn't fit the project's columns.
            in_any_case: The results of the queries of that name.
        """
        complaints: dict[Any, str] = {issue.loc[:-1]: issue.msg for issue in issues}
        cases: dict[Any, str] = {}
        for result in in_any_case:
            if result.query is not None and result.total_count:
                found = quantity(result.total_count, "session")
                cases[result.query.tag] = f"{_NONE}; {found} with case_sensitive=False"
        without = dict(zip(self.without, results[len(self.nodes) :], strict=True))
        counts: list[NodeCount] = []
        for (path, node), result in zip(self.nodes.items(), results, strict=False):
            complaint = complaints.get(path) or cases.get(node, "")
            own = NodeCount(path, node, result.total_count, None, result.error, complaint)
            if path in without:
                other = without[path]
                own = evolve(own, without=other.total_count, error=own.error or other.error)
            counts.append(own)
        return Explanation(self.nodes[()], tuple(counts), left_out=self.left_out)


def _with_ranges(where: Filter) -> Filter:
    """The filter, with each lower bound and the upper bound after it as one condition."""
    if not isinstance(where, And):
        return where
    parts: list[Filter] = []
    for child in where.children:
        if parts and _is_range(parts[-1], child):
            parts[-1] &= child
        else:
            parts.append(child)
    return And(parts) if len(parts) > 1 else where


def _is_range(low: Filter, high: Filter) -> bool:
    match low, high:
        case (
            Comparison(column_id=first, operator="gt" | "gte"),
            Comparison(column_id=second, operator="lt" | "lte"),
        ):
            return type(low) is type(high) and first == second
        case _:
            return False
