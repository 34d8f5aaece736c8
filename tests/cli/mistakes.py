"""Mistakes that people make in an alert, each in place of what was meant; and whether anybody could find them."""

import io
import re
import shlex
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from random import Random
from typing import Any
from unittest import mock
from uuid import UUID

from attrs import evolve, frozen
from cli.alerts import (
    NAMES,
    OWN,
    STREAMS,
    Alert,
    Join,
    Leaf,
    Node,
    Not,
    draw_draft,
    parts_of,
    replaced,
    streams,
    with_limit,
)
from cli.processes import Outcome, inside

Written = Alert | list[str]
"""An alert, or its arguments if no alert has such ones."""
Make = Callable[[Alert, Random], Written | None]
"""Makes a mistake in an alert; None if it can't be made there."""

NOBODY = str(UUID(int=7, version=4))  # the id of nothing
EMPTY_TREE = '{"filter_tree": null}'  # on stdin


@frozen
class Kind:
    """A kind of mistakes."""

    group: str
    name: str
    detectable: bool
    """Whether the command can know, from its arguments and from what the service lists, that it isn't what was meant.
    Otherwise the alert is one that somebody else can mean."""
    make: Make


Row = tuple[str, bool, Make]
"""A kind without its group: its name, whether it is detectable, and what makes it."""


def _part(type_: type, name: str, found: bool, fits: Callable[[Any], object], change: Callable[[Any], Node]) -> Row:
    """A mistake in one part of the filter, of a type, that fits."""

    def make(alert: Alert, rng: Random) -> Alert | None:
        parts = [part for part in parts_of(alert.where) if isinstance(part, type_) and fits(part)]
        if not parts or alert.where is None:
            return None
        part = rng.choice(parts)
        return evolve(alert, where=replaced(alert.where, part, change(part)))

    return name, found, make


_leaf, _join, _negation = partial(_part, Leaf), partial(_part, Join), partial(_part, Not)


def _alert(name: str, found: bool, fits: Callable[[Alert], object], change: Callable[[Alert], Written | None]) -> Row:
    """A mistake in the rest, if the alert fits."""
    return name, found, lambda alert, _: change(alert) if fits(alert) else None


def _empty(name: str, fits: Callable[[Alert], object], change: Callable[[Alert], Written]) -> list[Row]:
    """A mistake that leaves no sessions at all, which --allow-empty lets pass."""
    return [
        _alert(name, True, lambda alert: fits(alert) and not alert.allow_empty, change),
        _alert(f"{name}, --allow-empty", False, lambda alert: fits(alert) and alert.allow_empty, change),
    ]


def _limited(
    name: str, fits: Callable[[Alert], object], change: Callable[[Alert], Written], *, found: bool
) -> list[Row]:
    """A mistake that a share gives away; with a number, as `found` says."""
    return [
        _alert(f"{name}, with a share", True, lambda alert: fits(alert) and alert.is_share, change),
        _alert(f"{name}, with a number", found, lambda alert: fits(alert) and not alert.is_share, change),
    ]


def _quiet(name: str, fits: Callable[[Alert], object], change: Callable[[Alert], Written]) -> list[Row]:
    """A period without sessions. The number of a quiet period is 0, and right; only its share can't be judged."""
    is_strict = lambda alert: fits(alert) and not alert.allow_empty  # noqa: E731  # as in the rows below
    return _limited(name, is_strict, change, found=False)


def _valued(name: str, change: Callable[[str], str]) -> list[Row]:
    """A mistake in a text, which is found where the service lists the column's values."""
    return [
        _leaf(f"{name}, listed", True, _is_listed, lambda leaf: _texts(leaf, change)),
        _leaf(f"{name}, part of listed ones", True, _is_listed_part, lambda leaf: _texts(leaf, change)),
        _leaf(f"{name}, not listed", False, _is_unlisted, lambda leaf: _texts(leaf, change)),
    ]


def _any(_: object) -> bool:
    return True


# ---- what parts are like ---------------------------------------------------------------------------------------------


def _has(*operators: str) -> Callable[[Leaf], bool]:
    return lambda leaf: leaf.operator in operators


def _other(leaf: Leaf, **names: str) -> Leaf:
    """A leaf with another operator: of a pair, the other one."""
    pairs = {**names, **{new: old for old, new in names.items()}}
    return evolve(leaf, operator=pairs[leaf.operator])


