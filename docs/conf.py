"""
The documentation's build: `python -m sphinx -W --keep-going -q docs OUT`, without a network.

It is nitpicky about names of this package; those of other packages stay text, for no inventory is
downloaded.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, get_origin

from docutils import nodes
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import inspect, logging
from sphinx.util.typing import restify

import galileo_sessions
import galileo_sessions.local

sys.path.insert(0, str(Path(__file__).parent))
import reference
from reference import KNOWN_AS, NEVER_CALLED, PUBLIC, filled, given_to, is_private

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
_SETTINGS = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text("utf-8"))
_URLS = _SETTINGS["project"].get("urls", {})
html_context = {"repository": _URLS.get("Repository")}  # no link until the owner sets it there
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

CHANGED = reference.update()  # it reads the classes as they are, before what follows

# Attributes' docstrings stand where a public class is defined, not where it is imported from.
for cls, home in reference.HOMES.items():
    cls.__module__ = home

# A class shows what it inherits from private classes as its own.
for name in galileo_sessions.__all__:
    cls = getattr(galileo_sessions, name)
    if isinstance(cls, type):
        analyzer = ModuleAnalyzer.for_module(cls.__module__)
        analyzer.analyze()
        order = analyzer.tagorder
        for base in filter(is_private, cls.__mro__):
            inherited = [each for each in vars(base) if each[0] != "_" and each not in vars(cls)]
            for member in inherited:
                setattr(cls, member, vars(base)[member])
                order[f"{name}.{member}"] = order[f"{base.__name__}.{member}"]


def keep_colons(_: Any, what: str, *given: Any) -> None:
    """
    Napoleon takes what stands before a colon in a field's first line for its type; an empty comment
    has none.
    """
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
    """
    A signature without type variables and with all keywords; none for what its readers never call.
    """
    signature = given[1]
    if signature and (what == "exception" or name in NEVER_CALLED):
        return "", None
    if not signature or what not in ("class", "method", "function"):
        return None
    owner = getattr(galileo_sessions, name.split(".")[1])  # of a method, its class
    signature = reference.signature_of(thing, owner, is_function=what == "function")
    return inspect.stringify_signature(signature, show_return_annotation=what != "class"), None


def bases_of(cls: type, given: dict[Any, Any]) -> Iterator[Any]:
    """
    The bases that readers know: public classes and Python's own; in place of a private one, its
    bases.
    """
    for written in vars(cls).get("__orig_bases__", cls.__bases__):
        base = get_origin(written) or written
        if is_private(base):
            yield from bases_of(base, given_to(cls))
        elif base not in (object, Generic):
            yield filled(written, given)


def show_bases(_: Any, what: str, name: str, thing: Any, *given: Any) -> None:
    """A class begins with its bases, where what it inherits is described."""
    if what in ("class", "exception"):
        bases = ", ".join([restify(base, "smart") for base in bases_of(thing, {})])
        if bases:
            given[-1][:0] = [f"Bases: {bases}", ""]


def find(app: Any, env: Any, node: Any, shown: Any) -> Any:
    """
    A public name where annotations have its module's, `galileo_sessions.filters.Filter`; others'
    names as text.
    """
    target = node.get("reftarget", "")
    name = target.rpartition(".")[2]
    if name in KNOWN_AS:
        node.clear()  # it holds the private name
        name = target = KNOWN_AS[name]
        shown = nodes.Text(name)
    if name in PUBLIC and target != PUBLIC[name]:
        return env.domains["py"].resolve_xref(
            env, node["refdoc"], app.builder, "obj", PUBLIC[name], node, shown
        )
    return None if target.startswith("galileo_sessions") else shown


def keep_whole(_: Any, page: nodes.document) -> None:
    """Marks code in a sentence if each of its words fits a telephone's line."""
    for code in page.findall(nodes.literal):
        if max(map(len, code.astext().split()), default=0) <= 36:
            code["classes"].append("whole")


def say(_: Any) -> None:
    """Fails the build if a page that is written from the code was old."""
    for page in CHANGED:
        logging.getLogger(__name__).warning("%s has changed; commit it", page)


def link(_: Any, page: str, source: list[str]) -> None:
    """Each name on that list leads to its description. In a clone, there is only the list."""
    if page == reference.NAMES.stem:
        named = r"^\* `(\w+)(\(.*?\))?`:"
        source[0] = re.sub(named, _linked, source[0], flags=re.MULTILINE)


def _linked(found: re.Match[str]) -> str:
    parameters = f" `{found[2]}`" if found[2] else ""
    return f"* {{py:obj}}`{found[1]} <{PUBLIC[found[1]]}>`{parameters}:"


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("builder-inited", say)
    app.connect("source-read", link)
    app.connect("autodoc-process-docstring", show_bases, priority=600)  # its links are marked up
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # before napoleon's 500
    app.connect("autodoc-process-docstring", mark_up)
    app.connect("autodoc-process-signature", sign)
    app.connect("missing-reference", find)
    app.connect("doctree-read", keep_whole)
