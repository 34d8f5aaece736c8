"""What an HTTP answer means: a count, or the error of its status; a 422 is drawn on the filter."""

import asyncio
import gc
import json
import pickle
import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clients import connected, failure, ids, statuses
from support.clock import virtual_time
from support.sockets import PROJECT, http, raw_server
from support.strategies import anything, filters, leaves_drawn

import galileo_sessions as gs
from galileo_sessions import And, Col, CountQuery, Filter, Issue, Not, Or, Retry, ValidationError, all_of
from galileo_sessions.api.responses import error_of, issues_of, total_count
from galileo_sessions.http.responses import Response

X, SCORE = Col("input").contains("x"), Col("score").gt(3)
PAGE = "<!doctype html><html><title>Galileo</title></html>"
WHY = '{"detail": "why"}'
STATUSES = {
    "300": (300, WHY, gs.RedirectError, "to 'nowhere'", "Set base_url (GALILEO_API_URL): a redirect isn't followed"),
    "400": (400, WHY, gs.ResponseError, "'why'", ""),
    "401": (401, WHY, gs.AuthenticationError, "'why'", "Check that the key (GALILEO_API_KEY) hasn't expired"),
    "403": (403, WHY, gs.PermissionDeniedError, "'why'", "Ask for access to the project"),
    "403, a page": (403, PAGE, gs.PermissionDeniedError, f"'{PAGE}'", "A gateway or a proxy seems to refuse this"),
    "404": (404, WHY, gs.NotFoundError, "'why'", "Check the project's id, and base_url (GALILEO_API_URL)"),
    "404, a page": (404, PAGE, gs.NotFoundError, f"'{PAGE}'", "Set base_url (GALILEO_API_URL) to the address of the"),
    "405": (405, "", gs.ResponseError, "an empty body", "Set base_url (GALILEO_API_URL) to the address of the API"),
    "422": (422, WHY, gs.ValidationError, "'why'", ""),
    "429": (429, WHY, gs.RateLimitedError, "'why'", ""),
    "500": (500, WHY, gs.ServerError, "'why'", ""),
}
STANDARD = {"message": "The quota is used up", "user_action": "Ask Ann.", "documentation_link": "https://x.org/1"}


@pytest.mark.parametrize("name", STATUSES)
async def test_each_status_raises_its_error(name):
    status, body, kind, said, hint = STATUSES[name]
    attempts = 4 if status == 500 else 1
    answer = http(status, body, X_Trace="t1", Set_Cookie="c=1")
    async with connected(answer, retry=Retry(attempts=1 if status == 429 else 4)) as (server, galileo):
        error = await failure(galileo, where=X & ~SCORE, timeout=5)
    assert (type(error), error.status, error.body) == (kind, status, body)
    assert error.query == CountQuery(PROJECT, X & ~SCORE)
    assert error.headers["x-trace"] == "t1"
    assert "set-cookie" not in error.headers
    assert re.fullmatch(rf"{status}[\w -]* from {server.url}: {re.escape(said)}", error.message)
    assert (hint in error.hint) if hint else error.hint == ""
    first, _, rest = str(error).partition("\n")
    assert (f" (project {PROJECT}" in first, rest) == (True, f"hint: {error.hint}" if hint else "")
    assert bool(re.search(r", 4 attempts, [0-9]\.[0-9] s waited\)$", first)) == (attempts == 4)
    assert statuses(error) == [status] * attempts
    assert len(server.requests) == attempts
    assert error.elapsed > 0


