"""The commands, their options and exit statuses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from math import inf
from textwrap import fill
from typing import Any, BinaryIO, TextIO, TypeVar

import click
from click.exceptions import Exit

from galileo_sessions.api.projects import PAGE, Project
from galileo_sessions.api.query import SCOPE
from galileo_sessions.cli.options import (
    Limit,
    Refused,
    named,
    needs_columns,
    read_limit,
    read_query,
    read_selection,
    told,
)
from galileo_sessions.cli.report import PROJECT_FIELDS, Rows, Tally, columns_code, failure, project_line, reword
from galileo_sessions.cli.screen import Screen, in_thread
from galileo_sessions.cli.targets import Finder, read_projects, read_source
from galileo_sessions.counting.client import GalileoSessions
from galileo_sessions.counting.results import CountReport, Progress
from galileo_sessions.counting.stream import CountStream
from galileo_sessions.display import chart, printable
from galileo_sessions.errors import GalileoError, ZeroCountWarning
from galileo_sessions.filters.catalog import dump_catalog
from galileo_sessions.filters.columns import Col, DateCol
from galileo_sessions.filters.json import dump_filter
from galileo_sessions.filters.kinds import as_instant
from galileo_sessions.filters.nodes import ALWAYS, Filter
from galileo_sessions.filters.tree import draw_filter
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.settings import Limits
from galileo_sessions.version import __version__

T = TypeVar("T")

_LISTED = 12  # projects that `serve` names
_DEMO_WIDTH = 58  # characters of a line that fits on a phone
_SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}
_STATUS = """\
Exit status: 0 for success; 1 if a count failed, or if a limit can't be judged; 2 for bad usage, or an invalid filter,
project or setting, or if a filter that is checked fits none of the projects; 3 if --fail-above or --fail-below applies;
130 after Ctrl-C; 141 if the reader of stdout closed it, as in `| head -1`.
"""
_OVERLAP = "The parts overlap, so their sum can exceed the total, which counts each session once"


@contextmanager
def _errors() -> Generator[None]:
    """Turns the library's errors into click's own, and ends quietly when the reader of stdout closes it."""
    try:
        yield
        sys.stdout.flush()
    except GalileoError as error:
        reword(error)
        if isinstance(error, ValueError | LookupError):  # a filter, a setting or a name
            raise Refused(printable(told(error))) from None
        raise click.ClickException(failure(error)) from None
    except KeyboardInterrupt:
        raise Exit(130) from None
    except OSError as error:  # such as a full disk
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())  # otherwise Python would try to write the rest at exit
        os.close(devnull)
        if isinstance(error, BrokenPipeError):
            raise Exit(141) from None  # as shells report a tool that SIGPIPE ended
        raise click.ClickException(error.strerror or str(error)) from None


class _Program(click.Group):
    """Reports errors in one way, those of --help included."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _errors():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> None:
        with _errors():
            super().invoke(ctx)


_where = click.option(
    "-w", "--where", metavar="TEXT", help="""A filter: 'Col("input").contains("x") & (Col("score") > 3)'."""
)
_where_json = click.option(
    "--where-json", type=click.File("rb"), metavar="FILE", help="A filter or query as JSON; - is stdin."
)


