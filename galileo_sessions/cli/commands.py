"""The commands, their options and exit statuses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterable, Callable, Coroutine, Sized
from datetime import UTC, datetime
from functools import partial
from typing import Any, TextIO, TypeVar
from uuid import UUID

import click
from click.core import ParameterSource
from click.exceptions import Exit
from rich.console import Console
from rich.table import Table
from rich.text import Text

from galileo_sessions.cli.failures import Failures, Refused, failure, message
from galileo_sessions.cli.output import FORMATS, Charts, Rows, Tally, count_to
from galileo_sessions.cli.parts import named, read_partition
from galileo_sessions.cli.projects import KnownNumber, count_ids, queries
from galileo_sessions.cli.screen import Screen, printable
from galileo_sessions.client.client import GalileoSessions
from galileo_sessions.client.flow.limits import Limits
from galileo_sessions.client.query import CountQuery, part_queries
from galileo_sessions.display import bar
from galileo_sessions.errors import ConfigurationError, FilterError, GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog, cells, dump_catalog
from galileo_sessions.filters.drawing import draw_filter
from galileo_sessions.filters.nodes import ALWAYS, Filter
from galileo_sessions.filters.serialization import dump_filter, load_filter
from galileo_sessions.text.parser import parse_filter
from galileo_sessions.version import __version__

F = TypeVar("F", bound=Callable[..., object])

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)
_PROJECT = "GALILEO_PROJECT_ID"
_COLUMNS = ("id", "filter type", "label", "allowed values", "description")
_STATUS = """\
Exit status: 0 for success; 1 if a count failed; 2 for bad usage, or an invalid filter, id or setting;
130 after Ctrl-C; 141 if the reader of stdout closed it, as in `| head -1`.
"""


class _Command(click.Command):
    """A command that reports the library's errors as click's, and ends quietly when the reader closes the pipe."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            outcome = super().invoke(ctx)
            sys.stdout.flush()
        except (ConfigurationError, FilterError) as error:
            raise Refused(message(error)) from None
        except GalileoError as error:
            raise click.ClickException(failure(error)) from None
        except KeyboardInterrupt:
            raise Exit(128 + signal.SIGINT) from None
        except BrokenPipeError:
            _discard_output(sys.stdout, sys.stderr)
            raise Exit(141) from None  # as shells report tools that SIGPIPE ended
        except OSError as error:  # such as a full disk
            _discard_output(sys.stdout)
            raise click.ClickException(f"{error.strerror}") from None
        return outcome


def _discard_output(*streams: TextIO) -> None:
    """Sends what is still buffered to /dev/null; at exit, Python would try to write it again, and report that."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(devnull, stream.fileno())
    os.close(devnull)


class _Program(click.Group):
    command_class: type[click.Command] | None = _Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ([] if ctx.resilient_parsing else ["demo"]))  # which completion asks for


def _options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _announce(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Names a log stream that the environment sets: in another project than its own, everything counts 0."""
    if value is not None and ctx.get_parameter_source(str(parameter.name)) is ParameterSource.ENVIRONMENT:
        click.echo(printable(f"in log stream {value} only, as GALILEO_LOG_STREAM_ID says"), err=True)
    return value


_scope = _options(
    click.option(
        "--log-stream",
        "log_stream_id",
        metavar="ID",
        envvar="GALILEO_LOG_STREAM_ID",
        show_envvar=True,
        callback=_announce,
        help="In this log stream only.",
    ),
    click.option("--experiment", "experiment_id", metavar="ID", help="In this experiment only."),
    click.option("--metrics-testing", "metrics_testing_id", metavar="ID", help="In this metrics testing run only."),
)
_filter = _options(
    click.option("--where", metavar="TEXT", help="""A filter: 'Col("input").contains("x") & (Col("score") > 3)'."""),
    click.option("--where-json", type=_FILE, metavar="FILE", help="A filter as the API's filter_tree; - is stdin."),
)

_parts = _options(
    click.option(
        "--by",
        metavar="COLUMN:PARTS",
        help="A count for each part: created_at:day with --since, or score:0,1,2.",
    ),
    click.option(
        "--since", metavar="TIME", help="For --by COLUMN:UNIT: a date, an ISO 8601 time, today, 30d, 12h, 8w."
    ),
    click.option("--until", metavar="TIME", help="The end, not included; now unless given."),
    click.option("--tz", metavar="ZONE", help="The time zone of --by COLUMN:UNIT, such as Europe/Berlin; else UTC."),
)


