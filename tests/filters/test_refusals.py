"""What is refused: the message quotes what was written, and what it says to write counts what was meant."""

import warnings
from datetime import datetime
from functools import reduce
from inspect import signature
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import pytz
from support.programs import COLUMNS, NAMES, check_message, refused, run

import galileo_sessions as gs
from galileo_sessions import Col, Filter, FilterError, FilterTooLargeError, FilterTypeError
from galileo_sessions.display import did_you_mean
from galileo_sessions.filters.catalog import ColumnInfo
from galileo_sessions.filters.nodes import LEAVES
from galileo_sessions.local import sample_sessions

A = Col("a").gt(1)
DEEP: Filter = reduce(lambda below, _: gs.Or([below]), range(99), A)
SCOPE: dict[str, Any] = {"A": A, "DEEP": DEEP, "MANY": gs.all_of([A] * 10_000), "ColumnInfo": ColumnInfo}
SCOPE |= {"attrs": attrs, "pytz": pytz, "CREATED": Col.date("created_at"), "SCORE": Col.number("score")}

PARENTHESES = ['& binds tighter than == and <. Write (Col("a") == 1) & (Col("b") == 2)']
TRUTH = ["no truth value", "hint: Write & for and, | for or, ~ for not, with each comparison in parentheses: (a > 1"]
TRUTH += ['For `in` write Col("a").one_of([...])']
MISSING = "The API has no test for a missing value"
NO_ZONE = 'depends on the time zone\nhint: Write tz="UTC", or'
NOT_JSON = "is not a number that JSON can carry"
ZONES = ['Use, for example, "Europe/Berlin" or "+01:00"']
WITH_ZONE = "with tz, the length must be whole days or weeks, such as 30d or 4w"

