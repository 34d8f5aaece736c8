"""What an error says to write makes a filter that counts what was meant."""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from support.strategies import NAMES

from galileo_sessions import DateAsTextWarning, Filter, matches
from galileo_sessions.local import sample_sessions

SESSIONS = sample_sessions()
TYPES = {"created_at": "date", "score": "number", "is_complete": "boolean", "tags": "collection", "id": "id"}
ID = SESSIONS[5]["id"]
SCOPE: dict[str, Any] = NAMES | {
    "ID": ID,
    "LETTERS": ["b", "c", "d", "e", "f"],
    "TREE": {"filter": {"column_id": "score", "operator": "gt", "value": 3, "type": "number"}},
}


def created(session: Any) -> datetime:
    """When a session was created."""
    return datetime.fromisoformat(session["created_at"])


def score(session: Any) -> float:
    """A session's score, or -1."""
    return session.get("score", -1.0)


def complaint(mistake: str, **names: Any) -> str:
    """What is said about a mistake, in an error or a warning."""
    with warnings.catch_warnings(action="error"):
        try:
            eval(mistake, SCOPE | names)  # each mistake stands in this file
        except (ValueError, TypeError, AttributeError, DateAsTextWarning) as error:
            return str(error)
    raise AssertionError(f"{mistake} isn't refused")


def programs(message: str) -> list[str]:
    """The expressions that a message says to write: after each "Write" and "or", the longest that Python reads."""
    found: list[str] = []
    for words in re.split(r"\bWrite |,? or ", message[message.find("Write") :])[1:]:
        for end in range(len(words), 0, -1):
            with suppress(SyntaxError):
                compile(words[:end].strip(), "advice", "eval")
                found.append(words[:end].strip())
                break
    return found


def followed(mistake: str, arguments: str) -> Filter:
    """The filter that the first advice makes, for the type that the sample's column has."""
    message = complaint(mistake)
    advice = [
        program
        for program in programs(message)
        if not (column := re.search(r"Col\.(\w+)\('(\w+)'", program)) or TYPES.get(column[2], "text") == column[1]
    ]
    assert advice, message
    values = eval(arguments, SCOPE) if arguments and "tz=" not in arguments else None
    items = arguments[1:-1] if arguments[:1] == "[" else arguments
    program = advice[0].replace("[...]", f"[{items}]").replace("...", arguments)
    made = eval(program, SCOPE | {"values": values, "value": values})
    if not isinstance(made, Filter):  # the advice is about the value alone
        made = eval(mistake.replace(arguments, "value"), SCOPE | {"value": made})
    return made


