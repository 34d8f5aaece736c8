"""
Alerts with one mistake each: how many hold, and so pass as good news, although the alert that was meant fires.

A kind of mistakes is detectable if the command can know that it is one, from its arguments and from what the service
lists; another is an alert that somebody else can mean. Of those that pass, `warned` have a line on stderr.
"""

import os
from collections import Counter
from collections.abc import Sequence

import harness
from cli.alerts import ListingGalileo
from cli.mistakes import KINDS, Case, draw_case

HEAD = [
    "group",
    "mistake",
    "detectable",
    "drawn",
    "refused (2)",
    "can't be judged",
    "fires (3)",
    "passes (0)",
    "warned",
]
Cases = dict[tuple[str, str, bool], list[Case]]
"""The cases by the group, the name and the detectability of their kind."""


def draw(seed: int, number: int) -> Cases:
    """Draws and runs cases. The kinds take turns, and each case depends on the seed and its turn alone."""
    cases: Cases = {(kind.group, kind.name, kind.detectable): [] for kind in KINDS}
    for name in [name for name in os.environ if name.startswith(("GALILEO_", "SPLUNK_AO_"))]:
        del os.environ[name]
    with ListingGalileo() as server:
        os.environ |= {"GALILEO_API_URL": server.url, "GALILEO_API_KEY": server.api_key}
        for turn in range(number):
            kind = KINDS[turn % len(KINDS)]
            cases[kind.group, kind.name, kind.detectable].append(draw_case(kind, f"{seed}, {turn // len(KINDS)}"))
    return cases


def row(group: str, name: str, is_detectable: bool, cases: Sequence[Case]) -> list[str]:
    """How many cases there are of each fate."""
    statuses = Counter(case.found.status for case in cases)
    passing = [case for case in cases if case.passes]
    numbers = [len(cases), statuses[2], statuses[1] + statuses[75], statuses[3], len(passing)]
    numbers.append(sum(bool(case.found.err) for case in passing))
    return [group, name, "yes" if is_detectable else "no", *map(str, numbers)]


def table(cases: Cases) -> str:
    """A row for each kind, and the sums."""
    rows = [row(*kind, part) for kind, part in cases.items()]
    for is_detectable in (True, False):
        part = [case for (*_, found), part in cases.items() if found is is_detectable for case in part]
        rows.append(row("all", "", is_detectable, part))
    return harness.markdown(HEAD, rows)


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--number", type=int, default=3_000, help="cases; the kinds take turns")
    parser.add_argument("--seed", type=int, default=1, help="from which they are drawn")
    parser.add_argument("--show", type=int, default=0, metavar="K", help="up to K alerts of each kind that pass")
    given = parser.parse_args()
    cases = draw(given.seed, given.number)
    everything = [case for part in cases.values() for case in part]
    print(table(cases))
    print(f"\n{sum(case.passes for case in everything):,} of {len(everything):,} pass as good news")
    for (group, name, _), part in cases.items():
        for case in [case for case in part if case.passes][: given.show]:
            print(f"\n{group}: {name}\n    {case}")
    silent = [case for case in everything if case.meant.status != 3]
    print(f"\n{len(silent)} of the alerts that were meant don't fire")
    for case in silent:
        print(f"    {case.meant.status}: {case}\n{case.meant.err}")


if __name__ == "__main__":
    main()