def _texts(leaf: Leaf, change: Callable[[str], str]) -> Leaf:
    """A leaf whose last text is another one."""
    value = [*leaf.value[:-1], change(leaf.value[-1])] if isinstance(leaf.value, list) else change(str(leaf.value))
    return evolve(leaf, value=value)


def _misspelled(text: str) -> str:
    """A text in which two neighbours are swapped, or one is twice."""
    middle = len(text) // 2
    return f"{text[: middle - 1]}{text[middle]}{text[middle - 1]}{text[middle + 1 :]}" if len(text) > 3 else text * 2


def _is_text(leaf: Leaf) -> bool:
    return leaf.type == "text" and bool(leaf.texts)


def _is_listed(leaf: Leaf) -> bool:
    return leaf.is_listed and leaf.operator != "contains"


def _is_listed_part(leaf: Leaf) -> bool:
    return leaf.is_listed and leaf.operator == "contains"


def _is_unlisted(leaf: Leaf) -> bool:
    return leaf.type in ("text", "collection") and bool(leaf.texts) and not leaf.is_listed


def _as(head: str, leaf: Leaf) -> str:
    """A leaf as text with another column."""
    return str(leaf).replace(leaf.head, head, 1)


def _column(change: Callable[[str], str]) -> Callable[[Leaf], Leaf]:
    return lambda leaf: evolve(leaf, column=change(leaf.column))


def _is_of_one_column(join: Join) -> bool:
    leaves = [part for part in join.parts if isinstance(part, Leaf)]
    return len(leaves) == len(join.parts) and len({leaf.column for leaf in leaves}) == 1


def _are_columns_different(join: Join) -> bool:
    return not any(_is_of_one_column(part) for part in parts_of(join) if isinstance(part, Join))


def _flipped(join: Join) -> Join:
    return Join({"&": "|", "|": "&"}[join.symbol], join.parts)


def _spread(leaf: Leaf, operator: str, symbol: str) -> Join:
    return Join(symbol, tuple([evolve(leaf, operator=operator, value=each) for each in leaf.texts]))


# ---- operator --------------------------------------------------------------------------------------------------------

OPERATOR = [
    _leaf("the other direction", False, _has("gt", "gte", "lt", "lte"), lambda leaf: _other(leaf, gt="lt", gte="lte")),
    _leaf("eq for ne", False, _has("eq", "ne"), lambda leaf: _other(leaf, eq="ne")),
    _leaf("one_of for not_in", False, _has("one_of", "not_in"), lambda leaf: _other(leaf, one_of="not_in")),
    _leaf("eq for contains, in free text", False, lambda leaf: _is_unlisted(leaf) and leaf.operator == "contains",
          lambda leaf: evolve(leaf, operator="eq")),
    _leaf("eq for contains, of listed values", True, _is_listed_part, lambda leaf: evolve(leaf, operator="eq")),
    _leaf("gt for gte", False, _has("gt", "gte", "lt", "lte"), lambda leaf: _other(leaf, gt="gte", lt="lte")),
    _leaf("none of a number's", True, lambda leaf: leaf.type == "number" and leaf.operator != "between",
          lambda leaf: f"{leaf.head}.contains('{leaf.value}')"),
    _leaf("none of a text's", True, lambda leaf: _is_text(leaf) and isinstance(leaf.value, str),
          lambda leaf: f"({leaf.head} >= {leaf.value!r})"),
    _leaf("none of a collection's", True, lambda leaf: leaf.type == "collection",
          lambda leaf: f"({leaf.column} == {leaf.texts[0]!r})"),
    _leaf("= for ==", True, lambda leaf: "==" in str(leaf), lambda leaf: str(leaf).replace("==", "=")),
    _leaf("=> for >=", True, lambda leaf: ">=" in str(leaf), lambda leaf: str(leaf).replace(">=", "=>")),
    _leaf("a chain of comparisons", True, _has("between"),
          lambda leaf: f"({leaf.value[0]} < {leaf.head} < {leaf.value[1]})"),
]  # fmt: skip

# ---- join ------------------------------------------------------------------------------------------------------------

