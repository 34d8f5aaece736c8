"""What a hint says to write makes a filter that counts what was meant."""

import warnings
from datetime import datetime
from typing import Any

import pytest
from support.programs import NAMES

from galileo_sessions import ColumnCatalog, DateAsTextWarning, GalileoError, matches
from galileo_sessions.filters.advice import did_you_mean
from galileo_sessions.local import sample_sessions

SESSIONS = sample_sessions()
ID = SESSIONS[5]["id"]
SCOPE: dict[str, Any] = NAMES | {
    "CATALOG": ColumnCatalog.of(tags="collection", score="number", is_complete="boolean"),
    "ID": ID,
    "MAY": datetime(2026, 5, 1),  # noqa: DTZ001
    "TREE": {"filter": {"column_id": "score", "operator": "gt", "value": 3, "type": "number"}},
}


def hint_of(mistake: str) -> str:
    """What is said to write instead, in an error or a warning."""
    with warnings.catch_warnings(action="error"):
        try:
            eval(mistake, dict(SCOPE))  # each mistake stands in this file
        except (GalileoError, AttributeError, DateAsTextWarning) as error:
            text = str(error)
            return getattr(error, "hint", "") or " ".join(text.replace("│", " ").split())
    raise AssertionError(f"{mistake} isn't refused")


FIRST = "Col.date('created_at').{}('2026-05-01T00:00:00+00:00')"
NEXT = "Col.date('created_at').{}('2026-05-02T00:00:00+00:00')"
ON = "Col.date('created_at').on('2026-05-01', tz=\"UTC\")"
VALUES = "any_of([{} for value in values])"
# A mistake, what the hint says to write, a program that follows it if the hint isn't one, and what was meant.
HINTS: list[tuple[str, str, str, Any]] = [
    # several values next to an operator that takes one, or of a type that takes no list
    ("Col.text('input').contains(['refund', 'visa'])", VALUES.format("Col.text('input').contains(value)"), "",
     lambda s: "refund" in s["input"] or "visa" in s["input"]),
    ("Col('tags') == ['vip']", "Col.collection('tags').one_of([...])", "Col.collection('tags').one_of(['vip'])",
     lambda s: "vip" in s["tags"]),
    ("Col('name') == ['a', 'support-43521']", "or Col.text('name').one_of([...])",
     "Col.text('name').one_of(['support-43521'])", lambda s: s["name"] == "support-43521"),
    ("Col('tags') != ('vip', 'beta')", "Col.collection('tags').not_in([...])",
     "Col.collection('tags').not_in(['vip', 'beta'])", lambda s: not {"vip", "beta"} & set(s["tags"])),
    ("Col.id('id') == [ID]", "Col.id('id').one_of([...])", "Col.id('id').one_of([ID])", lambda s: s["id"] == ID),
    ("Col('score') != [4, 5]", "~" + VALUES.format("Col('score').eq(value)"), "",
     lambda s: s.get("score", 4) not in (4, 5)),
    ("Col('score').one_of([4, 5])", VALUES.format("Col('score').eq(value)"), "", lambda s: s.get("score") in (4, 5)),
    ("Col.text('score').one_of([4, 5])", VALUES.format("Col.number('score').eq(value)"), "",
     lambda s: s.get("score") in (4, 5)),
    ("Col.number('score').one_of([4, 5])", VALUES.format("Col.number('score').eq(value)"), "",
     lambda s: s.get("score") in (4, 5)),
    # one value of another type
    ("Col.number('score') > '3'", "Write a number without quotes", "Col.number('score') > 3",
     lambda s: s.get("score", 0) > 3),
    ("Col('score').between('1', '3')", "Write a number without quotes, or Col.date('score') for a time",
     "Col('score').between(1, 3)", lambda s: 1 <= s.get("score", 0) <= 3),
    ("Col.text('score') == 3", "Col.number('score') if the column is of that type", "Col.number('score') == 3",
     lambda s: s.get("score") == 3),
    ("Col.boolean('is_complete') == 'true'", "Write True or False", "Col.boolean('is_complete') == True",
     lambda s: s["is_complete"]),
    ("Col.date('score') > 3", "Col.number('score') if the", "Col.number('score') > 3", lambda s: s.get("score", 0) > 3),
    ("Col.number('score') > Col('three')", "Write a number, or text or a time in quotes", "Col.number('score') > 3",
     lambda s: s.get("score", 0) > 3),
    # a time
    ("Col.date('created_at') > '2026-05-01'", NEXT.format("gte"), "", lambda s: s["created_at"][:10] > "2026-05-01"),
    ("Col('created_at') <= '2026-05-01'", NEXT.format("lt"), "", lambda s: s["created_at"][:10] <= "2026-05-01"),
    ("Col.date('created_at') < date(2026, 5, 1)", FIRST.format("lt"), "", lambda s: s["created_at"] < "2026-05-01"),
    ("Col('created_at') == date(2026, 5, 1)", ON, "", lambda s: s["created_at"][:10] == "2026-05-01"),
    ("Col.date('created_at') != '2026-05-01'", "~" + ON, "", lambda s: s["created_at"][:10] != "2026-05-01"),
    ("Col('created_at') == '2026-05-01'", ON, "", lambda s: s["created_at"][:10] == "2026-05-01"),
    ("Col('created_at') == '2026-06-10T08:59:39'", "Col.date('created_at').eq('2026-06-10T08:59:39+00:00')", "",
     lambda s: s["created_at"] == "2026-06-10T08:59:39+00:00"),
    ("Col('created_at').between('2026-05-02', '2026-05-31')", "Col.date('created_at').during(start, end, tz=\"UTC\"), ",
     "Col.date('created_at').during('2026-05-02', '2026-05-31', tz='UTC')",
     lambda s: "2026-05-02" <= s["created_at"] < "2026-05-31"),
    ("Col('created_at') > MAY", "value.replace(tzinfo=timezone.utc)",
     "Col('created_at') > MAY.replace(tzinfo=timezone.utc)", lambda s: s["created_at"] > "2026-05-01T00:00:00+00:00"),
    # a method that the column doesn't have, and what isn't a filter
    ("Col.collection('tags') != 'vip'", ".not_in([...])", "Col.collection('tags').not_in(['vip'])",
     lambda s: "vip" not in s["tags"]),
    ("Col.text('created_at').on('2026-05-01', tz='UTC')", "Col.date('created_at').on(...)", ON,
     lambda s: s["created_at"][:10] == "2026-05-01"),
    ("'vip' in Col('tags')", "or Col.collection('tags').contains('vip')", "Col.collection('tags').contains('vip')",
     lambda s: "vip" in s["tags"]),
    ("~Col('score') > 3", "~(Col('score') == ...)", "~(Col('score') > 3)", lambda s: s.get("score", 4) <= 3),
    ("(Col('score') > 3) & [Col('score') < 4]", "all_of([...])", "all_of([Col('score') > 3, Col('score') < 4])",
     lambda s: 3 < s.get("score", 0) < 4),
    ("CountQuery(PROJECT, TREE)", "load_filter(...)", "load_filter(TREE)", lambda s: s.get("score", 0) > 3),
    ("load_filter(dict(filter_tree=TREE))", 'load_filter(data["filter_tree"])',
     "load_filter(dict(filter_tree=TREE)['filter_tree'])", lambda s: s.get("score", 0) > 3),
    ("CountQuery(PROJECT, 'score > 3')", "parse_filter(...)", "parse_filter('score > 3')",
     lambda s: s.get("score", 0) > 3),
    ("parse_filter('score between 3 and 4')", "Col('score').between(...)", "Col('score').between(3, 4)",
     lambda s: 3 <= s.get("score", 0) <= 4),
    ("parse_filter('\"vip\" in tags & score > 3')", "or Col.collection('tags').contains('vip')",
     "Col.collection('tags').contains('vip') & (Col('score') > 3)",
     lambda s: "vip" in s["tags"] and s.get("score", 0) > 3),
    # a column of another type than the filter's
    ("CATALOG.check(Col('tags') == 'vip')", "Col.collection('tags').contains(...)",
     "Col.collection('tags').contains('vip')", lambda s: "vip" in s["tags"]),
    ("CATALOG.check(Col('score').one_of(['4', '5']))", VALUES.format("Col.number('score').eq(value)"), "",
     lambda s: s.get("score") in (4, 5)),
    ("CATALOG.check(Col('is_complete') == 1)", "Col.boolean('is_complete').eq(...)",
     "Col.boolean('is_complete').eq(True)", lambda s: s["is_complete"]),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "hint", "followed", "meant"), HINTS, ids=[row[0] for row in HINTS])
