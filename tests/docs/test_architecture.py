"""The page on the architecture is true: rooms, layers, and where things are."""

import re
import tomllib
from pathlib import Path

import pytest
from bench.size import sizes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_rooms_have_the_size_that_is_told():
    """Each folder has a row, whose lines of code are right to within a tenth."""
    told = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", PAGE, re.MULTILINE)
    lines, _ = sizes(None)
    folders = {name: count for name, count in lines.items() if name not in ("all", "(top)")}
    assert {name: int(count.replace(",", "")) for name, count in told} == pytest.approx(folders, rel=0.1)


def test_the_layers_are_those_that_are_checked():
    """The layers of each contract are shown in their order."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    for contract in [each for each in settings["importlinter"]["contracts"] if each["type"] == "layers"]:
        layers = " > ".join([layer.replace(" | ", ", ") for layer in contract["layers"]])
        room = contract["containers"][0].removeprefix("galileo_sessions.")
        assert re.search(rf"^{room} +{re.escape(layers)}$", PAGE, re.MULTILINE)


def test_each_thing_is_where_the_page_says():
    """Each row names files of the package, and after a colon what is defined in the first one."""
    rows = PAGE.partition("| what | where |\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert len(rows) > 30
    for row in rows:
        where, _, names = row.split("|")[2].partition(": ")
        files = [ROOT / "galileo_sessions" / f"{name}.py" for name in re.findall(r"`(\w+(?:/\w+)?)`", where)]
        lacking = [str(file) for file in files if not file.exists()]
        for name in re.findall(r"`(\w+)`", names):
            if not lacking and not re.search(rf"(def|class) {name}\b", files[0].read_text(encoding="utf-8")):
                lacking.append(name)
        assert (row, lacking) == (row, [])
