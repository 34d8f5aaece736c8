"""
`python docs/reference.py` writes what pages say of the code itself. The build does so, too.

docs/api.md lists all public names, each with its signature and the first sentence of its
description. docs/command-line.md ends with the manual of each command.
"""

import inspect as python
import re
import sys
from collections.abc import Iterator
from inspect import Parameter, Signature, getdoc
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import attrs
import click
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import inspect

import galileo_sessions.local
from galileo_sessions.cli.commands import program

NAMES = Path(__file__).with_name("api.md")
MANUAL = Path(__file__).with_name("command-line.md")
PUBLIC = {name: f"galileo_sessions.{name}" for name in galileo_sessions.__all__}
PUBLIC |= {name: f"galileo_sessions.local.{name}" for name in galileo_sessions.local.__all__}
_MADE = "Partition CountStream CountResult CountReport CountsBy Progress Attempt Issue And Or Not"
_MADE += " Explanation NodeCount TextCol NumberCol DateCol BooleanCol CollectionCol IdCol"
NEVER_CALLED = {
    PUBLIC[name]
    for name in PUBLIC
    if name in _MADE.split() or name.endswith(("Filter", "ColumnInfo", "ColumnCatalog"))
}
"""Classes that the client, columns and operators make: their readers pass no parameters."""

KNOWN_AS = {"FilterType": "str", "Several": "Sequence"}
"""Private classes in annotations, and what readers pass or get."""


def _homes() -> Iterator[tuple[type, str]]:
    """
    Each class of the package, and the module that defines it: public ones say that they are from
    `galileo_sessions`.
    """
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.startswith("galileo_sessions.") and file:
            source = Path(str(file)).read_text(encoding="utf-8")
            for found in re.findall(r"^class (\w+)", source, re.MULTILINE):
                yield getattr(module, found), name


HOMES = dict(_homes())


def is_private(cls: type) -> bool:
    """Whether it is a class of this package that readers can't import."""
    return cls.__module__.startswith("galileo_sessions") and cls.__name__ not in PUBLIC


def public(name: str) -> Any:
    """What a full name such as `galileo_sessions.local.LocalGalileo` stands for."""
    of_server = name.startswith("galileo_sessions.local.")
    module = galileo_sessions.local if of_server else galileo_sessions
    return getattr(module, name.rpartition(".")[2])


# ---- signatures ----------------------------------------------------------------------------------


def signature_of(thing: Any, owner: Any, *, is_function: bool) -> Signature:
    """
    Without type variables, and with all keywords.

    Args:
        thing: A class, a method or a function.
        owner: The class, or that of the method, which fills the type variables of its bases.
        is_function: Whether no first argument is bound.
    """
    bound = given_to(owner)
    called = thing.__init__ if isinstance(thing, type) else thing
    written = inspect.signature(called, bound_method=not is_function)
    return written.replace(
        parameters=[_spelled(parameter, bound) for parameter in written.parameters.values()],
        return_annotation=filled(written.return_annotation, bound),
    )


@attrs.frozen(repr=False)
class _Short:
    """A default that is described elsewhere."""

    text: str = "..."

    def __repr__(self) -> str:
        return self.text


def _spelled(parameter: Parameter, bound: dict[Any, Any]) -> Parameter:
    """The parameter, with a default that readers know."""
    default = parameter.default
    if default is attrs.NOTHING:
        default = _Short()
    elif isinstance(default, galileo_sessions.Filter):
        default = _Short(repr(default))
    elif attrs.has(type(default)) and default == type(default)():
        default = _Short(f"{type(default).__name__}()")
    return parameter.replace(annotation=filled(parameter.annotation, bound), default=default)


def given_to(cls: Any) -> dict[Any, Any]:
    """What the bases of a class are given for their type variables."""
    given: dict[Any, Any] = {}
    for base in vars(cls).get("__orig_bases__", ()):
        variables = getattr(get_origin(base), "__parameters__", ())
        given |= dict(zip(variables, get_args(base), strict=False))
    return given


def filled(annotation: Any, given: dict[Any, Any]) -> Any:
    """An annotation, in which each type variable is what the class is given for it, or anything."""
    if isinstance(annotation, TypeVar):
        return given.get(annotation, Any)
    variables = () if isinstance(annotation, type) else getattr(annotation, "__parameters__", ())
    if not variables:
        return annotation
    return annotation[tuple([given.get(each, Any) for each in variables])]


# ---- the list ------------------------------------------------------------------------------------


def listed() -> str:
    """The page of names, with those of each part of the reference below the link to it."""
    part = r"^(## \[.*\]\((api-\w+\.md)\)\n\n)(?:.*\n)*?(?=## |```)"
    text = NAMES.read_text(encoding="utf-8")
    return re.sub(
        part, lambda found: f"{found[1]}{_names_on(found[2])}\n", text, flags=re.MULTILINE
    )


def _names_on(page: str) -> str:
    """An entry for each name that a page describes, and below it one for each of its members."""
    text = NAMES.with_name(page).read_text(encoding="utf-8")
    entry = r"^\.\. (auto\w+|py:data):: (\S+)\n(?: +:.*\n)*\n*(?: +(\S.*))?"
    lines: list[str] = []
    for kind, name, said in re.findall(entry, text, re.MULTILINE):
        if kind == "py:data":
            first = re.sub(r":py:obj:`(\w+) <.*?>`", r"`\1`", said)
            lines.append(f"* `{name.rpartition('.')[2]}`: {first_sentence(first)}")
        else:
            lines += _described(name, public(name))
    return "".join([f"{line}\n" for line in lines])


