"""
What the API says of one column: the fields of its `LogRecordsColumnInfo`.

Its enums are kept as text, for they grow.
"""

from typing import Any

from attrs import field, frozen
from attrs.converters import optional

from galileo_sessions.errors import FilterTypeError, brief
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.values import as_sequence, text


def _column_id(value: str) -> str:
    return Col(text(value)).column_id


def _flag(value: object) -> bool:
    if value is True or value is False:
        return value
    raise FilterTypeError(f"expected true or false, got {brief(value)}")


def _items(value: object) -> tuple[Any, ...]:
    items = as_sequence(value)
    if items is None:
        raise FilterTypeError(f"expected a list, got {brief(value)}")
    return tuple(items)


def _texts(value: object) -> tuple[str, ...]:
    return tuple([text(item) for item in _items(value)])


@frozen
class ColumnInfo:
    """
    What the API says of a column. Enums are text, so that members which this version doesn't know survive.

    Raises:
        FilterError: if a field is of the wrong type, or no column can have this `id`.
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
    """Its name in Galileo's console."""
    group_label: str | None = field(default=None, converter=optional(text))
    description: str | None = field(default=None, converter=optional(text))
    allowed_values: tuple[Any, ...] | None = field(default=None, converter=optional(_items), hash=False)
    """The only values that it has; None or none where there is no such list."""
    applicable_types: tuple[str, ...] = field(default=(), converter=_texts)
    """What has the column, such as session, trace, llm."""
    filterable: bool = field(default=True, converter=_flag)
    multi_valued: bool = field(default=False, converter=_flag)
    is_empty: bool = field(default=False, converter=_flag)
    """Whether nothing has a value in it."""
    is_optional: bool = field(default=False, converter=_flag)
    metric_key_alias: str | None = field(default=None, converter=optional(text))
    """The older name of a metric whose id is its scorer's UUID."""
