"""What `import galileo_sessions` shows, what survives a move of its files, and how its parts are named."""

import ast
import copy
import pickle
import subprocess
import sys
import typing
from collections import defaultdict
from pathlib import Path

import attrs
import pytest
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import Col

CLASSES = [name for name in gs.__all__ if isinstance(getattr(gs, name), type)]


def test_dir_shows_the_public_names():
    """`dir()` has what `__all__` has, and the version."""
    assert sorted([*gs.__all__, "__version__"]) == dir(gs)


@pytest.mark.parametrize("name", CLASSES)
def test_classes_say_where_they_are_imported_from(name):
    """A pickle names a class as users import it, so that it can be read after the class has moved to another file."""
    cls = getattr(gs, name)
    assert cls.__module__ == "galileo_sessions"
    assert pickle.loads(pickle.dumps(cls)) is cls


@pytest.mark.parametrize("name", CLASSES)
def test_type_hints_resolve(name):
    """`typing.get_type_hints` finds every type, as cattrs and other tools ask it to."""
    typing.get_type_hints(getattr(gs, name))


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


IDLE = ("cattrs", "difflib", "html", "zoneinfo")
"""What only errors, notebooks, zone names, and columns and projects from JSON need."""


def test_importing_the_package_imports_nothing_that_few_programs_need():
    """So `import galileo_sessions` takes little longer than `import aiohttp`."""
    program = "import sys, aiohttp; before = {*sys.modules}; import galileo_sessions; print(*({*sys.modules} - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "galileo_sessions" in done.stdout.split()
    assert [] == [name for name in IDLE if name in done.stdout.split()]
