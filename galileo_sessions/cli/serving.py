"""The local server in the foreground, until a signal ends it."""

from __future__ import annotations

import signal
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TextIO

import click

from galileo_sessions.cli.options import Refused
from galileo_sessions.display import printable
from galileo_sessions.filters.columns import DateCol
from galileo_sessions.filters.values import as_instant
from galileo_sessions.local import LocalGalileo, load_sessions, sample_sessions
from galileo_sessions.local.records import columns_of

_LISTED = 12  # projects named in the output


def run_server(file: TextIO | None, port: int, *, last_day: datetime | None, api_key: str | None, strict: bool) -> None:
    """
    Serves sessions on loopback until SIGINT or SIGTERM, and prints what a shell can source.

    Args:
        file: JSON lines; None for the sample.
        port: The port to listen on; 0 for any free one.
        last_day: The last day of the sample; yesterday if it is None, so that no session is in the future.
        api_key: The key; a new one if it is None.
        strict: Whether a filter on a column that no session has is refused.

    Raises:
        Refused: if a line of the file isn't a session.
        OSError: if the port is taken.
    """
    last_day = last_day or datetime.now(UTC) - timedelta(days=1)
    try:
        sessions = sample_sessions(last_day.date()) if file is None else load_sessions(file)
    except ValueError as error:
        raise Refused(printable(f"--data: {error}")) from None
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
