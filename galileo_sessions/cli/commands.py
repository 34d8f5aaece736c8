"""The commands, their options and exit statuses."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from math import inf
from shlex import quote
from textwrap import fill
from typing import Any, BinaryIO, TextIO, TypeVar

import click
from click.exceptions import Exit, NoSuchOption

from galileo_sessions.api.projects import LogStream, Project
from galileo_sessions.api.query import ANY_PROJECT, CountQuery, query_of, scope_of, within
from galileo_sessions.cli.options import (
    find_columns,
    read_limit,
    read_period,
    read_query,
    read_seconds,
    skipped_times,
)
from galileo_sessions.cli.report import show_counts, show_list
from galileo_sessions.cli.screen import counting_bar, encodable, width, write
from galileo_sessions.cli.tally import Tally
from galileo_sessions.cli.targets import (
    Source,
    find_projects,
    in_log_stream,
    list_projects,
    read_source,
)
from galileo_sessions.cli.wording import Failed, Refused, line_of, message_of, read_option
from galileo_sessions.counting.client import GalileoSessions
from galileo_sessions.counting.limits import status_of
from galileo_sessions.counting.results import CountReport
from galileo_sessions.details import Attempt
from galileo_sessions.display import chart, quantity
from galileo_sessions.errors import GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog, dump_catalog
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.nodes import ALWAYS, Filter
from galileo_sessions.filters.partitions import Partition
from galileo_sessions.filters.plain_data import dump_filter
from galileo_sessions.filters.tree import draw_filter
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.settings import Limits
from galileo_sessions.local import LocalGalileo, load_sessions, sample_names, sample_sessions
from galileo_sessions.version import __version__

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("galileo_sessions")

_DEMO_WIDTH = 58  # characters of a line that fits on a phone
_SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}
_STATUS = """\
Exit status: 0 for success; 1 if a count failed, or if a limit can't be judged; 2 for bad usage, or
an invalid filter, project or setting, or if a filter that is checked fits none of the projects; 3
if --fail-above or --fail-below applies; 75 if the service wasn't reached, or refused everything;
130 after Ctrl-C; 141 if the reader of stdout closed it, as in `| head -1`.
"""
_EXPLAIN = "galileo-sessions explain PROJECT --where ... shows what each condition counts"


@contextmanager
def _output() -> Generator[None]:
    """
    Ends the command if stdout can't be written: with status 1, or without an error if its reader
    closed it.
    """
    try:
        yield
    except OSError as error:  # such as a full disk
        _discard(sys.stdout)
        is_closed = isinstance(error, BrokenPipeError)
        if not is_closed:
            _tell([f"Error: {error.strerror or error}"])
        # 141 is how shells report a tool that SIGPIPE ended.
        raise Exit(141 if is_closed else 1) from None


@contextmanager
def _errors() -> Generator[None]:
    """Turns the library's errors into click's own."""
    with _output():
        try:
            yield
        except GalileoError as error:
            if isinstance(error, ValueError):  # a filter or a setting
                raise Refused(message_of(error)) from None
            raise Failed(line_of(error), status_of([error])) from None
        except KeyboardInterrupt:
            raise Exit(130) from None


@contextmanager
def _warnings() -> Generator[None]:
    """Shows the library's warnings as lines on stderr, after everything else."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        finally:
            texts = [str(each.message) for each in caught]
            _tell([f"Warning: {text.splitlines()[0]}" for text in texts])
            if any("galileo.explain" in text for text in texts):
                _tell([_EXPLAIN])


def _tell(lines: list[str]) -> None:
    """Writes lines to stderr. Where it can't be written, the exit status has to tell."""
    try:
        for line in lines:
            click.echo(line, err=True)
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Leads a stream nowhere; otherwise Python would try to write the rest at exit."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


class _OnStderr(logging.Handler):
    """Shows records of the library's log as lines."""

    def emit(self, record: logging.LogRecord) -> None:
        project_id = str(getattr(record, "project_id", ""))
        _tell([record.getMessage().replace("{project_id}", project_id)])


