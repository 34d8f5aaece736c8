"""Credentials, from arguments and from the environment, and the headers that they become."""

from base64 import b64encode

import pytest
from support.servers import PROJECT

from galileo_sessions import ApiKeyAuth, BasicAuth, BearerAuth, GalileoSessions

COUNT_URL = f"https://api.galileo.ai/v2/projects/{PROJECT}/sessions/count"


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        pytest.param(ApiKeyAuth("k-1"), "Galileo-API-Key", "k-1", id="api-key"),
        pytest.param(ApiKeyAuth("k-1", header="Splunk-AO-API-Key"), "Splunk-AO-API-Key", "k-1", id="renamed-header"),
        pytest.param(BearerAuth("t-1"), "Authorization", "Bearer t-1", id="bearer"),
        pytest.param(BasicAuth("ann", "p:w"), "Authorization", f"Basic {b64encode(b'ann:p:w').decode()}", id="basic"),
    ],
)
async def test_ways_to_authenticate(shapes, auth, header, value):
    """Each kind of credentials is sent in its own header."""
    shapes.post(COUNT_URL, body='{"total_count": 1}')
    async with GalileoSessions(auth=auth) as galileo:
        await galileo.count(PROJECT)
    ((call,),) = shapes.requests.values()
    assert call.kwargs["headers"][header] == value


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({"GALILEO_API_KEY": "k"}, {"Galileo-API-Key": "k"}, id="key"),
        pytest.param(
            {"GALILEO_API_KEY": "k", "GALILEO_USERNAME": "u", "GALILEO_PASSWORD": "p"},
            {"Galileo-API-Key": "k"},
            id="key-before-password",
        ),
    ],
)
async def test_credentials_from_the_environment(shapes, monkeypatch, environment, expected):
    """The key in the environment takes precedence over a user name and a password."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shapes.post(COUNT_URL, body='{"total_count": 1}')
    async with GalileoSessions() as galileo:
        await galileo.count(PROJECT)
    ((call,),) = shapes.requests.values()
    assert expected.items() <= call.kwargs["headers"].items()


async def test_user_name_and_password_from_the_environment(shapes, monkeypatch):
    """GALILEO_USERNAME with GALILEO_PASSWORD logs in."""
    monkeypatch.setenv("GALILEO_USERNAME", "ann")
    monkeypatch.setenv("GALILEO_PASSWORD", "pw")
    shapes.post("https://api.galileo.ai/login", body='{"access_token": "t"}')
    shapes.post(COUNT_URL, body='{"total_count": 1}')
    async with GalileoSessions() as galileo:
        assert await galileo.count(PROJECT) == 1
