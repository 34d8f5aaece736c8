"""The local server in the foreground, until a signal ends it."""

from __future__ import annotations

import signal
import time
from collections import Counter
from contextlib import suppress
from typing import TextIO

import click

from galileo_sessions.cli.failures import Refused
from galileo_sessions.cli.screen import printable
from galileo_sessions.local import LocalGalileo, load_sessions, sample_sessions

_LISTED = 12  # projects named in the output


def run_server(file: TextIO | None, port: int, *, strict: bool) -> None:
    """
    Serves sessions on loopback until SIGINT or SIGTERM, and prints what a shell can source.

    Args:
        file: JSON lines; None for the sample.
        port: The port to listen on; 0 for any free one.
        strict: Whether a filter on a column that no session has is refused.

    Raises:
        Refused: if a line of the file isn't a session.
        OSError: if the port is taken.
    """
    try:
        sessions = sample_sessions() if file is None else load_sessions(file)
    except ValueError as error:
        raise Refused(printable(f"--data: {error}")) from None
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), LocalGalileo(sessions, port=port, strict=strict) as server:
        click.echo(f"# sessions: {len(sessions):,}")
        for project, number in Counter(str(session["project_id"]) for session in sessions).most_common(_LISTED):
            click.echo(f"# {project}: {number:,}")
        click.echo("# Ctrl-C ends it. Each start makes a new key.")
        click.echo(f"export GALILEO_API_URL={server.url}\nexport GALILEO_API_KEY={server.api_key}")
        while True:
            time.sleep(60)
