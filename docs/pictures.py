"""
The pictures of the documentation, each drawn from what it shows, so that none can drift.

`python docs/pictures.py` writes them to docs/pictures. The build draws them again, and warns if one has changed.
"""

import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from html import escape
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from galileo_sessions.local import LocalGalileo, sample_sessions

DOCS = Path(__file__).parent
FOLDER = DOCS / "pictures"
DEMO = "galileo-sessions demo"  # what the terminals show
BY_DAY = "galileo-sessions count {project} \\\n    --by created_at:day --since 2026-05-01 --until 2026-05-15"
_WIDTH = 480  # pixels; at a telephone's 350 the text is still 11 pixels high
_HALO = ' stroke="#fff" stroke-width="4" paint-order="stroke"'  # words stay readable on lines
_MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
_STYLE = """\
text{font:15px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1f2933}
.name{font-weight:600}.small{font-size:13px;fill:#52606d}.mono{font:12px %s}.mid{text-anchor:middle}
.end{text-anchor:end}
.room{fill:#eef2f7;stroke:#9aa5b1}.module{fill:#fff;stroke:#cbd2d9}.bar{fill:#9aa5b1}.ours{fill:#1768ac}
.line{stroke:#9aa5b1}.arrow{stroke:#1768ac;stroke-width:1.5;marker-end:url(#head)}.note{fill:#fff7e0;stroke:#e3c567}"""


def _svg(height: float, title: str, parts: Iterable[str]) -> str:
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" width="{_WIDTH}" role="img">
<title>{escape(title)}</title>
<style>{_STYLE % _MONO}</style>
<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">\
<path d="M0 0 8 4 0 8z" fill="#1768ac"/></marker>
<rect width="100%" height="100%" rx="8" fill="#fff"/>
{chr(10).join(parts)}
</svg>
"""


def _text(x: float, y: float, words: str, kind: str = "", more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}"{more}>{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" class="{kind}"/>'


# ---- the terminal ----------------------------------------------------------------------------------------------------

_TERMINAL = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>What the commands print in a terminal</title>
<style>
.{unique_id}-matrix{{font-family:MONO;font-size:{char_height}px;line-height:{line_height}px}}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" rx="8" fill="#1b1f24"/>
<g fill="#59636e"><circle cx="26" cy="22" r="7"/><circle cx="48" cy="22" r="7"/><circle cx="70" cy="22" r="7"/></g>
<g transform="translate({terminal_x},{terminal_y})">{backgrounds}<g class="{unique_id}-matrix">
{matrix}
</g></g>
</svg>
"""


def terminal() -> str:
    """The demo with what it prints, its server's port aside, which differs from run to run."""
    return _terminal(DEMO, re.sub(r"(127\.0\.0\.1):\d+", r"\1:8080", _printed(DEMO)))


def by_day() -> str:
    """Counts by day, as bars, of the sample's largest project."""
    sessions = sample_sessions()
    command = BY_DAY.format(project=sessions[0]["project_id"])
    with LocalGalileo(sessions) as server:
        printed = _printed(command, GALILEO_API_URL=server.url, GALILEO_API_KEY=server.api_key)
    return _terminal(command, printed)


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


def _terminal(command: str, printed: str) -> str:
    """A command with what it prints, exported by rich."""
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ {command}", "bold #4ade80"))
    console.print(Text.from_ansi(printed.rstrip("\n")), no_wrap=True, overflow="ellipsis")
    svg = console.export_svg(code_format=_TERMINAL.replace("MONO", _MONO), unique_id="terminal")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


# ---- architecture ----------------------------------------------------------------------------------------------------

_ONE_COUNT = """\
your code > request: count(project, where)
request: the query as bytes, encoded once
request: queue: wait for a permit
request: the attempt's 30 s begin here
request: auth: the headers
request > transport: bytes, headers
transport > Galileo: POST
Galileo > transport: 429
transport > request: status, headers, body
request: flow: send less; admission: first in line
request > transport: the same bytes again
transport > Galileo: POST
Galileo > transport: 200
transport > request: {"total_count": 63}
request: responses: decode, strictly
request > your code: 63
"""