JOIN = [
    _join("& for |, columns differ", False, lambda join: join.symbol == "|" and _are_columns_different(join), _flipped),
    _join("| for &, columns differ", False, lambda join: join.symbol == "&" and _are_columns_different(join), _flipped),
    _join("& for |, one column: never", True, lambda join: join.symbol == "|" and _is_of_one_column(join), _flipped),
    _join("| for &, one column: always", True, lambda join: join.symbol == "&" and _is_of_one_column(join), _flipped),
    _leaf("ne | ne for not_in: always", True,
          lambda leaf: leaf.operator == "not_in" and leaf.type == "text" and len(leaf.texts) > 1,
          lambda leaf: _spread(leaf, "ne", "|")),
    _leaf("eq & eq for one_of: never", True,
          lambda leaf: leaf.operator == "one_of" and leaf.type == "text" and len(leaf.texts) > 1,
          lambda leaf: _spread(leaf, "eq", "&")),
    _leaf("x & ~x: never", True, _any, lambda leaf: Join("&", (leaf, Not(leaf)))),
    _leaf("x | ~x: has a value", False, _any, lambda leaf: Join("|", (leaf, Not(leaf)))),
    _negation("~ dropped", False, _any, lambda node: node.part),
    _leaf("~ added", False, _any, Not),
    _join("~ of all for the first", False, lambda join: isinstance(join.parts[0], Not),
          lambda join: Not(Join(join.symbol, (join.parts[0].part, *join.parts[1:])))),
    _join("~ of the first for all", False, _any, lambda join: Join(join.symbol, (Not(join.parts[0]), *join.parts[1:]))),
    _join("brackets left out", False, lambda join: isinstance(join.parts[0], Join),
          lambda join: f" {join.symbol} ".join(map(str, join.parts))),
    _join("a condition left out", False, _any, lambda join: join.parts[0]),
    _join("and for &", True, _any, lambda join: f"({join})".replace(" & ", " and ").replace(" | ", " or ")),
    _join("a comma for &", True, lambda join: join.symbol == "&", lambda join: f"({str(join).replace(' & ', ', ')})"),
    _join("a comparison without brackets", True,
          lambda join: any(str(part).startswith("(") for part in join.parts if isinstance(part, Leaf)),
          lambda join: "(" + f" {join.symbol} ".join(re.sub(r"^\((.*)\)$", r"\1", str(part))
                                                         for part in join.parts) + ")"),
]  # fmt: skip

# ---- period ----------------------------------------------------------------------------------------------------------


def _has_day(alert: Alert) -> bool:
    return (alert.since or "").startswith("2025")


def _moved(alert: Alert) -> str:
    """The alert's filter, in which the period is written, too."""
    zone = f", tz={alert.tz or 'UTC'!r}"
    created = f"Col.date('created_at').during({alert.since!r}, {alert.until or '2025-07-01'!r}{zone})"
    return f"({alert.where}) & {created}"


def _narrowed(alert: Alert) -> Alert:
    """The alert with a day in its filter that lies within its period."""
    return evolve(alert, where=f"({alert.where}) & Col.date('created_at').on('2025-06-23', tz={alert.tz or 'UTC'!r})")


PERIOD = [
    _alert("--since left out", False, lambda alert: alert.since, lambda alert: evolve(alert, since=None)),
    _alert("--until left out", False, lambda alert: alert.until, lambda alert: evolve(alert, until=None)),
    _alert("--until for --since", False, lambda alert: _has_day(alert) and not alert.until,
           lambda alert: evolve(alert, since=None, until=alert.since)),
    _alert("in the filter only, with a share", True, lambda alert: _has_day(alert) and alert.is_share,
           lambda alert: evolve(alert, since=None, until=None, tz=None, where=_moved(alert))),
    *_limited("a day in the filter, too", _has_day, _narrowed, found=False),
    _alert("another day in the filter", True, _has_day,
           lambda alert: evolve(alert, where=f"({alert.where}) & Col.date('created_at').lt('2025-03-01T00:00:00Z')")),
    _alert("created_at as text", True, _has_day,
           lambda alert: evolve(alert, since=None, where=f"({alert.where}) & (created_at == {alert.since!r})")),
    _alert("in the future", True, _has_day, lambda alert: evolve(alert, since="2052-06-01", until=None)),
    _alert("reversed", True, lambda alert: alert.until,
           lambda alert: evolve(alert, since=alert.until, until=alert.since)),
    _alert("--until years ahead", False, lambda alert: alert.until, lambda alert: evolve(alert, until="2052-06-30")),
    _alert("--since a year early", False, _has_day, lambda alert: evolve(alert, since=f"2024{alert.since[4:]}")),
    _alert("day and month swapped", False, lambda alert: _has_day(alert) and int(alert.since[8:]) < 12,
           lambda alert: evolve(alert, since=f"2025-{alert.since[8:]}-{alert.since[5:7]}")),
    *_quiet("a year early", _has_day, lambda alert: evolve(alert, since=f"2024{alert.since[4:]}", until="2024-12-31")),
    *_quiet("--until before all sessions", _has_day, lambda alert: evolve(alert, since=None, until="2025-01-30")),
    *_quiet("minutes for days", lambda alert: alert.since == "5000d", lambda alert: evolve(alert, since="5000m")),
    *[_alert(f"a form that isn't known: {form}", True, lambda alert: alert.since,
             lambda alert, form=form: evolve(alert, since=form)) for form in ("01.06.2025", "2025-6-1", "7 days")],
    _alert("an unknown --tz", True, lambda alert: alert.tz, lambda alert: evolve(alert, tz="Europe/Belrin")),
    _alert("another --tz", False, _has_day, lambda alert: evolve(alert, tz="Pacific/Auckland")),
]  # fmt: skip