# programs, the errors that refuse them, and words of the messages
REFUSALS: list[tuple[str, type[Exception], list[str]]] = [
    # ids of columns
    *[(program.replace("c", column, 1), error, words) for column in COLUMNS for program, error, words in [
        ("c('')", FilterError, ["column id can't be empty", 'Col("input")']),
        ("c(None)", FilterTypeError, ["a column id must be text, got None"]),
        ("c(Col('a'))", FilterTypeError, ["a column id must be text, got Col('a')"]),
        ("c('\\ud800')", FilterError, ["column id '\\ud800'", "surrogate"]),
        ("c()", TypeError, ["column_id"]),
    ]],
    # methods
    ("Col.number('a').contains('x')", AttributeError, ["no contains; it has eq, ne, gt,", "Write Col.id('a')."]),
    ("Col.text('a').gt('x')", AttributeError, ["Write Col.date('a').gt(...) or Col.number('a').gt(...)"]),
    *[(f"Col.{kind}('a') {sign} 3", FilterTypeError, [f"'a') has no {name};", f"Col.number('a').{name}(...)"])
      for kind in ("text", "collection", "id", "boolean")
      for sign, name in ((">", "gt"), (">=", "gte"), ("<", "lt"), ("<=", "lte"))],
    ("3 < Col.text('a')", FilterTypeError, ["Col.text('a') has no gt;", "Write Col.date('a').gt(...) or Col.number("]),
    ("Col('score', 'number')", FilterTypeError, ["id, not 'number' beside it\nhint: Write Col.number('score')"]),
    ("Col('score', type='int')", FilterTypeError, ["id, not 'int' beside it\nhint: Write Col.number('score')"]),
    ("Col('a', 'b', 3)", FilterTypeError, ["not 'b', 3 beside it\nhint: Write Col('a'), or Col.text('a') for"]),
    ("Col('a', 3)", FilterTypeError, ["not 3 beside it\nhint: Write Col('a'), or"]),
    ("parse_filter('Col(\"score\", \"number\") > 3')", gs.FilterParseError, ["hint: Write Col.number('score')"]),
    ("parse_filter('user.name == 3')", gs.FilterParseError, ["has no name", "hint: Write Col('user.name') for a"]),
    ("parse_filter('a.contain & b > 3')", gs.FilterParseError, ["has no contain", "hint: Write Col('a.contain') for"]),
    ("parse_filter('Col.text(\"a\").contain == 3')", gs.FilterParseError, ["hint: Write Col.text('a').contains("]),
    # functions
    ("map_leaves(A, 3)", FilterTypeError, ["3 is not a function\nhint: Write map_leaves(where, lambda leaf: ...)"]),
    ("map_leaves(Col('a'), str)", FilterTypeError, ["is a column, not yet a filter"]),
    ("dump_query(A)", FilterTypeError, ["is not a query\nhint: Write dump_filter(...)"]),
    ("dump_query('x')", FilterTypeError, ["'x' is not a query\nhint: Pass a CountQuery"]),
    ("dump_catalog({})", FilterTypeError, ["{} is not a catalog\nhint: Pass what columns() or load_catalog returns"]),
    ("Col.score", AttributeError, ["Col has no score; it has id, date, number", "Write Col('score') for that column"]),
    # truth, and what joins
    *[(program.replace("c", f"{column}('a')"), FilterTypeError, ["is a column, not yet a filter"])
      for column in COLUMNS for program in ("bool(c)", "c & c", "c | c", "~c", "1 & c", "1 | c", "'x' in c")],
    *[(f"{program}({column}('a'))", TypeError, []) for column in COLUMNS for program in ("hash", "list")],
    ("Col('a') == 1 & Col('b') == 2", FilterTypeError, ["Col('b')", *PARENTHESES]),
    ("2 & A", FilterTypeError, ["2 is not a filter", *PARENTHESES]),
    ("'x' | A", FilterTypeError, ["'x' is not a filter", "| binds tighter than"]),
    ("A & None", FilterTypeError, ["None is not a filter\nhint: For no condition write ALWAYS"]),
    ("A & True", FilterTypeError, ["True is not a filter\nhint: For all sessions write ALWAYS"]),
    ("all_of(None)", FilterTypeError, ["expected a list of filters, got None\nhint: Write [...] around filters"]),
    ("Not(None)", FilterTypeError, ["None is not a filter\nhint: For no condition leave out the Not"]),
    ("And([1])", FilterTypeError, ["1 is not a filter"]),
    ("all_of([Col('a')])", FilterTypeError, ["not yet a filter\nhint: Compare it, as in (Col('a') == ...)"]),
    ("Col('x') in ['a', 'b']", FilterTypeError, TRUTH),
    ("Col('x') == Col('y') == 1", FilterTypeError, ["Col('x').eq(Col('y'))"]),
    ("3 in Col.number('a')", FilterTypeError, ["Col.number('a') is a column", "Write Col.number('a').eq(3)"]),
    ("Filter()", FilterTypeError, ['Col("input")']),
    *[(program, FilterTooLargeError, ["at most 100 levels\nhint: Write all_of([...])"])
      for program in ("~DEEP", "A & DEEP", "all_of([DEEP, A])", "Not(DEEP)", "map_leaves(DEEP, Not)")],
    *[(program, FilterTooLargeError, ["have 10,001 leaves; 10,000 is the most\nhint: Many values of one column fit"])
      for program in ("MANY & A", "Or([MANY, NEVER])", "any_of([A] * 10_001)",
                      "load_filter({'or': [dump_filter(A)] * 10_001})")],
    # constructors
    ("TextFilter('a', ['eq'], 'x')", FilterError, ["no operator ['eq']; it has eq"]),
    ("NumberFilter('a', 'eq', 10**4_300)", FilterError, ["is not a number that JSON can carry"]),
    ("DateFilter('a', 'eq', '2026-01-31T09:00:00,00000001Z')", FilterError, ["finer than a microsecond"]),
    ("DateFilter('a', 'eq', datetime(1, 1, 1, tzinfo=timezone(timedelta(seconds=9))))", FilterError, ["1 to 9999"]),
    ("IdFilter('a', 'eq', 1)", FilterTypeError, ["expected a UUID or text, got 1"]),
    ("FullyAnnotatedFilter([])", FilterTypeError, ["a list of at least one UUID as user_ids, got []"]),
    ("FullyAnnotatedFilter(['0x' + 30 * 'a'])", FilterTypeError, ["a list of at least one UUID"]),
    # values
    ("Col('a').eq(float('nan'))", FilterError, [f"Col('a').eq(nan): nan {NOT_JSON}\nhint: {MISSING}"]),
    ("Col('a').gt(Decimal('0.10000000000000000001'))", FilterError, ["lose digits", "float(...), which rounds to 0.1"]),
    ("Col('a') == None", FilterTypeError, ["eq(None): expected UUID, datetime, int, float", "got None", MISSING]),
    ("Col('a').one_of(['x', None])", FilterTypeError, ["Col('a').one_of(['x', None]): expected text", MISSING]),
    ("Col('a').one_of([])", FilterError, ["Col('a').one_of([])", "empty list\nhint: Give it a value, or write NEVER"]),
    ("Col.collection('a').not_in(set())", FilterError, ["Col.collection('a').not_in([])", "write ALWAYS"]),
    ("Col.collection('a').one_of([UUID(PROJECT)])", FilterTypeError, ["hint: Write Col.id('a') if"]),
    ("Col('a').one_of('abc')", FilterTypeError, ["one_of('abc'): one_of takes a list of text", "one_of([value])"]),
    ("Col('a').not_in({'x': 1})", FilterTypeError, ["Col('a').not_in({'x': 1}): not_in takes a list"]),
    ("Col('a').between(2, 1)", FilterError, ["between(2, 1): the lower or earlier one comes first\nhint: Swap"]),
    ("Col.number('a').between(0.5, 10**4000)", FilterError, ["lose digits\nhint: Write column.gte(0.5) & column.lte("]),
    ("Col('a').between(False, True)", FilterTypeError, ["Col('a').between(False, True): expected a number, got False"]),
    ("Col('a') > 'x'", FilterTypeError, ["gt('x'): expected datetime, int, float, Decimal or Fraction, got 'x'"]),
    ("Col('a').contains(3)", FilterTypeError, ["Col('a').contains(3): expected UUID or str, got 3"]),
    ("Col('a').eq('\\ud800')", FilterError, ["Col('a').eq('\\ud800')", "surrogate"]),
    ("Col.text('a').eq('x', case_sensitive=None)", FilterTypeError, ["expected True or False, got None"]),
    # times
    ("Col('a').eq(datetime(2026, 1, 31))", FilterError, ["Col('a').eq(datetime.datetime(2026,", "value.astimezone()"]),
    ("Col.date('a').gt('2026-06-31')", FilterError, ["gt('2026-06-31'): '2026-06-31' doesn't exist: day "]),
    *[(f"Col.date('a').{method}('2026-06-30T09:00:00.0000001Z')", FilterError, [f"Write Col.date('a').{instead}("])
      for method, instead in (("gt", "gt"), ("gte", "gt"), ("lt", "lte"), ("lte", "lte"))],
    ("Col.number('a') == [None, 1]", FilterTypeError, ["no test for a missing value. Leave it out, and"]),
    ("Col.date('a').gt('yesterday')", FilterError, ["Col.date('a').gt('yesterday')", "ISO 8601 time such as 2026-"]),
    ("Col('a').gt(datetime(2026, 1, 31, tzinfo=pytz.timezone('Asia/Tokyo')))", FilterError, ["zone.localize(...)"]),
    ("Col.date('a').on(datetime(2026, 1, 31), tz=UTC)", FilterError, ["Col.date('a').on(", "expected a date"]),
    ("Col.date('a').on('2026-W18', tz=UTC)", FilterError, ["on('2026-W18')", "a date, or text such as 2026-01-31"]),
    ("CREATED.on('2026-01-31', tz=5)", FilterTypeError, ["on('2026-01-31'): unknown time zone 5", *ZONES]),
    ("CREATED.on('yesterday')", FilterError, ["on('yesterday'): 'yesterday' " + NO_ZONE]),
    ("CREATED.on('2026-05-01')", FilterError, ["Col.date('created_at').on('2026-05-01'): '2026-05-01' " + NO_ZONE]),
    *[(f"CREATED.on('2026-01-31', tz={zone!r})", FilterError, ["unknown time zone", *ZONES])
      for zone in ("Berlin", "", "+25:00", "+1:00", "../UTC", "/etc/passwd", "Europe", "a\0b", "é", "U" * 500)],
    *[(f"CREATED.{method}('7d', 'today')", FilterError, [f"{method}('7d', 'today'): '7d' {NO_ZONE}"])
      for method in ("during", "days")],
    ("CREATED.during('yesterday', '1h')", FilterError, ["'yesterday' " + NO_ZONE]),
    ("CREATED.during('7 days', 'today', tz=UTC)", FilterError, ["'7 days' must be a day such as"]),
    ("CREATED.weeks('Monday', 'today')", FilterError, ["'Monday' must be a day such as"]),
    ("CREATED.last('2M')", FilterError, ["'2M' must be a timedelta", "Write 60d for 2 months; 2m is 2 minutes"]),
    ("CREATED.days(last='1month', tz='UTC')", FilterError, ["or 4w", "Write 30d for a month; 1m is a minute"]),
    ("CREATED.last('7 days')", FilterError, ["'7 days' must be a timedelta, or text such as 30m, 12h, 7d or 4w"]),
    ("CREATED.last('0d')", FilterError, ["'0d' must be"]),
    ("CREATED.last(timedelta(days=9999, microseconds=1))", FilterError, ["at most 9,999 days"]),
    ("CREATED.last(timedelta())", FilterError, ["must be more than 0"]),
    ("CREATED.last(timedelta(days=-1))", FilterError, ["must be more than 0"]),
    ("CREATED.last('12h', tz='UTC')", FilterError, [WITH_ZONE]),
    ("CREATED.days('2026-05-01')", FilterError, ["either two bounds or last=\nhint: Write days(start, end, tz=...)"]),
    ("CREATED.days(last='30d')", FilterError, ["tz is missing: where days", "hint: Write days(last='30d', tz='UTC')"]),
    ("CREATED.days('2026-05-01', '2026-06-01', last='30d', tz='UTC')", FilterError, ["days('30d'): days takes"]),
    ("CREATED.days('9999-12-31', '9999-12-31T12:00', tz='UTC')", FilterError, ["years go from 1 to 9999"]),
    ("CREATED.hours('0001-01-01', '0001-01-02', tz='+02:00')", FilterError, ["is out of range in UTC"]),
    ("CREATED.during('2026-05-08', '2026-05-08', tz=UTC)", FilterError, ["after start\nhint: For one day, end is"]),
    ("CREATED.during('2026-05-01T00:00Z', date(2026, 5, 8))", FilterError, ["datetime.date(2026, 5, 8) " + NO_ZONE]),
    ("CREATED.days('2026-05-01T00:00Z', '2026-06-01T00:00Z')", FilterError, ["where days begin " + NO_ZONE]),
    ("CREATED.days('2026-05-01+02:00', '2026-06-01', tz='UTC')", FilterError, ["'2026-05-01+02:00' must be a day"]),
    ("CREATED.hours('2015-01-01', '2026-05-29', tz='UTC')", FilterError, ["at most 10,000 parts, since each"]),
    # partitions
    ("SCORE.bins(0, 0)", FilterError, ["the edges must ascend, but 0 comes after 0"]),
    ("SCORE.bins()", FilterError, ["the edges must be arguments"]),
    ("SCORE.bins([0, 1])", FilterError, ["arguments\nhint: Write bins(0, 1, 2), or bins(*edges) for a list"]),
    ("Col.text('a').values('abc')", FilterError, ["values('abc'): values takes a list with at least one value"]),
    ("SCORE.bins(1).with_rest(5)", FilterTypeError, ["with_rest(5): a label must be text"]),
    ("SCORE.bins(1).with_rest('below 1')", FilterError, ["a part has this label\nhint: Write another one"]),
    ("SCORE.bins(1).with_rest(None)", FilterTypeError, ["with_rest(None): a label must be text"]),
    ("attrs.evolve(CREATED.days('2026-05-01', '2026-06-01', tz='UTC'), rest='x')", FilterError,
     ["a partition with a whole isn't defined\nhint: Write with_rest('x')"]),
    ("Partition(SCORE.bins(1))", FilterTypeError,
     ["is a partition already\nhint: Pass it as it is, or Partition(dict("]),
    ("Partition({'a': A}).with_rest('c')", FilterError, ["session can be in several", "Subtract the count of any_of("]),
    *[(f"CountQuery(PROJECT, {partition})", FilterTypeError,
       ["or any_of(partition.values()) for a partition. In count_by, a"])
      for partition in ("SCORE.bins(1)", "{'a': A}")],
    # keys
    *[(f"{auth}({word!r})", gs.ConfigurationError, ['begins with "Bearer"\nhint: Leave the word out; a'])
      for auth in ("ApiKeyAuth", "BearerAuth", "GalileoSessions") for word in ("Bearer x", "bearer x")],
    # catalogs and functions
    ("ColumnCatalog.of(score='numeric')", FilterTypeError, ["; a filter type is one of id, date, number, boolean"]),
    ("ColumnCatalog.of({1: 'text'})", FilterTypeError, ["1 can't be 'text'\nhint: Write text, as in {\"score\": "]),
    ("ColumnCatalog.of({'score': ['number']})", FilterTypeError, ["'score' can't be ['number']\nhint: Write text"]),
    ("ColumnCatalog.of(['score'])", gs.FilterDecodeError, ["expected a JSON object, got ['score']"]),
    *[(f"ColumnCatalog({columns})", FilterTypeError, [f"ColumnInfo, got {columns}\nhint: Write ColumnCatalog.of("])
      for columns in ("{'a': 'text'}", "['a']", "None")],
    ("load_query('{}')", gs.FilterDecodeError, ["got '{}'\nhint: Read JSON with json.loads first"]),
    ("ColumnInfo('x', allowed_values='ab')", FilterTypeError, ["expected a list, got 'ab'"]),
    ("map_leaves(A, print)", FilterTypeError, ["returned None for Col.number('a').gt(1)\nhint: Return a filter"]),
    *[(program.replace("x", value), FilterTypeError, [f"{value} is not a filter"]) for value in ("{'a': 1}", "[3]", "3")
      for program in ("dump_filter(x)", "draw_filter(x)", "leaves_of(x)", "matches(x, A)", "map_leaves(x, Not)",
                      "CountQuery(PROJECT, x)", "ColumnCatalog(()).check(x)")],
]  # fmt: skip


