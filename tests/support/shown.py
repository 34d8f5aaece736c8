"""What a terminal and a prompt show, and what tools show of an error, in which no secret may be."""

import ast
import codeop
import contextlib
import inspect
import io
import os
import pickle
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from types import FrameType

import attrs
import cattrs
from rich.pretty import traverse

from galileo_sessions import ApiKeyAuth, BasicAuth, BearerAuth, GalileoSessions, PasswordAuth


def screen(written: str, width: int = 80) -> str:
    """What a terminal shows in the end; it knows the few sequences that are used here, and no others."""
    rows: list[str] = [""]
    row = column = 0
    for found in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|[^\0]", written):
        if found == "\r":
            column = 0
        elif found == "\n":
            row += 1
        elif up := re.fullmatch(r"\x1b\[(\d*)A", found):
            row -= int(up[1] or 1)
        elif found == "\x1b[2K":
            rows[row] = ""
        elif found[0] != "\x1b":
            if column == width:
                row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
            rows[row] = f"{rows[row]:{column}}"[:column] + found + rows[row][column + 1 :]
            column += 1
        else:
            assert re.fullmatch(r"\x1b\[([0-9;]*m|\?25[lh])", found), f"what would a terminal do with {found!r}?"
        rows += [""] * (row + 1 - len(rows))
    return "\n".join(line.rstrip() for line in rows).rstrip() + "\n"


class Terminal:
    """A pseudo-terminal, and all that was written to it."""

    def __init__(self) -> None:
        self.leader, self.follower = os.openpty()
        self._written = bytearray()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # Linux says so when nobody has it open any more
            while chunk := os.read(self.leader, 65_536):
                self._written += chunk

    def close(self) -> str:
        """Ends it, and tells what was written."""
        os.close(self.follower)
        self._reader.join(10)
        os.close(self.leader)
        return self._written.decode()


def check(name: str, written: str) -> None:
    """The final screen is the recorded one, but for the port; no line is wider than the terminal."""
    shown = screen(re.sub(r"127\.0\.0\.1:\d{5}", "127.0.0.1:12345", written))  # as wide, for lines are broken there
    snapshot = Path(__file__).parents[1] / "cli" / "snapshots" / name
    if os.environ.get("SNAPSHOTS") == "new":
        snapshot.write_text(shown, encoding="utf-8")
    assert shown == snapshot.read_text(encoding="utf-8")
    assert max(map(len, shown.splitlines())) <= 80


async def paste(text: str, namespace: dict[str, object]) -> str:
    """What a text prints, run line by line as the prompt does: a blank line ends an indented block."""
    compiler, printed, waiting = codeop.CommandCompiler(), io.StringIO(), []
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with contextlib.redirect_stdout(printed):
        for line in [*text.strip("\n").splitlines(), ""]:
            waiting.append(line)
            if (code := compiler("\n".join(waiting))) is not None:
                waiting.clear()
                outcome = eval(code, namespace)
                if inspect.isawaitable(outcome):
                    await outcome
    assert waiting == [], f"the prompt waits for more after {waiting}"
    return printed.getvalue()


GIVEN_SECRETS = (GalileoSessions, ApiKeyAuth, BearerAuth, BasicAuth, PasswordAuth)


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all errors that can be reached from it."""
    if error is not None:
        yield error
        attempts = [attempt.error for attempt in getattr(error, "attempts", ())]
        for linked in (error.__cause__, error.__context__, getattr(error, "last", None), *attempts):
            yield from chain_of(linked)


def our_frames(error: BaseException) -> list[FrameType]:
    """The frames of the package and of aiohttp, but for those of constructors, which have what their callers wrote."""
    return [
        frame
        for one in chain_of(error)
        for frame, _ in traceback.walk_tb(one.__traceback__)
        if frame.f_globals.get("__name__", "").startswith(("galileo_sessions", "aiohttp"))
        and not (frame.f_code.co_name == "__init__" and isinstance(frame.f_locals["self"], GIVEN_SECRETS))
    ]


def serialized(value: object, depth: int = 6) -> str:
    """What an error reporter sends: containers and records entry by entry, all else as its repr."""
    if depth and isinstance(value, dict):
        return " ".join(f"{key!r} {serialized(one, depth - 1)}" for key, one in value.items())
    if depth and isinstance(value, list | tuple | set | frozenset):
        return " ".join(serialized(one, depth - 1) for one in value)
    if depth and attrs.has(type(value)):
        return serialized(attrs.asdict(value, recurse=False), depth - 1)  # type: ignore[arg-type]
    return repr(value)


def visible_text(error: BaseException) -> str:
    """All text that tools make of an error and its causes, with file names: a secret with a `-` is in none of these."""
    frames = our_frames(error)
    texts = [str(traceback.StackSummary.extract(((frame, frame.f_lineno) for frame in frames), capture_locals=True))]
    for frame in frames:
        texts += [serialized(dict(frame.f_locals)), repr(dict(frame.f_locals))]
        texts += [str(traverse(value, max_length=10, max_string=80)) for value in frame.f_locals.values()]
    for one in chain_of(error):
        texts += [repr(one), str(one), repr(one.args), repr(pickle.dumps(one)), repr(cattrs.unstructure(one))]
        texts += [serialized(vars(one)), *traceback.format_exception(one)]
    return "\n".join(texts)