# ---- unit ------------------------------------------------------------------------------------------------------------


def _scaled(factor: float) -> Callable[[Leaf], Leaf]:
    def scaled(leaf: Leaf) -> Leaf:
        value: Any = leaf.value
        return evolve(
            leaf, value=tuple([each * factor for each in value]) if isinstance(value, tuple) else value * factor
        )

    return scaled


def _with_limit(change: Callable[[str], str]) -> Callable[[Alert], Alert]:
    """Changes the limit that is broken."""
    return lambda alert: evolve(alert, **{"above" if alert.above else "below": change(alert.limit)})


UNIT = [
    _leaf("a score of 0 to 100 for 0 to 5", False, lambda leaf: leaf.column == "score", _scaled(20)),
    _leaf("percent for 0 to 1", False, lambda leaf: leaf.column == "metrics/toxicity", _scaled(100)),
    _leaf("milliseconds for nanoseconds", False, lambda leaf: leaf.column == "duration_ns", _scaled(1e-6)),
    _alert("0.05 for 5%", True, lambda alert: alert.is_share, _with_limit(lambda text: f"{float(text[:-1]) / 100:g}")),
    _alert("a number for a share", False, lambda alert: alert.is_share and "." not in alert.limit and alert.limit_first,
           _with_limit(lambda text: text[:-1])),
    _alert("a share for a number", False, lambda alert: not alert.is_share and int(alert.limit) < 100,
           _with_limit("{}%".format)),
    _alert("ten times the limit", False, _any,
           _with_limit(lambda text: f"{float(text.rstrip('%')) * 10:g}{'%' * text.endswith('%')}")),
    _alert("1e2, 1k or 1,000", True, lambda alert: not alert.is_share, _with_limit("{},000".format)),
    _leaf("a number as text", True, lambda leaf: leaf.type == "number" and leaf.operator in ("eq", "gt", "lt"),
          lambda leaf: f"({leaf.head} == '{leaf.value}')"),
    _leaf("a decimal comma", True, lambda leaf: isinstance(leaf.value, float),
          lambda leaf: str(leaf).replace(".", ",")),
]  # fmt: skip

# ---- column ----------------------------------------------------------------------------------------------------------


def _first(alert: Alert) -> Leaf:
    return next(part for part in parts_of(alert.where) if isinstance(part, Leaf))


COLUMN = [
    _leaf("misspelled", True, _any, _column(_misspelled)),
    _leaf("another case", True, _any, _column(str.title)),
    _leaf("another type", True, lambda leaf: leaf.type != "text",
          lambda leaf: f"Col.text({leaf.column!r}).eq({'true' if leaf.value is None else str(leaf.value)!r})"),
    _leaf("a number for a text", True, lambda leaf: leaf.type == "text",
          lambda leaf: Leaf(leaf.column, "number", "gt", 1)),
    _leaf("empty", True, _any, lambda leaf: _as("Col('')", leaf)),
    _leaf("with a space", True, _any, lambda leaf: _as(f"Col.{leaf.type}({leaf.column + ' '!r})", leaf)),
    _leaf("without metrics/", True, lambda leaf: leaf.column == "metrics/toxicity",
          lambda leaf: evolve(leaf, column="toxicity")),
    _leaf("another of the same type", False, lambda leaf: leaf.column in ("score", "num_traces", "input", "output"),
          _column({"score": "num_traces", "num_traces": "score", "input": "output", "output": "input"}.__getitem__)),
    _alert("of another project", True, lambda alert: [*NAMES][-1] not in alert.ids,
           lambda alert: evolve(alert, where=replaced(alert.where, _first(alert), Leaf(OWN, "text", "eq", "pro")))),
]  # fmt: skip

