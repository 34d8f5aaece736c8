"""How short the way of one count through the package is."""

import sys
from pathlib import Path

from support.inside import replace_post
from support.sockets import PROJECT

import galileo_sessions
from galileo_sessions import Col, GalileoSessions
from galileo_sessions.api.responses import Response

PACKAGE = Path(galileo_sessions.__file__).parent


def path() -> list[str]:
    """The functions of the package that called the current one, the outermost first."""
    names: list[str] = []
    frame = sys._getframe(1)
    while frame is not None:
        if Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
            names.append(frame.f_code.co_qualname)
        frame = frame.f_back
    return names[::-1]


async def test_three_hops_lead_to_the_network() -> None:
    """A count or a worker calls `send`, that calls `post` of the credentials, and that `post` of the transport."""
    paths: list[list[str]] = []

    async def post(_: str) -> Response:
        paths.append(path())
        return Response(200, {}, b'{"total_count":7}')

    async with GalileoSessions("k") as galileo:
        replace_post(galileo, post)
        assert await galileo.count(PROJECT, Col("input").contains("x")) == 7
        assert (await galileo.count_all([PROJECT])).total == 7
    below = ["Requester.send", "Authentication.post"]
    assert paths == [["GalileoSessions.count", *below], ["CountStream._work", *below]]
