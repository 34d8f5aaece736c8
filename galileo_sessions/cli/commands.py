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
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, TextIO

import click
from click.exceptions import Exit

from galileo_sessions.cli.options import (
    PROJECT_ENV,
    Limit,
    Refused,
    named,
    project_ids,
    read_breakdown,
    read_limit,
    read_query,
)
from galileo_sessions.cli.report import Rows, Tally, columns_code, failure
from galileo_sessions.cli.screen import Screen
from galileo_sessions.client.client import GalileoSessions
from galileo_sessions.client.columns import first_columns
from galileo_sessions.client.query import SCOPE
from galileo_sessions.client.results import Collector, CountReport
from galileo_sessions.client.settings import Limits
from galileo_sessions.client.stream import CountStream
from galileo_sessions.display import chart, printable
from galileo_sessions.errors import ConfigurationError, FilterError, GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog, dump_catalog
from galileo_sessions.filters.columns import Col, DateCol
from galileo_sessions.filters.json import dump_filter
from galileo_sessions.filters.marking import draw_filter
from galileo_sessions.filters.values import as_instant
from galileo_sessions.version import __version__

_LISTED = 12  # projects that `serve` names
_DEMO_WIDTH = 58  # characters of a line that fits on a phone
_SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}
_STATUS = """\
Exit status: 0 for success; 1 if a count failed; 2 for bad usage, or an invalid filter, id or setting, or if --check
finds that the filter fits none of the projects; 3 if --fail-above or --fail-below applies; 130 after Ctrl-C; 141 if the
reader of stdout closed it, as in `| head -1`.
"""


class _Program(click.Group):
    """Reports the library's errors as click's own, and ends quietly when the reader of stdout closes it."""

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except (ConfigurationError, FilterError) as error:
            raise Refused(printable(error.message)) from None
        except GalileoError as error:
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


