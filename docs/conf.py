"""
The documentation's build: `python -m sphinx -W --keep-going -q docs OUT`, without a network.

It is nitpicky about names of this package; those of other packages stay text, for no inventory is downloaded.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from inspect import Parameter, cleandoc, getdoc
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args, get_origin

import attrs
import click
from docutils import nodes
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import inspect, logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import restify

import galileo_sessions
import galileo_sessions.local
from galileo_sessions.cli.commands import program as galileo_program

sys.path.insert(0, str(Path(__file__).parent))
import pictures

project = "galileo_sessions"
release = galileo_sessions.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["examples/*"]
nitpicky = True

myst_heading_anchors = 3  # as GitHub makes them
myst_enable_extensions = ["html_image"]  # `<img>`, which can say how wide it is

toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
maximum_signature_line_length = 120
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_use_unqualified_type_names = True

smartquotes_action = "D"  # dashes; quotes here are mostly Python's

copybutton_selector = "div:not(.highlight-text) > div.highlight > pre"  # output isn't to be pasted
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"

html_theme = "furo"
html_title = "galileo_sessions"
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "release.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
_URLS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls")
html_context = {"repository": (_URLS or {}).get("Repository")}  # no link until the owner sets it there
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

# Public classes say that they are from `galileo_sessions`; their attributes' docstrings stand where they are defined.
for name, module in list(sys.modules.items()):
    if name.startswith("galileo_sessions.") and getattr(module, "__file__", None):
        for found in re.findall(r"^class (\w+)", Path(str(module.__file__)).read_text(encoding="utf-8"), re.MULTILINE):
            getattr(module, found).__module__ = name

PUBLIC = {name: f"galileo_sessions.{name}" for name in galileo_sessions.__all__}
PUBLIC |= {name: f"galileo_sessions.local.{name}" for name in galileo_sessions.local.__all__}
_MADE = "Partition CountStream CountResult CountReport CountsBy Progress Attempt Issue And Or Not"
_MADE += " Explanation NodeCount TextCol NumberCol DateCol BooleanCol CollectionCol IdCol"
NEVER_CALLED = {
    PUBLIC[name] for name in PUBLIC if name in _MADE.split() or name.endswith(("Filter", "ColumnInfo", "ColumnCatalog"))
}
"""Classes that the client, columns and operators make: their readers pass no parameters."""

KNOWN_AS = {"Counted": "CountQuery", "FilterType": "str", "Several": "Sequence"}
"""Private classes in annotations, and what readers pass or get."""


def is_private(cls: type) -> bool:
    """Whether it is a class of this package that readers can't import."""
    return cls.__module__.startswith("galileo_sessions") and cls.__name__ not in PUBLIC


# A class shows what it inherits from private classes as its own.
for name in galileo_sessions.__all__:
    cls = getattr(galileo_sessions, name)
    if isinstance(cls, type):
        analyzer = ModuleAnalyzer.for_module(cls.__module__)
        analyzer.analyze()
        for base in filter(is_private, cls.__mro__):
            for member in [member for member in vars(base) if member[0] != "_" and member not in vars(cls)]:
                setattr(cls, member, vars(base)[member])
                analyzer.tagorder[f"{name}.{member}"] = analyzer.tagorder[f"{base.__name__}.{member}"]


def keep_colons(_: Any, what: str, *given: Any) -> None:
    """Napoleon takes what stands before a colon in a field's first line for its type; an empty comment has none."""
    if what in ("attribute", "property"):
        given[-1][:0] = ["..", ""]


def mark_up(*given: Any) -> None:
    """Docstrings write code in single backticks: a public name becomes a link, all else is code."""
    lines: list[str] = given[-1]
    for i, line in enumerate(lines):
        lines[i] = re.sub(r"(?<![`:\w])`([^`]+)`(?!`)", _code, line)


def _code(found: re.Match[str]) -> str:
    first = re.split(r"\W", found[1])[0]
    return f":py:obj:`{found[1]} <{PUBLIC[first]}>`" if first in PUBLIC else f"``{found[1]}``"


def sign(_: Any, what: str, name: str, thing: Any, *given: Any) -> tuple[str, None] | None:
    """A signature without type variables and with all keywords; none for what its readers never call."""
    signature = given[1]
    if signature and (what == "exception" or name in NEVER_CALLED):
        return "", None
    if not signature or what not in ("class", "method", "function"):
        return None
    bound = given_to(getattr(galileo_sessions, name.split(".")[1]))  # of the class, if it is a method's name
    written = inspect.signature(thing.__init__ if what == "class" else thing, bound_method=what != "function")
    signature = written.replace(
        parameters=[_spelled(parameter, bound) for parameter in written.parameters.values()],
        return_annotation=filled(written.return_annotation, bound),
    )
    return inspect.stringify_signature(signature, show_return_annotation=what != "class"), None


@attrs.frozen(repr=False)
class _Short:
    """A default that is described elsewhere."""

    text: str = "..."

    def __repr__(self) -> str:
        return self.text


def _spelled(parameter: Parameter, bound: dict[Any, Any]) -> Parameter:
    """The parameter, with a default that readers know."""
    default = _Short() if parameter.default is attrs.NOTHING else parameter.default
    if isinstance(default, galileo_sessions.Filter):
        default = _Short(repr(default))
    elif attrs.has(type(default)) and default == type(default)():
        default = _Short(f"{type(default).__name__}()")
    return parameter.replace(annotation=filled(parameter.annotation, bound), default=default)


def given_to(cls: type) -> dict[Any, Any]:
    """What the bases of a class are given for their type variables."""
    return {
        variable: argument
        for base in vars(cls).get("__orig_bases__", ())
        for variable, argument in zip(getattr(get_origin(base), "__parameters__", ()), get_args(base), strict=False)
    }


