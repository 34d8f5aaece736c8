"""The site: it builds, its pictures show what they were drawn from, and it can be read and searched."""

import fcntl
import importlib.util
import math
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from html import unescape
from inspect import get_annotations, getsource
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote
from xml.etree import ElementTree

import attrs
import click
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from docs.browser import CHROMIUM, Tab, browser

import galileo_sessions.local
from galileo_sessions import __version__
from galileo_sessions.cli.commands import program

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
WIDEST = 105  # columns of code on a page of 1280 pixels
QUESTIONS = {  # a page, and what people search for who need it
    "tutorial": "install, API key",
    "errors": "429, rate limit",
    "counting": "it counts 0, project id, log_stream_id, experiment, proxy, organisations, environment variable",
    "reports": "percent, group by",
    "filters": "is_null, is empty, case sensitive, timezone, last 7 days, metadata, flat list",
    "command-line": "relative time, progress bar",
    "from-the-sdk": "list sessions",
    "applications": "Jupyter, Flask, Celery, Airflow, websocket, tqdm",
    "counts-by": "polars",
    "api": "API reference",
}

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("sphinx", "furo", "myst_parser", "sphinx_copybutton"))),
    reason="what builds the site isn't installed; it is in the group `docs`",
)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once for all workers of a run; it builds without a warning, and without a network."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "site"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.joinpath("built").exists():
            command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", DOCS, folder]
            built = subprocess.run(command, capture_output=True, text=True)
            assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
            folder.joinpath("built").touch()
    return folder


def test_each_option_of_the_command_line_is_in_the_manual(site):
    manual = (site / "command-line.html").read_text(encoding="utf-8")
    options = [option for command in program.commands.values() for option in command.params]
    names = [name for option in options if isinstance(option, click.Option) for name in option.opts]
    assert [name for name in names if f">{name}<" not in manual] == []


PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (galileo_sessions, galileo_sessions.local)
    for name in module.__all__
}


@pytest.fixture(scope="session")
def entries(site: Path) -> dict[str, tuple[str, str]]:
    """The signature and the description of each name on the reference's pages."""
    entry = re.compile(r'<dt class="sig[^>]* id="([\w.]+)">(.*?)</dt>\s*<dd>(.*?)(?=<dt |</dd>)', re.DOTALL)
    pages = "".join(page.read_text(encoding="utf-8") for page in site.glob("api-*.html"))
    plain = [[unescape(re.sub(r"<[^>]+>", "", text)).strip() for text in found] for found in entry.findall(pages)]
    return {name: (signature, said) for name, signature, said in plain}


def attributes(cls: type) -> set[str]:
    """The public attributes, properties and methods that a class has from this package."""
    names: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.startswith("galileo_sessions"):
            source = getsource(base.__init__) if "__init__" in vars(base) and not attrs.has(base) else ""
            names |= {*vars(base), *get_annotations(base), *re.findall(r"self\.(\w+)(?:: .*)? = ", source)}
    return {name for name in names if not name.startswith("_")}


def described(entries: dict[str, tuple[str, str]], name: str) -> set[str]:
    """What has a description, in a class or in a base that the class names."""
    own = {entry.rpartition(".")[2] for entry, (_, said) in entries.items() if said and entry.startswith(f"{name}.")}
    (bases,) = re.findall(r"\A(?:Bases: (.*))?", entries.get(name, ("", ""))[1])
    return own.union(*[described(entries, f"galileo_sessions.{base}") for base in re.findall(r"\w+", bases)])


def test_the_reference_describes_every_public_name(site, entries):
    """And each attribute, property and method of the classes, and nothing else. Its first page leads to each name."""
    first_page = (site / "api.html").read_text(encoding="utf-8")
    assert [name for name in PUBLIC if entries.get(name, ("", ""))[1] == "" or f'#{name}"' not in first_page] == []
    assert [name for name in entries if name not in PUBLIC and name.rpartition(".")[0] not in PUBLIC] == []
    classes = {name: attributes(thing) for name, thing in PUBLIC.items() if isinstance(thing, type)}
    lacking = {name: names - described(entries, name) for name, names in classes.items()}
    assert lacking == {name: set() for name in classes}


