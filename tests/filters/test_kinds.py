"""The table of filter types, and that leaves and columns follow it."""

from __future__ import annotations

from typing import Any

import pytest
from support.strategies import LEAVES as SCHEMA_LEAVES
from support.strategies import OPERATORS, PAIRS

import galileo_sessions
from galileo_sessions import Col, ColumnCatalog
from galileo_sessions.filters.columns import column_class
from galileo_sessions.filters.kinds import FILTER_TYPES, METHODS, PARTITIONS, FilterType
from galileo_sessions.filters.nodes import LEAVES

TYPES = pytest.mark.parametrize("filter_type", FilterType, ids=str)


def test_the_table_has_the_schemas_filter_types() -> None:
    """The table has the schema's types and operators, except fully_annotated, which compares nothing."""
    assert set(SCHEMA_LEAVES) == {*FILTER_TYPES, "fully_annotated"} == set(LEAVES)
    ours = {name: sorted(kind.operators) for name, kind in FILTER_TYPES.items()}
    assert ours == {name: sorted(operators) for name, operators in OPERATORS.items()}
    assert 29 == len(PAIRS)


@TYPES
def test_each_filter_type_has_its_leaf_and_its_column(filter_type: FilterType) -> None:
    """Leaf and column have the type of their row; the column has the methods of the row, and no others."""
    leaf: Any = LEAVES[filter_type]
    assert filter_type == leaf.type
    column = getattr(Col, filter_type)
    assert column is column_class(filter_type)
    assert filter_type is column.filter_type
    assert list(filter_type.methods) == [name for name in filter_type.methods if callable(getattr(column, name, None))]
    assert [] == [name for name in METHODS if name not in filter_type.methods and hasattr(column("a"), name)]
    assert {*filter_type.partitions} == {name for name in PARTITIONS if hasattr(column("a"), name)}


@TYPES
def test_each_filter_type_is_exported_and_in_a_catalog(filter_type: FilterType) -> None:
    """Leaf and column are public, and a catalog has a column of this class."""
    column = column_class(filter_type)
    assert {column.__name__, LEAVES[filter_type].__name__} <= set(galileo_sessions.__all__)
    asked = ColumnCatalog.of(a=filter_type.value)["a"]
    assert (column, "a") == (type(asked), asked.column_id)


def test_col_has_all_methods() -> None:
    """`Col` has the methods of all types."""
    assert list(METHODS) == [name for name in METHODS if callable(getattr(Col, name, None))]
