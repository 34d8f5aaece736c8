"""
What is counted in each project: the whole, and its parts in one or two dimensions.

The whole comes first. Its parts follow if it isn't 0, and so do the cells of a part, so a project without a session
costs one request. A rest costs none: it is the whole minus the parts.
"""

from collections.abc import Mapping
from typing import Any, Self, TypeAlias, cast

from attrs import Factory, evolve, frozen

from galileo_sessions.client.projects import ProjectId
from galileo_sessions.client.query import CountQuery, narrowed
from galileo_sessions.display import brief
from galileo_sessions.errors import FilterTypeError, GalileoError
from galileo_sessions.filters.nodes import Filter, all_of
from galileo_sessions.filters.partitions import Partition

Key: TypeAlias = tuple[Any, ...]
"""The labels of a part, one for each dimension; `WHOLE`, `PREVIOUS` or `UNFILTERED`."""
WHOLE: Key = ()
PREVIOUS: Key = ("the whole in the period before", WHOLE)
UNFILTERED: Key = ("the whole without the filter", WHOLE)
ALL = ...
"""In a key, it stands for all labels of the first dimension."""


@frozen
class Breakdown:
    """The queries for a project, and the order in which they are sent."""

    queries: dict[Key, CountQuery]
    first: tuple[Key, ...] = (WHOLE,)
    """The queries that are sent at once."""
    following: dict[Key, tuple[Key, ...]] = Factory(dict[Key, tuple[Key, ...]])
    """The queries that are sent if the count of a key isn't 0."""
    dimensions: tuple[Partition, ...] = ()

    @property
    def disjoint(self) -> bool:
        """Whether no session is in two parts."""
        return all(dimension.disjoint for dimension in self.dimensions)

    @property
    def is_plain(self) -> bool:
        """Whether only the whole is counted."""
        return len(self.queries) == 1 and not self.dimensions

    @classmethod
    def by(cls, template: CountQuery, partition: Mapping[Any, Filter], *, at_once: bool = False) -> Self:
        """
        The whole and the parts of a partition.

        Args:
            template: The query for the whole, apart from what all parts have in common.
            partition: The parts.
            at_once: Whether the parts are sent with the whole, and don't wait for its count.

        Raises:
            FilterTypeError: if `partition` isn't a mapping of label to filter.
        """
        if not isinstance(partition, Mapping):
            raise FilterTypeError(
                f"partition must be a mapping of label to filter, got {brief(partition)}. "
                'Write, for example, Col.date("created_at").days("2026-05-01", "2026-06-01", tz="UTC")'
            )
        made = partition if isinstance(partition, Partition) else Partition({**partition})
        dimensions = made.dimensions or (made,)
        rows, columns = dimensions[0], dimensions[1:]
        following: dict[Key, tuple[Key, ...]] = {WHOLE: tuple([(label,) for label in rows])}
        wheres: dict[Key, Filter] = {WHOLE: made.whole, **{(label,): part for label, part in rows.items()}}
        for column in columns:
            following |= {row: tuple([(*row, label) for label in column]) for row in following[WHOLE]}
            wheres |= cast("dict[Key, Filter]", dict(made))
            if rows.rest is not None:
                totals: dict[Key, Filter] = {(ALL, label): part for label, part in column.items()}
                following[WHOLE] += tuple(totals)
                wheres |= totals
        queries: dict[Key, CountQuery] = {}
        for key, part in wheres.items():
            labels = tuple(["total" if label is ALL else label for label in key])
            tag = labels[0] if len(labels) == 1 else labels or None
            where = all_of([template.where, *template.filters, part])
            queries[key] = evolve(template, where=where, filters=(), tag=tag)
        first = (WHOLE, *following.pop(WHOLE)) if at_once else (WHOLE,)
        return cls(queries, first, following, dimensions)

    def along_with(self, key: Key, query: CountQuery) -> Self:
        """The same breakdown with one more query, which is sent with the whole."""
        return evolve(self, queries={**self.queries, key: query}, first=(*self.first, key))

    def query(self, key: Key, target: CountQuery | ProjectId) -> CountQuery:
        """
        The query of a key for a target.

        Raises:
            ConfigurationError: if the target isn't a project, or if its scope is another one.
            FilterError: if the combined filter can't be sent.
        """
        template = self.queries[key]
        if not isinstance(target, CountQuery):
            return template.for_project(target)
        return narrowed(target, template, template.tag)

    def takes(self, target: CountQuery | ProjectId) -> bool:
        """Whether a target can be counted."""
        try:
            _ = self.query(WHOLE, target)
        except GalileoError:
            return False
        return True
