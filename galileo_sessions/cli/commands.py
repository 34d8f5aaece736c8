"""The commands, their options and exit statuses."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO, TextIO, TypeVar
from uuid import UUID

import click
from click.exceptions import Exit

from galileo_sessions.cli.failures import Refused, Tally, failure
from galileo_sessions.cli.output import FORMATS, Rows, rows_of
from galileo_sessions.cli.parts import named, read_partition
from galileo_sessions.cli.projects import read_projects
from galileo_sessions.cli.screen import Screen, printable
from galileo_sessions.client.client import GalileoSessions
from galileo_sessions.client.fanout import CountStream
from galileo_sessions.client.flow.limits import Limits
from galileo_sessions.client.query import CountQuery, part_queries
from galileo_sessions.errors import ConfigurationError, FilterError, GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog, cells, dump_catalog
from galileo_sessions.filters.drawing import draw_filter
from galileo_sessions.filters.nodes import ALWAYS, Filter, all_of
from galileo_sessions.filters.serialization import dump_filter, load_filter
from galileo_sessions.text.parser import parse_filter
from galileo_sessions.version import __version__

F = TypeVar("F", bound=Callable[..., object])

_PROJECT = "GALILEO_PROJECT_ID"
_COLUMNS = ("id", "filter type", "label", "allowed values", "description")
_SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}
_STATUS = """\
Exit status: 0 for success; 1 if a count failed; 2 for bad usage, or an invalid filter, id or setting;
130 after Ctrl-C; 141 if the reader of stdout closed it, as in `| head -1`.
"""


class _Program(click.Group):
    """Reports the library's errors as click's own, and ends quietly when the reader of stdout closes it."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            outcome = super().invoke(ctx)
            sys.stdout.flush()
        except (ConfigurationError, FilterError) as error:
            raise Refused(printable(error.message)) from None
        except GalileoError as error:
            raise click.ClickException(failure(error)) from None
        except KeyboardInterrupt:
            raise Exit(130) from None
        except BrokenPipeError:
            _discard_output()
            raise Exit(141) from None  # as shells report a tool that SIGPIPE ended
        except OSError as error:  # such as a full disk
            _discard_output()
            raise click.ClickException(f"{error.strerror}") from None
        return outcome


def _discard_output() -> None:
    """Sends the rest of stdout to /dev/null. Otherwise Python would try to write it at exit, and fail again."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def _options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


_scope = _options(
    click.option("--log-stream", "log_stream_id", metavar="ID", help="In this log stream only."),
    click.option("--experiment", "experiment_id", metavar="ID", help="In this experiment only."),
    click.option("--metrics-testing", "metrics_testing_id", metavar="ID", help="In this metrics testing run only."),
)
_filter = _options(
    click.option("--where", metavar="TEXT", help="""A filter: 'Col("input").contains("x") & (Col("score") > 3)'."""),
    click.option(
        "--where-json",
        type=click.File(encoding="utf-8-sig"),
        metavar="FILE",
        help="A filter as the API's filter_tree; - is stdin.",
    ),
)


def _read_filter(text: str | None, file: TextIO | None) -> Filter:
    filters: list[Filter] = []
    if text is not None:
        filters.append(named("--where", parse_filter, text))
    if file is not None:
        try:
            tree: object = json.load(file)
        except ValueError as error:
            raise Refused(
                f"--where-json: {file.name} is not JSON: {error}. A filter as text goes into --where"
            ) from None
        filters.append(named("--where-json", load_filter, tree))
    return all_of(filters)


@click.group(cls=_Program, invoke_without_command=True, epilog=_STATUS, context_settings=_SETTINGS)
@click.version_option(__version__)
@click.pass_context
def program(ctx: click.Context) -> None:
    """
    Counts the sessions of Galileo projects; without a command, shows the demo.

    Credentials and address come from the environment only, which other users of the machine can't see:
    GALILEO_API_KEY, or GALILEO_USERNAME with GALILEO_PASSWORD; GALILEO_API_URL, else GALILEO_CONSOLE_URL.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(demo)


