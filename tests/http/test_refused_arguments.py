"""What credentials and `GalileoSessions` refuse, from arguments and from the environment, without showing a secret."""

import warnings
from collections.abc import Callable

import aiohttp
import pytest
from support.shown import our_frames, visible_text

import galileo_sessions as gs
from galileo_sessions import ApiKeyAuth, BasicAuth, BearerAuth, GalileoSessions, Limits, PasswordAuth, Secret

SECRET = "s3cr3t-" + "".join(f"{number:x}" for number in range(1_000, 1_040))
PARTS = [SECRET[:10], SECRET[40:50], SECRET[-10:]]
LOGIN = f"ann:{SECRET}"
NOTHING = "no credentials: GALILEO_API_KEY isn't set\nhint: "
EMPTY = "must be text that isn't empty"
SECRET_STR = "is a SecretStr, not text\nhint: Pass its .get_secret_value()"
NO_UTF_8 = "isn't valid UTF-8\nhint: Check how the environment or the file was encoded"
SPACE = "begins or ends with white space, perhaps a line break from a file\nhint: Strip it"
NOT_ASCII = "has a character that isn't printable ASCII"
NO_NAME = "has a name that HTTP doesn't allow"
OURS = "is set by the client itself\nhint: For credentials pass auth="
NO_URL = (
    "must be an http(s) URL such as https://api.galileo.ai\n"
    "hint: Write https:// before a host; a key belongs in GALILEO_API_KEY, or api_key="
)
CREDENTIALS = "holds credentials\nhint: Set GALILEO_USERNAME and GALILEO_PASSWORD, or pass auth=BasicAuth(...)"
NO_QUERY = "has a query or a fragment\nhint: Leave out what follows the path"
NO_OBJECT = "GALILEO_EXTRA_HEADERS must be a JSON object\nhint: Write it as "
A_HEADER = "a header in GALILEO_EXTRA_HEADERS"
NO_PROXY = "must be an http(s) URL such as http://proxy.example.com:8080"
NO_LOGIN = "must have no colon in its user name, and only Latin-1 in its credentials"
NO_AUTH = "auth must be an ApiKeyAuth, a BearerAuth, a PasswordAuth or a BasicAuth\nhint: For an API key write api_key="


class SecretStr:
    """As pydantic's, which isn't text."""

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """The text."""
        return self._value

    def __repr__(self) -> str:
        return "SecretStr('**********')"


CREDENTIAL_ROWS: dict[str, tuple[Callable[[], object], str]] = {
    "no key": (lambda: ApiKeyAuth(""), f"the API key {EMPTY}"),
    "key of no variable": (lambda: ApiKeyAuth(None), f"the API key {EMPTY}"),  # type: ignore[arg-type]
    "key as bytes": (lambda: GalileoSessions(SECRET.encode()), f"the API key {EMPTY}"),  # type: ignore[arg-type]
    "key as list": (lambda: GalileoSessions([SECRET]), f"the API key {EMPTY}"),  # type: ignore[arg-type]
    "key as SecretStr": (lambda: GalileoSessions(SecretStr(SECRET)), f"the API key {SECRET_STR}"),  # type: ignore[arg-type]
    "key, of a Secret": (lambda: ApiKeyAuth(Secret(SecretStr(SECRET))), f"the API key {SECRET_STR}"),  # type: ignore[arg-type]
    "token as SecretStr": (lambda: BearerAuth(SecretStr(SECRET)), f"the token {SECRET_STR}"),  # type: ignore[arg-type]
    "password as SecretStr": (lambda: PasswordAuth("ann", SecretStr(SECRET)), f"the password {SECRET_STR}"),  # type: ignore[arg-type]
    "key, line break": (lambda: GalileoSessions(SECRET + "\n"), f"the API key {SPACE}"),
    "key, space": (lambda: ApiKeyAuth(" " + SECRET), f"the API key {SPACE}"),
    "key, NUL": (lambda: ApiKeyAuth(SECRET + "\0"), f"the API key {NOT_ASCII}"),
    "key, not ASCII": (lambda: GalileoSessions(api_key=SECRET + "é"), f"the API key {NOT_ASCII}"),
    "name of its header": (lambda: ApiKeyAuth(SECRET, header="a b"), f"the header {NO_NAME}"),
    "no name of its header": (lambda: ApiKeyAuth(SECRET, header=""), f"the header {NO_NAME}"),
    "token": (lambda: BearerAuth(SECRET + "€"), f"the token {NOT_ASCII}"),
    "no password": (lambda: PasswordAuth("ann", ""), f"the password {EMPTY}"),
    "password as bytes": (lambda: PasswordAuth("ann", SECRET.encode()), f"the password {EMPTY}"),  # type: ignore[arg-type]
    "password, no UTF-8": (lambda: PasswordAuth("ann", SECRET + "\udcff"), f"the password {NO_UTF_8}"),
    "basic, no UTF-8": (lambda: BasicAuth("ann", SECRET + "\udcff"), f"the password {NO_UTF_8}"),
    "user with a colon": (lambda: BasicAuth(Secret(SECRET + ":"), "p"), "the user name of a BasicAuth must not have a"),
    "key and auth": (lambda: GalileoSessions(SECRET, auth=BearerAuth(SECRET)), "api_key and auth can't both be given"),
    "key as auth": (lambda: GalileoSessions(auth=SECRET), NO_AUTH),  # type: ignore[arg-type]
    "key and key as auth": (lambda: GalileoSessions(SECRET, auth=SECRET), NO_AUTH),  # type: ignore[arg-type]
}