@pytest.mark.parametrize(("program", "error", "words"), REFUSALS, ids=[ascii(program) for program, _, _ in REFUSALS])
def test_a_refusal_says_what_to_write(program: str, error: type[Exception], words: list[str]) -> None:
    message = refused(program, error, **SCOPE)
    assert [] == [word for word in words if word not in message]


# What people write in place of an operator, and what they are told to write.
ADVICE = {
    "number": {">": "gt", "=": "eq", "<>": "ne", "neq": "ne", "not_eq": "ne", "noteq": "ne", "is_not": "ne"},
    "text": {"equals": "eq", "contain": "contains", "in": "one_of", "isin": "one_of", "not in": "not_in",
             "icontains": "contains",
             "startswith": "no patterns", "like": "no patterns", "len": "compares values, not their lengths",
             "isna": "no test for a missing value"},
}  # fmt: skip


@pytest.mark.parametrize(("kind", "written"), [(kind, written) for kind in ADVICE for written in ADVICE[kind]])
def test_a_wrong_operator_gets_the_same_advice_everywhere(kind: str, written: str) -> None:
    """As a method, with a constructor, in plain data, and in a text."""
    column, leaf = getattr(Col, kind)("a"), {"column_id": "a", "operator": written, "value": "x", "type": kind}
    asked = [lambda: getattr(column, written), lambda: LEAVES[kind]("a", written, "x")]
    asked += [lambda: gs.load_filter({"filter": leaf}), lambda: gs.parse_filter(f"Col.{kind}('a').{written}('x')")]
    for ask in asked if written.isidentifier() and written != "in" else asked[:-1]:
        with pytest.raises((AttributeError, FilterError)) as caught:
            ask()
        said, _, hint = str(caught.value).partition("\nhint: ")
        assert ADVICE[kind][written] in hint
        assert f"has no {written}; it has" in said or f"no operator '{written}'; it has" in said
        assert caught.type is not AttributeError or (written, None) == (caught.value.name, caught.value.obj)