MISTAKES: list[tuple[str, str, Any]] = [
    ("Col.text('input').contains(['refund', 'visa'])", "", lambda s: "refund" in s["input"] or "visa" in s["input"]),
    ("Col.text('input').contains(LETTERS)", "LETTERS", lambda s: any(letter in s["input"] for letter in "bcdef")),
    ("Col('input').contains({'refund'})", "", lambda s: "refund" in s["input"]),
    ("Col('tags') == ['vip']", "", lambda s: "vip" in s["tags"]),
    ("Col('tags') != ('vip', 'beta')", "", lambda s: not {"vip", "beta"} & set(s["tags"])),
    ("Col.collection('tags') == ['vip']", "", lambda s: "vip" in s["tags"]),
    ("Col.collection('tags') != 'vip'", "'vip'", lambda s: "vip" not in s["tags"]),
    ("Col('name') == ['support-43521', 'a']", "", lambda s: s["name"] == "support-43521"),
    ("Col.id('id') == [ID]", "", lambda s: s["id"] == ID),
    ("Col.number('score') == [4, 5]", "[4, 5]", lambda s: score(s) in (4, 5)),
    ("Col('score') != [4, 5]", "[4, 5]", lambda s: "score" in s and score(s) not in (4, 5)),
    ("Col('score').one_of([4, 5])", "[4, 5]", lambda s: score(s) in (4, 5)),
    ("Col.number('score') > '3'", "'3'", lambda s: score(s) > 3),
    ("Col('score').between('1.5', '3')", "", lambda s: 1.5 <= score(s) <= 3),
    ("Col.text('score') == 3", "3", lambda s: score(s) == 3),
    ("Col.boolean('is_complete') == 1", "", lambda s: s["is_complete"]),
    ("Col.boolean('is_complete') == 'true'", "", lambda s: s["is_complete"]),
    ("Col.text('score').one_of([4, 5])", "[4, 5]", lambda s: score(s) in (4, 5)),
    ("CountQuery(PROJECT, TREE)", "TREE", lambda s: score(s) > 3),
    ("Col.boolean('is_complete').one_of([True])", "[True]", lambda s: s["is_complete"]),
    ("Col.date('created_at') > 1780000000", "", lambda s: created(s).timestamp() > 1_780_000_000),
    ("Col.date('created_at') > 1780000000000", "", lambda s: created(s).timestamp() > 1_780_000_000),
    ("Col('created_at') > '2026-05-01'", "", lambda s: f"{created(s):%m-%d}" > "05-01"),
    ("Col('created_at') > '2026-05'", "", lambda s: f"{created(s):%m}" > "05"),
    ("Col('created_at') >= '2026-05'", "", lambda s: f"{created(s):%m}" >= "05"),
    ("Col('created_at') <= '2026-05-31'", "", lambda s: f"{created(s):%m-%d}" <= "05-31"),
    ("Col('created_at').lt('2026-05-31')", "", lambda s: f"{created(s):%m-%d}" < "05-31"),
    ("Col('created_at').between('2026-05-02T09:00Z', '2026-05-31')", "",
     lambda s: datetime(2026, 5, 2, 9, tzinfo=UTC) <= created(s) < datetime(2026, 6, 1, tzinfo=UTC)),
    ("Col('created_at').between('2026-05-02', '2026-05-31T09:00Z')", "",
     lambda s: datetime(2026, 5, 2, tzinfo=UTC) <= created(s) <= datetime(2026, 5, 31, 9, tzinfo=UTC)),
    ("Col.date('created_at') > '2026-05-01T09:00'", "", lambda s: created(s) > datetime(2026, 5, 1, 9, tzinfo=UTC)),
    ("Col.date('created_at') < date(2026, 5, 1)", "", lambda s: created(s) < datetime(2026, 5, 1, tzinfo=UTC)),
    ("Col.date('created_at') < datetime(2026, 5, 1)", "datetime(2026, 5, 1)",
     lambda s: created(s) < datetime(2026, 5, 1, tzinfo=UTC)),
    ("Col('created_at').between('2026-05-01', '2026-06-01')", "",
     lambda s: "05-01" <= f"{created(s):%m-%d}" <= "06-01"),
    ("Col('created_at') == date(2026, 5, 1)", "", lambda s: f"{created(s):%m-%d}" == "05-01"),
    ("Col.date('created_at') == '2026-05-01'", "", lambda s: f"{created(s):%m-%d}" == "05-01"),
    ("Col('created_at') == '2026-05-01'", "", lambda s: f"{created(s):%m-%d}" == "05-01"),
    ("Col('created_at') != '2026-05-01'", "", lambda s: f"{created(s):%m-%d}" != "05-01"),
    ("Col('created_at') == '2026-05'", "", lambda s: f"{created(s):%m}" == "05"),
    ("Col('created_at') != '2026-12'", "", lambda s: True),
    ("Col('created_at') == '2026-06-10T08:59:39'", "", lambda s: s["created_at"] == "2026-06-10T08:59:39+00:00"),
    ("Col.number('created_at').last('9999w')", "'9999w'", lambda s: True),
    ("Col.text('created_at').on('2026-05-01', tz='UTC')", "'2026-05-01', tz='UTC'",
     lambda s: f"{created(s):%m-%d}" == "05-01"),
    ("CountQuery(PROJECT, 'score > 3')", "'score > 3'", lambda s: score(s) > 3),
    ("CountQuery(PROJECT, [Col('score') > 3, Col('score') < 4])", "[Col('score') > 3, Col('score') < 4]",
     lambda s: 3 < score(s) < 4),
    ("(Col('score') > 3) & [Col('score') < 4]", "[Col('score') < 4]", lambda s: 0 <= score(s) < 4),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "arguments", "meant"), MISTAKES, ids=[mistake for mistake, _, _ in MISTAKES])
def test_advice_counts_what_was_meant(mistake: str, arguments: str, meant: Any) -> None:
    """The first rewrite for the column's type counts the sessions that a plain Python expression finds."""
    where = followed(mistake, arguments)
    assert sum(map(bool, map(meant, SESSIONS))) == sum(matches(where, session) for session in SESSIONS)


def test_a_long_list_is_not_written_out() -> None:
    """The advice for a list that is too long to quote calls it `values`."""
    assert "for value in values]" in complaint("Col('input').contains(LETTERS)")


def test_a_column_is_not_compared_with_a_column() -> None:
    """A name without quotes is a column in text, and the error says how to write text."""
    message = complaint("parse_filter('name == alice')")
    assert "A column can't be compared with a column. Write 'alice' for text" in message
