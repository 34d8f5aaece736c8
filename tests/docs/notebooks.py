"""
Runs a notebook as Jupyter does, and stores what its cells show.

`python tests/docs/notebooks.py docs/examples/notebook.ipynb` renews it, with the sample in a local server.
"""

import ast
import asyncio
import base64
import contextlib
import inspect
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from galileo_sessions.local import LocalGalileo, sample_names, sample_sessions

Cell = dict[str, Any]


async def run_cells(cells: list[Cell], namespace: dict[str, Any]) -> None:
    """Executes the cells from top to bottom, and gives each its number and its outputs."""
    for number, cell in enumerate([cell for cell in cells if cell["cell_type"] == "code"], start=1):
        cell["execution_count"] = number
        cell["outputs"] = [output async for output in _outputs("".join(cell["source"]), number, namespace)]


async def _outputs(source: str, number: int, namespace: dict[str, Any]) -> AsyncIterator[Cell]:
    """What a cell shows: what it prints, its last value, and the figures that it draws, as the inline backend does."""
    program = ast.parse(source)
    last = program.body.pop() if isinstance(program.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        await _run(program, namespace)
        value = None if last is None else await _run(ast.Expression(last.value), namespace)
    if printed.getvalue():
        yield {"name": "stdout", "output_type": "stream", "text": _lines(printed.getvalue())}
    if value is not None:
        shown = {"text/html": _lines(value._repr_html_())} if hasattr(value, "_repr_html_") else {}
        shown["text/plain"] = _lines(repr(value))
        yield {"data": shown, "execution_count": number, "metadata": {}, "output_type": "execute_result"}
    if plt := namespace.get("plt"):
        for figure in map(plt.figure, plt.get_fignums()):
            figure.savefig(drawn := io.BytesIO(), format="png", dpi=72)
            image = base64.b64encode(drawn.getvalue()).decode()
            data = {"image/png": image, "text/plain": _lines(repr(figure))}
            yield {"data": data, "metadata": {}, "output_type": "display_data"}
        plt.close("all")


async def _run(tree: ast.Module | ast.Expression, namespace: dict[str, Any]) -> Any:
    mode = "eval" if isinstance(tree, ast.Expression) else "exec"
    outcome = eval(compile(tree, "<cell>", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), namespace)
    return await outcome if inspect.isawaitable(outcome) else outcome


def _lines(text: str) -> list[str]:
    """A text as format 4.5 stores it."""
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    notebook = json.loads(path.read_text(encoding="utf-8"))
    with LocalGalileo(sample_sessions(), names=sample_names()) as server:
        os.environ |= {"GALILEO_API_URL": server.url, "GALILEO_API_KEY": server.api_key, "MPLBACKEND": "Agg"}
        asyncio.run(run_cells(notebook["cells"], {}))
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
