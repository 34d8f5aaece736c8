"""Secrets that a server repeats in another spelling."""

import html
import json
import re
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from time import process_time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.clients import client, failure
from support.servers import http, raw_server
from support.visible import visible_text

from galileo_sessions import ApiKeyAuth, BasicAuth, Secret
from galileo_sessions.client.redaction import redactor

PASSWORD = "pä55 wörd&<\"'/\\+€=😀"


def lower_percent(text: str) -> str:
    """Percent-encoding in lower case, as nginx and .NET write it."""
    return re.sub("%..", lambda match: match[0].lower(), quote(text, safe=""))


def go_json(text: str) -> str:
    """JSON as Go writes it, which escapes what HTML could misread."""
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    return plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def php_json(text: str) -> str:
    """JSON as PHP writes it, with slashes escaped."""
    return json.dumps(text)[1:-1].replace("/", "\\/")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": quote,
    "percent, all": lambda text: quote(text, safe=""),
    "percent, form": quote_plus,
    "percent, lower case": lower_percent,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON in capitals": lambda text: re.sub(r"\\u....", lambda m: "\\u" + m[0][2:].upper(), json.dumps(text)[1:-1]),
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON of Go": go_json,
    "JSON of PHP": php_json,
    "JSON in JSON": lambda text: json.dumps(json.dumps(text))[3:-3],
    "JSON in JSON of Go": lambda text: json.dumps(go_json(text))[1:-1],
    "repr": lambda text: repr(text)[1:-1],
    "ascii": lambda text: ascii(text)[1:-1],
    "HTML": html.escape,
    "HTML, twice": lambda text: html.escape(html.escape(text)),
    "HTML of Go": lambda text: html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "XML": lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    "HTML, ASCII": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "HTML, hexadecimal": lambda text: re.sub(r"[^A-Za-z0-9_.~-]", lambda match: f"&#x{ord(match[0]):X};", text),
    "hex": lambda text: text.encode().hex(),
    "hex in capitals": lambda text: text.encode().hex().upper(),
    "Base64": lambda text: b64encode(text.encode()).decode(),
    "Base64 for URLs": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "Base64 with a name": lambda text: b64encode(f"ann:{text}".encode()).decode(),
    "Base64 with another name": lambda text: b64encode(f"annabella:{text}".encode()).decode(),
    "Base64 in the middle": lambda text: b64encode(f"bo:{text}:more".encode()).decode(),
    "Base64, percent": lambda text: quote(b64encode(text.encode()).decode(), safe=""),
    "read as Latin-1": lambda text: text.encode().decode("ascii", "replace"),
}
LATIN = SPELLINGS["read as Latin-1"]


@pytest.mark.parametrize("spell", [how for how in SPELLINGS.values() if how is not LATIN], ids=[*SPELLINGS][:-1])
@pytest.mark.parametrize("secret", [PASSWORD, "k3y-5f0c-9a", "a+b/c==&d"], ids=["hard", "key", "signs"])
def test_other_spellings_are_redacted(secret, spell):
    """Whatever encoded a secret on its way, it is replaced, and what is beside it stays."""
    told = redactor([Secret("other"), Secret(secret)])(f"<<{spell(secret)}>> and other")
    match = re.fullmatch(r"<<(.*)>> and \*\*\*", told)
    assert match
    assert "***" in match[1]
    assert len(match[1]) < 20  # the secret, and a few characters of Base64 that tell what is beside it


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("auth", ["key", "basic"])
async def test_a_server_repeats_a_secret_in_another_spelling(auth, spell):
    """An error of a request shows no spelling of its key or password, in body, header or message."""
    secret = "k3y-5f0c/9a+b" if auth == "key" else "pa55 w/rd&<\"'+€=é"
    body = "is this yours: " + spell(secret)
    async with raw_server(http(400, body, X_Echo=spell(secret).encode("ascii", "replace").decode())) as server:
        credentials = ApiKeyAuth(secret) if auth == "key" else BasicAuth("ann", secret)
        async with client(server.url, auth=credentials) as galileo:
            error = await failure(galileo)
    told = visible_text(error)
    assert error.body.startswith("is this yours: ")
    if spell is not LATIN:
        assert "***" in error.body
    assert [form for form in {spell(secret), secret} if form in told and "\ufffd" not in form] == []


@example("\\\x1f", "JSON")
@example('a\\"b', "JSON in JSON")
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), st.sampled_from(sorted(SPELLINGS)))
def test_any_secret_in_any_spelling(secret, name):
    """No text makes an expression that can't be compiled or that misses a spelling."""
    if name == "read as Latin-1" or (len(secret.encode()) < 6 and name.startswith(("hex", "Base64"))):
        return
    spelled = SPELLINGS[name](secret)
    if name in ("JSON in JSON", "repr", "ascii") and not redactor([Secret(secret)])(json.dumps(secret)).count("***"):
        raise AssertionError(secret)
    assert "***" in redactor([Secret(secret)])(f"_{spelled}_")


@pytest.mark.parametrize("secret", ["k", "ab", "short"])
def test_short_secrets_do_not_eat_other_text(secret):
    """Of secrets under 6 bytes hexadecimal and Base64 aren't looked for, which could be a part of anything."""
    told = secret.encode().hex() + b64encode(secret.encode()).decode() + "74aec44e-ec21"
    assert redactor([Secret(secret)])(told.replace(secret, "")) == told.replace(secret, "")


def test_no_secret_at_all():
    """Without secrets a text stays as it is."""
    assert redactor([])("text") == "text"


def test_a_longer_secret_comes_first():
    """Where one secret begins another, no rest of the longer one stays."""
    assert redactor([Secret("abc"), Secret("abcdef")])("abcdef abc") == "*** ***"


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        pytest.param("\\" * 30 + "x", "\\" * 100_000, id="backslashes"),
        pytest.param("\"'" * 20, "\\" * 50_000 + "\"'" * 19, id="quotes"),
        pytest.param("&" * 30, "&amp;" * 20_000 + "&amp", id="entities"),
        pytest.param("a+b/" * 10, "a+b/" * 20_000 + "a", id="nearly"),
        pytest.param("&0", "&#" + "0" * 100_000, id="zeros"),
    ],
)
def test_hostile_text_is_searched_in_linear_time(secret, text):
    """A text that is made to be hard takes under a second."""
    redact = redactor([Secret(secret)])
    began = process_time()
    redact(text)
    assert process_time() - began < 1


def test_lines_of_base64_are_not_found():
    """What docs/security.md says isn't found: Base64 in lines of 76 characters."""
    assert "***" not in redactor([Secret("k3y" * 40)])(encodebytes(b"k3y" * 40).decode())


@pytest.mark.parametrize("padding", [0, 1, 2_000, 65_500, 65_520, 65_530, 65_536, 70_000])
async def test_a_secret_across_a_cut(padding):
    """Where a long body is cut, no part of a secret stays, wherever it lies and however often."""
    secret = "k3y-" + "0123456789abcdef" * 4
    for body in (" " * padding + secret + " " * 100_000, (secret + ".") * 2_000):
        async with raw_server(http(400, body)) as server, client(server.url, auth=ApiKeyAuth(secret)) as galileo:
            error = await failure(galileo)
        assert [secret[at : at + 8] for at in range(4, 60, 8) if secret[at : at + 8] in error.body] == []