def _read_filter(text: str | None, path: str | None) -> Filter | None:
    if text is not None and path is not None:
        raise click.UsageError("--where and --where-json exclude each other.")
    if path is None:
        return None if text is None else named("--where", parse_filter, text)
    try:
        with click.open_file(path, encoding="utf-8-sig") as file:
            tree: Any = json.load(file)
    except (ValueError, RecursionError) as error:
        name = "stdin" if path == "-" else path
        raise Refused(f"--where-json: {name} is not JSON: {error}. A filter as text goes into --where") from None
    if _is_query(tree):
        raise Refused("--where-json: this is a whole query. Its filter_tree alone is a filter")
    return named("--where-json", load_filter, tree)


def _is_query(tree: object) -> bool:
    return isinstance(tree, dict) and "filter_tree" in tree


@click.group(cls=_Program, epilog=_STATUS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def program() -> None:
    """
    Counts the sessions of Galileo projects; without a command, shows the demo.

    Credentials and address come from the environment alone, where no other user of the machine sees them:
    GALILEO_API_KEY, or GALILEO_USERNAME with GALILEO_PASSWORD; GALILEO_API_URL, else GALILEO_CONSOLE_URL.
    """


@program.command(epilog=_STATUS)
@click.argument("projects", metavar="[PROJECT]...", nargs=-1)
@click.option("--projects-from", type=_FILE, metavar="FILE", help="Project ids, one a line, # comments; - is stdin.")
@_filter
@_parts
@_scope
@click.option("--format", "output", type=click.Choice([*FORMATS]), default="table", show_default=True)
@click.option("--concurrency", type=click.IntRange(1, 10_000), metavar="N", help="Requests at once, at most; else 256.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="For all counts together.")
@click.option("--ordered", is_flag=True, help="Write results in the order of the projects.")
@click.option(
    "--errors", type=click.File("w", "utf-8", lazy=False), metavar="FILE", help="All failures, as JSON lines."
)
@click.option("--fail-fast", is_flag=True, help="End with the first count that fails.")
@click.option("--check", is_flag=True, help="Hold the filter against each project's columns first.")
def count(
    *,
    projects: tuple[str, ...],
    projects_from: str | None,
    where: str | None,
    where_json: str | None,
    by: str | None,
    since: str | None,
    until: str | None,
    tz: str | None,
    output: str,
    concurrency: int | None,
    timeout: float | None,
    ordered: bool,
    errors: TextIO | None,
    fail_fast: bool,
    check: bool,
    **scope: Any,
) -> None:
    """
    Counts the sessions of each PROJECT that satisfy a filter.

    Without PROJECT and --projects-from, it is GALILEO_PROJECT_ID.
    Results are written as they arrive, in no particular order. Failures are reported on stderr, three of each kind.
    A filter on a column that doesn't exist may count 0 without an error; --check refuses it.

    \b
    table  for people: with the total below
    json   for programs: an object a line, {"project_id": ..., "total_count": ...}
           or {"project_id": ..., "error": {"type": ..., "message": ...}}
    csv    for spreadsheets: project_id,total_count,error
    With json and csv, the total is on stderr.
    With --by, each has its label; on a terminal, the table is a chart.
    """
    if projects_from == where_json == "-":
        raise click.UsageError("--projects-from and --where-json can't both read stdin.")
    template = CountQuery(UUID(int=0), _read_filter(where, where_json), **scope)  # one check for all projects
    queries = _queries(template, by, since, until, tz)
    targets = _targets(projects, projects_from, queries)
    if check and isinstance(targets, list):  # a mistake ends it before a row is written
        _ = asyncio.run(_fetch_columns(targets[0].project_id, **scope)).check(targets[0].where)
    rows: Rows | Charts = Rows(output, parts=by is not None)
    if by is not None and output == "table":
        alone = isinstance(targets, list) and len(targets) == len(queries)
        rows = Charts([str(query.tag) for query in queries], alone, Console().width if _draws() else 0)
    galileo = GalileoSessions(limits=Limits(concurrency) if concurrency else Limits())
    tally = Tally(len(targets) if isinstance(targets, Sized) else None)
    options: dict[str, Any] = {
        "ordered": ordered or by is not None,
        "timeout": timeout,
        "fail_fast": fail_fast,
        "check": check,
    }
    _count(tally, Failures(errors), partial(count_to, targets=targets, rows=rows, galileo=galileo, **options))
    click.echo(rows.total(tally.total) if output == "table" else tally, err=output != "table")
    if tally.counted and not tally.total and not check and (by is not None or template.where is not ALWAYS):
        click.echo(
            "0 in all; a column that doesn't exist, or is of another type, counts 0 as well. "
            "With --check that is an error",
            err=True,
        )
    if tally.failed:
        raise Exit(1)


def _draws() -> bool:
    """Whether stdout is a terminal that shows the characters of bars."""
    try:
        _ = bar(1.0).encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return sys.stdout.isatty()


def _count(tally: Tally, failures: Failures, counts: Callable[..., Coroutine[Any, Any, None]]) -> None:
    """Runs the counts, and tells in the end what was left out of their failures, however they end."""
    try:
        with Screen() as screen:
            asyncio.run(counts(screen, tally=tally, failures=failures))
    except BrokenPipeError:
        raise
    except BaseException as error:
        click.echo(f"{'interrupted' if isinstance(error, KeyboardInterrupt) else 'stopped'}; {tally}", err=True)
        raise
    finally:
        failures.write()
        for line in failures.summary():
            click.echo(line, err=True)


def _queries(
    template: CountQuery, by: str | None, since: str | None, until: str | None, tz: str | None
) -> list[CountQuery]:
    """What is asked of each project: the template, or with `--by` the same about each part."""
    if by is not None:
        return part_queries(template, read_partition(by, since, until, tz, datetime.now(UTC)))
    if since or until or tz:
        raise click.UsageError("--since, --until and --tz go with --by COLUMN:UNIT, such as --by created_at:day.")
    return [template]


def _targets(
    projects: tuple[str, ...], path: str | None, templates: list[CountQuery]
) -> list[CountQuery] | AsyncIterable[CountQuery]:
    if path is not None and projects:
        raise click.UsageError("PROJECT and --projects-from exclude each other.")
    if path is not None:
        number = count_ids(path)
        source = queries(path, templates)
        return source if number is None else KnownNumber(source, number * len(templates))
    if "-" in projects:
        raise click.UsageError("a pipe is no PROJECT. Write --projects-from -")
    named = projects or os.environ.get(_PROJECT, "").split()
    listed = [template.for_project(project) for project in named for template in templates]
    if not listed:
        raise click.UsageError(f"no project. Give PROJECT, or --projects-from FILE (- is a pipe), or set {_PROJECT}.")
    return listed


@program.command()
@click.argument("project", envvar=_PROJECT)
@_scope
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def columns(project: str, output: str, **scope: Any) -> None:
    """
    Lists the columns that a filter can use in a PROJECT, or in GALILEO_PROJECT_ID.

    In a pipe, the table is a header and rows, with tabs between the cells.
    """
    catalog = asyncio.run(_fetch_columns(project, **scope))
    if output == "json":
        click.echo(json.dumps(dump_catalog(catalog), indent=2))
        return
    rows = [[printable(cell) for cell in cells(info)] for info in catalog.columns]
    if not sys.stdout.isatty():
        for line in (_COLUMNS, *rows):
            click.echo("\t".join([cell.replace("\n", "\\n") for cell in line]))
        return
    shown = [number for number in range(len(_COLUMNS)) if number < 2 or any(row[number] for row in rows)]
    table = Table(*[_COLUMNS[number] for number in shown])
    for column in table.columns:
        column.overflow = "fold"
    table.columns[0].no_wrap = True  # for it is what people copy
    for row in rows:
        table.add_row(*[Text(row[number]) for number in shown])
    console = Console()
    with console.capture() as drawn:  # rich itself would exit with 1 when the reader closes the pipe
        console.print(table)
    click.echo(drawn.get(), nl=False)


async def _fetch_columns(project: str, **scope: Any) -> ColumnCatalog:
    async with GalileoSessions() as galileo:
        return await galileo.columns(project, **scope)


@program.command()
@_filter
@click.option("--project", metavar="ID", help="Check the filter against this project's columns.")
def explain(where: str | None, where_json: str | None, project: str | None) -> None:
    """Shows a filter as a drawing and as JSON, with its size and depth."""
    found = _read_filter(where, where_json)
    if found is None:
        raise click.UsageError("no filter. Give --where or --where-json.")
    if project is not None:
        asyncio.run(_fetch_columns(project)).check(found)
    click.echo(f"{draw_filter(found)}\n\n{json.dumps(dump_filter(found), indent=2)}\n")
    click.echo(f"size {found.size:,}, depth {found.depth}" + ("" if project is None else f"; fits project {project}"))


@program.command()
@click.option("--data", type=_FILE, metavar="FILE", help="Sessions as JSON lines; a fixed sample unless given.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, metavar="N", help="Any free one unless given.")
@click.option("--strict", is_flag=True, help="Refuse filters on columns that no session has.")
def serve(data: str | None, port: int, *, strict: bool) -> None:
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

    with Screen() as screen:
        show(screen.on_progress)
