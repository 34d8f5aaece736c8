"""The local server in the foreground, until a signal ends it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter

import click

from galileo_sessions.cli.failures import Refused
from galileo_sessions.cli.screen import printable
from galileo_sessions.local import LocalGalileo, load_sessions, sample_sessions

_LISTED = 12  # projects named in the output


def run_server(path: str | None, port: int, *, strict: bool) -> None:
    """
    Serves sessions on loopback until SIGINT or SIGTERM, and prints what a shell can source.

    Args:
        path: A file of JSON lines, or `-` for stdin; None for the sample.
        port: The port to listen on; 0 for any free one.
        strict: Whether a filter on a column that none of a project's sessions has is refused.

    Raises:
        Refused: if a line of the file is no session.
        click.ClickException: if the port is taken.
    """
    sessions = _read_sessions(path)
    projects = Counter(str(session["project_id"]) for session in sessions).most_common(_LISTED)
    listed = "".join(f"# {project} has {number:,}\n" for project, number in projects)
    server = LocalGalileo(sessions, port=port, strict=strict)
    number = "1 session" if len(sessions) == 1 else f"{len(sessions):,} sessions"
    about = f"# {number}; of them\n{listed}" if listed else "# no session\n"
    try:
        asyncio.run(_serve(server, about))
    except OSError as error:
        raise click.ClickException(f"--port {port}: {os.strerror(error.errno or 0).lower()}") from None


def _read_sessions(path: str | None) -> list[dict[str, object]]:
    if path is None:
        return sample_sessions()
    try:
        with click.open_file(path, encoding="utf-8-sig") as file:
            return load_sessions(file)
    except ValueError as error:
        raise Refused(printable(f"{path}, {error}")) from None


async def _serve(server: LocalGalileo, about: str) -> None:
    stopped = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    async with server:
        lines = f"export GALILEO_API_URL={server.url}\nexport GALILEO_API_KEY={server.api_key}"
        await asyncio.to_thread(click.echo, f"{about}# Until Ctrl-C, with a new key each time, at\n{lines}")
        await stopped.wait()