def test_a_hint_counts_what_was_meant(mistake: str, hint: str, followed: str, meant: Any) -> None:
    """Who follows a hint counts the sessions that a plain Python expression finds, and never none."""
    assert hint in hint_of(mistake)
    values = [4, 5] if "score" in mistake else ["refund", "visa"]
    where = eval(followed or hint, SCOPE | {"values": values})
    expected = sum(map(bool, map(meant, SESSIONS)))
    assert expected == sum(matches(where, session) for session in SESSIONS) > 0


EXPLAINED = ["Col('a').one_of(['x', b'x'])", "Col('a').gt(True)", "Col('a').contains(3)", "Col('a').gt(['x'])"]
EXPLAINED += ["Col.collection('a').eq(b'x')", "Col.date('a').gt('yesterday')", "Col.date('a').gt('2026-05-01T25:00')"]


@pytest.mark.parametrize("mistake", EXPLAINED)
def test_there_is_no_hint_where_the_message_says_all_that_is_known(mistake: str) -> None:
    with pytest.raises(GalileoError) as caught:
        eval(mistake, dict(SCOPE))
    assert "" == caught.value.hint


@pytest.mark.parametrize(
    ("name", "known", "question"),
    [
        ("SCORE", ["input", "score"], "Did you mean score?"),
        ("Toxicity", ["toxicity"], "Did you mean metrics/toxicity?"),
        ("a b", ["a\nb"], "Did you mean a\\nb?"),
        ("x" * 1_000, ["x" * 999], f"Did you mean {'x' * 79}…?"),
        ("score", (f"column {i}" for i in range(2_000)), ""),
        (5, ["5"], ""),
        ("zzz", ["score"], ""),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_the_most_similar_name_is_suggested(name: object, known: Any, question: str) -> None:
    """Whatever its case; a long name is shortened, and one that can't be printed is escaped."""
    assert question == did_you_mean(name, known, {"toxicity": "metrics/toxicity"})
