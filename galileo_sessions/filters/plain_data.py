"""
Plain data, as JSON has it: read strictly, and turned into filters, columns and projects, and back.

A leaf is `{"filter": {…, "type": …}}`; the rest of the tree is `{"and": […]}`, `{"or": […]}` and
`{"not": …}`. `type`, `operator` and `case_sensitive` are always written, so that a changed default
can't change a query.

cattrs reads all but the tree, which plain recursion reads: cattrs can't distinguish the members of
a union by their only key, and its recursion has no limit, so that deep data would end in a
RecursionError. This module also finds a leaf's class: for a wrong `type`, cattrs' strategy for
tagged unions raises a bare KeyError.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn, cast

from attrs import fields, has

from galileo_sessions.display import brief, did_you_mean
from galileo_sessions.errors import FilterDecodeError, FilterError
from galileo_sessions.filters import advice, nodes
from galileo_sessions.filters.nodes import LEAVES, MAX_DEPTH, Filter, LeafFilter
from galileo_sessions.filters.tree import Path, key_of
from galileo_sessions.filters.values import as_instant, as_json

if TYPE_CHECKING:
    from cattrs import Converter

_EQ_BY_DEFAULT = ("id", "boolean")  # the schema requires the operator of the other types


def dump_filter(where: Filter) -> dict[str, Any]:
    """
    The API's `filter_tree` for a filter, as dicts, lists and JSON's scalars.

    Raises:
        FilterTypeError: for anything but a filter.
    """
    if isinstance(where, LeafFilter):
        return {"filter": _dump_leaf(where)}
    if isinstance(where, nodes.Not):
        return {"not": dump_filter(where.child)}
    if isinstance(where, (nodes.And, nodes.Or)):  # a union would be made for each node
        return {key_of(where): [dump_filter(child) for child in where.children]}
    raise advice.expected_filter(where)


def _dump_leaf(leaf: LeafFilter) -> dict[str, Any]:
    data = dump(leaf)
    data["column_id"] = leaf.column_id
    data["type"] = leaf.type
    if data.get("user_ids", ()) is None:
        del data["user_ids"]
    return data


def dump(value: Any) -> dict[str, Any]:
    """The fields of a leaf, or of a catalog's column, as plain data."""
    return {name: as_json(getattr(value, name)) for name in _names(value.__class__)}


@cache
def _names(cls: type[Any]) -> list[str]:
    """The names of a class's fields; attrs takes a microsecond to find them."""
    return [each.name for each in fields(cls)]


def load_filter(tree: object) -> Filter:
    """
    The filter for a `filter_tree`: what `dump_filter` returns, or anything else that fits the API's
    schema.

    A leaf can call its column `name`, as the API's own example does.
    Unknown keys are refused, since the API would ignore a misspelt one.

    Raises:
        FilterDecodeError: with the path to the first fault, such as `.and[1].filter.operator`.
        FilterTooLargeError: if the filter would have more than 10,000 leaves.
    """
    return load_node(tree, ())


def load_node(data: Any, path: Path, depth: int = 1) -> Filter:
    """The filter for a node of a `filter_tree`. `path` leads to the node, for errors."""
    if depth > MAX_DEPTH:
        raise fault_at(path, f"deeper than {MAX_DEPTH} levels")
    match data:
        case {"filter": leaf, **rest} if not rest:
            return cast("Filter", load(leaf, LeafFilter, (*path, "filter")))
        case {"and": items, **rest} if not rest:
            return nodes.And(_load_nodes(items, (*path, "and"), depth + 1))
        case {"or": items, **rest} if not rest:
            return nodes.Or(_load_nodes(items, (*path, "or"), depth + 1))
        case {"not": node, **rest} if not rest:
            return nodes.Not(load_node(node, (*path, "not"), depth + 1))
        case _:
            wanted = "a JSON object with exactly one of filter, and, or, not"
            raise fault_at(
                path, f"expected {wanted}; got {brief(data)}", advice.instead_of_node(data)
            )


def _load_nodes(data: object, path: Path, depth: int) -> list[Filter]:
    items = checked_list(data, "nodes", path)
    if not items:
        hint = "Write NEVER in Python, to count none"
        if path[-1] == "and":
            hint = "Leave out the filter, or write ALWAYS in Python, to count all sessions"
        raise fault_at(path, "the API doesn't define an empty list", hint)
    return [load_node(item, (*path, i), depth) for i, item in enumerate(items)]


def strict_json(text: str | bytes) -> object:
    """
    The data in a JSON text. NaN, Infinity and an object with the same key twice are refused.

    Raises:
        ValueError: if the text isn't JSON, or has one of these.
    """
    if not isinstance(text, str):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    try:
        return _STRICT.decode(text)
    except RecursionError:
        raise ValueError("too deep") from None


def text_of_json(body: bytes) -> str:
    """The text of a JSON document from a server; some begin it with a byte order mark."""
    return body.removeprefix(BOM_UTF8).decode("utf-8")


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError(f"an object has the same key twice, in {brief([key for key, _ in pairs])}")
    return entries


# json.loads would make one for each text.
_STRICT = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique)


