"""What the API says about one column: its `LogRecordsColumnInfo`."""

from typing import Any

from attrs import field, frozen
from attrs.converters import optional

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterTypeError
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.values import as_sequence, boolean, text


def _column_id(value: str) -> str:
    return Col(text(value)).column_id


def _items(value: object) -> tuple[Any, ...]:
    items = as_sequence(value)
    if items is None:
        raise FilterTypeError(f"expected a list, got {brief(value)}")
    return tuple([item for item in items if item is not None])


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(text, _items(value)))


@frozen
class ColumnInfo:
    """
    What the API says about a column. Its enums are text here, since the API may add members.

    Raises:
        FilterError: if a field has the wrong type, or the `id` is empty.
    """

    id: str = field(converter=_column_id)
    category: str = field(default="standard", converter=text)
    """Such as standard, metric, user_metadata, feedback."""
    filter_type: str | None = field(default=None, converter=optional(text))
    """id, date, number, boolean, collection, text or fully_annotated; None if the service doesn't say."""
    data_type: str | None = field(default=None, converter=optional(text))
    """Such as text, integer, floating_point, timestamp, string_list."""
    data_unit: str | None = field(default=None, converter=optional(text))
    """Such as percentage, nano_seconds, dollars."""
    label: str | None = field(default=None, converter=optional(text))
    """The column's name in Galileo's console."""
    group_label: str | None = field(default=None, converter=optional(text))
    description: str | None = field(default=None, converter=optional(text))
    allowed_values: tuple[Any, ...] = field(default=(), converter=_items, hash=False)
    """The only values that the column has, without null; empty if there is no such list."""
    applicable_types: tuple[str, ...] = field(default=(), converter=_texts)
    """The records that have the column, such as session, trace, llm."""
    filterable: bool = field(default=True, converter=boolean)
    multi_valued: bool = field(default=False, converter=boolean)
    is_empty: bool = field(default=False, converter=boolean)
    """True if no record has a value."""
    is_optional: bool = field(default=False, converter=boolean)
    metric_key_alias: str | None = field(default=None, converter=optional(text))
    """The older name of a metric whose id is its scorer's UUID."""
