"""
What operators and types are called in Python, SQL and other libraries, such as pandas, polars,
Django and SQLAlchemy.

This code runs only after a name was refused, so it doesn't have to be fast.
"""

from itertools import product

from galileo_sessions.filters.filter_types import FILTER_TYPES, METHODS, SYMBOLS

PATTERN, MISSING, LENGTH = "a pattern", "a missing value", "a length"
ANY_MEMBER, ALL_MEMBERS, NEGATION = "any of several members", "all of several members", "negation"

# Without spaces, underscores and case. One that means the opposite begins with ~.
_OPERATORS = {
    "eq": "= equal equals equalto equalsto exact same sameas eqmissing ~isnot ~isnt ~<>"
    " ~differsfrom ~differs ~distinctfrom ~differentfrom ~different",
    "ne": "neq nemissing",
    "gt": "greater greaterthan more morethan above over after exceeds larger later laterthan newer",
    "gte": "ge greaterequal greaterorequal greaterthanorequal greaterthanorequalto greaterequals"
    " greaterthanequal atleast since from onorafter",
    "lt": "less lessthan smaller below under before earlier earlierthan older olderthan",
    "lte": "le lessequal lessorequal lessthanorequal lessthanorequalto lessequals lessthanequal"
    " atmost upto onorbefore",
    "between": "range inrange betweeninclusive",
    "contains": "contain containing has include includes including substring strcontains"
    " listcontains member hasmember arraycontains ~exclude ~excludes ~excluding ~lacks ~without",
    "one_of": "in isin inlist anyof oneof isoneof memberof containedin ~noneof",
    "is_true": "true truthy",
    "is_false": "false falsy",
    PATTERN: "startswith beginswith prefix endswith suffix like similarto rlike regex regexp"
    " regexpmatch regexmatch match matches fullmatch search glob wildcard",
    MISSING: "null isnull na isna nan none missing ~exists ~exist ~present ~given ~set ~value",
    LENGTH: "len length size strlen listlen empty count",
    ANY_MEMBER: "containsany hasany hasanyof includesany overlap overlaps overlapswith intersects"
    " anymatch hassome ~containsnone ~hasnone ~disjoint",
    ALL_MEMBERS: "containsall hasall hasallof includesall allof issuperset superset all hasevery",
    NEGATION: "not invert negate",
}
_BY_NAME = {
    **{name: meaning for meaning, names in _OPERATORS.items() for name in names.split()},
    **{method.replace("_", ""): method for method in METHODS},
    **{symbol: method for method, symbol in SYMBOLS.items()},
}
_PREFIXES = ("", "is", "does", "do", "has"), ("", "not", "nt", "non", "no", "un", "n"), ("", "i")
"""Words that mean nothing, words that negate, and the word that ignores case, in this order."""

_TYPES = {
    "text": "str string varchar char",
    "number": "num numeric int integer float double decimal",
    "boolean": "bool",
    "date": "datetime timestamp time",
    "collection": "list array set",
    "id": "uuid",
}


def meaning_of(name: str) -> tuple[str, bool, bool]:
    """
    What an operator's name means: `meaning_of("not_icontains")` is ("contains", True, True).

    Returns:
        The operator here, or one of the ideas above; whether the name negates it; and whether it
        ignores case. For an unknown name, the first is empty.
    """
    plain = "".join(name.casefold().split()).replace("_", "").lstrip("$")
    for words in product(*_PREFIXES):
        rest = plain.removeprefix("".join(words))
        if "".join(words) + rest != plain:
            continue
        for sign in ("", "~"):
            if sign + rest in _BY_NAME:
                return _BY_NAME[sign + rest], bool(words[1]) != bool(sign), bool(words[2])
    return "", False, False


def type_of(name: str) -> str:
    """The filter type that has another name elsewhere, such as "boolean" for "bool"; else empty."""
    plain = name.casefold()
    others = [kind for kind, names in _TYPES.items() if plain in names.split()]
    return plain if plain in FILTER_TYPES else "".join(others)