# ---- value -----------------------------------------------------------------------------------------------------------

VALUE = [
    *_valued("misspelled", _misspelled),
    *_valued("in another case", str.upper),
    *_valued("with a space", "{} ".format),
    *_valued("a variable in single quotes", lambda _: "$WORD"),
    *_valued("a pattern", "*{}*".format),
    _leaf("another one that is listed", False,
          lambda leaf: leaf.is_listed and isinstance(leaf.value, str) and leaf.operator != "contains",
          lambda leaf: evolve(leaf, value={"success": "error", "error": "success"}.get(leaf.value, "react"))),
    _leaf("empty", True, lambda leaf: bool(leaf.texts), lambda leaf: _texts(leaf, lambda _: "")),
    _leaf("spaces", True, lambda leaf: bool(leaf.texts) and leaf.operator != "contains",
          lambda leaf: _texts(leaf, lambda _: "  ")),
    _leaf("spaces in contains", True, lambda leaf: bool(leaf.texts) and leaf.operator == "contains",
          lambda leaf: _texts(leaf, lambda _: " ")),
    _leaf("an empty list", True, lambda leaf: isinstance(leaf.value, list), lambda leaf: evolve(leaf, value=[])),
    _leaf("a list in one text, listed", True, lambda leaf: _is_listed(leaf) and len(leaf.texts) > 1,
          lambda leaf: evolve(leaf, value=[",".join(leaf.texts)])),
    _leaf("a list in one text, not listed", False, lambda leaf: _is_unlisted(leaf) and len(leaf.texts) > 1,
          lambda leaf: evolve(leaf, value=[",".join(leaf.texts)])),
    _leaf("another id", False, lambda leaf: leaf.column == "run_id", lambda leaf: evolve(leaf, value=NOBODY)),
    _leaf("an id that is no UUID", True, lambda leaf: leaf.type == "id", lambda leaf: evolve(leaf, value="run-7")),
    _leaf("an id cut short", True, lambda leaf: leaf.type == "id", lambda leaf: evolve(leaf, value=leaf.value[:-3])),
    _leaf("the id of another project", True, lambda leaf: leaf.column == "project_id",
          lambda leaf: evolve(leaf, value=[*NAMES][[*NAMES].index(leaf.value) - 1])),
    _leaf("None", True, lambda leaf: leaf.operator in ("eq", "ne"), lambda leaf: f"({leaf.head} == None)"),
    _leaf("a boolean as text", True, lambda leaf: leaf.type == "boolean", lambda leaf: f"({leaf.column} == 'true')"),
    _leaf("bounds reversed", True, _has("between"), lambda leaf: evolve(leaf, value=leaf.value[::-1])),
]  # fmt: skip

# ---- quoting ---------------------------------------------------------------------------------------------------------


def _with_text(change: Callable[[str], str]) -> Callable[[Alert], Alert]:
    return lambda alert: evolve(alert, where=change(str(alert.where)))


def _without(option: str) -> Callable[[Alert], list[str]]:
    """The arguments in which a variable that isn't set, and isn't quoted, leaves an option without its value."""

    def arguments(alert: Alert) -> list[str]:
        given = alert.arguments
        del given[given.index(option) + 1]
        return given

    return arguments


def _cut(alert: Alert) -> list[str]:
    """What cron passes on: the arguments up to the first %."""
    given = alert.arguments
    index = next(place for place, text in enumerate(given) if "%" in text)
    return [*given[:index], given[index].partition("%")[0]]