HUGE: dict[str, Any] = {
    "text": "a" * 1_000_000,
    "time": "2026-01-31T09:00:00." + "1" * 1_000_000 + "Z",
    "list": ["a" * 1_000_000] * 3 + [1],
    "int": 10**1_000_000,
}
OF_VALUES = ["Col('a').gt(value)", "Col('a').one_of(value)", "Col('a').on(value, tz=value)", "value in Col('a')"]
OF_VALUES += ["A & value", "TextFilter('a', value, 'x')", "CountQuery(PROJECT, filters=[value])"]
OF_VALUES += ["load_filter({'zzz': value})", "load_filter({'filter': {'type': 'date', 'value': value}})"]
OF_IDS = ["Col(value).gt(None)", "Col.collection(value) != 'x'", "~Col(value)", "Col.text(value).foo"]
OF_IDS += [
    "getattr(Col('a'), value)",
    "ColumnCatalog(()).check(Col(value).eq(1))",
    "load_filter({'not': {}, value: 1})",
]
OF_IDS += ["ColumnCatalog.of({value: 'collection'}).check(Col(value).ne(value))"]
OF_IDS += ["load_filter({'filter': dump_filter(A)['filter'] | {value: 1}})"]
LONG = [(program, name) for program in OF_VALUES for name in HUGE] + [(program, "text") for program in OF_IDS]


