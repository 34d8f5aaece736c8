"""Names of other libraries for what a column can do: who follows a hint counts what was meant, never the opposite."""

import re
from itertools import product
from typing import Any

import pytest

import galileo_sessions as gs
from galileo_sessions import Col, FilterError, matches
from galileo_sessions.display import did_you_mean
from galileo_sessions.filters.filter_types import METHODS
from galileo_sessions.filters.nodes import LEAVES
from galileo_sessions.local import sample_sessions

COLUMNS = {"number": "score", "text": "input", "date": "created_at", "boolean": "is_complete", "collection": "tags"}
COLUMNS |= {"id": "id"}
SOME = sample_sessions()[:200]
# Some sessions have no value in any column.
SESSIONS: list[dict[str, Any]] = [session if i % 7 else {} for i, session in enumerate(SOME)]
VALUE: dict[str, Any] = {kind: SOME[5][column_id] for kind, column_id in COLUMNS.items()} | {"collection": "vip"}
VALUES: dict[str, Any] = {kind: [VALUE[kind], SOME[8][column_id]] for kind, column_id in COLUMNS.items()}
VALUES |= {"collection": ["vip", "beta"], "text": [VALUE["text"], VALUE["text"][:6]]}

# What people write, by the meaning in Python of x, the session's value, and v, what it is compared with.
NAMES: dict[str, str] = {
    "x == v": "equals equal isEqual is_equal_to exact eq_missing is_not_distinct_from",
    "not x == v": "neq not_equals notEqual not_eq noteq is_not isnt is_distinct_from differs_from ne_missing unequal",
    "x > v": "greater_than greaterThan is_greater_than more_than above over after is_after exceeds later_than",
    "x >= v": "ge at_least since is_not_before not_before greater_or_equal greaterThanOrEqual not_less_than",
    "x < v": "less_than lessThan is_less_than below under before is_before earlier_than older_than",
    "x <= v": "le at_most not_after not_greater_than less_or_equal lessThanOrEqual no_more_than not_above",
    "v in x": "includes has contain has_member list_contains str_contains include containing",
    "v not in x": "not_contains doesnt_contain does_not_contain notContains excludes excluding without lacks"
    " not_includes ncontains not_has exclude",
    "x in vs": "in_ isin is_in in_list is_any_of any_of is_one_of member_of",
    "x not in vs": "notin not_in_ notin_ nin not_isin is_not_in none_of is_none_of not_any_of not_one_of not_in_list",
    "any(v in x for v in vs)": "contains_any has_any overlaps overlap has_any_of includes_any intersects",
    "not any(v in x for v in vs)": "not_contains_any is_disjoint contains_none does_not_overlap has_none",
    "all(v in x for v in vs)": "contains_all has_all is_superset includes_all",
    "x": "true is_truthy istrue isTrue is_not_false",
    "not x": "false is_falsy isFalse is_not_true not_true",
    "x is not None": "notnull is_not_null isNotNull notna exists is_not_none not_missing has_value is_not_nan",
    "": "isnull is_null isna is_missing not_exists does_not_exist len length size is_empty not_empty startswith"
    " not_startswith notlike ilike not_ilike regex iregex matches rlike endswith is_nan regexp_match has_no_value",
}  # fmt: skip
OPERATORS = {"x == v": "eq", "not x == v": "ne", "x > v": "gt", "x >= v": "gte", "x < v": "lt", "x <= v": "lte"}
OPERATORS |= {"v in x": "contains", "x in vs": "one_of", "x not in vs": "not_in", "x": "is_true", "not x": "is_false"}
# Without collections, of which == compares all members.
OF_TYPE = {"x == v": "number text date boolean id", "not x == v": "number text date boolean id"}
OF_TYPE |= dict.fromkeys(["x > v", "x >= v", "x < v", "x <= v"], "number date")
OF_TYPE |= dict.fromkeys(["v in x", "v not in x"], "text collection id")
OF_TYPE |= dict.fromkeys(["x in vs", "x not in vs"], "number text id")
OF_TYPE |= dict.fromkeys(["x", "not x"], "boolean")
OF_TYPE |= dict.fromkeys(["any(v in x for v in vs)", "not any(v in x for v in vs)"], "text collection")
OF_TYPE |= {"all(v in x for v in vs)": "text collection", "x is not None": " ".join(COLUMNS)}
WRITTEN = [
    (name, kind, meaning, typed)
    for meaning, names in NAMES.items()
    for kind in OF_TYPE.get(meaning, " ".join(COLUMNS)).split()
    for name in names.split()
    for typed in (True, False)
    if typed or kind in ("text", "boolean") or (kind == "number" and " in " not in meaning)  # what Col can infer
]