NO_URLS = {
    "a key": SECRET,
    "Secret": Secret(SECRET),
    "bytes": f"https://{LOGIN}@x.io".encode(),
    "no scheme": f"{LOGIN}@api.x.io",
    "another scheme": f"ftp://api.x.io/#{SECRET}",
    "no host": f"https://{LOGIN}%40gw",
    "odd host": f"https://{LOGIN}@[::1]x",
    "host before IPv6": f"http://{SECRET}[::1]",
    "nothing after @": f"https://{SECRET}[::1]@",
    "backslash": f"https://{SECRET}\\b",
    "long label": "https://" + "ä" * 70,
    "surrogate": "https://h\ud800/",
    "soft hyphen": "https://\xad",
    "no Punycode": f"https://xn--.{SECRET}",
    "placeholder": f"https://<{SECRET}>.x.io",
    "bad port": f"https://{LOGIN}@api.x.io:port",
    "large port": "https://x:99999",
}
NO_PROXIES = [SECRET, Secret(SECRET), [SECRET], f"socks5://{LOGIN}@proxy.x.io", f"http://<{SECRET}>", "http://"]
ARGUMENT_ROWS: dict[str, tuple[dict[str, object], str]] = {
    **{f"base_url, {name}": ({"base_url": url}, f"base_url {NO_URL}") for name, url in NO_URLS.items()},
    **{f"proxy {number}": ({"proxy": url}, f"proxy {NO_PROXY}") for number, url in enumerate(NO_PROXIES)},
    "base_url, query for host": ({"base_url": f"https://h?key={SECRET}@x"}, f"base_url {NO_QUERY}"),
    "base_url, password": ({"base_url": f"https://{LOGIN}@api.x.io"}, f"base_url {CREDENTIALS}"),
    "base_url, user": ({"base_url": f"https://{SECRET}@api.x.io"}, f"base_url {CREDENTIALS}"),
    "base_url, query": ({"base_url": f"https://api.x.io/?key={SECRET}"}, f"base_url {NO_QUERY}"),
    "base_url, http": ({"base_url": f"http://{SECRET}.io"}, "base_url would send the key unencrypted\nhint: Write"),
    "base_url, console": ({"base_url": f"https://{SECRET}:@app.galileo.ai"}, f"base_url {CREDENTIALS}"),
    "proxy, bad port": ({"proxy": f"http://{LOGIN}@proxy.x.io:port"}, f"proxy {NO_PROXY}"),
    "proxy, user with a colon": ({"proxy": f"http://ann%3A:{SECRET}@proxy.x.io"}, f"proxy {NO_LOGIN}"),
    "proxy, password": ({"proxy": f"http://{LOGIN}%E2%82%AC@proxy.x.io"}, f"proxy {NO_LOGIN}"),
    "header, name": ({"headers": {"X-Key": SECRET, "a b": SECRET}}, f"the header 'a b' {NO_NAME}"),
    "header, value": ({"headers": {"X-Key": SECRET + "\n"}}, f"the header 'X-Key' {SPACE}"),
    "header, line": ({"headers": {"X-Key": f"a\n{SECRET}"}}, f"the header 'X-Key' {NOT_ASCII}"),
    "header, Secret": ({"headers": {"X-Key": Secret(SECRET + "\n")}}, f"the header 'X-Key' {SPACE}"),
    "headers, Secret": ({"headers": Secret({"X-Key": SECRET + "\n"})}, f"the header 'X-Key' {SPACE}"),
    "header, SecretStr": ({"headers": {"X-Key": SecretStr(SECRET)}}, f"the header 'X-Key' {SECRET_STR}"),
    "header, number": ({"headers": {"X-Key": Secret(3)}}, f"the header 'X-Key' {EMPTY}"),
    "header, reserved": ({"headers": {"X-Key": SECRET, "authorization": SECRET}}, f"the header 'authorization' {OURS}"),
    "header, of the key": ({"headers": {"galileo-api-key": SECRET}}, f"the header 'galileo-api-key' {OURS}"),
}