QUOTING = [
    _alert("the shell took the quotes", True, lambda alert: re.search("['\"]", str(alert.where)),
           _with_text(lambda text: re.sub("['\"]", "", text))),
    _alert("curly quotes", True, lambda alert: "'" in str(alert.where),
           _with_text(lambda text: text.replace("'", "’"))),
    _alert("the filter isn't quoted", True, lambda alert: " " in str(alert.where),
           lambda alert: [part for each in alert.arguments
                          for part in (each.split() if each == str(alert.where) else [each])]),
    _alert("-w is empty", True, _any, lambda alert: evolve(alert, where="")),
    _alert("-w is a space", True, _any, lambda alert: evolve(alert, where=" ")),
    _alert("-w is a comment", True, _any, _with_text("# {}".format)),
    _alert("-w lacks its value", True, _any, _without("-w")),
    _leaf("a number is empty", True, lambda leaf: leaf.type == "number" and leaf.operator in ("gt", "lt"),
          lambda leaf: str(leaf).replace(f" {leaf.value!r})", " )")),
    _alert("PROJECT is empty", True, _any, lambda alert: evolve(alert, projects=("",))),
    _alert("PROJECT isn't there", True, _any, lambda alert: evolve(alert, projects=())),
    _alert("a name isn't quoted", True, lambda alert: any(" " in each for each in alert.projects),
           lambda alert: evolve(alert, projects=tuple(" ".join(alert.projects).split()))),
    _alert("--since is empty", True, lambda alert: alert.since, lambda alert: evolve(alert, since="")),
    _alert("--since lacks its value", True, lambda alert: alert.since, _without("--since")),
    _alert("--log-stream is empty", True, lambda alert: alert.stream, lambda alert: evolve(alert, stream="")),
    _alert("--log-stream lacks its value", True, lambda alert: alert.stream, _without("--log-stream")),
    _alert("the limit is empty", True, _any, _with_limit(lambda _: "")),
    _alert("the limit is %", True, lambda alert: alert.is_share, _with_limit(lambda _: "%")),
    _alert(r"\% in quotes", True, lambda alert: alert.is_share, _with_limit(lambda text: text.replace("%", r"\%"))),
    _alert("cron cut a share at the end", False,
           lambda alert: alert.is_share and not alert.limit_first and not alert.more, _cut),
    _alert("cron cut a share at the start", True, lambda alert: alert.is_share and alert.limit_first, _cut),
]  # fmt: skip

# ---- options ---------------------------------------------------------------------------------------------------------


def _swapped(alert: Alert) -> Alert:
    return evolve(alert, above=alert.below, below=alert.above)


def _project(change: Callable[[str], str], fits: Callable[[str], bool] = _any) -> Callable[[Alert], Alert | None]:
    """Changes the last project."""

    def changed(alert: Alert) -> Alert | None:
        *others, last = alert.projects
        return evolve(alert, projects=(*others, change(last))) if last != "--all" and fits(last) else None

    return changed


def _is_name(text: str) -> bool:
    return text in NAMES.values()


def _is_id(text: str) -> bool:
    return text in NAMES


def _next(text: str) -> str:
    """Another project, in the same form."""
    texts = [*NAMES, *NAMES.values()]
    return texts[(texts.index(text) + 1) % 12 + 12 * _is_name(text)]


