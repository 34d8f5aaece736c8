"""The site: it builds without a warning, its reference is complete, and its pictures are up to date."""

import fcntl
import importlib.util
import os
import re
import subprocess
import sys
from html import unescape
from inspect import get_annotations, getsource
from pathlib import Path

import attrs
import pytest

import galileo_sessions.local

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

needs_sphinx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("sphinx", "furo", "myst_parser", "sphinx_copybutton"))),
    reason="what builds the site isn't installed; it is in the group `docs`",
)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once for all workers of a run; it builds without a warning, and without a network."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "site"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.joinpath("built").exists():
            command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", DOCS, folder]
            built = subprocess.run(command, capture_output=True, text=True)
            assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
            folder.joinpath("built").touch()
    return folder


PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (galileo_sessions, galileo_sessions.local)
    for name in module.__all__
}


@pytest.fixture(scope="session")
def entries(site: Path) -> dict[str, tuple[str, str]]:
    """The signature and the description of each name on the reference's pages."""
    entry = re.compile(r'<dt class="sig[^>]* id="([\w.]+)">(.*?)</dt>\s*<dd>(.*?)(?=<dt |</dd>)', re.DOTALL)
    pages = "".join(page.read_text(encoding="utf-8") for page in site.glob("api-*.html"))
    plain = [[unescape(re.sub(r"<[^>]+>", "", text)).strip() for text in found] for found in entry.findall(pages)]
    return {name: (signature, said) for name, signature, said in plain}


def attributes(cls: type) -> set[str]:
    """The public attributes, properties and methods that a class has from this package."""
    names: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.startswith("galileo_sessions"):
            source = getsource(base.__init__) if "__init__" in vars(base) and not attrs.has(base) else ""
            names |= {*vars(base), *get_annotations(base), *re.findall(r"self\.(\w+)(?:: .*)? = ", source)}
    return {name for name in names if not name.startswith("_")}


def described(entries: dict[str, tuple[str, str]], name: str) -> set[str]:
    """What has a description, in a class or in a base that the class names."""
    own = {entry.rpartition(".")[2] for entry, (_, said) in entries.items() if said and entry.startswith(f"{name}.")}
    (bases,) = re.findall(r"\A(?:Bases: (.*))?", entries.get(name, ("", ""))[1])
    return own.union(*[described(entries, f"galileo_sessions.{base}") for base in re.findall(r"\w+", bases)])


@needs_sphinx
def test_the_reference_describes_every_public_name(site, entries):
    """And each attribute, property and method of the classes, and nothing else. Its first page names each."""
    first_page = (site / "api.html").read_text(encoding="utf-8")
    assert [name for name in PUBLIC if entries.get(name, ("", ""))[1] == ""] == []
    assert [name for name in PUBLIC if name.rpartition(".")[2] not in first_page] == []
    assert [name for name in entries if name not in PUBLIC and name.rpartition(".")[0] not in PUBLIC] == []
    classes = {name: attributes(thing) for name, thing in PUBLIC.items() if isinstance(thing, type)}
    lacking = {name: names - described(entries, name) for name, names in classes.items()}
    assert lacking == {name: set() for name in classes}


@pytest.mark.thorough
def test_the_pictures_show_what_the_package_does():
    """Drawn again, none differs from its file; `python .bench/pictures.py` writes those that do."""
    command = [sys.executable, ROOT / ".bench" / "pictures.py", "--check"]
    drawn = subprocess.run(command, capture_output=True, text=True)
    assert (drawn.returncode, drawn.stdout, drawn.stderr) == (0, "", "")
