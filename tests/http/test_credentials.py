"""Credentials, from arguments and from the environment, and the headers that they become."""

import os
from base64 import b64encode

import pytest
from support.servers import PROJECT

from galileo_sessions import ApiKeyAuth, BasicAuth, BearerAuth, ConfigurationError, GalileoSessions, PasswordAuth

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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({}, ["no credentials", "GALILEO_API_KEY", "api_key="], id="none"),
        pytest.param({"api_key": "k", "auth": BearerAuth("t")}, ["api_key", "auth", "one of them"], id="two"),
        pytest.param({"auth": "k"}, ["auth must be an ApiKeyAuth"], id="auth-as-text"),
    ],
)
def test_no_credentials_or_too_many_are_refused(arguments, words):
    """Missing, ambiguous or mistyped credentials raise an error that says what to write."""
    with pytest.raises(ConfigurationError) as caught:
        GalileoSessions(**arguments)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda: ApiKeyAuth(""), ["API key", "must be non-empty text"], id="empty"),
        pytest.param(lambda: ApiKeyAuth("s3cret\n"), ["API key", "line break", "Strip"], id="line-break"),
        pytest.param(lambda: ApiKeyAuth("s3cr\x00et"), ["API key", "ASCII"], id="nul"),
        pytest.param(lambda: BearerAuth("s3cr€t"), ["token", "ASCII"], id="not-ascii"),
        pytest.param(lambda: ApiKeyAuth(None), ["API key", "must be non-empty text"], id="none"),
        pytest.param(lambda: PasswordAuth("u", ""), ["password", "empty"], id="password"),
        pytest.param(lambda: BasicAuth("a:b", "p"), ["user name", "colon"], id="colon"),
        pytest.param(lambda: ApiKeyAuth("s3cret", header="bad header"), ["header", "'bad header'"], id="header-name"),
    ],
)
def test_bad_credentials_are_refused_without_showing_them(make, words):
    """Credentials that a header can't carry are rejected when they are made."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert [word for word in words if word not in str(caught.value)] == []
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize("name", ["GALILEO_USERNAME", "GALILEO_PASSWORD"])
def test_a_password_of_the_environment_that_is_no_utf_8(monkeypatch, name):
    """Bytes of the environment that aren't UTF-8 are refused, and aren't in the error's arguments."""
    monkeypatch.setenv("GALILEO_USERNAME", "ann")
    monkeypatch.setenv("GALILEO_PASSWORD", "pw")
    monkeypatch.setenv(name, os.fsdecode(b"s3cr\xe4t"))
    with pytest.raises(ConfigurationError, match="UTF-8") as caught:
        GalileoSessions()
    assert "s3cr" not in repr(caught.value.args)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("missing", ["GALILEO_USERNAME", "GALILEO_PASSWORD"])
def test_half_a_login_is_named(monkeypatch, missing):
    """If only the user name or only the password is set, the error names the other one."""
    monkeypatch.setenv("GALILEO_USERNAME", "ann")
    monkeypatch.setenv("GALILEO_PASSWORD", "pw")
    monkeypatch.delenv(missing)
    with pytest.raises(ConfigurationError, match=missing):
        GalileoSessions()
