"""
Filters as the API's JSON, and back.

The API's words: a leaf is `{"filter": {…, "type": …}}`, a node `{"and": […]}`, `{"or": […]}` or `{"not": …}`.
`type`, `operator` and `case_sensitive` are always written, so that a changed default cannot change a query.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, cast

from attrs import fields

from galileo_sessions.errors import FilterDecodeError, FilterError, FilterTypeError, brief
from galileo_sessions.filters.nodes import (
    LEAVES,
    MAX_DEPTH,
    And,
    CollectionFilter,
    DateFilter,
    Filter,
    FullyAnnotatedFilter,
    LeafFilter,
    Not,
    Or,
    TextFilter,
    check_operator,
)

Path = tuple[str | int, ...]

_NODES = ("filter", "and", "or", "not")
_LEAF = tuple(LEAVES.values())
_TEXT = (TextFilter, CollectionFilter)


def dump_filter(where: Filter) -> dict[str, Any]:
    """
    The API's `filter_tree` for a filter, as dicts, lists and JSON's scalars.

    Raises:
        FilterTypeError: for anything but a filter.
    """
    if type(where) is And:
        return {"and": [dump_filter(child) for child in where.children]}
    if type(where) is Or:
        return {"or": [dump_filter(child) for child in where.children]}
    if type(where) is Not:
        return {"not": dump_filter(where.child)}
    return {"filter": dump_leaf(where)}


def dump_leaf(leaf: Filter) -> dict[str, Any]:
    """An entry of the API's flat `filters`: a filter that is no `And`, `Or` or `Not`."""
    if not isinstance(leaf, _LEAF):
        raise FilterTypeError(f"expected a filter, got {brief(leaf)}")
    if isinstance(leaf, FullyAnnotatedFilter):
        members = {} if leaf.user_ids is None else {"user_ids": list(leaf.user_ids)}
        return {"column_id": leaf.column_id, **members, "type": leaf.type}
    value: object = leaf.value
    if type(value) is not str:  # the most frequent first
        value = leaf.value.isoformat() if isinstance(leaf, DateFilter) else plain(value)
    data = {"column_id": leaf.column_id, "operator": leaf.operator, "value": value}
    if isinstance(leaf, _TEXT):
        data["case_sensitive"] = leaf.case_sensitive
    data["type"] = leaf.type
    return data


def plain(value: object) -> object:
    """A field's value as JSON has it: a tuple is a list."""
    return list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value


def load_filter(tree: object) -> Filter:
    """
    The filter that a `filter_tree` stands for: what `dump_filter` makes, or anybody's that fits the API's schema.

    A leaf may call its column `name`, as the API's own example does.
    Keys that the API doesn't have are refused, for a misspelt one would be dropped in silence.

    Raises:
        FilterDecodeError: with the path to the first fault, as in `.and[1].filter.operator`.
    """
    return load_node(tree, ())


def load_leaf(data: object, path: Path) -> LeafFilter:
    """The leaf that an entry of the flat `filters` stands for; `path` leads to it, for errors."""
    entries = _object(data, path, "a filter")
    for key in entries:
        if not isinstance(key, str):
            raise fault_at(path, f"a filter has no key {brief(key)}; keys are text")
    leaf_type = _pop_type(entries, path)
    if leaf_type != "fully_annotated" and "name" in entries:
        if entries.setdefault("column_id", entries["name"]) != entries.pop("name"):
            raise fault_at((*path, "name"), "name and column_id differ; the API knows column_id only")
    elif leaf_type == "fully_annotated" and entries.pop("column_id", "fully_annotated") != "fully_annotated":
        raise fault_at((*path, "column_id"), "a fully_annotated filter has no column but fully_annotated")
    if leaf_type in ("id", "boolean"):
        entries.setdefault("operator", "eq")  # the schema's default, which other types don't have
    return _loader(leaf_type)(entries, path)


