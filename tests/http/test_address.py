"""Where the API is: `base_url=` and the URLs in the environment."""

import pytest
from support.sockets import PROJECT, http, raw_server

import galileo_sessions as gs
from galileo_sessions import GalileoSessions


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        pytest.param({}, "https://api.galileo.ai", id="public"),
        pytest.param({"GALILEO_API_URL": "https://api.x.io/"}, "https://api.x.io", id="api-url"),
        pytest.param({"GALILEO_CONSOLE_URL": "https://app.galileo.ai/"}, "https://api.galileo.ai", id="app"),
        pytest.param({"GALILEO_CONSOLE_URL": "https://console.x.io"}, "https://api.x.io", id="console-dot"),
        pytest.param({"GALILEO_CONSOLE_URL": "https://console-dev.x.io:8443"}, "https://api-dev.x.io:8443", id="dash"),
        pytest.param({"GALILEO_CONSOLE_URL": "https://g.x.io/console."}, "https://g.x.io/console.", id="as-it-is"),
        pytest.param({"GALILEO_CONSOLE_URL": "https://a.io/app.galileo.ai"}, "https://a.io/app.galileo.ai", id="path"),
        pytest.param(
            {"GALILEO_API_URL": "https://api.x.io", "GALILEO_CONSOLE_URL": "https://app.galileo.ai"},
            "https://api.x.io",
            id="api-url-first",
        ),
    ],
)
def test_where_the_api_is(monkeypatch, environment, url):
    """The environment names the API, or its console, whose host is turned into the API's host."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert repr(GalileoSessions("k")) == f"GalileoSessions(base_url='{url}')"


async def test_a_base_path_is_kept():
    """A path in the base URL, as gateways have it, precedes the path of the API."""
    async with raw_server(http()) as server, GalileoSessions("k", base_url=f"{server.url}/gate/way/") as galileo:
        assert await galileo.count(PROJECT) == 7
    assert server.requests[0].startswith(f"POST /gate/way/v2/projects/{PROJECT}/sessions/count HTTP/1.1".encode())


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.9", "http://[::1]:8", "HTTPS://X.io\n"])
def test_loopback_may_go_without_tls(url):
    """http is accepted if the host is loopback."""
    assert GalileoSessions("k", base_url=url)


async def test_a_url_that_aiohttp_refuses():
    """A base URL that only aiohttp rejects raises a ConfigurationError, too."""
    async with GalileoSessions("k", base_url="https://x..y") as galileo:
        with pytest.raises(gs.ConfigurationError, match="base_url"):
            await galileo.count(PROJECT)
