"""Secrets that a server repeats are replaced by `***`, in the spellings that docs/security.md lists."""

import json
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clients import client, failure
from support.servers import PROJECT, http, raw_server
from support.visible import visible_text

from galileo_sessions import ApiKeyAuth, BasicAuth, ColumnCatalog, Secret, dump_catalog
from galileo_sessions.http.secret import forms_of, redact

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": quote,
    "percent, all": lambda text: quote(text, safe=""),
    "percent, form": quote_plus,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
}


def without(text: str, *secrets: str) -> str:
    """The text without the secrets."""
    return redact(text.encode(), forms_of(map(Secret, secrets))).decode()


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*⟦⟧"), min_size=1, max_size=12)


@given(TEXTS, st.sampled_from([*SPELLINGS.values()]))
def test_any_secret_in_any_spelling(secret, spell):
    """A secret is replaced in any encoding, and the text around it stays."""
    assert without(f"⟦{spell(secret)}⟧", secret) == "⟦***⟧"


def test_a_longer_secret_comes_first():
    """If a secret starts with another one, no part of it remains."""
    assert without("abcdef abc", "abc", "abcdef") == "*** ***"
    assert without("text") == "text"


SECRET = "pa55 w/rd&<\"'+€=é"
WAYS = {"Basic": lambda text: b64encode(f"ann:{text}".encode()).decode(), **SPELLINGS}


@pytest.mark.parametrize("spell", WAYS.values(), ids=WAYS)
async def test_a_server_repeats_a_secret(spell):
    """An error of a request shows no spelling of the password, in body, header or message."""
    body = "is this yours: " + spell(SECRET)
    async with raw_server(http(400, body, X_Echo=spell(SECRET))) as server:
        async with client(server.url, auth=BasicAuth("ann", SECRET)) as galileo:
            error = await failure(galileo)
    assert error.body == "is this yours: ***"
    assert error.headers["x-echo"] == "***"
    assert spell(SECRET) not in visible_text(error)


@pytest.mark.parametrize("padding", [0, 1, 2_000, 65_400])
async def test_a_secret_across_a_cut(padding):
    """If a long body is cut, no part of a secret remains, wherever it is."""
    secret = "k3y-" + "0123456789abcdef" * 4
    for body in (" " * padding + secret + " " * 100_000, (secret + ".") * 2_000):
        async with raw_server(http(400, body)) as server, client(server.url, auth=ApiKeyAuth(secret)) as galileo:
            error = await failure(galileo)
        assert [secret[at : at + 8] for at in range(4, 60, 8) if secret[at : at + 8] in error.body] == []


async def test_a_common_word_that_is_a_secret_changes_no_answer():
    """A 200 is read unchanged, even if it contains a word of a header or a digit that is the password."""
    catalog = ColumnCatalog.of({"metrics/customer_satisfaction": "number"}, customer="text")
    answer = json.dumps(dump_catalog(catalog) | {"total_count": 7})
    async with raw_server(http(200, answer)) as server:
        headers = {"X-Team": "customer"}
        async with client(server.url, auth=BasicAuth("ann", "7"), headers=headers) as galileo:
            assert await galileo.columns(PROJECT) == catalog
            assert await galileo.count(PROJECT) == 7
