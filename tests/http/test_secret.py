"""`Secret`, and how secrets that a server repeats are replaced, in the spellings that docs/security.md lists."""

import json
import pickle
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clients import client
from support.sockets import PROJECT, http, raw_server

from galileo_sessions import ApiKeyAuth, BasicAuth, BearerAuth, ColumnCatalog, PasswordAuth, Secret, dump_catalog
from galileo_sessions.http.secret import forms_of, redact

SECRET = "pa55 w/rd&<\"'+€=é"
AUTHS = [ApiKeyAuth("s3cr3t"), BearerAuth("s3cr3t"), BasicAuth("ann", "s3cr3t"), PasswordAuth("ann", "s3cr3t")]


def test_a_secret_has_no_part_that_can_be_shown():
    """Text, formats and reprs of a Secret are `***`; slices, joins, lengths and sums are type errors."""
    secret = Secret(SECRET)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:.5}", f"{secret:>200}", "%s" % secret, repr([secret])]  # noqa: UP031
    assert {text.strip("[]'") for text in shown} == {"***"}
    impossible: list[Callable[[], object]] = [
        lambda: secret[:3],  # type: ignore[index]
        lambda: "".join([secret]),  # type: ignore[list-item]
        lambda: len(secret),  # type: ignore[arg-type]
        lambda: "Bearer " + secret,  # type: ignore[operator]
        lambda: [*secret],  # type: ignore[misc]
        lambda: vars(secret),
    ]
    for use in impossible:
        with pytest.raises(TypeError) as caught:
            use()
        assert SECRET[:5] not in str(caught.value)
    assert not isinstance(secret, str)
    assert secret.reveal() == SECRET


def test_a_secret_compares_and_pickles():
    """Secrets are equal to secrets of the same value alone, and pickled credentials come back equal."""
    assert Secret("a") == Secret("a") != Secret("b")
    assert (Secret("a") == "a") is False
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    for auth in AUTHS:
        assert pickle.loads(pickle.dumps(auth)) == auth
        assert attrs.evolve(auth) == auth
        assert "s3cr3t" not in repr(attrs.asdict(auth))
    assert ApiKeyAuth("s3cr3t").key.reveal() == "s3cr3t"
    assert ApiKeyAuth(Secret("s3cr3t")) == ApiKeyAuth("s3cr3t")


# ---- what a server repeats -------------------------------------------------------------------------------------------

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


async def test_a_common_word_that_is_a_secret_changes_no_answer():
    """A 200 is read unchanged, even if it contains a word of a header or a digit that is the password."""
    catalog = ColumnCatalog.of({"metrics/customer_satisfaction": "number"}, customer="text")
    answer = json.dumps(dump_catalog(catalog) | {"total_count": 7})
    async with raw_server(http(200, answer)) as server:
        headers = {"X-Team": "customer"}
        async with client(server.url, auth=BasicAuth("ann", "7"), headers=headers) as galileo:
            assert await galileo.columns(PROJECT) == catalog
            assert await galileo.count(PROJECT) == 7