def _described(name: str, thing: Any) -> Iterator[str]:
    shown = name.rpartition(".")[2]
    is_error = isinstance(thing, type) and issubclass(thing, Exception)
    if not is_error and name not in NEVER_CALLED:
        shown += _brief(thing, thing)
    yield f"* `{shown}`: {first_sentence(getdoc(thing) or '')}"
    if isinstance(thing, type):
        for member, said in _members(thing):
            yield f"  * `{member}`: {first_sentence(said)}"


def _brief(thing: Any, owner: Any) -> str:
    """The signature with the type of what is returned, but without those of the parameters."""
    is_function = python.isfunction(thing) and thing is owner
    signature = signature_of(
        thing, owner if isinstance(owner, type) else python, is_function=is_function
    )
    text = inspect.stringify_signature(signature, show_annotation=False)
    if isinstance(thing, type) or signature.return_annotation is Signature.empty:
        return text
    returned = inspect.stringify_signature(
        Signature(return_annotation=signature.return_annotation), unqualified_typehints=True
    )
    return text + re.sub(r"~?(?:\w+\.)+(?=\w)", "", returned.removeprefix("()"))


def _members(cls: type) -> Iterator[tuple[str, str]]:
    """
    The public attributes, properties and methods of a class, in the order of the source, with what
    is said about each. Those of private bases are its own.
    """
    seen: set[str] = set()
    for base in [cls, *filter(is_private, cls.__mro__[1:])]:
        for name, said in _described_in(base).items():
            if name not in seen:
                member = vars(base).get(name)
                start = "async " if python.iscoroutinefunction(member) else ""
                shown = _brief(getattr(cls, name), cls) if _is_method(member) else ""
                yield f"{start}{name}{shown}", said
        seen |= {*_described_in(base)}


def _described_in(cls: type) -> dict[str, str]:
    """What is said about each public member that a class itself defines."""
    analyzer = ModuleAnalyzer.for_module(HOMES[cls])  # which it keeps
    analyzer.analyze()
    written_below = {
        name: " ".join(lines)
        for (owner, name), lines in analyzer.attr_docs.items()
        if owner == cls.__name__
    }
    own = {
        name: getdoc(member) or ""
        for name, member in vars(cls).items()
        if _is_method(member) or isinstance(member, property)
    }
    said = {name: text for name, text in (own | written_below).items() if text and name[0] != "_"}
    order = analyzer.tagorder
    return dict(sorted(said.items(), key=lambda each: order.get(f"{cls.__name__}.{each[0]}", 0)))


def _is_method(member: object) -> bool:
    """Whether it is called; `Col.text` is a class."""
    return python.isfunction(member) or isinstance(member, classmethod | staticmethod | type)


def first_sentence(text: str) -> str:
    """The first sentence of a description, without its dot."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=[\w`=\")])\.(?=\s|$)", paragraph)[0].removesuffix("::")


# ---- the manual ----------------------------------------------------------------------------------


def manual() -> str:
    """The page of the command line, with a section for each command, as its help has it."""
    text = MANUAL.read_text(encoding="utf-8")
    before, heading, _ = text.partition("\n## Manual\n")
    top = program.make_context("galileo-sessions", ["demo"], resilient_parsing=True)
    lines: list[str] = []
    for name, command in program.commands.items():
        lines += _section(command, click.Context(command, top, info_name=name))
    return f"{before}{heading}\n" + "\n".join(lines)


def _section(command: click.Command, context: click.Context) -> Iterator[str]:
    """The usage of a command, its text, and a table of its options. The page has the statuses."""
    yield f"### galileo-sessions {context.info_name}"
    yield ""
    usage = " ".join(command.collect_usage_pieces(context))
    yield from _verbatim(f"galileo-sessions {context.info_name} {usage}")
    for paragraph in python.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield from _verbatim(paragraph[2:])
        else:
            yield _marked(" ".join(paragraph.split()))
            yield ""
    yield "| option | meaning |"
    yield "|---|---|"
    for option in command.params:  # without --help
        record = option.get_help_record(context)
        if isinstance(option, click.Option) and record is not None:
            written, said = [text.replace("|", "\\|") for text in record]
            yield f"| `{written}` | {_marked(said)} |"
    yield ""


def _verbatim(text: str) -> list[str]:
    return ["```text", text, "```", ""]


def _marked(text: str) -> str:
    """The text, in which code, options and variables of the environment are code."""
    code = r"`[^`]+`|'[^' ]+\([^']*'|--[a-z]+(?:-[a-z]+)*|(?:GALILEO|SPLUNK_AO)_[A-Z0-9_]+"
    return re.sub(code, lambda found: f"`{found[0].strip('`')}`", text.replace("*", r"\*"))


def update() -> list[str]:
    """Writes the pages that have changed anew, and returns their names."""
    changed: list[str] = []
    for page, text in ((NAMES, listed()), (MANUAL, manual())):
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
            changed.append(page.name)
    return changed


if __name__ == "__main__":
    update()
