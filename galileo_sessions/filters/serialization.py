"""
Filters as the API's JSON, and back.

A leaf is `{"filter": {…, "type": …}}`, a connective `{"and": […]}`, `{"or": […]}` or `{"not": …}`.
`type`, `operator` and `case_sensitive` are always written, so that a changed default cannot change a query.

One cattrs converter, configured at the end of this module, turns leaves and a catalog's columns into plain data and
back, alone or in lists.
It can't do the same well for connectives, which are plain recursion here: cattrs knows no union whose members differ by
their only key, and descends without a limit, so that data of many levels would end in a RecursionError.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast, get_args, get_origin

from attrs import NOTHING, fields, has

from galileo_sessions.errors import FilterDecodeError, FilterError, FilterTypeError, brief
from galileo_sessions.filters import messages
from galileo_sessions.filters.nodes import LEAVES, MAX_DEPTH, And, Comparison, Filter, LeafFilter, Not, Or

if TYPE_CHECKING:  # cattrs is imported on first use: an import of this package need not take 10 ms longer for it
    from cattrs import Converter

Path: TypeAlias = tuple[str | int, ...]
T = TypeVar("T")

_NODES = ("filter", "and", "or", "not")
_EQ_BY_DEFAULT = ("id", "boolean")  # of the other types the schema requires the operator


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
    if isinstance(where, Filter):
        leaf: Any = type(where)
        return {"filter": _dump_function(leaf)(where)}
    raise FilterTypeError(f"expected a filter, got {brief(where)}")


def load_filter(tree: object) -> Filter:
    """
    The filter that a `filter_tree` stands for: what `dump_filter` makes, or anybody's that fits the API's schema.

    A leaf may call its column `name`, as the API's own example does.
    Keys that the API doesn't have are refused, for a misspelt one would be dropped in silence.

    Raises:
        FilterDecodeError: with the path to the first fault, as in `.and[1].filter.operator`.
    """
    return load_node(tree, ())


def load_node(data: object, path: Path, depth: int = 1) -> Filter:
    """The filter that a node of a `filter_tree` stands for; `path` leads to it, for errors."""
    if depth > MAX_DEPTH:
        raise fault_at(path, f"deeper than {MAX_DEPTH} levels")
    if not isinstance(data, Mapping):
        raise _no_node(path, data, f"expected a node as a JSON object, got {brief(data)}")
    entries = json_object(cast("object", data))
    if len(entries) != 1 or next(iter(entries)) not in _NODES:
        problem = f"a node has exactly one of {', '.join(_NODES)}; got {brief(list(entries))}"
        raise _no_node(path, entries, problem)
    [(key, value)] = entries.items()
    below = (*path, key)
    if key == "filter":
        return cast("Filter", load(value, LeafFilter, below))
    if key == "not":
        return _connective(Not, load_node(value, below, depth + 1), path)
    children = [load_node(item, (*below, i), depth + 1) for i, item in enumerate(checked_list(value, "nodes", below))]
    return _connective(And if key == "and" else Or, children, path)


def _no_node(path: Path, data: object, problem: str) -> FilterDecodeError:
    return fault_at(path, problem + messages.instead_of_node(data))


def _connective(node: Callable[[Any], Filter], children: object, path: Path) -> Filter:
    try:
        return node(children)
    except FilterError as error:  # too large
        raise fault_at(path, str(error)) from None


def json_object(data: object, path: Path | None = None, what: str = "a JSON object") -> dict[Any, Any]:
    """A copy of the data, if it is a JSON object; in the converter, which knows the path, it is left out."""
    if isinstance(data, Mapping):
        return dict(cast("Mapping[Any, Any]", data))  # type: ignore[redundant-cast]  # pyright knows less
    problem = f"expected {what}, got {brief(data)}"
    raise FilterError(problem) if path is None else fault_at(path, problem)


def checked_list(data: object, noun: str, path: Path) -> list[object]:
    """The data, if it is a list; `noun` says of what, for errors."""
    if isinstance(data, list | tuple):
        return list(cast("list[object]", data))
    raise fault_at(path, f"expected a list of {noun}, got {brief(data)}")


def dump(value: object) -> Any:
    """A leaf or a catalog's column as plain data, or a list for a tuple of them."""
    return _converter().unstructure(value)


def load(data: object, shape: Any, path: Path) -> Any:
    """
    The value of a shape that plain data stands for.

    Args:
        data: The plain data.
        shape: `LeafFilter`, a catalog's column, or a list of one of them.
        path: The way to the data in what the caller was given, for errors.

    Raises:
        FilterDecodeError: with the path to the first fault.
    """
    try:
        return _converter().structure(data, shape)
    except (ExceptionGroup, FilterError) as error:
        fault = _first_fault(error, path)
    raise fault


# ---- faults ----------------------------------------------------------------------------------------------------------


def fault_at(path: Path, message: str) -> FilterDecodeError:
    """The error for plain data with a fault at a path."""
    written = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[-12:])
    return FilterDecodeError(f"at {'…' if len(path) > 12 else ''}{written or 'the top'}: {message}", path)