def extra(headers: str) -> dict[str, str]:
    """The variables of a client with more headers."""
    return {"API_KEY": "k", "EXTRA_HEADERS": headers}


CLOUD = {"SPLUNK_AO_REALM": "us1", "SPLUNK_AO_O11Y_API_TOKEN": SECRET}
ENVIRONMENT_ROWS: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, f"{NOTHING}Set it, or pass api_key=..."),
    "SSO": (
        {"SSO_ID_TOKEN": SECRET},
        f"{NOTHING}GALILEO_SSO_ID_TOKEN isn't read: exchange it for a JWT, and pass auth=B",
    ),
    "SSO, Splunk": ({"SPLUNK_AO_SSO_ID_TOKEN": SECRET}, f"{NOTHING}SPLUNK_AO_SSO_ID_TOKEN isn't read"),
    "key": ({"API_KEY": SECRET + "\n"}, f"the API key {SPACE}"),
    "no user name": ({"PASSWORD": SECRET}, "GALILEO_PASSWORD is set without GALILEO_USERNAME or SPLUNK_AO_USERNAME"),
    "no password": ({"USERNAME": SECRET}, "GALILEO_USERNAME is set without GALILEO_PASSWORD or SPLUNK_AO_PASSWORD"),
    "password, no UTF-8": ({"USERNAME": SECRET, "PASSWORD": SECRET + "\udcff"}, f"the password {NO_UTF_8}"),
    "token": ({"JWT_TOKEN": SECRET + "\n"}, f"the token {SPACE}"),
    "key and URL swapped": ({"API_KEY": "https://api.x.io", "API_URL": SECRET}, f"GALILEO_API_URL {NO_URL}"),
    "key and console swapped": ({"API_KEY": "https://x.io", "CONSOLE_URL": SECRET}, f"GALILEO_CONSOLE_URL {NO_URL}"),
    "URL, password": ({"API_KEY": SECRET, "API_URL": f"https://{LOGIN}@api.x.io"}, f"GALILEO_API_URL {CREDENTIALS}"),
    "URL, token": ({"API_KEY": "k", "API_URL": f"https://api.x.io/?token={SECRET}"}, f"GALILEO_API_URL {NO_QUERY}"),
    "URL, user": ({"API_KEY": SECRET, "API_URL": f"{LOGIN}@api.x.io"}, f"GALILEO_API_URL {NO_URL}"),
    "console, placeholder": ({"API_KEY": "k", "CONSOLE_URL": f"https://<{SECRET}>"}, f"GALILEO_CONSOLE_URL {NO_URL}"),
    "console, JWT": ({"API_KEY": "k", "SPLUNK_AO_CONSOLE_URL": f"ey.ey.{SECRET}"}, f"SPLUNK_AO_CONSOLE_URL {NO_URL}"),
    "console, user": ({"API_KEY": "k", "CONSOLE_URL": f"{LOGIN}@x.io"}, f"GALILEO_CONSOLE_URL {NO_URL}"),
    "realm alone": (
        {"SPLUNK_AO_REALM": "us1", "API_KEY": SECRET},
        "SPLUNK_AO_REALM is set without SPLUNK_AO_O11Y_API_TOKEN or SPLUNK_AO_O11Y_TOKEN\nhint: Set both",
    ),
    "token alone": (
        {"SPLUNK_AO_O11Y_TOKEN": SECRET, "API_KEY": SECRET},
        "SPLUNK_AO_O11Y_TOKEN is set without SPLUNK_AO_REALM\nhint: Set both",
    ),
    "realm and key": (
        CLOUD | {"SPLUNK_AO_API_KEY": SECRET, "SPLUNK_AO_CONSOLE_URL": SECRET},
        "SPLUNK_AO_REALM and SPLUNK_AO_O11Y_API_TOKEN mean another deployment than SPLUNK_AO_CONSOLE_URL and "
        "SPLUNK_AO_API_KEY\nhint: Unset the variables of one of them",
    ),
    "realm and login": (CLOUD | {"SPLUNK_AO_PASSWORD": SECRET}, "SPLUNK_AO_REALM and SPLUNK_AO_O11Y_API_TOKEN mean"),
    "realm, a token": (CLOUD | {"SPLUNK_AO_REALM": SECRET}, "SPLUNK_AO_REALM must be a realm such as us1"),
    "realm, a host": (CLOUD | {"SPLUNK_AO_REALM": "x.io/"}, "SPLUNK_AO_REALM must be a realm such as us1"),
    "token of the realm": (CLOUD | {"SPLUNK_AO_O11Y_API_TOKEN": SECRET + "\n"}, f"the API key {SPACE}"),
    "extra headers, a key": ({"API_KEY": "k", "EXTRA_HEADERS": SECRET}, NO_OBJECT),
    "extra headers, a list": (extra(f'["{SECRET}"]'), NO_OBJECT),
    "extra headers, cut": (extra(f'{{"X-Key": "{SECRET}'), NO_OBJECT),
    "extra headers, deep": (extra(f'["{SECRET}", {"[" * 60_000}'), NO_OBJECT),
    "more headers, null": ({"API_KEY": "k", "EXTRA_HEADERS": f'{{"X": "{SECRET}", "Y": null}}'}, f"{A_HEADER} {EMPTY}"),
    "extra headers, name": (extra(f'{{"{SECRET} ": "v"}}'), f"{A_HEADER} {NO_NAME}"),
    "extra headers, line": (extra(f'{{"X": "{SECRET}\\n"}}'), f"{A_HEADER} {SPACE}"),
    "extra headers, UTF-8": (extra(f'{{"X": "{SECRET}\udcff"}}'), f"{A_HEADER} {NO_UTF_8}"),
    "console, password": ({"API_KEY": "k", "CONSOLE_URL": f"https://{LOGIN}@x"}, f"GALILEO_CONSOLE_URL {CREDENTIALS}"),
    "proxy": ({"API_KEY": SECRET, "HTTPS_PROXY": f"socks5://{LOGIN}@proxy.x.io"}, f"HTTPS_PROXY {NO_PROXY}"),
    "proxy, user": ({"API_KEY": "k", "HTTPS_PROXY": f"http://a%3A:{SECRET}@127.0.0.1"}, f"HTTPS_PROXY {NO_LOGIN}"),
}


