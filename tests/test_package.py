"""What `import galileo_sessions` shows, what survives a move of its files, and what a release needs."""

import ast
import copy
import pickle
import re
import subprocess
import sys
import tomllib
import typing
from collections import defaultdict
from datetime import date
from importlib.metadata import metadata, version
from pathlib import Path

import attrs
import pytest
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import Col

CLASSES = [name for name in gs.__all__ if isinstance(getattr(gs, name), type)]


def test_dir_shows_the_public_names_and_the_version():
    assert dir(gs) == sorted([*gs.__all__, "__version__"])


@pytest.mark.parametrize("name", CLASSES)
def test_classes_say_where_they_are_imported_from(name):
    """So a pickle can be read after the class has moved to another file; and tools find the types of its hints."""
    cls = getattr(gs, name)
    assert cls.__module__ == "galileo_sessions"
    assert pickle.loads(pickle.dumps(cls)) is cls
    typing.get_type_hints(cls)


A = Col("a") > 1
LEAVES = [A, Col("a").eq("x"), Col("a").is_true(), Col.date("a").gt("2026-01-31T09:00:00Z")]
LEAVES += [Col.id("a").eq("x"), Col.collection("a").one_of(["x"]), gs.FullyAnnotatedFilter([PROJECT])]
CATALOG = gs.ColumnCatalog.of({"metrics/a": "number"}, b="text")
QUERY = gs.CountQuery(PROJECT, A, experiment_id=PROJECT, tag="t")
FAILED = gs.Attempt(1, 503, gs.ServerError("busy", status=503), waited=0.5, elapsed=1.0, query=QUERY)
FROZEN: list[typing.Any] = [*LEAVES, A & ~A, gs.ALWAYS, gs.NEVER, ~A, CATALOG, CATALOG.info("b"), QUERY, FAILED]
FROZEN += [Col.number("n").bins(0, 1).with_rest("none")]
FROZEN += [gs.Issue(("body", 0), "Field required", "missing", node=A), gs.Limits(), gs.Retry(), gs.Timeouts()]


@pytest.mark.parametrize("value", FROZEN, ids=lambda value: type(value).__name__)
def test_a_value_cannot_be_changed_and_survives_a_pickle_and_copies(value):
    """No attribute or item can be set or deleted; each copy has the same type, hash and attributes, of any depth."""
    names = [field.name for field in attrs.fields(type(value))]
    for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert (type(again), again, hash(again)) == (type(value), value, hash(value))
        assert [repr(getattr(again, name)) for name in names] == [repr(getattr(value, name)) for name in names]
    for name in [*names, "other"]:
        with pytest.raises(AttributeError):
            setattr(value, name, None)
        with pytest.raises(AttributeError):
            delattr(value, name)
    for change in ("value['a'] = 1", "del value['a']"):
        with pytest.raises(TypeError):
            exec(change, {"value": value})


KINDS = {"modules": ast.Module, "public classes": ast.ClassDef, "functions": ast.FunctionDef | ast.AsyncFunctionDef}


@pytest.mark.parametrize("kind", KINDS)
def test_each_name_leads_to_one_place(kind):
    """No two modules share a name, no two public classes, and no two functions of modules, private ones included."""
    package, files = Path(gs.__file__).parent, defaultdict[str, set[str]](set)
    for file in package.rglob("*.py"):
        module = ast.parse(file.read_text(encoding="utf-8"))
        for node in (module, *module.body):
            name = file.stem if node is module else getattr(node, "name", "")
            is_counted = not name.startswith("__") and not (kind == "public classes" and name.startswith("_"))
            if isinstance(node, KINDS[kind]) and is_counted:
                files[name].add(file.relative_to(package).as_posix())
    assert {name: sorted(places) for name, places in files.items() if len(places) > 1} == {}


def test_importing_the_package_imports_nothing_that_few_programs_need():
    program = "import sys, aiohttp; before = {*sys.modules}; import galileo_sessions; print(*({*sys.modules} - before))"
    imported = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert "galileo_sessions" in imported
    assert {"cattrs", "difflib", "html", "zoneinfo"}.isdisjoint(imported)


# ---- releases --------------------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]
CHANGES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def test_the_version_is_what_pip_and_the_command_line_show():
    printed = subprocess.check_output([sys.executable, "-m", "galileo_sessions", "--version"], text=True)
    assert gs.__version__ == version("galileo-sessions") == printed.split()[-1]


def test_the_changelog_has_a_dated_section_for_this_version():
    """It stands right below `Unreleased`, and each section is newer than the next."""
    unreleased, *sections = [line.removeprefix("## ") for line in CHANGES if line.startswith("## ")]
    released, days = zip(*[section.split(" - ") for section in sections], strict=True)
    assert (unreleased, released[0]) == ("[Unreleased]", f"[{gs.__version__}]")
    assert [*days] == sorted(map(str, map(date.fromisoformat, days)), reverse=True)


def test_the_changelog_says_nothing_twice():
    lines = [line for line in CHANGES if line.startswith("- ")]
    assert sorted(set(lines)) == sorted(lines)


def test_the_description_on_pypi_has_its_programs_and_no_relative_link_or_picture():
    description = metadata("galileo-sessions").json["description"]
    text = FENCE.sub("", description)
    assert [] == re.findall(r"\]\((?!https?:|#)[^)]*\)|(?:src|srcset|href)=\"(?!https?:)[^\"]*\"|unset:", text)
    assert any("GalileoSessions()" in program for program in FENCE.findall(description))


def test_the_metadata_names_what_users_install():
    """Its extras are those of README and of the pages; what changes the package needs beside them is in groups."""
    assert ["cli", "examples", "pytest", "test"] == sorted(metadata("galileo-sessions").get_all("Provides-Extra"))
    assert "galileo-sessions[test]" in SETTINGS["dependency-groups"]["dev"]  # `uv run pytest` installs it


def test_each_requirement_has_a_lowest_version_and_no_other_limit():
    """So `.ci/lowest.py` can write these versions, and the environment `lowest` tests just them."""
    project = SETTINGS["project"]
    lines = sum(project["optional-dependencies"].values(), project["dependencies"])
    own = "galileo-sessions[cli,pytest]"
    assert [own] == [line for line in lines if not re.fullmatch(r"[a-z-]+(\[[a-z]+\])?>=[0-9.b]+", line)]


def test_each_supported_python_runs_the_tests():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    beside = re.findall(r"3\.\d+", re.findall(r"^ +python: \[(.*)\]", workflow, re.MULTILINE)[0])
    within = [name for name in SETTINGS["tool"]["tox"]["env_list"] if name.startswith("3.")]
    supported = [line.split()[-1] for line in SETTINGS["project"]["classifiers"] if "Python :: 3." in line]
    assert supported == sorted([*within, *beside])
