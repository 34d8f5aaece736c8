"""What each part of a filter counts, to see which condition makes a count what it is."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from attrs import evolve, field, frozen

from galileo_sessions.api.query import CountQuery
from galileo_sessions.counting.results import CountResult
from galileo_sessions.details import Issue
from galileo_sessions.display import cell, preformatted, quantity
from galileo_sessions.errors import GalileoError
from galileo_sessions.filters.nodes import (
    And,
    CollectionFilter,
    Comparison,
    Filter,
    TextFilter,
    all_of,
)
from galileo_sessions.filters.tree import Path, children, draw

MAX_NODES = 200
_MOST_LEAVES = 2_500  # of all filters without a condition; their number grows with its square
_NONE = "no session satisfies this condition"


@frozen
class NodeCount:
    """What one node of a filter counts by itself."""

    path: Path
    """
    Where it is in `dump_filter(explanation.where)`, as keys and positions: `("and", 1, "not")`. The
    root's is empty, and that of two bounds as one condition is the lower bound's.
    """
    node: Filter
    """The condition that is counted: the whole filter, or a part of it."""
    total_count: int | None
    """The sessions that satisfy it; None if the count failed."""
    without: int | None = None
    """
    The sessions that satisfy the filter without it, if the root joins it by `&`. None for other
    nodes, if that count failed, or if the number of these conditions times that of all leaves is
    above 2,500.
    """
    error: GalileoError | None = None
    """The error, if one of the two counts failed; else None."""
    complaint: str = ""
    """Why it doesn't fit the project's columns; empty if it fits."""


@frozen(repr=False)
class Explanation:
    """What each part of a filter counts in a project; `print` draws it."""

    where: Filter
    """The filter that is explained."""
    nodes: tuple[NodeCount, ...]
    """
    The root first, and then one level after another; at most 200. Beside other conditions, a lower
    bound and the upper bound after it, as those of a period, are one condition, and then two.
    """
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
        drawn, parts = _parts(self.where)
        nodes = dict(zip(parts, self.nodes, strict=False))
        notes = {
            path: f"{cell(each.total_count):>12}{_without(each):>14}"
            for path, each in nodes.items()
        }
        marks = {path: mark for path, each in nodes.items() if (mark := _mark(each))}
        head = f"{'sessions':>12}"
        if any(each.without is not None for each in self.nodes):
            head += f"{'without it':>14}"
        lines = [draw(drawn, marks, notes=notes, head=head)]
        if self.left_out:
            lines.append(f"{self.left_out:,} more nodes aren't counted")
        if _is_too_large(drawn):
            lines.append("there are too many conditions to count the filter without each of them")
        return "\n".join(lines)

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
    drawn: Filter
    """The filter with two bounds as one condition."""
    nodes: dict[Path, tuple[Path, Filter]]
    """By its path in `drawn`, each node's path in the filter, and the node; the root first."""
    without: dict[Path, Filter]
    """The filter without each condition that the root joins by `&`."""
    left_out: int

    @classmethod
    def of(cls, query: CountQuery) -> "Plan":
        """The plan for a query; its filter becomes `Explanation.where`."""
        drawn, nodes = _parts(query.where)
        without: dict[Path, Filter] = {}
        if isinstance(drawn, And) and not _is_too_large(drawn):
            for i in range(len(drawn.children)):
                others = [*drawn.children[:i], *drawn.children[i + 1 :]]
                without["and", i] = all_of(others)
        left_out = max(0, len(nodes) - MAX_NODES)
        return cls(query, drawn, dict(islice(nodes.items(), MAX_NODES)), without, left_out)

    def targets(self) -> list[CountQuery]:
        """
        The queries to count: one for each node, and one without each condition that the root joins
        by `&`.
        """
        nodes = [node for _, node in self.nodes.values()]
        wanted = [*nodes, *self.without.values()]
        return [evolve(self.query, where=where) for where in wanted]

    def checked(self) -> CountQuery:
        """The query whose issues have their paths in `drawn`."""
        return evolve(self.query, where=self.drawn)

    def in_any_case(self, results: Iterable[CountResult]) -> list[CountQuery]:
        """For each text or member that no session has in this case, the query that ignores it."""
        queries: dict[Filter, CountQuery] = {}
        for (_, node), result in zip(self.nodes.values(), results, strict=False):
            if (
                isinstance(node, TextFilter | CollectionFilter)
                and node.case_sensitive
                and result.total_count == 0
            ):
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
            issues: What doesn't fit the project's columns, of `checked`.
            in_any_case: The results of the queries of that name.
        """
        said = [(issue.loc[:-1], issue.msg) for issue in issues]
        complaints = {place: text for place, text in said if place in self.nodes}
        cases: dict[Any, str] = {}
        for result in in_any_case:
            if result.query is not None and result.total_count:
                found = quantity(result.total_count, "session")
                cases[result.query.tag] = f"{_NONE}; {found} with case_sensitive=False"
        without = dict(zip(self.without, results[len(self.nodes) :], strict=True))
        counts: list[NodeCount] = []
        for (place, (path, node)), result in zip(self.nodes.items(), results, strict=False):
            complaint = _complaint(place, complaints) or cases.get(node, "")
            if not complaint and result.total_count == 0 and _needs_member(node):
                complaint = f"{_NONE}; `contains` needs a whole member of the collection"
            own = NodeCount(path, node, result.total_count, None, result.error, complaint)
            if place in without:
                other = without[place]
                own = evolve(own, without=other.total_count, error=own.error or other.error)
            counts.append(own)
        return Explanation(self.query.where, tuple(counts), left_out=self.left_out)


def _complaint(place: Path, complaints: dict[Path, str]) -> str:
    """
    The complaint about a node, unless a node below it has the same one: a contradiction is also one
    of all that `&` joins above it.
    """
    complaint = complaints.get(place, "")
    below = [path for path, other in complaints.items() if other == complaint and path != place]
    return "" if any(path[: len(place)] == place for path in below) else complaint


def _needs_member(node: Filter) -> bool:
    return isinstance(node, CollectionFilter) and node.operator == "contains"


def _is_too_large(drawn: Filter) -> bool:
    """Whether it would take too long to count a filter without each of its conditions."""
    return isinstance(drawn, And) and len(drawn.children) * drawn.size > _MOST_LEAVES


def _parts(where: Filter) -> tuple[Filter, dict[Path, tuple[Path, Filter]]]:
    """
    The filter as it is drawn; and by its path there, the path in the filter and the node, level by
    level.

    In a drawing, a lower bound and the upper bound after it are one condition of the root.
    """
    groups: list[list[Filter]] = []
    paths: dict[Path, Path] = {(): ()}
    for i, child in enumerate(where.children if isinstance(where, And) else ()):
        if groups and _is_range([*groups[-1], child]):
            groups[-1].append(child)
            place: Path = ("and", len(groups) - 1)
            paths[*place, "and", 0], paths[*place, "and", 1] = paths[place], ("and", i)
        else:
            paths["and", len(groups)] = ("and", i)
            groups.append([child])
    drawn = where
    if len(groups) > 1:
        drawn = And([And(group) if len(group) > 1 else group[0] for group in groups])
    else:
        paths = {(): ()}
    nodes: list[tuple[Path, Filter]] = [((), drawn)]
    for place, node in nodes:  # the list grows during the loop
        for step, child in children(node):
            nodes.append(((*place, *step), child))
            _ = paths.setdefault((*place, *step), (*paths[place], *step))
    parts = {place: (paths[place], node) for place, node in nodes}
    return drawn, parts | {(): ((), where)}


def _is_range(bounds: list[Filter]) -> bool:
    match bounds:
        case [
            Comparison(column_id=first, operator="gt" | "gte") as low,
            Comparison(column_id=second, operator="lt" | "lte") as high,
        ]:
            return type(low) is type(high) and first == second
        case _:
            return False