@pytest.mark.parametrize(("program", "name"), LONG)
def test_no_message_is_long(program: str, name: str) -> None:
    """A megabyte as a value or as a column id doesn't make a message long, though each message quotes it."""
    with pytest.raises((FilterError, AttributeError)) as caught:
        run(program, value=HUGE[name], A=A)
    check_message(str(caught.value))


# with shorter names for two columns
SESSIONS = [each | {"at": each["created_at"], "done": each["is_complete"]} for each in sample_sessions()]
ID = SESSIONS[5]["id"]
SERVICE: dict[str, Any] = NAMES | {
    "CATALOG": gs.ColumnCatalog.of(tags="collection", score="number"),
    "ID": ID,
    "MAY": datetime(2026, 5, 1),  # noqa: DTZ001
    "TREE": {"filter": {"column_id": "score", "operator": "gt", "value": 3, "type": "number"}},
}
# As Galileo's SDK makes leaves and nodes.
SERVICE["SDK"] = SimpleNamespace(additional_properties={}, to_dict=lambda: SERVICE["TREE"]["filter"], column_id="score")
SERVICE["SDK_NODE"] = SimpleNamespace(additional_properties={}, to_dict=lambda: SERVICE["TREE"])


FIRST = "Col.date('at').{}('2026-05-01T00:00:00+00:00')"
NEXT = "Col.date('at').{}('2026-05-02T00:00:00+00:00')"
ON = "Col.date('at').on('2026-05-01', tz=\"UTC\")"
VALUES = {"score": [4, 5], "input": ["refund", "visa"], "tags": ["vip", "beta"], "name": ["support-43521"], "id": [ID]}
CONTAINS = "Col.collection('tags').contains('vip')"
# A mistake, what the hint says to write, a program that follows it if the hint isn't one, and in Python what was meant.
HINTS: list[tuple[str, str, str, str]] = [
    # several values next to an operator that takes one, or of a type that takes no list
    ("Col.text('input').contains(['refund', 'visa'])",
     "any_of([Col.text('input').contains('refund'), Col.text('input').contains('visa')])",
     "", "'refund' in input or 'visa' in input"),
    ("Col('tags') == ['vip', 'beta']", "Col.collection('tags').one_of([...])", "", "{'vip', 'beta'} & {*tags}"),
    ("Col.collection('tags') == ['vip', 'beta']", "For a collection write"
     " all_of([Col.collection('tags').contains('vip'), Col.collection('tags').contains('beta')])",
     f"all_of([{CONTAINS}, Col.collection('tags').contains('beta')])", "{'vip', 'beta'} <= {*tags}"),
    ("Col.collection('tags') == ('vip', 'beta')", "Col.collection('tags').one_of([...]) for at least one",
     "Col.collection('tags').one_of(values)",
     "{'vip', 'beta'} & {*tags}"),
    ("Col.text('input') > 3", "Col.number('input').gt(...)", "Col.number('score').gt(3)", "score > 3"),
    ("Col('score', 'number') > 3", "Col.number('score')", "Col.number('score') > 3", "score > 3"),
    ("Col('name') == ['a', 'support-43521']", "Col.text('name').one_of([...])", "", "name == 'support-43521'"),
    ("Col('tags') != ('vip', 'beta')", "Col.collection('tags').not_in([...])", "", "not {'vip', 'beta'} & {*tags}"),
    ("Col.id('id') == {ID}", "Col.id('id').one_of([...])", "", "id == ID"),
    ("Col('score') != [4, 5]", "~any_of([Col('score').eq(4), Col('score').eq(5)])", "", "score not in (4, 5, -1)"),
    ("Col('score').one_of([4, 5])", "any_of([Col('score').eq(4), Col('score').eq(5)])", "", "score in (4, 5)"),
    ("Col.text('score').one_of([4, 5])", "any_of([Col.number('score').eq(4), Col.number('score').eq(5)])", "",
     "score in (4, 5)"),
    ("Col.number('score').one_of([4, 5])", "any_of([Col.number('score').eq(...), ...])",
     "any_of([Col.number('score').eq(value) for value in values])", "score in (4, 5)"),
    # one value of another type
    ("Col.number('score') > '3'", "Write a number without quotes", "Col.number('score') > 3", "score > 3"),
    ("Col('score').between('1', '3')", "without quotes, or Col.date('score') for a time",
     "Col('score').between(1, 3)", "1 <= score <= 3"),
    ("Col.text('score') == 3", "Col.number('score') if the column is of", "Col.number('score') == 3", "score == 3"),
    ("Col.boolean('done') == 'true'", "Write True or False", "Col('done').is_true()", "done"),
    ("Col.number('score') > Col('three')", "Write a number, or text or a time", "Col.number('score') > 3", "score > 3"),
    # a time
    ("Col.date('at') > '2026-05-01'", NEXT.format("gte"), "", "at[:10] > '2026-05-01'"),
    ("Col('at') <= '2026-05-01'", NEXT.format("lt"), "", "at[:10] <= '2026-05-01'"),
    ("Col.date('at') < date(2026, 5, 1)", FIRST.format("lt"), "", "at[:10] < '2026-05-01'"),
    ("Col('at') == date(2026, 5, 1)", ON, "", "at[:10] == '2026-05-01'"),
    ("Col.date('at') != '2026-05-01'", "~" + ON, "", "at[:10] != '2026-05-01'"),
    ("Col('at') == '2026-06-10T08:59:39'", "Col.date('at').eq('2026-06-10T08:59:39+00:00')", "",
     "at == '2026-06-10T08:59:39+00:00'"),
    ("Col('at').between('2026-05-02', '2026-05-31')", "Col.date('at').during(start, end, tz=\"UTC\"), ",
     "Col.date('at').during('2026-05-02', '2026-05-31', tz='UTC')", "'2026-05-02' <= at[:10] < '2026-05-31'"),
    ("Col('at') > MAY", "value.replace(tzinfo=timezone.utc)",
     "Col('at') > MAY.replace(tzinfo=timezone.utc)", "at[:10] >= '2026-05-01'"),
    # a method that the column doesn't have, and what isn't a filter
    ("Col.collection('tags') != 'vip'", "Col.collection('tags').not_in([...])", "", "not {'vip', 'beta'} & {*tags}"),
    ("'vip' in Col('tags')", f"Write Col('tags').contains('vip'), or {CONTAINS}", CONTAINS, "'vip' in tags"),
    ("~Col('score') > 3", "~(Col('score') == ...)", "~(Col('score') > 3)", "0 <= score <= 3"),
    ("(Col('score') > 3) & [Col('score') < 4]", "all_of([...])", "all_of([Col('score') > 3, Col('score') < 4])",
     "3 < score < 4"),
    ("CountQuery(PROJECT, TREE)", "load_filter(...)", "load_filter(TREE)", "score > 3"),
    ("load_filter(dict(filter_tree=TREE))", 'load_filter(data["filter_tree"])', "load_filter(TREE)", "score > 3"),
    ("CountQuery(PROJECT, 'score > 3')", "parse_filter(...)", "parse_filter('score > 3')", "score > 3"),
    ("load_query(dict(filter_tree=TREE))", '{"project_id": "...", **data}',
     "load_query({'project_id': PROJECT, **dict(filter_tree=TREE)}).where", "score > 3"),
    # what Galileo's SDK makes
    *[(program, 'Write load_filter({"filter": value.to_dict()})', "load_filter({'filter': SDK.to_dict()})", "score > 3")
      for program in ("CountQuery(PROJECT, SDK)", "~(Col('score') > 3) & SDK", "SDK | ALWAYS", "any_of([SDK])",
                      "CountQuery(PROJECT, filters=[SDK])", "load_filter(SDK)")],
    *[(program, "Write load_filter(value.to_dict())", "load_filter(SDK_NODE.to_dict())", "score > 3")
      for program in ("CountQuery(PROJECT, SDK_NODE)", "load_filter(SDK_NODE)")],
    ("parse_filter('\"vip\" in tags & score > 3')", f"or {CONTAINS}", CONTAINS, "'vip' in tags"),
    # a column of another type than the filter's
    ("CATALOG.check(Col('tags') == 'vip')", "Col.collection('tags').contains(...)", CONTAINS, "'vip' in tags"),
    ("CATALOG.check(Col('score').one_of(['4', '5']))", "any_of([Col.number('score').eq(...), ...])",
     "any_of([Col.number('score').eq(value) for value in values])", "score in (4, 5)"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "hint", "followed", "meant"), HINTS, ids=[row[0] for row in HINTS])