def load_node(data: object, path: Path, depth: int = 1) -> Filter:
    """The filter that a node of a `filter_tree` stands for; `path` leads to it, for errors."""
    if depth > MAX_DEPTH:
        raise fault_at(path, f"deeper than {MAX_DEPTH} levels")
    entries = _object(data, path, "a node")
    if len(entries) != 1 or next(iter(entries)) not in _NODES:
        raise fault_at(path, f"a node has exactly one of {', '.join(_NODES)}; got {brief(list(entries))}")
    (key, value), *_ = entries.items()
    below = (*path, key)
    if key == "filter":
        return load_leaf(value, below)
    if key == "not":
        return _made(Not, load_node(value, below, depth + 1), path)
    if not isinstance(value, list | tuple):
        raise fault_at(below, f"expected a list of nodes, got {brief(value)}")
    items = enumerate(cast("list[object]", value))
    return _made(And if key == "and" else Or, [load_node(item, (*below, i), depth + 1) for i, item in items], path)


def _made(node: Callable[[Any], Filter], children: object, path: Path) -> Filter:
    try:
        return node(children)
    except FilterError as error:
        raise fault_at(path, str(error)) from None


def _object(data: object, path: Path, what: str) -> dict[Any, Any]:
    if isinstance(data, Mapping):
        return dict(cast("Mapping[Any, Any]", data))  # type: ignore[redundant-cast]  # pyright knows less
    raise fault_at(path, f"expected {what}, which is a JSON object; got {brief(data)}")


def _pop_type(entries: dict[Any, Any], path: Path) -> str:
    if "type" not in entries:
        raise fault_at(path, f"a filter needs its type, one of {', '.join(LEAVES)}")
    leaf_type = entries.pop("type")
    if not isinstance(leaf_type, str) or leaf_type not in LEAVES:
        raise fault_at((*path, "type"), f"no filter has the type {brief(leaf_type)}; there are {', '.join(LEAVES)}")
    return leaf_type


# ---- cattrs is imported on first use: an `import` of this package and a count need not pay 6 ms for it ---------------


@cache
def _loader(leaf_type: str) -> Callable[[dict[Any, Any], Path], LeafFilter]:
    """Each field goes through the constructor's own converter, so that a fault is known by its field's name."""
    from cattrs import ClassValidationError, Converter  # noqa: PLC0415  # see above
    from cattrs.gen import make_dict_structure_fn, override  # noqa: PLC0415

    leaf = LEAVES[leaf_type]
    hooks: dict[str, Any] = {a.name: override(struct_hook=partial(_convert, leaf, a.converter)) for a in fields(leaf)}
    structure: Any = make_dict_structure_fn(leaf, Converter(), _cattrs_forbid_extra_keys=True, **hooks)

    def load(entries: dict[Any, Any], path: Path) -> LeafFilter:
        try:
            return cast("LeafFilter", structure(entries, leaf))
        except ClassValidationError as errors:
            raise _first_fault(errors.exceptions, leaf, path) from None

    return load


def _names(leaf: type[LeafFilter]) -> list[str]:
    return [attribute.name for attribute in fields(leaf)]


def _convert(leaf: type[LeafFilter], convert: Callable[[object], object] | None, value: object, _: object) -> object:
    if convert is None:  # the operator has a validator instead
        check_operator(leaf, None, value)
        return value
    return convert(value)


def _first_fault(errors: Sequence[Exception], leaf: type[LeafFilter], path: Path) -> FilterDecodeError:
    """cattrs gives an error for each field, with a note that knows the field's name, and one for all unknown keys."""
    error = errors[0]
    names = [note.name for note in getattr(error, "__notes__", ()) if hasattr(note, "name")]
    if names and isinstance(error, KeyError):
        return fault_at(path, f"a {leaf.type} filter needs {names[0]}")
    if names:
        return fault_at((*path, names[0]), str(error))
    extra = min(map(str, getattr(error, "extra_fields", ())))
    close = difflib.get_close_matches(extra, _names(leaf), n=1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(_names(leaf))} and type"
    return fault_at(path, f"a {leaf.type} filter has no key {brief(extra)}; {hint}")


def fault_at(path: Path, message: str) -> FilterDecodeError:
    """The error for plain data with a fault at a path."""
    written = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[-12:])
    return FilterDecodeError(f"at {'…' if len(path) > 12 else ''}{written or 'the top'}: {message}", path)