def _scope(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options for a part of a project."""
    parts = {"metrics-testing": "metrics testing run", "experiment": "experiment", "log-stream": "log stream"}
    for name, words in parts.items():
        argument = f"{name.replace('-', '_')}_id"
        command = click.option(f"--{name}", argument, metavar="ID", help=f"In this {words} only.")(command)
    return command


@click.group(cls=_Program, invoke_without_command=True, epilog=_STATUS, context_settings=_SETTINGS)
@click.version_option(__version__)
@click.pass_context
def program(ctx: click.Context) -> None:
    """
    Counts the sessions of Galileo projects; without a command, shows the demo.

    Credentials and the URL come only from the environment, because other users of the machine can't see it:
    GALILEO_API_KEY, or GALILEO_USERNAME with GALILEO_PASSWORD; GALILEO_API_URL, else GALILEO_CONSOLE_URL.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(demo)


@program.command(epilog=_STATUS)
@click.argument("projects", metavar="[PROJECT]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Count every project that the credentials can see.")
@click.option("--projects-from", type=click.File("rb"), metavar="FILE", help="One project per line; - is stdin.")
@_where
@_where_json
@click.option("--by", metavar="COLUMN:PARTS", help="Such as created_at:day or score:1,3.")
@click.option("--since", metavar="TIME", help="The start: a date, an ISO 8601 time, today, 30m, 12h, 7d, 4w.")
@click.option("--until", metavar="TIME", help="The end, not included. Default: now.")
@click.option("--tz", default="UTC", metavar="ZONE", help="The time zone of dates, such as Europe/Berlin.")
@click.option("--time-column", metavar="COLUMN", help="The column of --since and --until. Default: created_at.")
@click.option("--fail-above", callback=read_limit, metavar="N", help="Exit status 3 for more; 10% is of all sessions.")
@click.option("--fail-below", callback=read_limit, metavar="N", help="Exit status 3 for fewer.")
@_scope
@click.option("-f", "--format", "output", type=click.Choice(["table", "json", "csv"]), default="table")
@click.option("--concurrency", type=click.IntRange(1, 10_000), default=256, metavar="N", help="Max requests at once.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="For the whole command.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first count that fails.")
@click.option("--check", is_flag=True, help="Check the filter against each project's columns first.")
@click.option("-q", "--quiet", is_flag=True, help="Only failures on stderr; with a limit, one line.")
def count(
    *,
    projects: tuple[str, ...],
    every: bool,
    projects_from: BinaryIO | None,
    where: str | None,
    where_json: BinaryIO | None,
    by: str | None,
    fail_above: Limit | None,
    fail_below: Limit | None,
    output: str,
    concurrency: int,
    timeout: float | None,
    fail_fast: bool,
    check: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """
    Counts the sessions of each PROJECT that satisfy a filter.

    PROJECT is an id or a name; - reads them from stdin. Without PROJECT, --all and --projects-from, it counts
    GALILEO_PROJECT_ID.
    Results are written as they arrive, in no particular order. At the end, stderr shows the failures and the total.
    A project given twice is counted once.
    With --by, each part of a project is counted, too: created_at:day (hour, week, month) from --since on, score:0,1,2,
    tags:vip,beta or is_complete. Results are then written at the end, in the order of the projects.
    A filter on a column that doesn't exist may count 0; stderr then names the column. --check, --fail-above and
    --fail-below refuse the filter.

    \b
    table  for people; with --by, a chart below each project
    json   for programs: one object per line, {"project_id": ..., "total_count": ...}
           or {"project_id": ..., "error": {"type": ..., "message": ...}}
    csv    for spreadsheets: project_id,total_count,error
    If names are known, json and csv have a project_name. With --by, they have a label.
    """
    query = read_query(where, where_json, **{name: options.pop(name) for name in SCOPE})
    scope = {name: getattr(query, name) for name in SCOPE}
    source = read_source(projects, projects_from, query, every=every)
    limits, tally = [limit for limit in (fail_above, fail_below) if limit is not None], Tally(query.where)
    is_silent = quiet and bool(limits)
    checks = True if check or limits else False if quiet else None

    async def write_counts() -> None:
        async with GalileoSessions(limits=Limits(concurrency), check=checks) as galileo:
            known = Finder(galileo, budget := Budget.fan_out(timeout, inf, asyncio.get_running_loop().time()))
            targets = await known.projects(source)
            catalog = None
            if needs_columns(by):
                targets = targets if isinstance(targets, list) else [project async for project in targets]
                catalog = await known.columns(targets, **scope)
            tally.projects = len(targets) if isinstance(targets, list) else None
            selection = read_selection(query.where, datetime.now(UTC), catalog, by=by, **options)
            partition = selection.partition
            tally.overlaps = partition is not None and not partition.disjoint
            rows = Rows(None if is_silent and output == "table" else output, known.named, partition is not None)
            screen, counting = (
                Screen(quiet=quiet),
                {"fail_fast": fail_fast, "timeout": budget.left(asyncio.get_running_loop().time()), **scope},
            )
            if partition is None:
                stream = galileo.count_many(targets, selection.where, **counting)
                await _write_rows(stream, screen, rows, tally)
            else:
                divided = partial(galileo.count_all, targets, selection.where, by=partition, **counting)
                await _write_parts(divided, screen, rows, tally)
            if any(limit.is_share for limit in limits) and not tally.failed:
                await _count_unfiltered(
                    galileo,
                    selection.unfiltered,
                    tally,
                    **counting | {"timeout": budget.left(asyncio.get_running_loop().time())},
                )
            is_doubtful = bool(limits) and selection.where != ALWAYS and not tally.failed and not tally.sessions
            tally.is_unchecked = is_doubtful and await known.are_empty(tally.ids)

    try:
        with warnings.catch_warnings(record=True) as explanations:
            warnings.simplefilter("always")
            asyncio.run(write_counts())
    except KeyboardInterrupt:
        _tell([*tally.failures(), f"interrupted; {tally}"])
        raise
    except GalileoError as error:
        reword(error, query.where)
        if tally.counted + tally.failed and not is_silent:
            _tell([*tally.failures(), f"stopped; {tally}"])
        raise
    _tell([] if is_silent else tally.failures())
    if not quiet:
        _tell([str(tally), *([_OVERLAP] if tally.overlaps else []), *_zeros(explanations)])
    if not tally.counted + tally.failed:
        raise Refused("the list of projects is empty")
    _judge(limits, tally)


async def _write_rows(stream: CountStream, screen: Screen, rows: Rows, tally: Tally) -> None:
    """Writes each project when it is counted."""
    screen.progress = lambda: stream.progress
    async with screen, stream:
        async for result in stream:
            tally.add(result)
            await screen.put(rows.lines([result]))
    tally.counts += stream.progress.done


async def _write_parts(
    count_all: Callable[..., Awaitable[CountReport]], screen: Screen, rows: Rows, tally: Tally
) -> None:
    """Writes all projects with their parts at the end; if an error ends it, those that were counted until then."""
    told: list[Progress] = []
    screen.progress = lambda: told[-1] if told else None

    def tell(progress: Progress) -> None:
        told[:] = [progress]

    report: CountReport | None = None
    async with screen:
        try:
            report = await count_all(on_progress=tell)
        except GalileoError as error:
            report = error.report
            raise
        finally:
            if report is not None:
                for result in report.results:
                    tally.add(result)
                tally.counts += report.progress.done
                await screen.put(rows.lines(report.results))


async def _count_unfiltered(galileo: GalileoSessions, where: Filter, tally: Tally, **options: Any) -> None:
    tally.add_unfiltered(await galileo.count_all(tally.ids, where, **options, check=False))


def _zeros(explanations: list[warnings.WarningMessage]) -> list[str]:
    """Warnings about counts of 0, and the command that shows more than the Python that they name."""
    lines = [f"Warning: {str(each.message).splitlines()[0]}" for each in explanations]
    if any(issubclass(each.category, ZeroCountWarning) for each in explanations):
        lines.append("galileo-sessions explain PROJECT --where ... shows what each condition counts")
    return lines


def _tell(lines: list[str]) -> None:
    for line in lines:
        click.echo(line, err=True)


def _judge(limits: list[Limit], tally: Tally) -> None:
    """Ends with the exit status for a failure or a broken limit, and says why a limit is broken or can't be judged."""
    judged = [limit for limit in limits if tally.decides(limit)]
    reasons = [limit.reason(tally.place, tally.sessions, tally.unfiltered) for limit in judged]
    broken = [reason for reason in reasons if reason]
    if broken:
        _tell(broken)
        raise Exit(3)
    words = " or ".join([limit.words for limit in limits if limit not in judged])
    if words:
        _tell([f"can't tell whether the total is {words}: {tally.doubt}"])
    if words or tally.failed:
        raise Exit(2 if tally.fits_none else 1)


@program.command()
@click.option("-f", "--format", "output", type=click.Choice(["table", "json", "csv"]), default="table")
def projects(output: str) -> None:
    """Lists the projects that the credentials can see: their ids and names."""
    asyncio.run(_write_projects(output))


async def _write_projects(output: str) -> None:
    heads = {"table": f"{'project id':36}  name\n", "csv": ",".join(PROJECT_FIELDS) + "\n"}
    lines = [heads.get(output, "")]

    async def write() -> None:
        text = "".join(lines)
        lines.clear()
        shown = printable(text) if sys.stdout.isatty() else text
        await in_thread(partial(click.echo, shown, nl=False, color=True))  # otherwise click would cut names in CSV

    async with GalileoSessions() as galileo:
        try:
            async for project in galileo.projects():
                lines.append(f"{project_line(project, output)}\n")
                if len(lines) >= PAGE:
                    await write()
        finally:  # also if a page fails
            await write()


@program.command()
@click.argument("project", required=False)
@_scope
@click.option("-f", "--format", "output", type=click.Choice(["table", "json", "python"]), default="table")
def columns(project: str | None, output: str, **scope: Any) -> None:
    """Lists the columns that a filter can use in a PROJECT, or in GALILEO_PROJECT_ID."""
    catalog = asyncio.run(_ask(project, lambda galileo, found: galileo.columns(found, **scope)))
    if output == "python":
        click.echo(f"from galileo_sessions import Col\n\n{columns_code(catalog)}")
    elif output == "json":
        click.echo(json.dumps(dump_catalog(catalog), indent=2))
    else:
        click.echo(str(catalog))


async def _ask(project: str | None, ask: Callable[[GalileoSessions, Project], Awaitable[T]]) -> T:
    """Asks about a project, or the one in the environment."""
    given = read_projects([] if project is None else [project], "PROJECT,")
    async with GalileoSessions() as galileo:
        found = await Finder(galileo).find(*next(iter(given.items())))
        return await ask(galileo, found)


@program.command()
@click.argument("project", required=False)
@_where
@_where_json
@_scope
def explain(project: str | None, where: str | None, where_json: BinaryIO | None, **scope: Any) -> None:
    """
    Shows a filter as a drawing and as JSON, or what each part of it counts in a PROJECT.

    With PROJECT, each line has the sessions that satisfy this part of the filter. For conditions that are joined by &,
    it also has the sessions that satisfy the filter without this condition.
    """
    if where is None and where_json is None:
        raise click.UsageError("no filter. Give --where or --where-json.")
    query = read_query(where, where_json, **scope)
    if project is None:
        if any(scope.values()):
            raise click.UsageError("--log-stream, --experiment and --metrics-testing need PROJECT.")
        found = query.where
        click.echo(f"{draw_filter(found)}\n\n{json.dumps(dump_filter(found), indent=2)}\n")
        click.echo(f"size {found.size:,}, depth {found.depth}")
        return
    explanation = asyncio.run(_ask(project, lambda galileo, found: galileo.explain(query.for_project(found))))
    failed = [node.error for node in explanation.nodes if node.error is not None]
    for error in failed:
        reword(error)
    click.echo(str(explanation))
    if failed:
        raise Exit(1)


@program.command()
@click.option("--data", type=click.File(encoding="utf-8-sig"), metavar="FILE", help="Sessions. Default: a sample.")
@click.option("--last-day", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="Of the sample. Default: yesterday.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, metavar="N", help="0 is any free port.")
@click.option("--api-key", metavar="KEY", help="The key to accept, for tests. Default: a new one.")
@click.option("--strict", is_flag=True, help="Refuse filters on columns that no session has.")
def serve(*, data: TextIO | None, port: int, last_day: datetime | None, api_key: str | None, strict: bool) -> None:
    """
    Runs a local Galileo server on 127.0.0.1, until Ctrl-C or SIGTERM.

    It counts the sessions of a file of JSON lines, --data, or of a sample of 90 days up to --last-day.
    A shell can source its output.
    """
    from galileo_sessions import local  # noqa: PLC0415
    from galileo_sessions.local.records import columns_of  # noqa: PLC0415

    names: dict[str, str] = {}
    if data is None:
        names = local.sample_names()
        yesterday = datetime.now(UTC) - timedelta(days=1)  # so that no session is in the future
        sessions = local.sample_sessions((last_day or yesterday).date())
    else:
        sessions = named("--data", local.load_sessions, data)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = local.LocalGalileo(sessions, names=names, api_key=api_key, port=port, strict=strict)
    with suppress(KeyboardInterrupt), server:
        click.echo(f"# sessions: {len(sessions):,}")
        for project, number in Counter(str(session["project_id"]) for session in sessions).most_common(_LISTED):
            name = f" ({names[project]})" if project in names else ""
            click.echo(f"# {project}: {number:,}{name}")
        found = columns_of(sessions)
        click.echo(printable(f"# columns: {', '.join(found)}"))
        if isinstance(found.get("created_at"), DateCol):
            times = [as_instant(str(session["created_at"])) for session in sessions if session.get("created_at")]
            click.echo(f"# created_at: {min(times):%Y-%m-%d} to {max(times):%Y-%m-%d}")
        click.echo("# Ctrl-C ends it." + ("" if api_key else " Each start makes a new key."))
        click.echo(f"export GALILEO_API_URL={server.url}\nexport GALILEO_API_KEY={server.api_key}")
        while True:
            time.sleep(60)


@program.command()
def demo() -> None:
    """Counts a sample in a local server, to show what the library does."""
    from galileo_sessions.local import LocalGalileo, sample_names, sample_sessions  # noqa: PLC0415

    where = Col("input").contains("refund") & ~(Col("score") > 3)
    print(f"The filter    {where!r}".replace(" & ", f"\n{'':14}& "))
    tree = json.dumps(dump_filter(where), separators=(", ", ":"))
    print(fill(tree, _DEMO_WIDTH, initial_indent="as JSON       ", subsequent_indent=" " * 14))
    names = sample_names()
    projects = [*names]

    async def count_sample() -> tuple[CountReport, CountReport]:
        async with GalileoSessions(server.api_key, base_url=server.url) as galileo:
            return await galileo.count_all(projects, where), await galileo.count_all(projects)

    with LocalGalileo(sample_sessions(), names=names) as server:
        found, everything = asyncio.run(count_sample())
        print(f"The server    {server.url}")
    print(f"One project   {found.counts[0]} of {everything.counts[0]} sessions")
    print(f"All {len(projects)}        {found.total} of {everything.total:,} sessions")
    print(chart([*zip(names.values(), found.counts, strict=True)], _DEMO_WIDTH))
    print("With your own data: export GALILEO_API_KEY=...")
