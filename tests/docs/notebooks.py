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
    """What a cell prints, its last value, and the figures that it draws: as the inline backend does, in format 4.5."""
    program, value = ast.parse(source), None
    last = program.body.pop() if isinstance(program.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for tree, mode in (program, "exec"), (last and ast.Expression(last.value), "eval"):
            if tree is not None:
                value = eval(compile(tree, "<cell>", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), namespace)
                value = await value if inspect.isawaitable(value) else value
    if printed.getvalue():
        yield {"name": "stdout", "output_type": "stream", "text": printed.getvalue().splitlines(keepends=True)}
    if value is not None:
        shown = {"text/html": value._repr_html_()} if hasattr(value, "_repr_html_") else {}
        data = {kind: text.splitlines(keepends=True) for kind, text in {**shown, "text/plain": repr(value)}.items()}
        yield {"data": data, "execution_count": number, "metadata": {}, "output_type": "execute_result"}
    if plt := namespace.get("plt"):
        for figure in map(plt.figure, plt.get_fignums()):
            figure.savefig(drawn := io.BytesIO(), format="png", dpi=72)
            data = {"image/png": base64.b64encode(drawn.getvalue()).decode(), "text/plain": [repr(figure)]}
            yield {"data": data, "metadata": {}, "output_type": "display_data"}
        plt.close("all")


if __name__ == "__main__":
    path = Path(sys.argv[1])
    notebook = json.loads(path.read_text(encoding="utf-8"))
    with LocalGalileo(sample_sessions(), names=sample_names()) as server:
        os.environ |= {"GALILEO_API_URL": server.url, "GALILEO_API_KEY": server.api_key, "MPLBACKEND": "Agg"}
        asyncio.run(run_cells(notebook["cells"], {}))
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
