"""Where the API is: the spellings of `base_url=` and of the URLs in the environment."""

import pytest
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import GalileoSessions

AS_IT_IS = None
SPELLINGS: dict[str, tuple[str | None, str | None]] = {
    # written: the API's URL if it is the console's URL, and if it is the API's; "" for an error
    "https://app.galileo.ai": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "https://app.galileo.ai/": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "https://APP.galileo.ai/project/1/log-streams?tab=2#x": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "http://app.galileo.ai:80": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "app.galileo.ai": ("https://api.galileo.ai", ""),
    " app.galileo.ai\n": ("https://api.galileo.ai", ""),
    "https://eu.app.galileo.ai": ("https://api.galileo.ai", AS_IT_IS),
    "https://api.galileo.ai/": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "https://console.acme.com": ("https://api.acme.com", "https://api.acme.com"),
    "https://console.acme.com/foo/bar": ("https://api.acme.com", "https://api.acme.com"),
    "https://console.acme.com/foo/?a=b#c": ("https://api.acme.com", "https://api.acme.com"),
    "console.acme.com:8443/foo": ("https://api.acme.com:8443", ""),
    "https://Console.Acme.com": ("https://api.acme.com", "https://api.acme.com"),
    "https://console-dev.acme.com:8443/": ("https://api-dev.acme.com:8443", "https://api-dev.acme.com:8443"),
    "https://galileo-console.acme.com": ("https://galileo-api.acme.com", "https://galileo-api.acme.com"),
    "galileo-console.acme.com": ("https://galileo-api.acme.com", ""),
    "https://console.galileo.acme.com/x": ("https://api.galileo.acme.com", "https://api.galileo.acme.com"),
    "https://eu.console.acme.com": ("https://eu.api.acme.com", "https://eu.api.acme.com"),
    "https://console.consoleworks.com": ("https://api.apiworks.com", "https://api.consoleworks.com"),
    "https://api.consoleworks.com": ("https://api.apiworks.com", AS_IT_IS),
    "https://api.consoleworks.com/console/": ("https://api.apiworks.com", "https://api.consoleworks.com/console"),
    "https://myconsole.acme.com/x": ("https://myapi.acme.com", AS_IT_IS),
    "https://a-console-b.acme.com": ("https://a-api-b.acme.com", AS_IT_IS),
    "https://gateway.acme.com/galileo/api/": ("https://gateway.acme.com", "https://gateway.acme.com/galileo/api"),
    "https://galileo.acme.com/?a=b": ("https://galileo.acme.com", ""),
    "https://galileo.acme.com/#c": ("https://galileo.acme.com", ""),
    "https://10.0.0.5:8088/x": ("https://10.0.0.5:8088", AS_IT_IS),
    "10.0.0.5:8088": ("https://10.0.0.5:8088", ""),
    "localhost:8088": ("http://localhost:8088", ""),
    "http://localhost:8088/console": (AS_IT_IS, AS_IT_IS),
    "http://127.0.0.1:3000/": ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
    "127.0.0.1": ("http://127.0.0.1", ""),
    "https://[::1]:8/x": (AS_IT_IS, AS_IT_IS),
    "http://[::1]:8": (AS_IT_IS, AS_IT_IS),
    "HTTP://127.0.0.9\n": ("http://127.0.0.9", "http://127.0.0.9"),
    "http://console.acme.com": ("", ""),
    "https://ann@console.acme.com": ("", ""),
    "console": ("", ""),
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1gFWFOEjXk": ("", ""),
}
NAMES = {"GALILEO_CONSOLE_URL": 0, "SPLUNK_AO_CONSOLE_URL": 0}
NAMES |= dict.fromkeys(("GALILEO_API_URL", "SPLUNK_AO_API_URL", "base_url"), 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("written", SPELLINGS)
def test_where_the_api_is(monkeypatch, written, name):
    """A console's URL is turned into its API's; elsewhere, only an unmistakable one. Else the address stays."""
    expected = SPELLINGS[written][NAMES[name]]
    if name != "base_url":
        monkeypatch.setenv(name, written)
    arguments = {"base_url": written} if name == "base_url" else {}
    if expected == "":
        with pytest.raises(gs.ConfigurationError, match=f"^{name} ") as caught:
            GalileoSessions("k", **arguments)
        assert written not in str(caught.value)
    else:
        assert repr(GalileoSessions("k", **arguments)) == f"GalileoSessions(base_url='{expected or written}')"


async def test_a_url_that_aiohttp_refuses():
    """A base URL that only aiohttp rejects raises a ConfigurationError, too."""
    async with GalileoSessions("k", base_url="https://x..y") as galileo:
        with pytest.raises(gs.ConfigurationError, match="base_url"):
            await galileo.count(PROJECT)
