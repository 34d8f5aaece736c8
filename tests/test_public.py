"""What `import galileo_sessions` shows, and what survives a move of its files."""

import pickle
import typing

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
