"""What `import galileo_sessions` shows, how errors and values are shown and pickled, and what a release needs."""

import copy
import inspect
import pickle
import re
import shutil
import subprocess
import sys
import tomllib
import typing
from datetime import date
from importlib.metadata import metadata, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import numpy as np
import pytest
from support.programs import Silent, nested_list
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, errors
from galileo_sessions.details import Attempt, Issue
from galileo_sessions.display import brief
from galileo_sessions.errors import GalileoError

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
FROZEN: list[Any] = [*LEAVES, A & ~A, gs.ALWAYS, gs.NEVER, ~A, CATALOG, CATALOG.info("b"), QUERY, FAILED]
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


def test_importing_the_package_imports_nothing_that_few_programs_need():
    program = "import sys, aiohttp; before = {*sys.modules}; import galileo_sessions; print(*({*sys.modules} - before))"
    imported = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert "galileo_sessions" in imported
    assert {"cattrs", "difflib", "html", "zoneinfo"}.isdisjoint(imported)


# ---- errors, and values in messages ----------------------------------------------------------------------------------

ERRORS = [cls for cls in vars(errors).values() if inspect.isclass(cls) and issubclass(cls, GalileoError)]
ISSUE = Issue(("body", "filter_tree", 0), "Field required", "missing", node=Col("a").eq(1))
RESPONSE: dict[str, Any] = {"status": 418, "headers": MappingProxyType({"x-trace": "t1"}), "body": "no"}
ARGUMENTS: dict[type[GalileoError], dict[str, Any]] = {
    errors.FilterDecodeError: {"path": ("and", 1)},
    errors.FilterParseError: {"text": "Col(", "offset": 4},
    errors.FilterCheckError: {"issues": (ISSUE,)},
    errors.AttemptTimeoutError: {"phase": "body"},
    errors.DeadlineExceededError: {"last": errors.DisconnectedError("gone")},
    errors.ValidationError: {"issues": (ISSUE,)},
    errors.RateLimitedError: {"retry_after": 1.5},
    errors.DecodeError: {"body": "[]"},
}
each_class = pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)


def built(cls: type[GalileoError]) -> GalileoError:
    """The error with a value in each attribute."""
    response = RESPONSE if issubclass(cls, errors.ResponseError) else {}
    error = cls("what went wrong:\nand\n└─ x", hint="Write y", **response, **ARGUMENTS.get(cls, {}))
    error.query = CountQuery(PROJECT, Col("a").gt(1), tag="t")
    error.attempts = (
        Attempt(1, 503, errors.ServerError("busy", **RESPONSE), waited=0.5, elapsed=1.0),
        Attempt(2, None, errors.DisconnectedError("gone"), waited=0.0, elapsed=30.0, query=error.query),
    )
    error.elapsed = 31.5
    error.add_note("a note")
    return error


@each_class
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_each_error_survives_a_pickle_and_a_copy(cls, copied):
    error = built(cls)
    again = copied(error)
    assert (cls, error, hash(error)) == (type(again), again, hash(again))
    assert again.query is again.attempts[1].query  # so a pickle has it once


@each_class
def test_an_error_has_its_message_the_project_the_attempts_the_drawing_and_the_hint(cls):
    error, notes = built(cls), f"(project {PROJECT}, 2 attempts, 0.5 s waited)"
    assert str(error) == f"what went wrong {notes}:\nand\n└─ x\nhint: Write y"
    given = ARGUMENTS.get(cls, {}) | (RESPONSE if isinstance(error, errors.ResponseError) else {})
    given |= {"message": "what went wrong:\nand\n└─ x", "hint": "Write y"}
    assert given == {name: getattr(error, name) for name in given}


def test_only_what_is_known_is_in_the_text():
    attempts = tuple(Attempt(number, 503, None, waited, 9.0) for number, waited in ((1, 0.25), (2, 0.5), (3, 1.0)))
    error = errors.ServerError("503: busy", status=503)
    error.attempts = attempts[:1]
    assert "503: busy" == str(error)
    error.attempts, error.hint = attempts, "Wait"
    assert "503: busy (3 attempts, 1.8 s waited)\nhint: Wait" == str(error)
    assert "ServerError('503: busy')" == repr(error)
    refused = errors.FilterTypeError("got None", hint="Leave it out")
    refused.call = "Col('a').eq(None)"
    assert "Col('a').eq(None): got None\nhint: Leave it out" == str(refused)


