"""What a terminal and Python's prompt show."""

import ast
import codeop
import contextlib
import inspect
import io
import os
import re
from pathlib import Path
from threading import Thread


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