@contextmanager
def _hinting(formats: Sequence[str], where: str = "") -> Generator[None]:
    """Says what to write instead of an option that other tools have, such as --json."""
    try:
        yield
    except NoSuchOption as error:
        name = error.option_name.removeprefix("--")
        if name not in formats:
            raise
        problem = f"there is no option --{name}. Write -f {name}{where}."
        raise click.UsageError(problem, error.ctx) from None


def _debug() -> click.Option:
    return click.Option(["--debug"], is_flag=True, help="Show each attempt on stderr.")


class _Command(click.Command):
    """
    Shows the library's log; with --debug, which can also stand before the command, each attempt.

    It refuses an option that is given twice: click would use the last value, and drop a filter, a
    file or a limit.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params.append(_debug())

    def invoke(self, ctx: click.Context) -> Any:
        is_debug = ctx.params.pop("debug") or ctx.find_root().params.get("debug")
        level = logging.ERROR if ctx.params.get("quiet") else logging.WARNING
        handler = _OnStderr(logging.DEBUG if is_debug else level)
        ctx.call_on_close(partial(logger.removeHandler, handler))
        ctx.call_on_close(partial(logger.setLevel, logger.level))
        logger.addHandler(handler)
        logger.setLevel(handler.level)
        return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        formats = [
            getattr(each.type, "choices", ()) for each in self.params if each.name == "output"
        ]
        with _hinting([*chain(*formats)]):
            _, _, given = self.make_parser(ctx).parse_args([*args])
        twice = [each for each in given if isinstance(each, click.Option) and given.count(each) > 1]
        if twice and not ctx.resilient_parsing:
            raise click.UsageError(f"{twice[0].opts[-1]} is given twice.", ctx)
        return super().parse_args(ctx, args)


class _Program(click.Group):
    """Reports errors in one way, those of --help included."""

    command_class: type[click.Command] | None = _Command

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params.append(_debug())

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _errors():
            return super().make_context(*args, **more)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _hinting(("json", "csv"), ", after the command"):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        with _errors(), _warnings():
            super().invoke(ctx)


_where = click.option("-w", "--where", help="""A filter: 'input.contains("x") & (score > 3)'.""")
_prefix = click.option("--project-prefix", "prefix", help="All projects whose names begin so.")
_where_json = click.option(
    "--where-json", type=click.File("rb"), metavar="FILE", help="A filter as JSON; - is stdin."
)
_log_stream = click.option("--log-stream", metavar="NAME", help="In this log stream only.")
_experiment = click.option(
    "--experiment", "experiment_id", metavar="ID", help="In this experiment only."
)
_run = click.option(
    "--metrics-testing",
    "metrics_testing_id",
    metavar="ID",
    help="In this metrics testing run only.",
)


def _format(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option for the format; the first one is the default."""
    return click.option("-f", "--format", "output", type=click.Choice(names), default=names[0])


def _scope(command: Callable[..., None]) -> Callable[..., None]:
    """
    Adds the options for a part of a project: `log_stream`, a name or an id, and the ids of other
    parts.
    """
    return _log_stream(_experiment(_run(command)))


@click.group(cls=_Program, invoke_without_command=True, epilog=_STATUS, context_settings=_SETTINGS)
@click.version_option(__version__, "-V", "--version")
@click.pass_context
def program(ctx: click.Context, /, **_: object) -> None:
    """
    Counts the sessions of Galileo projects; without a command, shows the demo.

    Credentials and the URL come only from the environment, because other users of the machine can't
    see it: GALILEO_API_KEY, or GALILEO_USERNAME with GALILEO_PASSWORD; GALILEO_API_URL, else
    GALILEO_CONSOLE_URL. SPLUNK_AO_API_KEY and so on work, too, as does SPLUNK_AO_REALM with
    SPLUNK_AO_O11Y_TOKEN.
    """
    if ctx.invoked_subcommand is None:
        with demo.make_context("demo", [], parent=ctx) as own:
            demo.invoke(own)


