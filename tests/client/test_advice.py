"""What the errors of a client say to write counts what was meant."""

import re
from uuid import UUID

import pytest
from support.processes import IDS

import galileo_sessions as gs
from galileo_sessions import Col


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ((Col("score") > 3, IDS[0]), "The project comes first: count(project_id, where)"),
        ((Col("score") > 3, "billing"), "The project comes first: count(project_id, where)"),
        ((Col("score") > 3,), "The project comes first: count(project_id, where)"),
        ((Col("score") > 3, UUID(IDS[0])), "The project comes first: count(project_id, where)"),
        (("my project",), "not a name; the address of its page in the console has it"),
        ((3,), "Write an id such as 74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"),
    ],
    ids=["swapped", "swapped, name", "no project", "swapped, UUID", "name", "number"],
)
async def test_what_was_given_in_place_of_a_project_is_explained(arguments, advice):
    """Swapped arguments, and a name instead of an id, are recognised."""
    with pytest.raises((gs.ConfigurationError, gs.FilterTypeError), match=re.escape(advice)):
        await gs.GalileoSessions("k").count(*arguments)