def test_a_hint_counts_what_was_meant(mistake: str, hint: str, followed: str, meant: str) -> None:
    """Who follows a hint counts the sessions that a plain Python expression finds, and never none."""
    refusals = (gs.GalileoError, AttributeError, gs.DateAsTextWarning)
    with warnings.catch_warnings(action="error"), pytest.raises(refusals) as caught:
        eval(mistake, dict(SERVICE))  # each mistake stands in this file
    assert hint in (getattr(caught.value, "hint", "") or " ".join(str(caught.value).replace("│", " ").split()))
    values = next((values for name, values in VALUES.items() if f"'{name}'" in mistake), None)
    where = eval(followed or hint.replace("[...]", "values"), SERVICE | {"values": values})
    found = [session for session in SESSIONS if eval(meant, {"ID": ID, "score": -1} | session)]
    assert [] != found == [session for session in SESSIONS if gs.matches(where, session)]


CONDITIONS = {"Col('score')": "gt(3)", "Col.date('at')": "gt('2026-05-01T00:00Z')", "Col.boolean('done')": "is_true()"}
CONDITIONS |= {"Col.text('name')": "eq('x')", "Col.collection('tags')": "eq('vip')", "Col.id('id')": "contains('7')"}
SOME = [session if i % 7 else {} for i, session in enumerate(SESSIONS)]