def test_signatures_name_only_what_readers_know(entries):
    """No type variable, no class that can't be imported, and each keyword by its name."""
    ours = [vars(module) for name, module in sys.modules.items() if name.startswith("galileo_sessions")]
    things = {name: thing for names in ours for name, thing in names.items() if isinstance(thing, type | TypeVar)}
    unknown = {name for name, thing in things.items() if thing.__module__.startswith("galileo_sessions")}
    unknown = unknown - {name.rpartition(".")[2] for name in PUBLIC} | {"NOTHING"}
    signatures = {name: {*re.findall(r"\w+", signature)} & unknown for name, (signature, _) in entries.items()}
    assert {name: words for name, words in signatures.items() if words} == {}


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Each picture that the build draws, as it stands in its file; the build fails if one has changed."""
    monkeypatch.syspath_prepend(DOCS)
    drawn, files = importlib.import_module("pictures").PICTURES, [*(DOCS / "pictures").iterdir()]
    assert set(drawn) == {file.name for file in files}
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def test_each_picture_stands_on_a_page(pictures):
    pages = "".join(page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "README.md"])
    assert [name for name in pictures if not re.search(rf'pictures/{name}[)"]', pages)] == []


def test_the_terminal_holds_what_the_command_prints(pictures, capsys):
    """Line by line, with a box for each bar; the same on each draw, whatever the server's port."""
    program(["demo"], standalone_mode=False)
    printed = re.sub(r":\d+$", ":8080", capsys.readouterr().out, flags=re.MULTILINE).splitlines()
    svg = pictures["terminal.svg"]
    texts = ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    lines = [text.replace("\xa0", " ").rstrip() for text in texts if text.strip()]
    assert lines == ["$ galileo-sessions demo", *[re.split(" *[█-▏]", line)[0] for line in printed]]
    bars = [float(width) for width in re.findall(r'width="(\S+)" height="\S+" class="ours"', svg)]
    lengths = [len(bar) for line in printed for bar in re.findall("[█-▏]+$", line)]
    assert [math.ceil(bar / 8) for bar in bars] == lengths