def hint_of(column: Any, name: str) -> str:
    """What a column says to write in place of a method."""
    if name in METHODS and hasattr(column, name):
        return ""
    with pytest.raises(AttributeError) as caught:
        getattr(column, name)
    return str(caught.value).partition("\nhint: ")[2]


def followed(hint: str, column: Any, kind: str) -> gs.Filter | None:
    """The filter of who follows a hint for a column of this type; None if it names no filter."""
    if meant := re.fullmatch(r"Did you mean (\w+)\?", hint):
        method = meant[1]
        if method not in ("eq", "ne", "contains", "gt", "gte", "lt", "lte", "one_of", "not_in", "is_true", "is_false"):
            return None
        written = f"{column!r}.{method}({{}})".format("[...]" if method in ("one_of", "not_in") else "...")
        written = written if "is_" not in method else written.replace("...", "")
    elif "a | ~a" in hint:
        if not hint.startswith("Each session with a value satisfies a | ~a"):
            return None
        a = getattr(Col, kind)(column.column_id).eq(VALUE[kind])
        return a | ~a
    elif code := re.search(r"Write (~?(?:Col|any_of|all_of)\b.*)", hint):
        choices = code[1].split(" or ")
        written = next((each for each in choices if f".{kind}(" in each or "Col(" in each), choices[0])
    else:
        assert not re.search(r"Write (?!~ before)", hint), hint
        return None
    written = re.sub(r"\[([^\[\]]*?)\((\.\.\.)\), \.\.\.\]", r"[\1(value) for value in values]", written)
    written = written.replace("[...]", "values").replace("between(...", "between(v, v").replace("(...", "(v")
    names = {"Col": Col, "any_of": gs.any_of, "all_of": gs.all_of}
    try:
        made = eval(written, names | {"v": VALUE[kind], "values": VALUES[kind]})
    except FilterError:
        return None  # a method of another type, which counts nothing
    assert isinstance(made, gs.Filter)
    return made


def counted(where: gs.Filter) -> list[int]:
    return [i for i, session in enumerate(SESSIONS) if matches(where, session)]


def meant_by(meaning: str, kind: str) -> list[int]:
    """The sessions that a meaning in Python finds. A session without the value satisfies none."""
    found: list[int] = []
    for i, session in enumerate(SESSIONS):
        x, v, vs = session.get(COLUMNS[kind]), VALUE[kind], VALUES[kind]
        if x is not None and eval(meaning, {"x": x, "v": v, "vs": vs}):
            found.append(i)
    return found


@pytest.mark.parametrize(("name", "kind", "meaning", "typed"), WRITTEN)
def test_a_hint_counts_what_was_meant(name: str, kind: str, meaning: str, typed: bool) -> None:
    column = getattr(Col, kind)(COLUMNS[kind]) if typed else Col(COLUMNS[kind])
    hint = hint_of(column, name)
    where = followed(hint, column, kind)
    if not meaning:
        assert hint
        assert where is None or "The API has no patterns. Write " in hint
        assert where is None or ("not" in name) is ("~" in hint)
    else:
        assert where is not None, hint
        assert [] != meant_by(meaning, kind) == counted(where), hint


NEGATIONS = ["not_", "not", "is_not_", "does_not_", "non_", "un", "n", "no_", "isnt_", "never_"]


