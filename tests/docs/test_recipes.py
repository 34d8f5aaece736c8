"""Pages can be read in a clone: lines to copy are true, and what they take from files is what the files say."""

import ast
import importlib
import importlib.util
import inspect
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.terminal import paste

from galileo_sessions import Col, load_filter

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
RECIPES = (DOCS / "recipes.md").read_text(encoding="utf-8")
ROWS = [(want, re.findall("`(.+?)`", code), answer) for want, code, answer in re.findall(
    r"^\| (.+?) \| (`.*`) \| ?(.*?) ?\|$", RECIPES, re.MULTILINE
)]  # fmt: skip
IN_WORDS = {"", "a drawing", "a list", "bars", "dicts", "an error", "a bar"}
"""Answers that are long, or depend on the day."""


@pytest.fixture
async def prompt(server) -> AsyncIterator[dict[str, Any]]:
    """A prompt into which the top of the page was pasted. A filter on a column that doesn't exist is refused."""
    names: dict[str, Any] = {}
    (set_up,) = re.findall(r"^```python set-up\n(.*?)^```$", RECIPES, re.DOTALL | re.MULTILINE)
    assert await paste(set_up, names) == ""
    yield names
    await names["galileo"].close()
    await names["other"].close()


async def typed(line: str, names: dict[str, Any]) -> object:
    """The value of a line; None for an assignment."""
    mode = "single" if re.match(r"\w+ = ", line) else "eval"
    value = eval(compile(line, "<prompt>", mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    return await value if inspect.isawaitable(value) else value


@pytest.mark.parametrize(("want", "lines", "answer"), ROWS, ids=[want for want, _, _ in ROWS])
async def test_each_line_gives_what_stands_beside_it(prompt, want, lines, answer):
    values = [await typed(line, prompt) for line in lines]
    value = round(values[-1], 3) if isinstance(values[-1], float) else values[-1]
    assert answer in IN_WORDS or answer == str(value)


def test_no_row_is_left_out():
    assert len(re.findall(r"^\| (?!I want|--)", RECIPES, re.MULTILINE)) == len(ROWS)


@pytest.mark.skipif(
    importlib.util.find_spec("galileo") is None, reason="Galileo's SDK isn't installed; it is in the group `sdk`"
)
def test_filters_of_the_sdk_stand_beside_the_same_filters():
    page = (DOCS / "from-the-sdk.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `((?:text|number|boolean|date)\(.*)` \| `(.*)` \|$", page, re.MULTILINE)
    leaves = ", ".join([f"{theirs}.to_dict()" for theirs, _ in rows])
    program = f"import json; from galileo.shared.filter import *; print(json.dumps([{leaves}]))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    expected = [load_filter({"filter": leaf}) for leaf in json.loads(printed)]
    assert expected == [eval(ours, {"Col": Col}) for _, ours in rows]
    assert rows


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_programs_on_pages_are_those_of_the_files(page):
    """A block that names a file shows some of its lines."""
    named = re.findall(r"^```python (\S+\.py)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    for name, shown in named:
        assert f"\n{shown}" in (DOCS / name).read_text(encoding="utf-8"), name


@pytest.mark.skipif(
    importlib.util.find_spec("sphinx") is None,
    reason="what builds the site isn't installed; it is in the group `docs`",
)
def test_the_pages_that_are_written_from_the_code_are_up_to_date(monkeypatch):
    """If not, `python docs/reference.py` writes them anew."""
    monkeypatch.syspath_prepend(DOCS)
    reference = importlib.import_module("reference")
    assert reference.NAMES.read_text(encoding="utf-8") == reference.listed()
    assert reference.MANUAL.read_text(encoding="utf-8") == reference.manual()
