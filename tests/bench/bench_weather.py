"""
How the flow control stands each weather, in virtual time; run by hand: `python tests/bench/bench_weather.py`.

Beside it: 10, 64 and 256 at once, always, with four tries, as people write it. `--plots DIR` draws a run as SVG.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.simulation import Fixed, Outcome, simulate
from support.weather_table import Weather, weathers
from support.weathers import Away, Bucket, Service

from galileo_sessions.client.flow.control import FlowControl, Permit

CONTROLS: dict[str, Callable[[], FlowControl | Fixed]] = {
    "learned": FlowControl,
    "10 at once": lambda: Fixed(10),
    "64 at once": lambda: Fixed(64),
    "256 at once": lambda: Fixed(256),
}
Points = list[tuple[float, float]]
SIZE, MARGIN, PANEL = (480, 360), 48, 120  # pixels, as of the other pictures: of the plot, left of a panel, high
STYLE = """
text { font: 15px system-ui, sans-serif; fill: #666 } .axis { stroke: #888; fill: none } .bound { stroke: #d95f02;
stroke-dasharray: 6 4; fill: none } .line { stroke: #1b78b5; stroke-width: 1.6; fill: none }
@media (prefers-color-scheme: dark) { text { fill: #aaa } .line { stroke: #5fb3e6 } .bound { stroke: #f19a53 } }
"""


# ---- the table -------------------------------------------------------------------------------------------------------


def run(weather: Weather, control: Callable[[], FlowControl | Fixed]) -> Outcome:
    """One fan-out, or several, through this weather."""
    return simulate(
        weather.service(), control, weather.counts, clients=weather.clients, stagger=weather.stagger, lone_every=None
    )


def cell(weather: Weather, outcome: Outcome) -> str:
    """What is lost in percent, requests per count, and the time beside the ideal."""
    lost = f"{outcome.lost / weather.counts:.0%} lost, " if outcome.lost else ""
    return f"{lost}{outcome.requests:.2f}, {(outcome.seconds - weather.away) / weather.ideal:.2f}x"


def rows() -> Iterator[list[str]]:
    """The table's rows, head first."""
    yield ["requests per count, time of the ideal", *CONTROLS]
    yield ["---"] * (1 + len(CONTROLS))
    for name, weather in weathers().items():
        yield [name, *(cell(weather, run(weather, control)) for control in CONTROLS.values())]
    for name, how in (("dead: refuses", "refused"), ("dead: no answer", "silent")):
        outcomes = [simulate(Away(Service(), how=how), control, 2_000) for control in CONTROLS.values()]
        yield [
            f"{name}, 2,000 counts",
            *(f"{round(outcome.requests * 2_000)} requests, {outcome.seconds:.0f} s" for outcome in outcomes),
        ]


# ---- the plot --------------------------------------------------------------------------------------------------------


class Recorded(FlowControl):
    """A flow control that remembers what it allowed at each request."""

    seen: list[tuple[float, float, int, int]]

    def sent(self, now: float) -> Permit:
        """Sends, and remembers."""
        permit = super().sent(now)
        self.seen.append((now, self.rate, self.width, self.in_flight))
        return permit


def path(points: Points, style: str) -> str:
    """A line through these points."""
    return f'<path class="{style}" d="M' + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + '"/>'


def panel(top: int, title: str, seconds: float, values: Points, bounds: Points) -> Iterator[str]:
    """A curve over time, with its axes, and a dashed one that bounds it."""
    highest = max(value for _, value in values + bounds) * 1.1
    right, bottom = SIZE[0] - 25, top + PANEL

    def place(at: float, value: float) -> tuple[float, float]:
        return MARGIN + at / seconds * (right - MARGIN), bottom - value / highest * PANEL

    yield f'<text x="{MARGIN}" y="{top - 6}">{title}</text>'
    yield path([(MARGIN, top), (MARGIN, bottom), (right, bottom)], "axis")
    for value in (0.0, highest / 1.1):
        yield f'<text x="{MARGIN - 8}" y="{place(0, value)[1] + 4:.1f}" text-anchor="end">{value:.0f}</text>'
    for second in range(0, int(seconds) + 1, 2):
        yield f'<text x="{place(second, 0)[0]:.1f}" y="{bottom + 18}" text-anchor="middle">{second} s</text>'
    yield path([place(at, value) for at, value in bounds], "bound")
    yield path([place(at, value) for at, value in values], "line")


def plot(seconds: float = 10.0) -> str:
    """A run at a token bucket of 200 a second, burst 20, that answers after 50 ms: an SVG for light and dark pages."""
    control = Recorded()
    control.seen = []
    simulate(Bucket(200, 20, None, 0.05), lambda: control, round(200 * seconds) + 20)
    seen = [moment for moment in control.seen if moment[0] <= seconds][::4]
    rates, widths = [(at, rate) for at, rate, *_ in seen], [(at, float(width)) for at, _, width, _ in seen]
    under_way = [(at, float(count)) for at, _, _, count in seen]
    width, height = SIZE
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">',
            "<title>The rate finds 200 a second, with a dozen requests under way</title>",
            f"<style>{STYLE}</style>",
            *panel(
                24,
                "requests a second (dashed: the service's limit)",
                seconds,
                rates,
                [(0.0, 200.0), (seconds, 200.0)],
            ),
            *panel(24 + PANEL + 50, "requests under way (dashed: the width)", seconds, under_way, widths),
            "</svg>\n",
        ]
    )


def main() -> None:
    """Prints the table, or draws the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plots", type=Path, metavar="DIR", help="writes flow_bucket.svg there instead of the table")
    folder = parser.parse_args().plots
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "flow_bucket.svg").write_text(plot(), encoding="utf-8")
        return
    for row in rows():
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