_where = click.option(
    "-w", "--where", metavar="TEXT", help="""A filter: 'Col("input").contains("x") & (Col("score") > 3)'."""
)
_where_json = click.option(
    "--where-json", type=click.File("rb"), metavar="FILE", help="A filter or query as JSON; - is stdin."
)
_log_stream = click.option("--log-stream", "log_stream_id", metavar="ID", help="In this log stream only.")
_experiment = click.option("--experiment", "experiment_id", metavar="ID", help="In this experiment only.")
_metrics_testing = click.option(
    "--metrics-testing", "metrics_testing_id", metavar="ID", help="In this metrics testing run only."
)


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
@click.option("--projects-from", type=click.File("rb"), metavar="FILE", help="One id per line, # comments; - is stdin.")
@_where
@_where_json
@click.option("--by", metavar="COLUMN:PARTS", help="Parts: created_at:day, score:0,1,2, tags:vip,beta or is_complete.")
@click.option("--since", metavar="TIME", help="The start: a date, an ISO 8601 time, today, 30m, 12h, 7d, 4w.")
@click.option("--until", metavar="TIME", help="The end, not included. Default: now.")
@click.option("--tz", default="UTC", metavar="ZONE", help="The time zone of dates, such as Europe/Berlin.")
@click.option("--time-column", metavar="COLUMN", help="The column of --since and --until. Default: created_at.")
@click.option("--compare", type=click.Choice(["previous"]), help="Show the period before --since and the change, too.")
@click.option("--fail-above", callback=read_limit, metavar="N", help="Exit status 3 for more; 10% is of all sessions.")
@click.option("--fail-below", callback=read_limit, metavar="N", help="Exit status 3 for fewer.")
@_log_stream
@_experiment
@_metrics_testing
@click.option("-f", "--format", "output", type=click.Choice(["table", "json", "csv"]), default="table")
@click.option("--concurrency", type=click.IntRange(1, 10_000), default=256, metavar="N", help="Max requests at once.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="For all counts together.")
@click.option("--ordered", is_flag=True, help="Write results in the order of the projects.")
@click.option("--errors", type=click.File("w", "utf-8", lazy=False), metavar="FILE", help="Write all failures here.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first count that fails.")
@click.option("--check", is_flag=True, help="Check the filter against each project's columns first.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, and only failures on stderr.")
def count(
    *,
    projects: tuple[str, ...],
    projects_from: BinaryIO | None,
    where: str | None,
    where_json: BinaryIO | None,
    fail_above: Limit | None,
    fail_below: Limit | None,
    output: str,
    concurrency: int,
    timeout: float | None,
    ordered: bool,
    errors: TextIO | None,
    fail_fast: bool,
    check: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """
    Counts the sessions of each PROJECT that satisfy a filter.

    PROJECT can be - to read ids from stdin. Without PROJECT and --projects-from, it counts GALILEO_PROJECT_ID.
    Results are written as they arrive, in no particular order. At the end, stderr shows the failures and the total.
    A project given twice is counted once.
    With --by, each part of a project is counted, too: days from --since on, bins of a number, or values.
    A filter on a column that doesn't exist may count 0; stderr then names the column. --check refuses the filter.

    \b
    table  for people; with --by, a chart below each project
    json   for programs: one object per line, {"project_id": ..., "total_count": ...}
           or {"project_id": ..., "error": {"type": ..., "message": ...}}
    csv    for spreadsheets: project_id,total_count,error
    With --by, json and csv have a label, too.
    """
    scope = {name: options.pop(name) for name in SCOPE}
    query = read_query(where, where_json, **scope)
    ids = project_ids(projects, projects_from, query)

    def columns() -> ColumnCatalog | None:
        return asyncio.run(_fetch_columns(ids, **scope)) if isinstance(ids, list) else None

    limits = [limit for limit in (fail_above, fail_below) if limit is not None]
    unfiltered = any(limit.is_share for limit in limits)
    breakdown = read_breakdown(query, datetime.now(UTC), columns, unfiltered=unfiltered, **options)
    tally = Tally(Collector(breakdown), len(ids) if isinstance(ids, list) else None, errors)
    galileo = GalileoSessions(limits=Limits(concurrency), check=check or (False if quiet else None))

    async def write_counts() -> None:
        stream = galileo.count_many(breakdown.targets(ids), ordered=ordered, timeout=timeout, fail_fast=fail_fast)
        async with Screen(stream, quiet=quiet) as screen, galileo:
            await _write_results(stream, Rows(output, breakdown), tally, screen)

    try:
        with warnings.catch_warnings(record=True) as explanations:
            warnings.simplefilter("always")
            asyncio.run(write_counts())
    except (KeyboardInterrupt, Refused, GalileoError) as error:
        ended = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped"
        _tell([*tally.failures(), f"{ended}; {tally}"])
        raise
    _tell(tally.failures())
    if not quiet:
        overlap = "The parts overlap, so their sum can exceed the total, which counts each session once"
        _tell([str(tally), *([] if breakdown.disjoint else [overlap])])
        _tell([f"Warning: {explanation.message}" for explanation in explanations])
    if not tally.counted + tally.failed:
        raise Refused("the list of projects has no project id")
    if tally.failed:
        raise Exit(2 if tally.fits_none else 1)
    broken = [limit.broken_by(tally.sessions, tally.unfiltered) for limit in limits]
    _tell([reason for reason in broken if reason is not None])
    if any(broken):
        raise Exit(3)


def _tell(lines: list[str]) -> None:
    for line in lines:
        click.echo(line, err=True)


async def _write_results(stream: CountStream, rows: Rows, tally: Tally, screen: Screen) -> None:
    async with stream:
        if rows.header:
            await screen.put(rows.header)
        async for result in stream:
            counts = tally.add(result)
            if counts is not None:
                await screen.put(rows.lines(counts))


@program.command()
@click.argument("project", envvar=PROJECT_ENV)
@_log_stream
@_experiment
@_metrics_testing
@click.option("-f", "--format", "output", type=click.Choice(["table", "json", "python"]), default="table")
def columns(project: str, output: str, **scope: Any) -> None:
    """Lists the columns that a filter can use in a PROJECT, or in GALILEO_PROJECT_ID."""
    catalog = asyncio.run(_fetch_columns([project], **scope))
    if output == "python":
        click.echo(f"from galileo_sessions import Col\n\n{columns_code(catalog)}")
    elif output == "json":
        click.echo(json.dumps(dump_catalog(catalog), indent=2))
    else:
        click.echo(str(catalog))


async def _fetch_columns(projects: list[str], **scope: Any) -> ColumnCatalog:
    """The columns of the first project that has any."""
    async with GalileoSessions() as galileo:
        _, catalog = await first_columns(lambda project, _: galileo.columns(project, **scope), projects)
        return catalog


@program.command()
@_where
@_where_json
@click.option("--project", metavar="ID", help="Check the filter against this project's columns.")
def explain(where: str | None, where_json: BinaryIO | None, project: str | None) -> None:
    """Shows a filter as a drawing and as JSON, with its size and depth."""
    if where is None and where_json is None:
        raise click.UsageError("no filter. Give --where or --where-json.")
    found = read_query(where, where_json).where
    if project is not None:
        asyncio.run(_fetch_columns([project])).check(found)
    click.echo(f"{draw_filter(found)}\n\n{json.dumps(dump_filter(found), indent=2)}\n")
    click.echo(f"size {found.size:,}, depth {found.depth}" + ("" if project is None else f"; fits project {project}"))


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
    from galileo_sessions.local import LocalGalileo, load_sessions, sample_sessions  # noqa: PLC0415  # loads pydantic
    from galileo_sessions.local.records import columns_of  # noqa: PLC0415

    if data is None:
        yesterday = datetime.now(UTC) - timedelta(days=1)  # so that no session is in the future
        sessions = sample_sessions((last_day or yesterday).date())
    else:
        sessions = named("--data", load_sessions, data)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), LocalGalileo(sessions, api_key=api_key, port=port, strict=strict) as server:
        click.echo(f"# sessions: {len(sessions):,}")
        for project, number in Counter(str(session["project_id"]) for session in sessions).most_common(_LISTED):
            click.echo(f"# {project}: {number:,}")
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
    from galileo_sessions.local import LocalGalileo, sample_sessions  # noqa: PLC0415  # loads pydantic

    where = Col("input").contains("refund") & ~(Col("score") > 3)
    print(f"The filter    {where!r}".replace(" & ", f"\n{'':14}& "))
    print(f"as JSON       {json.dumps(dump_filter(where))}")
    sessions = sample_sessions()
    projects = sorted({str(session["project_id"]) for session in sessions})

    async def count_sample() -> tuple[CountReport, CountReport]:
        async with GalileoSessions(server.api_key, base_url=server.url) as galileo:
            return await galileo.count_all(projects, where), await galileo.count_all(projects)

    with LocalGalileo(sessions) as server:
        found, everything = asyncio.run(count_sample())
        print(f"The server    {server.url}")
    print(f"One project   {found.counts[0]} of {everything.counts[0]} sessions")
    print(f"All {len(projects)}        {found.total} of {everything.total:,} sessions")
    print(chart([*zip(projects, found.counts, strict=True)], _DEMO_WIDTH))
    print("With your own data: export GALILEO_API_KEY=...")