def filled(annotation: Any, given: dict[Any, Any]) -> Any:
    """An annotation, in which each type variable is what the class is given for it, or anything."""
    if isinstance(annotation, TypeVar):
        return given.get(annotation, Any)
    variables = () if isinstance(annotation, type) else getattr(annotation, "__parameters__", ())
    return annotation[tuple([given.get(each, Any) for each in variables])] if variables else annotation


def bases_of(cls: type, given: dict[Any, Any]) -> Iterator[Any]:
    """The bases that readers know: public classes and Python's own; in place of a private one, its bases."""
    for written in vars(cls).get("__orig_bases__", cls.__bases__):
        base = get_origin(written) or written
        if is_private(base):
            yield from bases_of(base, given_to(cls))
        elif base not in (object, Generic):
            yield filled(written, given)


def show_bases(_: Any, what: str, name: str, thing: Any, *given: Any) -> None:
    """A class begins with its bases, where what it inherits is described."""
    bases = ", ".join([restify(base, "smart") for base in bases_of(thing, {})]) if isinstance(thing, type) else ""
    if bases and what in ("class", "exception"):
        given[-1][:0] = [f"Bases: {bases}", ""]


def find(app: Any, env: Any, node: Any, shown: Any) -> Any:
    """A public name where annotations have its module's, `galileo_sessions.filters.Filter`; others' names as text."""
    target = node.get("reftarget", "")
    name = target.rpartition(".")[2]
    if name in KNOWN_AS:
        node.clear()  # it holds the private name
        name = target = KNOWN_AS[name]
        shown = nodes.Text(name)
    if name in PUBLIC and target != PUBLIC[name]:
        return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", PUBLIC[name], node, shown)
    return None if target.startswith("galileo_sessions") else shown


def keep_whole(_: Any, page: nodes.document) -> None:
    """Marks code in a sentence if each of its words fits a telephone's line."""
    for code in page.findall(nodes.literal):
        if max(map(len, code.astext().split()), default=0) <= 36:
            code["classes"].append("whole")


def draw(_: Any) -> None:
    """Draws the pictures that README and the pages show."""
    for file in pictures.changed():
        logging.getLogger(__name__).warning("%s has changed; look at it, and commit it", file.name)


class Names(SphinxDirective):
    """`.. names:: PAGE` lists the names on a page of the reference, with the first sentence of each."""

    required_arguments = 1

    def run(self) -> list[Any]:
        """The list's nodes."""
        page = Path(__file__).with_name(f"{self.arguments[0]}.md")
        self.env.note_dependency(str(page))
        lines: list[str] = []
        entry = r"^\.\. (auto\w+|py:data):: (\S+)\n(?: +:.*\n)*\n*(?: +(\S.*))?"
        for kind, name, written in re.findall(entry, page.read_text(encoding="utf-8"), re.MULTILINE):
            short = name.removeprefix("galileo_sessions.").removeprefix("local.")
            thing = getattr(galileo_sessions.local if ".local." in name else galileo_sessions, short)
            said = written if kind == "py:data" else (getdoc(thing) or "").partition("\n\n")[0]
            first = [re.split(r"(?<=[\w`=])\.(?=\s|$)", " ".join(said.split()))[0]]
            mark_up(first)
            lines.append(f"* :py:obj:`{short} <{name}>`: {first[0]}")
        return self.parse_text_to_nodes("\n".join(lines))


class Commands(SphinxDirective):
    """`.. commands::` is a section for each command of the command line, as its help has it."""

    def run(self) -> list[Any]:
        """The sections' nodes."""
        top = galileo_program.make_context("galileo-sessions", ["demo"], resilient_parsing=True)
        lines: list[str] = []
        for name, command in galileo_program.commands.items():
            lines += _manual(f"galileo-sessions {name}", command, click.Context(command, top, info_name=name))
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _manual(name: str, command: click.Command, context: click.Context) -> list[str]:
    """A command as reStructuredText: usage, text, options. The page has a table of the exit statuses."""
    lines = [name, "-" * len(name), "", *_verbatim(f"{name} {' '.join(command.collect_usage_pieces(context))}")]
    for paragraph in cleandoc(command.help or "").split("\n\n"):
        lines += _verbatim(paragraph[2:]) if paragraph.startswith("\b\n") else [_marked(paragraph), ""]
    lines += [f".. program:: {name}", ""]
    for option in command.params:  # without --help
        record = option.get_help_record(context)
        if isinstance(option, click.Option) and record is not None:
            lines += [f".. option:: {record[0]}", "", f"   {_marked(record[1])}", ""]
    return lines


def _verbatim(text: str) -> list[str]:
    return [".. code-block:: text", "", *[f"   {line}" for line in text.splitlines()], ""]


def _marked(text: str) -> str:
    """The text, in which code, options and variables of the environment are literal."""
    code = r"`[^`]+`|'Col\([^']*'|'Col\.[^']*'|--[a-z][a-z-]*|(?:GALILEO|SPLUNK_AO)_[A-Z0-9_]+"
    return re.sub(code, lambda found: f"``{found[0].strip('`')}``", text.replace("*", r"\*"))


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("builder-inited", draw)
    app.add_directive("commands", Commands)
    app.add_directive("names", Names)
    app.connect("autodoc-process-docstring", show_bases, priority=600)  # its links are marked up
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # before napoleon's 500
    app.connect("autodoc-process-docstring", mark_up)
    app.connect("autodoc-process-signature", sign)
    app.connect("missing-reference", find)
    app.connect("doctree-read", keep_whole)