@pytest.mark.parametrize(
    ("status", "standard", "said", "hint", "retriable"),
    [
        (404, STANDARD, "The quota is used up", "Ask Ann. See https://x.org/1", False),
        (501, {**STANDARD, "user_action": None, "retriable": True}, "The quota", "See https://x.org/1", True),
        (401, {"message": "a\x1b[31m" * 99, "user_action": "b" * 999}, r"a\x1b[31ma", "b" * 399 + "…", False),
        (403, {"message": 3, "retriable": "true"}, '\'{"standard_error": ', "Ask for access to the project", False),
    ],
)
async def test_a_standard_error_says_what_to_do(status, standard, said, hint, retriable):
    """Its message is in the text, its action and link are the hint, and only `true` says that a retry may succeed."""
    answer = http(status, json.dumps({"standard_error": standard}))
    async with connected(answer, api_key="the-key", retry=Retry(attempts=1)) as (server, galileo):
        error = await failure(galileo)
    assert f" from {server.url}: {said}" in error.message
    assert (error.hint[: len(hint)], error.retriable) == (hint, retriable)
    assert len(str(error)) < 1_000
    assert pickle.loads(pickle.dumps(error)) == error


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_of_observability_cloud_needs_a_role(status):
    """Splunk's gateway refuses a token for ingestion, or one without the role, with either status."""
    refused = Response(status, {}, b"", "https://app.us1.observability.splunkcloud.com/ao/api")
    assert error_of(refused).hint.startswith("Check that the token is an API token with the role agent_observability_")