@pytest.mark.parametrize(("name", "value"), [("elapsed", 0.0), ("hint", ""), ("args", ("another",))])
def test_errors_are_equal_by_their_classes_texts_and_attributes(name, value):
    error, other = built(errors.FilterError), built(errors.FilterError)
    assert error == other
    setattr(other, name, value)
    assert error != other
    assert error != error.message
    assert errors.FilterError("m") != errors.FilterTypeError("m")


EMPTY: dict[str, Any] = {"query": None, "attempts": (), "elapsed": None, "report": None, "hint": "", "call": ""}
UNKNOWN: list[tuple[GalileoError, dict[str, Any]]] = [
    (errors.FilterDecodeError("m"), {"path": ()}),
    (errors.FilterCheckError("m"), {"issues": ()}),
    (errors.DeadlineExceededError("m"), {"last": None}),
    (errors.ValidationError("m", status=422), {"issues": (), "body": "", "headers": {}, "retry_after": None}),
    (errors.DecodeError("m"), {"body": ""}),
]


@pytest.mark.parametrize(("error", "more"), UNKNOWN, ids=lambda value: type(value).__name__)
def test_what_is_not_known_is_empty(error, more):
    assert {name: getattr(error, name) for name in EMPTY | more} == EMPTY | more


LOOP: list[Any] = []
LOOP.append(LOOP)
VALUES: dict[str, Any] = {
    "no repr": Silent(),
    "int": 10**1_000_000,
    "numpy": np.zeros((1000, 1000)),
    "text": "\ud800" * 1_000_000,
    "bytes": b"\0" * 1_000_000,
    "list": ["a" * 1_000] * 1_000_000,
    "121 characters": ("a" * 27, *["a" * 26] * 3),
    "dict": {i: {i: "a" * 1_000} for i in range(10_000)},
    "deep": nested_list(100_000),
    "loop": LOOP,
    "filter": Col("a").one_of(["a" * 1_000] * 1_000),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_any_value_is_shown_in_at_most_120_characters(value):
    text = brief(value)
    assert 0 < len(text) <= 120
    assert "\n" not in text or isinstance(value, np.ndarray)


def test_a_small_value_is_shown_as_its_repr_and_a_number_that_has_none_without_its_address():
    for value in (None, True, -1.5, 2**198, "it's", b"x", ["a", 1], {"a": [1]}, ("x",), {1, 2}, Col("a")):
        assert repr(value) == brief(value)
    assert brief(10**10_000) == "<int too long to show>"
    assert brief([10**10_000]) == "<list too long to show>"


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


LINKS = "[[tool.hatch.metadata.hooks.fancy-pypi-readme.substitutions]]\nreplacement = '{}'\n"
COMMIT = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "m"]


def test_a_release_waits_for_what_the_owner_must_add(tmp_path):
    """A licence, addresses, and a tag on the branch `main`; then nothing is missing."""
    for name in (".ci/release", ".ci/releasable.py", "galileo_sessions/version.py", "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)

    def clone(*command: str) -> tuple[int, list[str]]:
        finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return finished.returncode, finished.stderr.splitlines()

    tag, pyproject = f"v{gs.__version__}", tmp_path / "pyproject.toml"
    clone("git", "init", "-q", "--initial-branch=main")
    pyproject.write_text("[project]\n" + LINKS.format("unset:"))
    clone(*COMMIT, "--allow-empty")
    clone("git", "checkout", "-q", "-b", "other")
    clone("git", "add", ".")
    clone(*COMMIT)
    clone("git", "tag", tag)
    assert clone("bash", ".ci/release", tag) == (
        1,
        [
            "pyproject.toml has no license",
            "there is no file LICENSE",
            "pyproject.toml has no project.urls",
            "README's links on PyPI have no address: replace `unset:` in pyproject.toml",
            f"the tag {tag} isn't on main",
        ],
    )
    given = '[project]\nlicense = "MIT"\nurls = { Repository = "https://example.com" }\n'
    pyproject.write_text(given + LINKS.format("https://example.com/"))
    (tmp_path / "LICENSE").touch()
    clone("git", "checkout", "-q", "-B", "main", "other")
    assert clone(sys.executable, ".ci/releasable.py", tag) == (0, [])
    assert clone(sys.executable, ".ci/releasable.py", "v0")[1][0] == f"the tag is v0, the version {gs.__version__}"


def test_each_supported_python_runs_the_tests():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    beside = re.findall(r"3\.\d+", re.findall(r"^ +python: \[(.*)\]", workflow, re.MULTILINE)[0])
    within = [name for name in SETTINGS["tool"]["tox"]["env_list"] if name.startswith("3.")]
    supported = [line.split()[-1] for line in SETTINGS["project"]["classifiers"] if "Python :: 3." in line]
    assert supported == sorted([*within, *beside])