@program.command(epilog=_STATUS)
@click.argument("projects", metavar="[PROJECT]...", nargs=-1)
@click.option(
    "--projects-from", type=click.File("rb"), metavar="FILE", help="Project ids, one per line, # comments; - is stdin."
)
@_filter
@click.option(
    "--by",
    metavar="COLUMN:PARTS",
    help="A count for each part: created_at:day with --since, or score:0,1,2.",
)
@click.option("--since", metavar="TIME", help="For --by COLUMN:UNIT: a date, an ISO 8601 time, today, 30d, 12h, 8w.")
@click.option("--until", metavar="TIME", help="The end, not included; now unless given.")
@click.option("--tz", metavar="ZONE", help="The time zone of --by COLUMN:UNIT, such as Europe/Berlin; else UTC.")
@_scope
@click.option("--format", "output", type=click.Choice(FORMATS), default="table")
@click.option("--concurrency", type=click.IntRange(1, 10_000), default=256, metavar="N", help="Max requests at once.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="For all counts together.")
@click.option("--ordered", is_flag=True, help="Write results in the order of the projects.")
@click.option(
    "--errors", type=click.File("w", "utf-8", lazy=False), metavar="FILE", help="Where to write all failures."
)
@click.option("--fail-fast", is_flag=True, help="End with the first count that fails.")
@click.option("--check", is_flag=True, help="Check the filter against each project's columns first.")
def count(
    *,
    projects: tuple[str, ...],
    projects_from: BinaryIO | None,
    where: str | None,
    where_json: TextIO | None,
    by: str | None,
    since: str | None,
    until: str | None,
    tz: str | None,
    output: str,
    concurrency: int,
    timeout: float | None,
    ordered: bool,
    errors: TextIO | None,
    fail_fast: bool,
    check: bool,
    **scope: Any,
) -> None:
    """
    Counts the sessions of each PROJECT that satisfy a filter.

    Without PROJECT and --projects-from, it counts GALILEO_PROJECT_ID.
    Results are written as they arrive, in no particular order. At the end, stderr shows the failures and the total.
    A filter on a column that doesn't exist may count 0 without an error; --check refuses it.

    \b
    table  for people; with --by, a chart below each project
    json   for programs: one object per line, {"project_id": ..., "total_count": ...}
           or {"project_id": ..., "error": {"type": ..., "message": ...}}
    csv    for spreadsheets: project_id,total_count,error
    With --by, json and csv have a label, too.
    """
    template = CountQuery(UUID(int=0), _read_filter(where, where_json), **scope)
    queries = _queries(template, by, since, until, tz)
    targets = _targets(projects, projects_from, queries)
    if check and isinstance(targets, list) and targets:  # a mistake ends the command before a row is written
        _ = asyncio.run(_fetch_columns(targets[0].project_id, **scope)).check(targets[0].where)
    rows = rows_of(output, None if by is None else len(queries))
    tally = Tally(len(targets) if isinstance(targets, list) else None, errors)
    galileo = GalileoSessions(limits=Limits(concurrency), check=check)
    options: dict[str, Any] = {"ordered": ordered or by is not None, "timeout": timeout, "fail_fast": fail_fast}
    _run(partial(_write_counts, galileo, partial(galileo.count_many, targets, **options), rows, tally), tally)
    if not tally.counted + tally.failed:
        raise Refused("--projects-from: it has no project id")
    if tally.counted and not tally.total and not check and queries[0].where != ALWAYS:
        click.echo("0 in all. A column that doesn't exist counts 0, too; --check checks the columns", err=True)
    if tally.failed:
        raise Exit(1)


def _queries(
    template: CountQuery, by: str | None, since: str | None, until: str | None, tz: str | None
) -> list[CountQuery]:
    """The queries for each project: the template, or with `--by` one for each part."""
    if by is not None:
        return part_queries(template, read_partition(by, since, until, tz, datetime.now(UTC)))
    if since or until or tz:
        raise click.UsageError("--since, --until and --tz go with --by COLUMN:UNIT, such as --by created_at:day.")
    return [template]


def _targets(
    projects: tuple[str, ...], file: BinaryIO | None, templates: list[CountQuery]
) -> list[CountQuery] | AsyncIterator[CountQuery]:
    if file is not None and projects:
        raise click.UsageError("PROJECT and --projects-from can't be used together.")
    if file is not None:
        return read_projects(file, templates)
    named = projects or os.environ.get(_PROJECT, "").split()
    if not named:
        raise click.UsageError(f"no project. Give PROJECT, or --projects-from FILE (- is stdin), or set {_PROJECT}.")
    return [template.for_project(project) for project in named for template in templates]


def _run(counts: Callable[[Screen], Coroutine[Any, Any, None]], tally: Tally) -> None:
    """Runs the counts; then, or if they end early, says what failed and what was counted."""
    try:
        with Screen() as screen:
            asyncio.run(counts(screen))
    except (KeyboardInterrupt, Refused, GalileoError) as error:
        _report(tally, "interrupted; " if isinstance(error, KeyboardInterrupt) else "stopped; ")
        raise
    _report(tally)


def _report(tally: Tally, ended: str = "") -> None:
    for line in tally.failures():
        click.echo(line, err=True)
    click.echo(f"{ended}{tally}", err=True)


async def _write_counts(
    galileo: GalileoSessions, count_many: Callable[[], CountStream], rows: Rows, tally: Tally, screen: Screen
) -> None:
    async with galileo, count_many() as stream:
        watching = asyncio.create_task(screen.watch(stream))
        try:
            if rows.header:
                await screen.put(rows.header)
            async for result in stream:
                if lines := rows.lines(result):
                    await screen.put(lines)
                tally.add(result)
        finally:
            watching.cancel()
            screen.show(stream)


@program.command()
@click.argument("project", envvar=_PROJECT)
@_scope
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
def columns(project: str, output: str, **scope: Any) -> None:
    """Lists the columns that a filter can use in a PROJECT, or in GALILEO_PROJECT_ID."""
    catalog = asyncio.run(_fetch_columns(project, **scope))
    if output == "json":
        click.echo(json.dumps(dump_catalog(catalog), indent=2))
        return
    rows = [_COLUMNS, *[[printable(" ".join(cell.split())) for cell in cells(info)] for info in catalog.columns]]
    filled = [column for column in zip(*rows, strict=True) if any(column[1:])]
    aligned = [[cell.ljust(max(map(len, column))) for cell in column] for column in filled]
    for row in zip(*aligned, strict=True):
        click.echo("  ".join(row).rstrip())


async def _fetch_columns(project: str, **scope: Any) -> ColumnCatalog:
    async with GalileoSessions() as galileo:
        return await galileo.columns(project, **scope)


@program.command()
@_filter
@click.option("--project", metavar="ID", help="Check the filter against this project's columns.")
def explain(where: str | None, where_json: TextIO | None, project: str | None) -> None:
    """Shows a filter as a drawing and as JSON, with its size and depth."""
    if where is None and where_json is None:
        raise click.UsageError("no filter. Give --where or --where-json.")
    found = _read_filter(where, where_json)
    if project is not None:
        asyncio.run(_fetch_columns(project)).check(found)
    click.echo(f"{draw_filter(found)}\n\n{json.dumps(dump_filter(found), indent=2)}\n")
    click.echo(f"size {found.size:,}, depth {found.depth}" + ("" if project is None else f"; fits project {project}"))


@program.command()
@click.option(
    "--data",
    type=click.File(encoding="utf-8-sig"),
    metavar="FILE",
    help="Sessions as JSON lines; a fixed sample unless given.",
)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, metavar="N", help="A free port unless given.")
@click.option("--strict", is_flag=True, help="Refuse filters on columns that no session has.")
def serve(data: TextIO | None, port: int, *, strict: bool) -> None:
    """
    Runs a Galileo of your own on 127.0.0.1, until Ctrl-C or SIGTERM.

    A shell can source what it prints.
    """
    from galileo_sessions.cli.serving import run_server  # noqa: PLC0415  # loads pydantic

    run_server(data, port, strict=strict)


@program.command()
def demo() -> None:
    """Counts a sample in a local server, to show what the library does."""
    from galileo_sessions.cli.demo import show  # noqa: PLC0415  # loads pydantic

    show()
