"""What `import galileo_sessions` shows, what survives a move of its files, and how its parts are named."""

import ast
import pickle
import typing
from collections import defaultdict
from pathlib import Path

import pytest

import galileo_sessions

CLASSES = [name for name in galileo_sessions.__all__ if isinstance(getattr(galileo_sessions, name), type)]


def test_dir_shows_the_public_names():
    """`dir()` has what `__all__` has, and the version."""
    assert sorted([*galileo_sessions.__all__, "__version__"]) == dir(galileo_sessions)


@pytest.mark.parametrize("name", CLASSES)
def test_classes_say_where_they_are_imported_from(name):
    """A pickle names a class as users import it, so that it can be read after the class has moved to another file."""
    cls = getattr(galileo_sessions, name)
    assert cls.__module__ == "galileo_sessions"
    assert pickle.loads(pickle.dumps(cls)) is cls


@pytest.mark.parametrize("name", CLASSES)
def test_type_hints_resolve(name):
    """`typing.get_type_hints` finds every type, as cattrs and other tools ask it to."""
    typing.get_type_hints(getattr(galileo_sessions, name))


KINDS = {"modules": ast.Module, "public classes": ast.ClassDef, "functions": ast.FunctionDef | ast.AsyncFunctionDef}


@pytest.mark.parametrize("kind", KINDS)
def test_each_name_leads_to_one_place(kind):
    """No two modules share a name, no two public classes, and no two functions of modules, private ones included."""
    package, files = Path(galileo_sessions.__file__).parent, defaultdict[str, set[str]](set)
    for file in package.rglob("*.py"):
        module = ast.parse(file.read_text(encoding="utf-8"))
        for node in (module, *module.body):
            name = file.stem if node is module else getattr(node, "name", "")
            is_counted = not name.startswith("__") and not (kind == "public classes" and name.startswith("_"))
            if isinstance(node, KINDS[kind]) and is_counted:
                files[name].add(file.relative_to(package).as_posix())
    assert {name: sorted(places) for name, places in files.items() if len(places) > 1} == {}
