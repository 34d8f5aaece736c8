"""What the errors of a client say to write counts what was meant."""

import re
import sys
from pathlib import Path
from uuid import UUID

import pytest
from support.processes import IDS

import galileo_sessions as gs
from galileo_sessions import Col


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ((Col("score") > 3, IDS[0]), "The project comes before the filter"),
        ((Col("score") > 3, "billing"), "The project comes before the filter"),
        ((Col("score") > 3,), "The project comes before the filter"),
        ((Col("score") > 3, UUID(IDS[0])), "The project comes before the filter"),
        (("my project",), "or await galileo.project('my project') for a name"),
        (([IDS[0]],), "For several projects write count_all([...])"),
        ((3,), "Write an id such as 74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"),
    ],
    ids=["swapped", "swapped, name", "no project", "swapped, UUID", "name", "list", "number"],
)
async def test_what_was_given_in_place_of_a_project_is_explained(arguments, advice):
    """Swapped arguments, and a name instead of an id, are recognised."""
    with pytest.raises((gs.ConfigurationError, gs.FilterTypeError), match=re.escape(advice)):
        await gs.GalileoSessions("k").count(*arguments)


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda galileo: galileo.count_all(Col("score") > 3, [IDS[0]]), "The targets come before the filter"),
        (lambda galileo: galileo.count_all([Col("score") > 3], fail_fast=True), "The project comes before the filter"),
        (lambda galileo: galileo.count_all(None), "targets must be a list of ids or queries, got None"),
        (lambda galileo: galileo.count(IDS[0], [IDS[0]]), "The project comes before the filter"),
        (lambda galileo: galileo.count_by(Col("score") > 3, {"a": Col("score") > 3}), "The project comes before"),
    ],
    ids=["all", "list of filters", "None", "ids as where", "by"],
)
async def test_what_was_given_in_place_of_targets_is_explained(call, advice):
    """The other methods recognise swapped arguments too, and that there are no targets."""
    async with gs.GalileoSessions("k") as galileo:
        with pytest.raises((gs.ConfigurationError, gs.FilterTypeError), match=re.escape(advice)):
            await call(galileo)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python 3.14 says more")
async def test_what_python_says_stands_on_the_page_of_errors():
    """The page of errors has what Python itself says of three mistakes."""
    said = []
    async with gs.GalileoSessions("k") as galileo:
        report, stream = galileo.count_all([]), galileo.count_many([])
        with pytest.raises(TypeError) as caught:
            async with report:
                pass
        said.append(str(caught.value))
        report.close()
        with pytest.raises(TypeError) as caught:
            await stream
        said.append(str(caught.value))
        with pytest.raises(TypeError) as caught:
            with galileo:
                pass
        said.append(str(caught.value))
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `([^`]*)` \| [^|]*\|$", page.partition("## Python's own errors")[2], re.MULTILINE)
    assert said == shown