OPTION = [
    *_limited("no -w", _any, lambda alert: evolve(alert, where=None), found=False),
    *_limited("-w ALWAYS", _any, lambda alert: evolve(alert, where="ALWAYS"), found=False),
    *_limited("an empty --where-json", _any, lambda alert: evolve(alert, where=None, more=("--where-json", "-")),
              found=False),
    _alert("--fail-below for --fail-above", False, lambda alert: not (alert.above and alert.below), _swapped),
    _alert("both limits swapped", True, lambda alert: alert.above and alert.below, _swapped),
    _alert("no limit", False, _any, lambda alert: evolve(alert, above=None, below=None, each=False, allow_empty=False)),
    _alert("no limit, but --each or --allow-empty", True, lambda alert: alert.each or alert.allow_empty,
           lambda alert: evolve(alert, above=None, below=None)),
    _alert("a limit below 0", True, _any, _with_limit("-{}".format)),
    _alert("--fail-above twice", True, lambda alert: alert.above,
           lambda alert: evolve(alert, more=("--fail-above", "999"))),
    _alert("-w twice", True, _any, lambda alert: evolve(alert, more=("-w", "score > 1"))),
    _alert("an unknown option", True, _any, lambda alert: evolve(alert, more=("--fail", "999"))),
    _alert("--by, too", True, _any, lambda alert: evolve(alert, more=("--by", "is_complete"))),
    _alert("--each left out", False, lambda alert: alert.each, lambda alert: evolve(alert, each=False)),
    _alert("--each added", False, lambda alert: not alert.each and len(alert.ids) > 1,
           lambda alert: evolve(alert, each=True)),
    _alert("a name that doesn't exist", True, _any, _project(_misspelled, _is_name)),
    _alert("a name in another case", True, _any, _project(str.lower, _is_name)),
    _alert("an id cut short", True, _any, _project(lambda text: text[:-1], _is_id)),
    *_empty("an id that doesn't exist", lambda alert: alert.projects != ("--all",),
            lambda alert: evolve(alert, projects=(*alert.projects[1:], NOBODY))),
    *_empty("a log stream's id for a project's", _any,
            lambda alert: evolve(alert, projects=(streams(alert.ids[0])["staging"],))),
    *_empty("a log stream of another project", lambda alert: alert.stream and len(alert.ids) == 1,
            lambda alert: evolve(alert, stream=streams(_next(alert.ids[0]))[str(alert.stream)])),
    *_empty("a log stream's id that doesn't exist", lambda alert: alert.stream,
            lambda alert: evolve(alert, stream=NOBODY)),
    *_empty("a log stream's id for an experiment's", lambda alert: alert.stream,
            lambda alert: evolve(alert, stream=None, more=("--experiment", streams(alert.ids[0])[str(alert.stream)]))),
    _alert("another project", False, _any, _project(_next)),
    _alert("a project left out", False, lambda alert: 1 < len(alert.projects),
           lambda alert: evolve(alert, projects=alert.projects[1:])),
    _alert("--all for a project", False, lambda alert: len(alert.projects) == 1 and alert.projects != ("--all",),
           lambda alert: evolve(alert, projects=("--all",))),
    _alert("a prefix that none has", True, _any, lambda alert: evolve(alert, projects=("--project-prefix", "prod-"))),
    _alert("a log stream misspelled", True, lambda alert: alert.stream,
           lambda alert: evolve(alert, stream=_misspelled(str(alert.stream)))),
    _alert("a log stream in another case", True, lambda alert: alert.stream,
           lambda alert: evolve(alert, stream=str(alert.stream).title())),
    _alert("--log-stream left out", False, lambda alert: alert.stream, lambda alert: evolve(alert, stream=None)),
    _alert("another log stream", False, lambda alert: alert.stream,
           lambda alert: evolve(alert, stream=STREAMS[STREAMS.index(str(alert.stream)) - 1])),
]  # fmt: skip

# ---- cases -----------------------------------------------------------------------------------------------------------

GROUPS = {
    "operator": OPERATOR,
    "join": JOIN,
    "period": PERIOD,
    "unit": UNIT,
    "column": COLUMN,
    "value": VALUE,
    "quoting": QUOTING,
    "option": OPTION,
}
KINDS = [Kind(group, *row) for group, rows in GROUPS.items() for row in rows]


@frozen
class Case:
    """An alert, the same with one mistake, and what both leave."""

    right: list[str]
    wrong: list[str]
    meant: Outcome
    found: Outcome

    @property
    def passes(self) -> bool:
        """Whether the mistake passes as good news."""
        return self.found.status == 0 and self.meant.status == 3

    def __str__(self) -> str:
        given = f"echo {shlex.quote(EMPTY_TREE)} | " * ("--where-json" in self.wrong)
        right, wrong = (f"galileo-sessions count {shlex.join(each)}" for each in (self.right, self.wrong))
        return f"{right}\n    {given}{wrong}"


def run(arguments: list[str]) -> Outcome:
    """What an alert leaves that runs in this process, at the server that the environment names."""
    stdin = io.TextIOWrapper(io.BytesIO(EMPTY_TREE.encode()))
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "stdin", stdin):
        status = inside("count", "-q", "-f", "json", *arguments)
    return Outcome(int(status), out.getvalue(), err.getvalue())


def draw_case(kind: Kind, seed: str) -> Case:
    """
    An alert that has to fire, and the same with a mistake of a kind.

    A mistake that changes nothing is none: the output is the same, with each project's count and the reason.
    """
    rng = Random(f"{seed}: {kind.group}: {kind.name}")
    for _ in range(20_000):
        draft = draw_draft(rng)
        if kind.make(draft, rng) is None:
            continue
        alert = with_limit(draft, rng)
        written = None if alert is None else kind.make(alert, rng)
        if alert is not None and written is not None:
            wrong = written if isinstance(written, list) else written.arguments
            case = Case(alert.arguments, wrong, run(alert.arguments), run(wrong))
            if case.meant != case.found:
                return case
    raise AssertionError(f"no alert can have this mistake: {kind.group}: {kind.name}")