def check_refusal(make: Callable[[], object], text: str) -> None:
    """The error begins with the text, and nothing that it leads to has a part of the secret."""
    with pytest.raises(gs.ConfigurationError) as caught:
        make()
    assert str(caught.value).startswith(text)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert [part for part in PARTS if part in visible_text(caught.value)] == []


@pytest.mark.parametrize(("make", "text"), CREDENTIAL_ROWS.values(), ids=CREDENTIAL_ROWS)
def test_credentials_that_are_refused(make, text):
    """Credentials that no request can carry are refused when they are made, with what to do."""
    check_refusal(make, text)


@pytest.mark.parametrize(("arguments", "text"), ARGUMENT_ROWS.values(), ids=ARGUMENT_ROWS)
def test_arguments_that_are_refused(arguments, text):
    """An address, a proxy or a header that can't be used is refused when the client is made. No address is shown."""
    check_refusal(lambda: GalileoSessions("k", **arguments), text)


@pytest.mark.parametrize(("variables", "text"), ENVIRONMENT_ROWS.values(), ids=ENVIRONMENT_ROWS)
def test_variables_that_are_refused(monkeypatch, variables, text):
    """The error names the variable. No frame has its value, or another variable's."""
    monkeypatch.setenv("OTHER", SECRET)
    for name, value in variables.items():
        monkeypatch.setenv(name if name.startswith(("HTTPS", "SPLUNK")) else f"GALILEO_{name}", value)
    check_refusal(lambda: GalileoSessions(trust_env=True), text)


def test_a_plain_mistake_beside_a_secret_shows_none():
    """No frame below the constructor's has the key if another argument is refused."""
    check_refusal(lambda: GalileoSessions(SECRET, limits=Limits(0)), "Limits(maximum=0)")
    with pytest.raises(AttributeError) as caught:
        GalileoSessions(SECRET, headers=[SECRET])
    assert our_frames(caught.value)
    assert [part for part in PARTS if part in visible_text(caught.value)] == []


@pytest.mark.parametrize("setting", ["auth", "trust_env", "headers"])
async def test_a_session_that_sends_credentials_of_its_own_is_refused(setting):
    """A session that would send a password, netrc's login or an Authorization header is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # aiohttp deprecates what is tested
        basic = aiohttp.BasicAuth("u", "p")
        settings = {"auth": basic, "trust_env": True, "headers": {"authorization": basic.encode()}}
        async with aiohttp.ClientSession(**{setting: settings[setting]}) as session:
            with pytest.raises(gs.ConfigurationError, match="Leave out its auth, Authorization and trust_env"):
                GalileoSessions("k", session=session)