def one_count() -> str:
    """The life of one count, from the plain text above, as a sequence."""
    steps = [re.split(r": ", line, maxsplit=1) for line in _ONE_COUNT.splitlines()]
    names = list(dict.fromkeys(name for who, _ in steps for name in who.split(" > ")))
    at = {name: 62 + i * (_WIDTH - 124) / (len(names) - 1) for i, name in enumerate(names)}
    height = 70 + 36 * len(steps)
    parts = [f'<path d="M{x:g} 40V{height - 12}" class="line"/>' for x in at.values()]
    for name, x in at.items():
        parts += [_box(x - 50, 12, 100, 28, "room"), _text(x, 31, name, "name mid")]
    for y, (who, words) in zip(range(76, height, 36), steps, strict=False):
        source, _, target = who.partition(" > ")
        if target:
            middle = (at[source] + at[target]) / 2
            parts.append(f'<path d="M{at[source]:g} {y}H{at[target]:g}" class="arrow"/>')
            parts.append(_text(middle, y - 8, words, "small mid", _HALO))
        else:
            parts += [_box(at[source] - 66, y - 20, 290, 26, "note"), _text(at[source] - 56, y - 2, words, "small")]
    return _svg(height, "The life of one count", parts)


# ---- performance -----------------------------------------------------------------------------------------------------


def _table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of the page on performance, without its head."""
    page = (DOCS / "performance.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", page.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return rows[2:]


def _bars(heading: str, column: int, title: str, ours: str, goal: float | None = None) -> Callable[[], str]:
    """A chart of one column: a row's label, and below it a bar and the cell; `ours` marks the bars of this package."""

    def draw() -> str:
        rows = [(row[0].replace("`", ""), row[column]) for row in _table(heading) if re.search(r"\d", row[column])]
        values = [float(re.findall(r"[\d.]+", cell.replace(",", ""))[-1]) for _, cell in rows]
        longest = max([*values, goal or 0])
        parts, height = [_text(16, 28, title, "name")], 50 + 50 * len(rows)
        if goal is not None:
            parts.append(
                f'<path d="M{16 + 360 * goal / longest:g} 44V{height - 8}" class="line" stroke-dasharray="4 3"/>'
            )
        for y, (label, cell), value in zip(range(60, 10_000, 50), rows, values, strict=False):
            width = max(2, 360 * value / longest)
            parts.append(_text(16, y, label, "small", _HALO))
            parts.append(_box(16, y + 7, width, 16, "ours" if re.search(ours, label) else "bar"))
            parts.append(_text(22 + width, y + 20, cell, "mono", _HALO))
        return _svg(height, title, parts)

    return draw


# ---- flow control ----------------------------------------------------------------------------------------------------


def flow() -> str:
    """A run of the flow control at a simulated service, drawn by the bench of its weathers."""
    bench = runpy.run_path(str(DOCS.parent / "tests" / "bench" / "bench_weather.py"))
    return str(bench["plot"]())


# ---- all -------------------------------------------------------------------------------------------------------------

PICTURES: dict[str, Callable[[], str]] = {
    "terminal.svg": terminal,
    "by_day_terminal.svg": by_day,
    "one_count.svg": one_count,
    "flow_bucket.svg": flow,
    "performance_count.svg": _bars(
        "CPU cost per count", 4, "CPU of a count at 64 in flight; bare aiohttp is 1", "^count"
    ),
    "performance_trouble.svg": _bars("Services in trouble", 2, "Seconds, in multiples of the ideal", ".", 1),
    "performance_filters.svg": _bars(
        "A filter compared with plain dicts",
        2,
        "Building a filter of so many leaves, compared with plain dicts",
        ".",
        3,
    ),
    "performance_cli.svg": _bars("The command line", 1, "Seconds for 10,000 projects", "command"),
}


def changed() -> Iterator[Path]:
    """Draws all pictures, writes those that differ from their files, and gives the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        file, drawn = FOLDER / name, draw()
        if not file.exists() or file.read_text(encoding="utf-8") != drawn:
            _ = file.write_text(drawn, encoding="utf-8")
            yield file


if __name__ == "__main__":
    for written in changed():
        print(written)