@pytest.mark.parametrize("mistake", ["is_null()", "isna()", "eq(None)"])
@pytest.mark.parametrize("column", CONDITIONS)
def test_the_hint_for_missing_values_counts_the_sessions_that_have_none(column: str, mistake: str) -> None:
    """It is the same for columns of each type, and on the command line."""
    with pytest.raises((FilterError, AttributeError)) as caught:
        run(f"{column}.{mistake}")
    assert "value. From all sessions, subtract the count of a | ~a, for any condition a on it" in str(caught.value)
    a = run(f"{column}.{CONDITIONS[column]}")
    rest = len(SOME) - sum(gs.matches(a | ~a, session) for session in SOME)
    assert 0 < rest == sum(session.get(a.column_id) is None for session in SOME)


NAME = SESSIONS[5]["name"]
# A mistake with None, words of its hint, and what following it counts.
WITH_NONE: list[tuple[str, str, Any, Any]] = [
    ("Col('name') != None", "Each session with a value satisfies a | ~a", "name != None", False),
    ("Col.text('name').not_in([None])", "Each session with a value satisfies a | ~a", "name != None", False),
    ("Col('name').not_in([NAME, None])", "Leave it out: a session", "name not in (NAME, None)",
     "Col('name').not_in([NAME])"),
    ("Col('name').one_of([NAME, None])", "subtract the count of ~Col('name').one_of([...])",
     "name in (NAME, None)", True),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "hint", "meant", "followed"), WITH_NONE)