def _first_fault(error: Any, path: Path) -> FilterDecodeError:
    """The first of the errors that cattrs groups by field and by position, whose notes say which these are."""
    while hasattr(error, "exceptions"):
        owner, error = error.cl, error.exceptions[0]
        for note in getattr(error, "__notes__", ()):
            step = note.name if hasattr(note, "name") else note.index
            if isinstance(error, KeyError):
                return fault_at(path, f"a {owner.type} filter needs {step}")
            path = (*path, step)
    if hasattr(error, "extra_fields"):
        return fault_at(path, _unknown_key(error.cl, min(map(str, error.extra_fields))))
    return fault_at((*path, *getattr(error, "path", ())), str(error))


def _unknown_key(leaf: Any, key: str) -> str:
    names = [attribute.name for attribute in fields(leaf)]
    hint = messages.did_you_mean(key, names, f"it has {', '.join(names)} and type")
    return f"a {leaf.type} filter has no key {brief(key)}; {hint}"


# ---- the converter ---------------------------------------------------------------------------------------------------


@cache
def _converter() -> "Converter":
    """The one converter: each field goes through the converter that its class's constructor has for it."""
    from cattrs import Converter  # noqa: PLC0415  # on first use
    from cattrs.gen import make_dict_structure_fn, override  # noqa: PLC0415

    converter = Converter(unstruct_collection_overrides={tuple: list})

    def structure(cls: Any) -> Any:
        hooks: dict[str, Any] = {a.name: override(struct_hook=partial(_field_value, a)) for a in fields(cls)}
        if issubclass(cls, Filter):
            return make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **hooks)
        made: Any = make_dict_structure_fn(cls, converter, **hooks)
        required = [a.name for a in fields(cls) if a.default is NOTHING or a.metadata.get("required")]
        return partial(_column, made, cls, required)

    converter.register_structure_hook_factory(has, structure)
    converter.register_structure_hook_func(lambda shape: shape == LeafFilter, partial(_structure_leaf, converter))
    converter.register_unstructure_hook_factory(has, _dump_function)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_unstructure_hook_func(_may_be_tuple, _tuple_as_list)
    return converter


@cache
def _dump_function(cls: Any) -> Callable[[Any], dict[str, Any]]:
    """What the converter dumps a class with; its own search for it would cost a tenth of the time."""
    from cattrs.gen import make_dict_unstructure_fn, override  # noqa: PLC0415  # on first use

    fields_of = make_dict_unstructure_fn(cls, _converter(), user_ids=override(omit_if_default=True))
    filter_type = getattr(cls, "type", None)

    def with_type(leaf: Any) -> dict[str, Any]:
        data = fields_of(leaf)
        data["type"] = filter_type
        return data

    def with_column(leaf: Any) -> dict[str, Any]:
        return {"column_id": leaf.column_id, **with_type(leaf)}

    return fields_of if filter_type is None else with_type if issubclass(cls, Comparison) else with_column


def _field_value(attribute: Any, value: object, _: object) -> object:
    """A field's value checked where cattrs knows the field, so that it's named in a fault."""
    return attribute.converter(value)


def _structure_leaf(converter: "Converter", data: object, _: object) -> LeafFilter:
    """The leaf that a JSON object stands for, of the class that its type says."""
    entries = json_object(data, what="a filter as a JSON object")
    for key in entries:
        if not isinstance(key, str):
            raise FilterError(f"a filter has no key {brief(key)}; keys are text")
    if "type" not in entries:
        raise FilterError(f"a filter needs its type, one of {', '.join(LEAVES)}")
    leaf_type = entries.pop("type")
    leaf = LEAVES.get(leaf_type) if isinstance(leaf_type, str) else None
    if leaf is None:
        raise FilterDecodeError(f"no filter has the type {brief(leaf_type)}; there are {', '.join(LEAVES)}", ("type",))
    if not issubclass(leaf, Comparison):
        if entries.pop("column_id", leaf.column_id) != leaf.column_id:
            raise FilterDecodeError(f"a {leaf.type} filter has no column but {leaf.column_id}", ("column_id",))
    elif "name" in entries and entries.setdefault("column_id", entries["name"]) != entries.pop("name"):
        raise FilterDecodeError("name and column_id differ; the API knows column_id only", ("name",))
    if leaf_type in _EQ_BY_DEFAULT:
        entries.setdefault("operator", "eq")
    return converter.structure(entries, leaf)


def _column(made: Callable[[Any, Any], T], cls: type[T], required: Sequence[str], data: object, _: object) -> T:
    """A catalog's column, in which null means the same as no key."""
    given = {key: value for key, value in json_object(data).items() if value is not None}
    for name in required:
        if name not in given:
            raise FilterError(f"a column needs its {name}")
    return made(given, cls)


def _may_be_tuple(shape: Any) -> bool:
    return any(get_origin(member) is tuple for member in get_args(shape))


def _tuple_as_list(value: object) -> object:
    return list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value