# ---- count ---------------------------------------------------------------------------------------


@program.command(epilog=_STATUS)
@click.argument("projects", metavar="[PROJECT]...", nargs=-1)
@click.option(
    "--all", "every", is_flag=True, help="Count every project that the credentials can see."
)
@click.option(
    "--projects-from",
    type=click.File("rb"),
    metavar="FILE",
    help="One project per line; - is stdin.",
)
@_prefix
@_where
@_where_json
@click.option("--by", metavar="COLUMN:PARTS", help="Such as created_at:day or score:1,3.")
@click.option(
    "--since",
    metavar="TIME",
    help="The start: a date, an ISO 8601 time, yesterday, 30m, 12h, 7d, 4w.",
)
@click.option("--until", metavar="TIME", help="The end, not included. Default: now.")
@click.option(
    "--tz", default="UTC", metavar="ZONE", help="The time zone of dates, such as Europe/Berlin."
)
@click.option(
    "--fail-above",
    callback=read_limit,
    metavar="N",
    help="Exit status 3 for more; 10% is of all sessions.",
)
@click.option("--fail-below", callback=read_limit, metavar="N", help="Exit status 3 for fewer.")
@click.option("--each", is_flag=True, help="Judge each project by itself, not the total.")
@click.option("--allow-empty", is_flag=True, help="A project or period without sessions counts 0.")
@_scope
@_format("table", "json", "csv", "value")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    default=256,
    metavar="N",
    help="Max requests at once.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0.001, 10_000),
    metavar="N",
    help="Max requests a second. Default: no limit.",
)
@click.option(
    "--timeout",
    callback=read_seconds,
    metavar="TIME",
    help="For the whole command: 30, 30s, 5m, 1h.",
)
@click.option(
    "--check", is_flag=True, help="Check the filter against each project's columns first."
)
@click.option(
    "-q",
    "--quiet",
    is_flag=True,
    help="No total and no progress; failures and warnings are still shown."
    " With a limit, only why it fails.",
)
def count(
    *,
    projects: tuple[str, ...],
    every: bool,
    prefix: str | None,
    projects_from: BinaryIO | None,
    where: str | None,
    where_json: BinaryIO | None,
    fail_above: str | None,
    fail_below: str | None,
    each: bool,
    allow_empty: bool,
    output: str,
    concurrency: int,
    rate: float | None,
    check: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """
    Counts the sessions of each PROJECT that satisfy a filter.

    \b
    galileo-sessions count "Support chatbot" -w 'score < 2'
    galileo-sessions count --all --by created_at:day --since 7d -f csv
    galileo-sessions count --all -w 'score < 2' --since 1h --fail-above 5%

    PROJECT is an id or a name. Without one, --all, --project-prefix or --projects-from, it counts
    GALILEO_PROJECT_ID, else GALILEO_PROJECT.

    Results come at the end, in the order of the projects; after Ctrl-C, those that were counted.
    stderr has the failures and the total. If all counts are 0, it names a column that doesn't
    exist; with --check or a limit, a filter on it is refused.

    --by counts each part of a project, too: created_at:day (hour, week, month) from --since on,
    score:0,1,2, tags:vip,beta or is_complete.

    --fail-above and --fail-below apply to the total; with --each, to each project. A project that
    has no sessions at all can't be judged without --all or --allow-empty.

    \b
    table  for people; with --by, a chart below each project
    json   for programs: one object per line,
           {"project_id": ..., "total_count": ...}
           or {"project_id": ..., "error": {"type": ..., "message": ...}}
    csv    for spreadsheets: project_id,total_count,error
    value  for scripts: the bare number, of all projects together; nothing
           if one of them isn't counted

    If names are known, json and csv have a project_name. With --by, they have a label, and the
    share of the whole project. In csv, text that begins with =, +, - or @ has an apostrophe before
    it.
    """
    has_limits = fail_above is not None or fail_below is not None
    _check_limits(has_limits=has_limits, is_each_or_empty=each or allow_empty, by=options["by"])
    if output == "value" and options["by"] is not None:
        problem = "-f value is one number, so --by can't be used with it. Write -f csv."
        raise click.UsageError(problem)
    if has_limits:  # the columns tell what a text means
        warnings.simplefilter("ignore", UserWarning)
    scope = {name: options.pop(name) for name in ("experiment_id", "metrics_testing_id")}
    query = read_query(where, where_json, **scope)
    is_given = where is not None or (where_json is not None and query.project_id == ANY_PROJECT)
    if has_limits and is_given and query.where == ALWAYS:
        raise Refused("the filter holds for all sessions. Leave it out to judge their number")
    source = read_source(projects, query, projects_from, prefix, every=every)
    tally = Tally(has_limits)
    with _reporting(tally, output, quiet=quiet), counting_bar(quiet=quiet) as show:

        def on_attempt(attempt: Attempt) -> None:
            tally.requests += 1
            show(attempt)

        galileo = GalileoSessions(
            limits=Limits(concurrency, rate=rate),
            check=True if check else None,
            on_attempt=on_attempt,
            trust_env=True,
        )

        async def count_or_judge(
            targets: list[CountQuery], period: Filter, by: Partition | None, **more: Any
        ) -> CountReport:
            more |= {"concurrency": concurrency, "on_progress": show}
            if not has_limits:
                return await galileo.count_all(targets, query.where & period, by=by, **more)
            is_listed = isinstance(source, str) and not any(map(within, targets))
            tally.verdict = await galileo.judge(
                targets,
                query.where,
                above=fail_above,
                below=fail_below,
                during=period,
                each=each,
                allow_empty=allow_empty or ("projects" if is_listed else False),
                **more,
            )
            return tally.verdict.report

        asyncio.run(_count(galileo, tally, source, query, count_or_judge, **options))


def _check_limits(*, has_limits: bool, is_each_or_empty: bool, by: str | None) -> None:
    """Refuses options that say nothing without a limit, or with one."""
    if is_each_or_empty and not has_limits:
        raise click.UsageError("--each and --allow-empty need --fail-above or --fail-below.")
    if has_limits and by is not None:
        raise click.UsageError("a limit judges the whole, so --by can't be used with it.")


@contextmanager
def _reporting(tally: Tally, output: str, *, quiet: bool) -> Generator[None]:
    """
    Writes the results, the failures, the total and the verdict, also if an error or Ctrl-C ends the
    block. Then it ends the command.

    The verdict comes last, where it is seen, and also if stdout is full or closed.
    """
    try:
        yield
    finally:
        is_silent = quiet and tally.has_limits
        unwritten = None
        is_partial = output == "value" and not tally.is_complete
        if tally.results and not is_partial and not (is_silent and output == "table"):
            try:
                with _output():
                    write(show_counts(tally, output))
            except Exit as ended:
                unwritten = ended
        if not is_silent:
            _tell(tally.failures())
        if tally.results and not quiet:
            _tell([f"{'interrupted; ' if sys.exception() else ''}{tally}"])
        _tell(tally.judged(quiet=quiet))
    status = tally.status or (unwritten and unwritten.exit_code)
    raise Exit(status or 0)


async def _count(
    galileo: GalileoSessions,
    tally: Tally,
    source: Source,
    query: CountQuery,
    count: Callable[..., Awaitable[CountReport]],
    *,
    timeout: float | None,  # noqa: ASYNC109  # the budget of several calls
    log_stream: str | None,
    **period: Any,
) -> None:
    """Counts into the tally, which keeps what was counted if an error or Ctrl-C ends it."""
    scope: dict[str, Any] = scope_of(query)
    template = CountQuery(ANY_PROJECT, **scope)
    async with galileo:
        clock = asyncio.get_running_loop().time
        budget = Budget.fan_out(timeout, inf, clock())
        tally.projects = await find_projects(galileo, source, budget.left(clock()))
        places = await in_log_stream(galileo, tally.projects, log_stream, budget.left(clock()))
        targets = [query_of(template, place) for place in places]

        def columns(place: Project | LogStream) -> Awaitable[ColumnCatalog]:
            return galileo.columns(place, timeout=budget.left(clock()), **scope)

        catalog = await find_columns(period["by"], places, columns)
        when, tally.parts = read_period(datetime.now(UTC), catalog, **period)
        _tell([*skipped_times(**period)])
        try:
            report = await count(targets, when, tally.parts, timeout=budget.left(clock()))
        except (GalileoError, asyncio.CancelledError) as error:
            tally.add(getattr(error, "report", None))
            raise
        tally.add(report)


# ---- projects, columns, explain ------------------------------------------------------------------


@program.command()
@_prefix
@_format("table", "json", "csv")
def projects(prefix: str | None, output: str) -> None:
    """Lists the ids and names of all projects that you can see."""

    async def ask() -> list[Project]:
        async with GalileoSessions(trust_env=True) as galileo:
            return await list_projects(galileo, prefix or "")

    write(show_list(Project, asyncio.run(ask()), output))


@program.command("log-streams")
@click.argument("project", required=False)
@_format("table", "json", "csv")
def list_log_streams(project: str | None, output: str) -> None:
    """
    Lists the ids and names of log streams. Without PROJECT, it reads GALILEO_PROJECT_ID, or
    GALILEO_PROJECT.
    """

    async def listed(galileo: GalileoSessions, found: Project | LogStream) -> list[LogStream]:
        return [stream async for stream in galileo.log_streams(found)]

    streams = asyncio.run(_ask(project, None, listed))
    if not streams:
        problem = "there are no log streams: the project has none, or its id is wrong"
        raise click.ClickException(problem)
    write(show_list(LogStream, streams, output))


@program.command()
@click.argument("project", required=False)
@_scope
@_format("table", "json")
def columns(project: str | None, log_stream: str | None, output: str, **scope: Any) -> None:
    """
    Lists the columns for filters. Without PROJECT, it reads GALILEO_PROJECT_ID, or GALILEO_PROJECT.
    """
    asking = _ask(project, log_stream, lambda galileo, found: galileo.columns(found, **scope))
    catalog = asyncio.run(asking)
    if not catalog:
        problem = "there are no columns: there are no sessions yet, or an id is wrong"
        raise click.ClickException(problem)
    write(str(catalog) if output == "table" else json.dumps(dump_catalog(catalog), indent=2))


async def _ask(
    project: str | None,
    stream: str | None,
    ask: Callable[[GalileoSessions, Project | LogStream], Awaitable[T]],
) -> T:
    """
    Asks about a project, or about the one in the environment; or about its log stream with a name
    or an id.
    """
    source = read_source([] if project is None else [project])
    async with GalileoSessions(trust_env=True) as galileo:
        projects = await find_projects(galileo, source, None)
        (found,) = await in_log_stream(galileo, projects, stream, None)
        return await ask(galileo, found)


@program.command("explain")
@click.argument("project", required=False)
@_where
@_where_json
@_scope
def explain_filter(
    project: str | None,
    where: str | None,
    where_json: BinaryIO | None,
    log_stream: str | None,
    **scope: Any,
) -> None:
    """
    Shows a filter, or what each part of it counts in a PROJECT.

    Without PROJECT, it shows the filter as a drawing and as JSON. With PROJECT, each line has the
    sessions that satisfy this part of the filter. For conditions that are joined by &, it also has
    the sessions that satisfy the filter without this condition.
    """
    if where is None and where_json is None:
        raise click.UsageError("no filter. Give --where or --where-json.")
    query = read_query(where, where_json, **scope)
    if project is None:
        if log_stream or any(scope.values()):
            raise click.UsageError("--log-stream, --experiment and --metrics-testing need PROJECT.")
        write(f"{draw_filter(query.where)}\n\n{json.dumps(dump_filter(query.where), indent=2)}")
        return
    asking = _ask(
        project, log_stream, lambda galileo, found: galileo.explain(query_of(query, found))
    )
    explanation = asyncio.run(asking)
    write(str(explanation))
    if any(node.error for node in explanation.nodes):
        raise Exit(1)


@program.command()
@_where
@_where_json
@click.option("--log-stream", "log_stream_id", metavar="ID", help="In this log stream only.")
@_experiment
@_run
def body(where: str | None, where_json: BinaryIO | None, **scope: Any) -> None:
    """
    Prints the JSON body of the request for a count.

    It sends nothing. curl can send it, or another language.
    """
    write(str(read_query(where, where_json, **scope).body, "utf-8"))


# ---- the local server ----------------------------------------------------------------------------


@program.command()
@click.option(
    "--data",
    type=click.File(encoding="utf-8-sig"),
    metavar="FILE",
    help="Sessions. Default: a sample.",
)
@click.option(
    "--last-day",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DAY",
    help="Of the sample. Default: yesterday.",
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, metavar="N", help="0 is any free port."
)
@click.option("--api-key", metavar="KEY", help="The key to accept, for tests. Default: a new one.")
@click.option("--strict", is_flag=True, help="Refuse filters on columns that no session has.")
def serve(
    *, data: TextIO | None, port: int, last_day: datetime | None, api_key: str | None, strict: bool
) -> None:
    """
    Runs a local Galileo server on 127.0.0.1 until Ctrl-C.

    It counts the sessions of a file of JSON lines, --data, or of a sample of 90 days up to
    --last-day. A shell can source its output.
    """
    names: dict[str, str] = {}
    if data is None:
        last = last_day or datetime.now(UTC) - timedelta(days=1)  # no session is in the future
        sessions = read_option("--last-day", sample_sessions, last.date())
        names = sample_names()
    else:
        sessions = read_option("--data", load_sessions, data)
    server = read_option(
        "--api-key", LocalGalileo, sessions, names=names, api_key=api_key, port=port, strict=strict
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), server:
        write(f"# {quantity(len(sessions), 'session')}. Ctrl-C ends it.")
        write(f"export GALILEO_API_URL={server.url}")
        write(f"export GALILEO_API_KEY={quote(server.api_key)}")
        signal.pause()


@program.command()
def demo() -> None:
    """Shows what the library does: counts in a local server."""
    where = Col("input").contains("refund") & ~(Col("score") > 3)
    write(f"The filter    {where!r}".replace(" & ", f"\n{'':14}& "))
    tree = json.dumps(dump_filter(where), separators=(", ", ":"))
    write(fill(tree, _DEMO_WIDTH, initial_indent="as JSON       ", subsequent_indent=" " * 14))
    names = sample_names()

    async def count_sample() -> tuple[CountReport, CountReport]:
        async with (
            LocalGalileo(sample_sessions(), names=names) as server,
            GalileoSessions(server.api_key, base_url=server.url) as galileo,
        ):
            write(f"The server    {server.url}")
            return await galileo.count_all([*names], where), await galileo.count_all([*names])

    found, everything = asyncio.run(count_sample())
    write(f"One project   {found.counts[0]} of {everything.counts[0]} sessions")
    write(f"All {len(names)}        {found.total} of {everything.total:,} sessions")
    counts = zip(names.values(), found.counts, strict=True)
    write(encodable(chart(counts, min(width() or _DEMO_WIDTH, _DEMO_WIDTH))))
    write("With your own data: export GALILEO_API_KEY=...")
    write("To try it out first: galileo-sessions serve")