def test_a_hint_about_none_counts_what_was_meant(mistake: str, hint: str, meant: str, followed: str | bool) -> None:
    assert hint in refused(mistake, FilterTypeError, NAME=NAME)
    found = sum(eval(meant, {"name": session.get("name"), "NAME": NAME}) for session in SOME)
    some = Col("name").one_of([NAME])
    where = run(followed, NAME=NAME) if isinstance(followed, str) else ~some if followed else some | ~some
    counted = sum(gs.matches(where, session) for session in SOME)
    assert 0 < found == (len(SOME) - counted if followed is True else counted)


@pytest.mark.parametrize(("program", "nothing"), [("A | None", "NEVER"), ("None | A", "NEVER"),
                                                  ("any_of([A, None])", "NEVER"),
                                                  ("A & None", "ALWAYS"), ("all_of([A, None])", "ALWAYS")])  # fmt: skip
def test_no_condition_is_what_changes_nothing(program: str, nothing: str) -> None:
    assert f"hint: For no condition write {nothing}" in refused(program, FilterTypeError, A=A)
    assert A == run(program.replace("None", nothing), A=A)
    for constructor in ("And", "Or"):
        assert "hint: For no condition leave it out" in refused(f"{constructor}([A, None])", FilterTypeError, A=A)


ENOUGH = ["Col('a').gt(True)", "Col('a').contains(3)", "Col.collection('a').eq(b'x')", "Col.date('a').gt('yesterday')"]


@pytest.mark.parametrize("mistake", ENOUGH)
def test_there_is_no_hint_where_the_message_is_enough(mistake: str) -> None:
    with pytest.raises(FilterError) as caught:
        run(mistake)
    assert "" == caught.value.hint


def test_a_suggestion_is_short_and_only_text_resembles_a_name() -> None:
    assert f"Did you mean {'x' * 79}…?" == did_you_mean("x" * 1_000, ["x" * 999])
    assert "" == did_you_mean(5, ["5"]) == did_you_mean("zzz", ["score"])
    assert "" == did_you_mean("?", ["!"])
    assert "Did you mean score?" == did_you_mean("scroe", [*(f"column {i}" for i in range(10_000)), "score"])
    assert "Did you mean micro_f1?" == did_you_mean("microF1", ["macro_f1", "micro_f1"]), "rather than one with a typo"


def test_the_signature_of_col_is_that_of_other_columns() -> None:
    assert "(column_id: str) -> None" == str(signature(Col)) == str(signature(Col.text))