def test_pictures_of_flow_show_what_their_legends_say(pictures):
    """In all panels both runs, whole; orange where a panel's title names it; and the shares in their sentences."""
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name, svg in [(name, svg) for name, svg in pictures.items() if name.startswith("flow_")]:
        seconds = [float(number) for number in re.findall(r": (\S+) s,", svg)]
        ticks = [int(number) for number in re.findall(r">(\d+) s<", svg)]
        assert (2, True) == (len(seconds), max(seconds) <= max(ticks) <= 1.5 * max(seconds))
        assert [4, 4] == [svg.count(f'class="{kind}"') for kind in ("curve", "other")]  # and in the legend
        assert 1 <= svg.count("orange: ") == svg.count('class="bound"')
        (sentence,) = re.findall(rf"!\[(.*)\]\(pictures/{name}\)", pages)
        assert [share for share in re.findall(r"\d+ %", sentence) if f" {share} lost" not in svg] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_fits_the_page(page):
    """Programs and commands fit. What they print can be longer: it goes on in the next line, indented."""
    for block in re.findall(r"^```(?:python|console|sh)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        typed = re.findall(r"^(?:>>> |\.\.\. |\$ )(?:.*\\\n)*.*", block, re.MULTILINE)
        assert [line for line in ("\n".join(typed) or block).splitlines() if len(line) > WIDEST] == []


TROUBLES = {
    "scrolls sideways by": """Math.max(...[document.documentElement, ...document.querySelectorAll(".content")]
        .map(box => box.scrollWidth - box.clientWidth))""",  # on a telephone, it is the content that furo lets scroll
    "wraps": """[...document.querySelectorAll(".highlight pre")].filter(pre => {
        const style = getComputedStyle(pre), lines = pre.innerText.replace(/\\n$/, "").split("\\n")
        const text = pre.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom)
        const wraps = pre.clientHeight && text > (lines.length + 0.5) * parseFloat(style.lineHeight)
        return wraps && !lines.some(line => line.length > WIDEST)
    }).map(pre => pre.innerText)""".replace("WIDEST", str(WIDEST)),
    "clips": """innerWidth < 1000 ? [] : [...document.querySelectorAll(".highlight pre")]
        .filter(pre => pre.scrollWidth > pre.clientWidth).map(pre => pre.innerText)""",  # a telephone lets lines scroll
    "has broken pictures": "[...document.images].filter(image => !image.naturalWidth).map(image => image.src)",
    "cuts pictures": """[...document.images].filter(image => image.getBoundingClientRect().right > innerWidth + 1)
        .map(image => image.src)""",
    "breaks options in two lines": """[...document.querySelectorAll("code .pre")].filter(word => {
        const range = document.createRange()
        range.selectNodeContents(word)
        return /^--/.test(word.innerText) && new Set([...range.getClientRects()].map(box => box.top)).size > 1
    }).map(word => word.innerText)""",
    "lacks the captions of its sidebar": "document.querySelectorAll('.sidebar-tree .caption').length < 3",
}


@pytest.fixture
async def tab(site: Path, tmp_path: Path) -> AsyncIterator[Tab]:
    """A tab of a browser on a desk, which opens paths of the site."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    app = web.Application()
    app.router.add_static("/", site)
    async with TestServer(app) as server, browser(tmp_path, str(server.make_url(""))) as tab:
        await tab.resize(1280)
        yield tab


async def test_screens_are_whole(site, tab):
    """On a desk and on a telephone no page scrolls sideways, no code or drawing wraps, and no picture is missing."""
    found = {}
    for page in sorted(site.glob("*.html")):
        await tab.open(f"/{page.name}")
        for width in (1280, 390):
            await tab.resize(width)
            await tab.ask("document.querySelectorAll('details').forEach(folded => folded.open = true)")
            for trouble, expression in TROUBLES.items():
                found[f"{page.name} at {width} {trouble}"] = await tab.ask(expression)
    assert {name: value for name, value in found.items() if value} == {}


STRAY = """(() => {
    const at = element => element.getBoundingClientRect(), texts = [...document.querySelectorAll("text")]
    const all = at(document.documentElement), boxes = [...document.querySelectorAll("rect:not(.card)")].map(at)
    const inside = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom + 2
    const lines = [...document.querySelectorAll("path.line, path.arrow, path.axis")].map(at)
    const crosses = (a, b) => a.left < b.right && a.right > b.left && a.top < b.bottom && a.bottom > b.top
    const straight = lines.filter(line => line.width < 1 || line.height < 1)
    return texts.filter(text => !inside(at(text), all) || straight.some(
        line => crosses(at(text), line) && !boxes.some(box => inside(at(text), box))
    )).map(text => text.textContent)
})()"""


async def test_no_line_goes_through_a_label(tab):
    """Labels stay within their picture; straight lines pass them by, or end at the box in which a label stands."""
    for picture in sorted((DOCS / "pictures").iterdir()):
        if not picture.name.endswith("terminal.svg"):
            await tab.open(f"/_images/{picture.name}")
            assert (picture.name, []) == (picture.name, await tab.ask(STRAY))


async def test_a_page_shows_its_contents_beside_it(tab):
    """On a screen of 1280 pixels, with the version and the changelog."""
    await tab.open("/filters.html")
    entry = """document.querySelector('.toc-tree a[href="#operators"]').getBoundingClientRect()"""
    assert await tab.ask(f"{entry}.width > 0 && {entry}.right < 1280")
    assert __version__ in str(await tab.ask("document.querySelector('.release').innerText"))


async def test_the_search_of_the_site_finds(tab):
    lost = []
    for query, page in [(query, page) for page, queries in QUESTIONS.items() for query in queries.split(", ")]:
        await tab.open(f"/search.html?q={quote(query)}")
        await tab.wait_for("document.querySelector('#search-results .search-summary')?.innerText.match(/found/)")
        results = "[...document.querySelectorAll('#search-results li a')].map(a => a.getAttribute('href'))"
        if page not in {str(link).partition(".html")[0] for link in await tab.ask(results)}:
            lost.append(query)
    assert lost == []
