"""What a release needs: one version, a dated section of the changelog, and a description that works elsewhere."""

import re
import subprocess
import sys
import tomllib
from datetime import date
from importlib.metadata import metadata, version
from pathlib import Path

import galileo_sessions

ROOT = Path(__file__).parents[1]
CHANGES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def test_the_version_is_the_same_wherever_a_user_reads_it():
    """`galileo_sessions.__version__` is what pip and `--version` show."""
    printed = subprocess.check_output([sys.executable, "-m", "galileo_sessions", "--version"], text=True)
    assert galileo_sessions.__version__ == version("galileo-sessions") == printed.split()[-1]


def test_the_changelog_has_a_dated_section_for_this_version():
    """It stands right below `Unreleased`, and each section is newer than the next."""
    unreleased, *sections = [line.removeprefix("## ") for line in CHANGES if line.startswith("## ")]
    released, days = zip(*[section.split(" - ") for section in sections], strict=True)
    assert (unreleased, released[0]) == ("[Unreleased]", f"[{galileo_sessions.__version__}]")
    assert [*days] == sorted(map(str, map(date.fromisoformat, days)), reverse=True)


def test_the_changelog_says_nothing_twice():
    """Merging two branches can leave a line twice."""
    lines = [line for line in CHANGES if line.startswith("- ")]
    assert sorted(set(lines)) == sorted(lines)


def test_the_description_on_pypi_has_no_relative_link():
    """Nor a relative picture, nor a remnant of one; its programs stay."""
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
    """In an environment of `.ci/run`, or on GitHub beside it."""
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    beside = re.findall(r"3\.\d+", re.findall(r"^ +python: \[(.*)\]", workflow, re.MULTILINE)[0])
    within = [name for name in SETTINGS["tool"]["tox"]["env_list"] if name.startswith("3.")]
    supported = [line.split()[-1] for line in SETTINGS["project"]["classifiers"] if "Python :: 3." in line]
    assert supported == sorted([*within, *beside])