@pytest.mark.parametrize("path", ["/x", "http://{other}/v2"], ids=["same server", "other server"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_key_never_follows_a_redirect(status, path):
    async with raw_server(http()) as other:
        location = path.format(other=other.url.removeprefix("http://"))
        async with connected(http(status, "", Location=location)) as (server, galileo):
            error = await failure(galileo)
    assert (type(error), statuses(error), location in str(error)) == (gs.RedirectError, [status], True)
    assert "base_url" in error.hint
    assert (len(server.requests), other.connections) == (1, 0)


@pytest.mark.parametrize(("asked", "said"), [("12", "'no'; it asks for a wait of 12 s"), ("0", "'no'"), ("x", "'no'")])
async def test_a_refusal_says_how_long_to_wait(asked, said):
    async with connected(http(429, "no", Retry_After=asked), retry=Retry(attempts=1)) as (server, galileo):
        error = await failure(galileo)
    assert (type(error), error.message) == (gs.RateLimitedError, f"429 Too Many Requests from {server.url}: {said}")


WANTED = 'expected {"total_count": n} with an integer n of 0 or more'
NO_JSON = "the body isn't JSON"
NOT_COUNTS: dict[str, tuple[bytes, str]] = {
    "true": (b'{"total_count": true}', WANTED),
    "too large": (b'{"total_count": 9223372036854775808}', WANTED),
    "nan": (b'{"total_count": 1, "other": NaN}', "NaN is not JSON"),
    "twice": (b'{"total_count": 1, "total_count": 2}', "an object has the same key twice, in ['total_count', 'total_c"),
    "null": (b"null", WANTED),
    "latin-1": ('{"total_count": 1, "é": 2}'.encode("latin-1"), NO_JSON),
    "deep": (b'{"total_count": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", ""),  # Python 3.15 reads it
    "digits": (b'{"total_count": ' + b"9" * 5_000 + b"}", "Exceeds the limit"),
    "html": (b"<html>hello</html>", NO_JSON),
    "vertical tab": (b'\v{"total_count":5}', NO_JSON),
}


@pytest.mark.parametrize("mark", ["", "\N{BYTE ORDER MARK}"], ids=["plain", "byte order mark"])
async def test_a_byte_order_mark_changes_no_body(mark):
    """Neither a count nor columns, projects or an error."""
    bodies = {
        "/count": http(200, f'{mark}{{"total_count": 7}}'),
        "/available_columns": http(200, f'{mark}{{"columns": []}}'),
        "/paginated": http(200, f'{mark}{{"projects": [], "paginated": false, "next_starting_token": null}}'),
        "/log_streams": http(404, f'{mark}{{"detail": "none"}}'),
    }

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        path = server.requests[nth - 1].split(b" ")[1].decode()
        writer.write(next(body for part, body in reversed(bodies.items()) if part in path))

    async with connected(behave) as (server, galileo):
        assert await galileo.count(PROJECT) == 7
        assert len(await galileo.columns(PROJECT)) == 0
        assert [each async for each in galileo.projects()] == []
        with pytest.raises(gs.NotFoundError, match="'none'"):
            _ = [each async for each in galileo.log_streams(PROJECT)]


@pytest.mark.parametrize(("body", "said"), NOT_COUNTS.values(), ids=NOT_COUNTS)
@virtual_time
async def test_a_200_that_is_no_count_is_a_decode_error(body, said):
    """It is requested again only if it isn't JSON at all."""
    async with connected(http(200, body), retry=Retry(patience=0.3)) as (server, galileo):
        error = await failure(galileo)
    assert (type(error), error.body) == (gs.DecodeError, body[:2048].decode("utf-8", "replace"))
    assert len(str(error)) < 500
    assert error.hint == "Set base_url (GALILEO_API_URL) to the address of the API, not of the console"
    assert error.message.startswith(f"200 OK from {server.url}: {said}")
    assert statuses(error) == [200] * len(server.requests)
    assert (len(server.requests) > 1) is (said == NO_JSON)


async def test_counts_in_any_valid_json():
    assert total_count(b'{"total_count": 9223372036854775807}') == 2**63 - 1
    assert total_count(b'{"more": [1, {"total_count": 5}], "total_count": 0}') == 0
    answer = http(200, b' {\n"total_count" :\t12 } ', Content_Type="text/plain; charset=latin-1")
    async with connected(answer) as (_, galileo):
        assert await galileo.count(PROJECT) == 12


async def test_what_a_failure_keeps_is_bounded():
    """A failed result keeps 2 KiB of the answer, and no traceback that holds the rest."""
    async with connected(http(404, "x" * 100_000)) as (_, galileo):
        await galileo.count_all(ids(20))
        tracemalloc.start()
        try:
            report = await galileo.count_all(ids(200))
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(report.errors) == 200
    assert kept / 200 < 20_000


def test_a_response_shows_neither_headers_nor_body():
    shown = repr(Response(200, {"X-Secret": "in a header"}, b"in a body", "https://api.x.io"))
    assert shown == "Response(status=200, origin='https://api.x.io')"


def explained(entries: list[Any], where: Filter) -> tuple[tuple[Issue, ...], str]:
    return issues_of(json.dumps({"detail": entries}).encode(), where)


def nodes_at(locs: list[Any], where: Filter) -> list[Filter | None]:
    issues, _ = explained([{"loc": loc, "msg": "wrong", "type": "x"} for loc in locs], where)
    assert locs == [list(issue.loc) for issue in issues]
    return [issue.node for issue in issues]


def places(where: Filter, loc: tuple[str | int, ...] = ("body", "filter_tree")) -> list[tuple[Filter, list[Any]]]:
    """Each node with the locs that FastAPI gives it, which have class names in them."""
    match where:
        case And(children) | Or(children):
            below = (*loc, "AndNode", "and") if isinstance(where, And) else (*loc, "OrNode", "or")
        case Not(child):
            return [(where, [*loc]), *places(child, (*loc, "NotNode", "not"))]
        case _:
            return [(where, [*loc]), (where, [*loc, "FilterLeaf", "filter", where.type, "value", "list", 0])]
    here = [(where, [*loc]), (where, [*below])]
    return here + [place for i, child in enumerate(children) for place in places(child, (*below, i))]


@given(filters)
def test_each_loc_leads_to_its_node(where):
    expected = places(where)[:1000]
    assert [node for node, _ in expected] == nodes_at([loc for _, loc in expected], where)


NOWHERE: list[list[Any]] = [["filter"], ["or"], ["not"], ["and", 2], ["and", -1], ["and", 0, 0], ["and", 10**30], [1]]
ELSEWHERE = [[], ["body"], ["body", "log_stream_id"], ["body", "filters", 0], *(["filter_tree", *x] for x in NOWHERE)]


@pytest.mark.parametrize("loc", ELSEWHERE, ids=str)
def test_a_loc_that_leads_nowhere_gives_none(loc):
    """As for kinds of node that the server tried."""
    assert nodes_at([loc], X & ~(SCORE | ~Not(Not(X)))) == [None]


STEPS = st.sampled_from(["body", "filter_tree", "filters", "and", "or", "not", "filter", "AndNode", 0, 1, 2, -1])
ENTRIES = st.dictionaries(st.sampled_from(["loc", "msg", "type", "detail"]), anything)


@given(filters, st.lists(STEPS | anything), st.lists(st.text()), ENTRIES | anything)
def test_whatever_a_server_sends_is_explained(where, loc, messages, other):
    """Each entry has a node or None; the text is printable, and empty without entries of FastAPI's form."""
    issues, text = explained([*({"loc": loc, "msg": msg, "type": ""} for msg in messages), other], where)
    assert all(issue.node is None or isinstance(issue.node, Filter) for issue in issues)
    assert {type(step) for issue in issues for step in issue.loc} <= {str, int}
    assert bool(text) is bool(issues)
    assert all(line.isprintable() for line in text.split("\n"))
    for body in (other, {"detail": other}):
        _ = issues_of(json.dumps(body).encode(), where)


def entries_of(detail: str) -> list[dict[str, Any]]:
    """A 422's entries, written as `type at loc: msg`, the loc in short."""
    words = {"A": "AndNode.and", "O": "OrNode.or", "N": "NotNode.not", "F": "FilterLeaf.filter", "T": "filter_tree"}
    made = []
    for line in detail.strip().splitlines():
        kind, loc, msg = re.fullmatch(r"\s*(\w+) at (\S+): (.*)", line).groups()
        steps = ".".join(words.get(step, step) for step in loc.split("."))
        loc = ["body", *(int(step) if step.isdigit() else step for step in steps.split("."))]
        made.append({"loc": loc, "msg": msg, "type": kind})
    return made


# Real answers of FastAPI, as in the shared fixtures; each filter is broken in the place that the first word names.
MISSING = "Field required"
BAD_OPERATOR = f"""
    missing at T.F: {MISSING}
    missing at T.A.1.F: {MISSING}
    missing at T.A.1.A: {MISSING}
    missing at T.A.1.O: {MISSING}
    enum at T.A.1.N.F.number.operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'
    missing at T.A.1.N.A: {MISSING}
    missing at T.A.1.N.O: {MISSING}
    missing at T.A.1.N.N: {MISSING}
    missing at T.O: {MISSING}
    missing at T.N: {MISSING}"""
BAD_SCOPE = "uuid_parsing at log_stream_id: Input should be a valid UUID, invalid character: found `n` at 0"

FIXTURES = {
    "bad operator under not": (BAD_OPERATOR, X & ~SCORE, """\
operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'
and
├─ input contains 'x'   text
└─ not
   └─ score > 3         number
      ↑ operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or
        'between'"""),
    "no loc that leads to a node, so the deepest is told": (
        f"missing at T.O: {MISSING}\n missing at T.O.1.F.text.value: no text\n missing at T.N: {MISSING}",
        X & ~SCORE, "filter_tree.OrNode.or.1.FilterLeaf.filter.text.value: no text",
    ),
    "a connective": ("too_long at T.A: too many", X & ~SCORE, """\
too many
and
│  ↑ too many
├─ input contains 'x'   text
└─ not
   └─ score > 3         number"""),
    "no loc that leads to a leaf": ("too_long at filters: too many", X, "filters: too many"),
}  # fmt: skip


@pytest.mark.parametrize(("detail", "where", "expected"), FIXTURES.values(), ids=FIXTURES)
def test_a_422_names_the_guilty_leaf(detail, where, expected):
    """The useful entry is shown, in whatever order the entries come."""
    entries = entries_of(detail)
    assert expected == explained(entries, where)[1] == explained(entries[::-1], where)[1]


def test_several_guilty_leaves_have_each_their_complaint():
    """Entries that aren't about the filter come first; a node isn't marked if a node below it is."""
    detail = f"""
        missing at T.A.0.F.text.value: {MISSING}
        missing at T.A.1.N.F.number.value: {MISSING}
        enum at T.A.1.N.F.number.operator: no such operator
        enum at T.A.1.N.F.number.operator: no such operator
        too_long at T.A: shadowed by what is below
        {BAD_SCOPE}
        {BAD_SCOPE}
        json_invalid at x: what
        model_type at T.O.1.F: no or is here"""
    expected = """\
log_stream_id: Input should be a valid UUID, invalid character: found `n` at 0; x: what; \
value: Field required; value: Field required; operator: no such operator
and
├─ input contains 'x'   text
│  ↑ value: Field required
└─ not
   └─ score > 3         number
      ↑ value: Field required; operator: no such operator"""
    assert expected == explained(entries_of(detail), X & ~SCORE)[1]


def test_an_explanation_is_bounded():
    """Ten complaints of at most eight lines stand in the drawing, wherever it is cut; it counts what it leaves out."""
    where = all_of(~Col("n").gt(n) for n in range(1_001))
    locs = [["body", "filter_tree", "and", n, "not"] for n in range(1_001)]
    many = [{"loc": loc, "msg": f"{loc[3]} long " * 20, "type": ""} for loc in locs]
    fields = [{"loc": ["body", f"field{n}" * 100], "msg": "long " * 5, "type": ""} for n in range(50)]
    issues, text = explained([*fields, *many[::-1]], where)
    head, *lines = text.split("\n")
    assert (len(issues), len(head) <= 5_000, len(lines) <= 150) == (1_000, True, True)
    assert (head.count(": long long "), head.endswith("; and 990 more")) == (10, True)
    assert (text.count("↑"), leaves_drawn(text)) == (10, 1_001)
    assert "├─ not\n│  └─ n > 999    number\n│     ↑ 999 long 999 long" in text
    huge = [{"loc": ["body", "filter_tree"], "msg": f"{n} long " * 500, "type": "t" * 2_048} for n in range(1_000)]
    issues, text = explained(huge, X)
    assert 200_000 < len(repr(issues)) < 300_000
    assert ({len(issue.msg) for issue in issues}, text.count("\n"), text[-1]) == ({500}, 1 + 8, "…")
    assert "more" not in explained(fields[:10], where)[1]


ISSUE = {"loc": ["body", "filters", 0, "number", "value"], "msg": "not a number", "type": "float_type", "input": "x"}
# A body, the number of its issues, and words of the message.
FORMS: dict[str, tuple[str, int, str]] = {
    "list": (json.dumps({"detail": [3, ISSUE, {"loc": 3}]}), 1, "filters.0.number.value: not"),
    "null and standard": ('{"detail": null, "standard_error": {"message": "so"}}', 0, ": so"),
    "odd": ('{"standard_error": 3}', 0, "standard_error"),
    "cut": ("{", 0, "'{'"),
    "deep": ("[" * 99_999, 0, "[["),
    "empty": ("", 0, "an empty body"),
    "10 MB": ("x" * 10_000_000, 0, "xxx"),
    "drawn": (json.dumps({"detail": entries_of(BAD_OPERATOR)}), 10, FIXTURES["bad operator under not"][-1]),
}


@pytest.mark.parametrize(("body", "issues", "words"), FORMS.values(), ids=FORMS)
async def test_422_in_all_its_forms(body, issues, words):
    """A 422 shows its issue, or at most 2 KiB of its text, and isn't retried."""
    async with connected(http(422, body)) as (server, galileo):
        error = await failure(galileo, where=X & ~SCORE)
    assert (type(error), len(error.issues), statuses(error)) == (ValidationError, issues, [422])
    assert len(server.requests) == 1
    assert words in error.message
    assert error.body == body[:2048]
    assert len(str(error)) < 1_000
    assert len(pickle.dumps(error)) < 20_000