def json_object(data: object) -> dict[Any, Any]:
    """A copy of the data, if it is a JSON object."""
    if isinstance(data, Mapping):
        return dict(cast("Mapping[Any, Any]", data))  # type: ignore[redundant-cast]  # pyright needs the cast
    hint = "Read JSON with json.loads first" if isinstance(data, str | bytes | bytearray) else ""
    raise FilterDecodeError(f"expected a JSON object, got {brief(data)}", hint=hint)


def checked_list(data: object, noun: str, path: Path) -> list[object]:
    """The data, if it is a list; `noun` names its items in errors."""
    if isinstance(data, list | tuple):
        return list(cast("list[object]", data))
    raise fault_at(path, f"expected a list of {noun}, got {brief(data)}")


def load(data: object, shape: Any, path: Path) -> Any:
    """
    The object that plain data describes.

    Args:
        data: The plain data.
        shape: Its type: `LeafFilter`, a catalog's column, a project, a log stream, or a list of one
            of them.
        path: The path to the data, for errors.

    Raises:
        FilterDecodeError: with the path to the first fault.
    """
    try:
        return _converter().structure(data, shape)
    except (ExceptionGroup, FilterError) as error:
        fault = _first_fault(error, path)
    raise fault


def fault_at(path: Path, message: str, hint: str = "") -> FilterDecodeError:
    """
    The error for plain data with a fault: its message is "at .and[0].filter: ...".

    Of a long path, the last 12 steps follow "…"; without a path, there is only the message.
    """
    place = "…" if len(path) > 12 else ""
    for step in path[-12:]:
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
    if path:
        message = f"at {place}: {message}"
    return FilterDecodeError(message, path, hint=hint)


def _first_fault(error: Any, path: Path) -> FilterDecodeError:
    """
    The first error in cattrs' nested groups.

    An error's notes name the field or the position that it is about.
    """
    while hasattr(error, "exceptions"):
        error = error.exceptions[0]
        for note in getattr(error, "__notes__", ()):
            step = note.name if hasattr(note, "name") else note.index
            if isinstance(error, KeyError):
                return fault_at(path, f"{step} is missing")
            path = (*path, step)
    if hasattr(error, "extra_fields"):
        key = min(map(str, error.extra_fields))
        names = [attribute.name for attribute in fields(error.cl)]
        has = f"they have {', '.join(names)} and type"
        return fault_at(
            path,
            f"{error.cl.type} filters have no key {brief(key)}; {has}",
            did_you_mean(key, names),
        )
    if isinstance(error, FilterError):
        return fault_at((*path, *getattr(error, "path", ())), error.message, error.hint)
    return fault_at(path, str(error))


# ---- the converter -------------------------------------------------------------------------------


@cache
def _converter() -> "Converter":
    """The only converter. It converts each field as the constructor of its class does."""
    from cattrs import Converter  # noqa: PLC0415  # only JSON and lists of columns need it
    from cattrs.gen import make_dict_structure_fn, override  # noqa: PLC0415  # as above

    converter = Converter()

    def structure(cls: Any) -> Any:
        hooks: Any = {
            a.name: override(struct_hook=partial(_convert, a.converter)) for a in fields(cls)
        }
        if issubclass(cls, Filter):
            return make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **hooks)
        return partial(_structure_column, make_dict_structure_fn(cls, converter, **hooks))

    converter.register_structure_hook_factory(has, structure)
    converter.register_structure_hook_func(lambda shape: shape == LeafFilter, _structure_leaf)
    return converter


def _convert(converter: Callable[[object], object], value: object, _: object) -> object:
    try:
        return converter(value)
    except FilterError as error:
        hint = error.hint
        begin, end = advice.instants_of(value)
        if converter is as_instant and begin and not hint:
            hint = f"Write {begin}"
            if end:
                hint += f" for the beginning of that day, or {end} for its end"
        raise FilterDecodeError(error.message, hint=hint) from None


def _structure_leaf(data: object, _: object) -> LeafFilter:
    entries = json_object(data)
    if not all(isinstance(key, str) for key in entries):
        raise FilterDecodeError(f"expected keys that are text, got {brief(list(entries))}")
    leaf = _leaf_class(entries.pop("type", None))
    if "name" in entries and "column_id" not in entries:
        entries["column_id"] = entries.pop("name")
    if leaf is nodes.FullyAnnotatedFilter and entries.get("column_id") == leaf.column_id:
        del entries["column_id"]
    if leaf.type in _EQ_BY_DEFAULT:
        entries.setdefault("operator", "eq")
    return _converter().structure(entries, leaf)


def _leaf_class(name: object) -> type[LeafFilter]:
    if isinstance(name, str) and name in LEAVES:
        return LEAVES[name]
    raise FilterDecodeError(f"expected one of {', '.join(LEAVES)}, got {brief(name)}", ("type",))


def _structure_column(structure: Callable[[Any, Any], Any], data: object, cls: object) -> Any:
    """A catalog's column, in which null means the same as a missing key."""
    entries = json_object(data).items()
    return structure({key: value for key, value in entries if value is not None}, cls)
