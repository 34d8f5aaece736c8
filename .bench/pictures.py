"""
The pictures of the documentation, each drawn from what it shows, so that none can drift.

`python .bench/pictures.py` writes those that have changed to docs/pictures. With `--check` it writes none, and fails if
one has changed.
"""

import contextlib
import math
import os
import random
import re
import shlex
import subprocess
import sys
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import TextIO

import harness
from fixed_width import fixed_width
from support.models import Away, Bucket, Capacity, Melt, Mixed, Reply, Service, Window
from support.network import Weather, outcome
from traces import trace, trace_fixed_width

from galileo_sessions.local import LocalGalileo, sample_sessions

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
DEMO = "galileo-sessions demo"  # what the terminals show
BY_DAY = "galileo-sessions count {project} \\\n    --by created_at:day --since 2026-05-01 --until 2026-05-15"
_WIDTH = 480  # pixels; at a telephone's 350 the text is still 11 pixels high
_MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
_STYLE = """\
text{font:15px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1f2933}
.name{font-weight:600}.small{font-size:13px;fill:#52606d}.value{font-size:14px}.mono{font:12px %s}
.mid{text-anchor:middle}.end{text-anchor:end}.card{fill:#fff}
.room{fill:#eef2f7;stroke:#9aa5b1}.bar{fill:#9aa5b1}.ours{fill:#1768ac}.track{fill:#e4e9ef}.lost{fill:#d95f02}
.line{stroke:#9aa5b1}.arrow{stroke:#1768ac;stroke-width:1.5;marker-end:url(#head)}.head{fill:#1768ac}
.note{fill:#fff7e0;stroke:#e3c567}
@media (prefers-color-scheme: dark){text{fill:#d7dde4}.small{fill:#a9b4c0}.card{fill:#1b1f24}
.room{fill:#2a323b;stroke:#6b7785}.bar{fill:#6b7785}.ours{fill:#4a9eda}.track{fill:#2f3740}.lost{fill:#f19a53}
.line{stroke:#6b7785}.arrow{stroke:#5fb3e6}.head{fill:#5fb3e6}.note{fill:#3a3320;stroke:#7a6a2f}}"""