@pytest.mark.parametrize("kind", COLUMNS)
def test_no_hint_counts_the_opposite(kind: str) -> None:
    """Whatever negation comes before a name, and however it is shortened or misspelled."""
    column = getattr(Col, kind)(COLUMNS[kind])
    tried = 0
    for meaning, names in NAMES.items():
        if kind not in OF_TYPE.get(meaning, "").split() or meaning == "x is not None":
            continue
        opposite = f"not ({meaning})"
        for name, negation in product([*names.split(), *OPERATORS.get(meaning, "").split()], ["", *NEGATIONS]):
            if negation and "not" in f"{meaning}{name}":
                continue  # nobody negates twice
            for written in (name, name[:-1], name[:-2], name.replace("e", "", 1), name.upper()):
                where = followed(hint_of(column, negation + written), column, kind)
                if where is None or len(written) < 2:
                    continue
                right, wrong = meant_by(meaning, kind), meant_by(opposite, kind)
                if negation:
                    right, wrong = wrong, right
                # A misspelled name after a misread negation, such as "non_mmber_of", names no method for certain.
                is_certain = written == name or not negation
                assert not is_certain or right == wrong or counted(where) != wrong, (negation + written, where)
                assert name != written or counted(where) == right, (negation + written, where)
                tried += 1
    assert tried > 50


@pytest.mark.parametrize("kind", COLUMNS)
def test_leaves_say_the_same(kind: str) -> None:
    """A constructor names the operator, or the column's call that has the hint's effect."""
    column = getattr(Col, kind)(COLUMNS[kind])
    for name in " ".join(NAMES.values()).split():
        with pytest.raises(FilterError) as caught:
            LEAVES[kind]("a", name, VALUE[kind])
        hint, of_column = caught.value.hint, hint_of(column, name)
        assert bool(hint) is bool(of_column), name
        if operator := re.fullmatch(r"Write (\w+)", hint):
            assert of_column.startswith(f"Write {column!r}.{operator[1]}("), name
        else:
            assert hint == of_column.replace(repr(COLUMNS[kind]), "...", 9), name


@pytest.mark.parametrize(
    ("written", "known", "suggested"),
    [
        *[(name, "active", False) for name in ("inactive", "not_active", "non-active", "unactive", "never_active")],
        ("active", "inactive", False),
        ("is_not_complete", "is_complete", False),
        ("is_incomplete", "is_complete", False),
        ("is_complte", "is_complete", True),
        ("disabled", "enabled", False),
        ("non-production", "production", False),
        ("prodution", "production", True),
        ("user_input", "user_output", False),
        ("imput", "input", True),
        ("unput", "input", True),
        ("min_score", "max_score", False),
        ("notes", "nodes", True),
        ("notcontain", "contains", False),
        *[(name, "contains", False) for name in ("containsNot", "cannot_contain", "contained_by", "contains_only")],
        ("typical", "atypical", False),
        ("asymmetric", "symmetric", False),
        ("harmless", "harmful", False),
        ("dont", "done", False),
        ("has_error", "hasnt_error", False),
        ("maximize", "minimize", False),
        ("score_1", "score_2", False),
        ("tag", "tags", True),
        ("createdAt", "created_at", True),
        ("user id", "user_id", True),
        ("tset_score", "test_score", False),
        ("tocixity", "toxicity", False),
        ("toxciity_scores", "toxicity_score", True),
    ],
)
def test_a_similar_name_is_never_the_opposite(written: str, known: str, suggested: bool) -> None:
    assert (f"Did you mean {known}?" if suggested else "") == did_you_mean(written, [known])


@pytest.mark.parametrize(("name", "kind"), [("bool", "boolean"), ("string", "text"), ("Int", "number"),
                                            ("Text", "text"),
                                            ("datetime", "date"), ("list", "collection"), ("uuid", "id")])  # fmt: skip
def test_a_type_of_another_library(name: str, kind: str) -> None:
    with pytest.raises(AttributeError, match=rf"Col has no {name}; it has .*\nhint: Write Col\.{kind}\(\.\.\.\)"):
        getattr(Col, name)
    with pytest.raises(gs.FilterParseError, match=rf"hint: Write Col\.{kind}\(\.\.\.\)"):
        gs.parse_filter(f"Col.{name}('a') == 1")