def _svg(height: float, title: str, parts: Iterable[str], width: int = _WIDTH) -> str:
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" role="img">
<title>{escape(title)}</title>
<style>{_STYLE % _MONO}</style>
<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">\
<path d="M0 0 8 4 0 8z" class="head"/></marker>
<rect width="100%" height="100%" rx="8" class="card"/>
{chr(10).join(parts)}
</svg>
"""


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" class="{kind}"/>'


# ---- the terminal ----------------------------------------------------------------------------------------------------

_CELL, _LINE, _TOP = 8, 17, 32  # pixels: the width of a character at 13 pixels, the height of a line, the title bar
_BLOCKS = "▏▎▍▌▋▊▉█"  # each an eighth longer than the one before
_SCREEN = """\
<style>.screen{fill:#f6f8fa;stroke:#d0d7de}.code{font:13px %s}.command{font-weight:bold;fill:#15803d}
@media (prefers-color-scheme: dark){.screen{fill:#1b1f24;stroke:#3d444d}.command{fill:#4ade80}}</style>"""


def terminal() -> str:
    """The demo with what it prints, its server's port aside, which differs from run to run."""
    return _terminal(DEMO, re.sub(r"(127\.0\.0\.1):\d+", r"\1:8080", _printed(DEMO)), 60)


def by_day() -> str:
    """Counts by day, as bars, of the sample's largest project."""
    sessions = sample_sessions()
    command = BY_DAY.format(project=sessions[0]["project_id"])
    with LocalGalileo(sessions) as server:
        printed = _printed(command, GALILEO_API_URL=server.url, GALILEO_API_KEY=server.api_key)
    return _terminal(command, printed, 63)


def _printed(command: str, **environment: str) -> str:
    """What a command prints on a terminal, 80 columns wide."""
    program = [sys.executable, "-m", "galileo_sessions", *shlex.split(command.replace("\\\n", ""))[1:]]
    leader, follower = os.openpty()
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80", "TERM": "xterm-256color", **environment}
    _ = subprocess.run(program, stdout=follower, stderr=subprocess.DEVNULL, check=True, env=environment)
    os.close(follower)
    with open(leader, encoding="utf-8") as screen:
        return "".join(_lines(screen))


def _lines(screen: TextIO) -> Iterator[str]:
    with contextlib.suppress(OSError):  # Linux says so at the end
        yield from screen


def _terminal(command: str, printed: str, width: int) -> str:
    """
    A command with what it prints; longer lines are cut, and bars are shortened alike.

    A bar is a box, since a font leaves seams between blocks.
    """
    commands, wide = f"$ {command}".splitlines(), _CELL * width + 32
    lines = [*commands, *printed.splitlines()]
    starts = [len(line.rstrip(_BLOCKS)) for line in lines]
    lengths = [len(line) - start for line, start in zip(lines, starts, strict=True)]
    room = width - max([start for start, length in zip(starts, lengths, strict=True) if length], default=0)
    cell = _CELL * min(1.0, room / max(1, *lengths))  # of a bar
    high = _TOP + _LINE * len(lines) + 10
    parts = [_SCREEN % _MONO, f'<rect x=".5" y=".5" width="{wide - 1}" height="{high - 1}" rx="8" class="screen"/>']
    parts += [f'<circle cx="{x}" cy="17" r="5" class="bar"/>' for x in (21, 37, 53)]
    for i, (line, start) in enumerate(zip(lines, starts, strict=True)):
        text = line[:start] if start <= width else f"{line[: width - 1]}…"
        y, length = _TOP + _LINE * i, _CELL * len(text)
        kind = "code command" if i < len(commands) else "code"
        words = escape(text).replace(" ", "\xa0")
        size = f'textLength="{length}" lengthAdjust="spacingAndGlyphs"'
        parts.append(f'<text x="16" y="{y + 13}" class="{kind}" {size}>{words}</text>')
        bar = cell * sum([_BLOCKS.index(block) + 1 for block in line[start:]]) / len(_BLOCKS)
        if bar:
            parts.append(f'<rect x="{16 + length}" y="{y + 2}" width="{bar:.0f}" height="{_LINE - 4}" class="ours"/>')
    return _svg(high, "What a command prints in a terminal", parts, wide)


# ---- architecture ----------------------------------------------------------------------------------------------------

_ONE_COUNT = """\
your code > request: count
request: wait for a permit
request: the 30 s begin
request: headers from auth
request > transport: request
transport > Galileo: POST
Galileo > transport: 429
transport > request: response
request: auth removes secrets
request: slow down, wait for a permit
request > transport: request
transport > Galileo: POST
Galileo > transport: 200
transport > request: response
request: read the count
request > your code: 63
"""


def one_count() -> str:
    """The life of one count, from the plain text above, as a sequence; all that belongs to a lane stays in it."""
    steps = [re.split(r": ", line, maxsplit=1) for line in _ONE_COUNT.splitlines()]
    names = list(dict.fromkeys(name for who, _ in steps for name in who.split(" > ")))
    lane = _WIDTH / len(names)
    at = {name: lane * (i + 0.5) for i, name in enumerate(names)}
    parts, y = [], 52
    for who, words in steps:
        source, _, target = who.partition(" > ")
        if target:
            y += 30
            parts.append(_text((at[source] + at[target]) / 2, y - 6, words, "small mid"))
            parts.append(f'<path d="M{at[source]:g} {y}H{at[target]:g}" class="arrow"/>')
            continue
        lines = wrap(words, 12)
        parts.append(_box(at[source] - lane / 2 + 3, y + 10, lane - 6, 8 + 16 * len(lines), "note"))
        parts += [_text(at[source], y + 25 + 16 * i, line, "small mid") for i, line in enumerate(lines)]
        y += 18 + 16 * len(lines)
    lanes = [f'<path d="M{x:g} 40V{y + 14}" class="line"/>' for x in at.values()]
    for name, x in at.items():
        lanes += [_box(x - lane / 2 + 3, 12, lane - 6, 28, "room"), _text(x, 31, name, "name mid")]
    return _svg(y + 22, "The life of one count", lanes + parts)


_ROOMS = {  # at column and row, with what each does
    "your code": (0, 0, ""),
    "cli": (1, 0, "the commands"),
    "counting": (0, 1, "clients, streams"),
    "flow": (1, 1, "when to send"),
    "http": (0, 2, "one exchange"),
    "api": (1, 2, "query, response"),
    "filters": (2, 2, "the language"),
    "Galileo": (0, 3, ""),
    "local": (1, 3, "for tests"),
}
_CALLS = """\
your code > counting
cli > counting
counting > flow
counting > http
counting > api
http > api
api > filters
http > Galileo
http > local
"""


def architecture() -> str:
    """What calls what, as boxes with arrows from the plain text above."""
    wide, high, across, down = 136, 44, 164, 72
    at = {name: (8 + across * column, 8 + down * row) for name, (column, row, _) in _ROOMS.items()}
    parts = []
    for line in _CALLS.splitlines():
        (x, y), (to_x, to_y) = (at[name] for name in line.split(" > "))
        if y == to_y:
            way = f"M{x + wide:g} {y + high / 2:g}H{to_x:g}"
        elif x == to_x:
            way = f"M{x + wide / 2:g} {y + high:g}V{to_y:g}"
        else:  # it leaves and enters a little beside the middle, where straight arrows are
            beside = 40 if to_x > x else -40
            way = f"M{x + wide / 2 + beside:g} {y + high:g}L{to_x + wide / 2 - beside:g} {to_y:g}"
        parts.append(f'<path d="{way}" class="arrow"/>')
    for name, (x, y) in at.items():
        does = _ROOMS[name][2]
        parts += [_box(x, y, wide, high, "room"), _text(x + wide / 2, y + (19 if does else 27), name, "name mid")]
        parts += [_text(x + wide / 2, y + 36, does, "small mid")] * bool(does)
    return _svg(8 + down * 3 + high + 8, "What calls what", parts)


# ---- flow control ----------------------------------------------------------------------------------------------------


class _Failing(Away):
    """A service that answers 500 for a while."""

    def arrive(self, now: float) -> Reply:
        reply = super().arrive(now)
        return Reply("error") if reply.kind == "refused" else reply


_TROUBLES: dict[str, tuple[Callable[[], Service], int]] = {  # with so many counts
    "at most 20 requests a second": (lambda: Bucket(20, 20), 1_000),
    "at most 100 in each second": (lambda: Window(100, 1.0), 1_000),
    "at most 20 at once": (lambda: Capacity(20, 0.1), 2_000),
    "answers 500 to everything for 1 s": (lambda: _Failing(Service(), 1.0, 1.0), 10_000),
    "away for 3 s": (lambda: Away(Service(), 1.0, 3.0), 10_000),
    "away for 20 s": (lambda: Away(Service(), 1.0, 20.0), 10_000),
    "answers 503 to one in ten": (lambda: Mixed(0.1, "refused"), 10_000),
    "slows down above 16 at once": (Melt, 10_000),
}
_WIDTHS = (10, 64, 256)


def troubles() -> str:
    """What share of the counts is lost at services in trouble: by this client, and with a fixed number at once."""
    columns = {head: 16 + 94 * i for i, head in enumerate(("this client", *(f"{n} at once" for n in _WIDTHS)))}
    parts = [_text(16, 28, "Counts lost at services in trouble", "name")]
    parts += [_text(x, 54, head, "small") for head, x in columns.items()]
    top = 84
    for label, (service, counts) in _TROUBLES.items():
        parts.append(_text(16, top, label, "value"))
        random.seed(1)  # with which the client draws lots
        ours = outcome(Weather(service, counts, ideal=1.0, requests=1.0, wall=1.0), seed=1)
        runs = [ours, *(fixed_width(service(), width, counts) for width in _WIDTHS)]
        is_slow = [not run.lost and run.seconds > 1.5 * ours.seconds for run in runs]
        for x, run, slow in zip(columns.values(), runs, is_slow, strict=True):
            kind = "value name" if run is ours else "value"
            parts += [_box(x, top + 9, 40, 12, "track"), _text(x + 45, top + 20, _percent(run.lost / counts), kind)]
            if run.lost:
                parts.append(_box(x, top + 9, max(2, 40 * run.lost / counts), 12, "lost"))
            elif slow:
                parts.append(_text(x, top + 38, f"{run.seconds / ours.seconds:.0f}× as long", "small"))
        top += 66 if any(is_slow) else 50
    return _svg(top - 12, "Counts lost at services in trouble", parts, width=400)


def _percent(share: float) -> str:
    """Only nothing is 0 %."""
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


_TRACES: dict[str, tuple[str, Callable[[], Service], int]] = {  # the services, each with so many counts
    "limit": ("At most 20 requests at once", lambda: Capacity(20, 0.1), 1_800),
    "bucket": ("50 requests a second, 50 more in a burst", lambda: Bucket(50, 50), 500),
    "melt": ("Slower with more than 16 at once", Melt, 6_000),
    "noise": ("A 503 for one request in ten", lambda: Mixed(0.1, "refused", latency=0.2), 8_000),
    "outage": ("Down from second 2 to 7", lambda: Away(Service(0.2), 2.0, 5.0), 5_000),
}
_AT_ONCE = 64  # requests of the code by hand
_BINS, _SAMPLES = 48, 200  # of a curve: counts or refusals of a while, and numbers at a time
_NARROW = 400  # pixels; at a telephone's 350 the numbers are still 11 pixels high
_CURVES = """\
<style>.axis,.bound,.curve,.other{fill:none;stroke:#9aa5b1}
.bound{stroke:#f5a04c;stroke-width:4}.curve{stroke:#1768ac;stroke-width:1.6}.other{stroke:#7b8794;stroke-width:1.6}
@media (prefers-color-scheme: dark){.bound{stroke:#b5651d}.curve{stroke:#5fb3e6}}</style>"""  # orange shows below blue
_Points = list[tuple[float, float]]


def _trace(name: str) -> str:
    """A service over time: what this client has in flight, and what it gets next to a fixed number at once."""
    title, service, counts = _TRACES[name]
    ours, fixed = trace(service(), counts), trace_fixed_width(service(), counts, _AT_ONCE)
    runs = (fixed, "other"), (ours, "curve")
    until = max(ours.seconds, fixed.seconds)
    tick = _step(until, 7)
    until = tick * math.ceil(until / tick)
    in_flight = [(_sampled(run.in_flight, run.seconds), kind) for run, kind in runs]
    counted, refused = (
        [(_per_second(getattr(run, what), run.seconds, until / _BINS), kind) for run, kind in runs]
        for what in ("counted", "refused")
    )
    parts, top = [_CURVES, _text(16, 28, title, "name")], 106
    for y, kind, label, run in ((50, "curve", "this client", ours), (70, "other", f"{_AT_ONCE} at once", fixed)):
        requests = (len(run.counted) + len(run.refused)) / counts
        text = f"{label}: {run.seconds:.1f} s, {requests:.2f} requests each, {_percent(run.lost / counts)} lost"
        parts += [f'<path d="M16 {y - 5}h12" class="{kind}"/>', _text(36, y, text, "value")]
    rates = _sampled(ours.rates, ours.seconds)
    has_rate = any(rate < math.inf for _, rate in rates)
    panels = [("in flight (orange: the width)", in_flight, _sampled(ours.widths, ours.seconds))]
    panels.append(("counted a second (orange: the rate)" if has_rate else "counted a second", counted, rates))
    panels.append(("refused a second", refused, []))
    for words, curves, bound in panels:
        parts += _panel(top, until, words, curves, bound)
        top += 104
    parts += [_text(_at(at / until), top - 14, f"{at} s", "small mid") for at in range(0, until + 1, tick)]
    return _svg(top + 4, title, parts, _NARROW)


def _step(most: float, steps: int) -> int:
    """The smallest of 1, 2, 5, 10, 20 and so on, of which so many reach as far."""
    return next(step for k in range(6) for step in (10**k, 2 * 10**k, 5 * 10**k) if most <= steps * step)


def _sampled(points: _Points, until: float) -> _Points:
    """A number that stays until the next one, at regular times."""
    times = [at for at, _ in points]
    grid = [until * i / _SAMPLES for i in range(_SAMPLES + 1)]
    return [(at, points[bisect(times, at) - 1][1]) for at in grid]


def _per_second(times: Iterable[float], until: float, each: float) -> _Points:
    """How often something happened, in each of so many seconds."""
    numbers = Counter(int(at / each) for at in times)
    return [((i + 0.5) * each, numbers[i] / each) for i in range(int(until / each) + 1)]


def _at(share: float) -> float:
    return 56 + share * (_NARROW - 82)


def _panel(top: float, until: float, title: str, curves: list[tuple[_Points, str]], bound: _Points) -> list[str]:
    """Curves over time with their axes, on top of a broad one, which has gaps where it is infinite."""
    high, bottom, drawn = 64, top + 64, [(bound, "bound"), *curves]
    most = max([1, *(value for points, _ in drawn for _, value in points if value < math.inf)])
    step = _step(most, 3)
    highest = step * math.ceil(most / step)
    parts = [
        _text(16, top - 10, title, "small"),
        f'<path d="M{_at(0):g} {top}V{bottom}H{_at(1):g}" class="axis"/>',
    ]
    for value in range(0, highest + 1, step):
        y = bottom - value / highest * high
        parts += [
            f'<path d="M{_at(0) - 4:g} {y:g}h4" class="axis"/>',
            _text(_at(0) - 8, y + 5, f"{value:,}", "small end"),
        ]
    for points, kind in drawn:
        path, letter = "", "M"
        for at, value in points:
            if value < math.inf:
                path += f"{letter}{_at(min(1, at / until)):.1f} {bottom - value / highest * high:.1f}"
            letter = "L" if value < math.inf else "M"
        parts += [f'<path d="{path}" class="{kind}"/>'] * bool(path)
    return parts


# ---- all -------------------------------------------------------------------------------------------------------------

PICTURES: dict[str, Callable[[], str]] = {
    "terminal.svg": terminal,
    "by_day_terminal.svg": by_day,
    "architecture.svg": architecture,
    "one_count.svg": one_count,
    **{f"flow_{name}.svg": partial(_trace, name) for name in _TRACES},
    "performance_trouble.svg": troubles,
}


def changed() -> dict[Path, str]:
    """Draws all pictures, and gives those that differ from their files."""
    drawn = {FOLDER / name: draw() for name, draw in PICTURES.items()}
    return {file: svg for file, svg in drawn.items() if not file.exists() or file.read_text(encoding="utf-8") != svg}


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a picture has changed")
    is_check = parser.parse_args().check
    pictures = changed()
    for file, svg in pictures.items():
        print(f"{file.name} has changed")
        if not is_check:
            file.write_text(svg, encoding="utf-8")
    sys.exit(is_check and bool(pictures))


if __name__ == "__main__":
    main()
