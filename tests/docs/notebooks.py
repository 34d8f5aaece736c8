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
from pathlib import Path

from galileo_sessions.local import LocalGalileo, sample_names, sample_sessions

Cell = dict[str, object]


def lines(text: str) -> list[str]:
    """A text as format 4.5 stores it."""
    return text.splitlines(keepends=True)


async def run_cells(cells: list[Cell], namespace: dict[str, object]) -> None:
    """Executes the cells from top to bottom, and gives each its number and its outputs."""
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, start=1):
        cell["execution_count"] = number
        cell["outputs"] = await _outputs("".join(cell["source"]), number, namespace)


async def _outputs(source: str, number: int, namespace: dict[str, object]) -> list[Cell]:
    program = ast.parse(source)
    last = program.body.pop() if isinstance(program.body[-1], ast.Expr) else None
    found: list[Cell] = []
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        await _run(program, namespace)
        value = None if last is None else await _run(ast.Expression(last.value), namespace)
    if printed.getvalue():
        found.append({"name": "stdout", "output_type": "stream", "text": lines(printed.getvalue())})
    if value is not None:
        result = {"data": _shown(value), "execution_count": number, "metadata": {}, "output_type": "execute_result"}
        found.append(result)
    return found + _figures(namespace)


async def _run(tree: ast.Module | ast.Expression, namespace: dict[str, object]) -> object:
    mode = "eval" if isinstance(tree, ast.Expression) else "exec"
    outcome = eval(compile(tree, "<cell>", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), namespace)
    return await outcome if inspect.isawaitable(outcome) else outcome


def _shown(value: object) -> dict[str, list[str]]:
    plain = {"text/plain": lines(repr(value))}
    return {"text/html": lines(value._repr_html_()), **plain} if hasattr(value, "_repr_html_") else plain


def _figures(namespace: dict[str, object]) -> list[Cell]:
    """The figures that a cell has drawn, as matplotlib's inline backend shows them, and closes them."""
    if (plt := namespace.get("plt")) is None:
        return []
    found: list[Cell] = []
    for figure in map(plt.figure, plt.get_fignums()):
        figure.savefig(drawn := io.BytesIO(), format="png", dpi=72)
        image = base64.b64encode(drawn.getvalue()).decode()
        data = {"image/png": image, "text/plain": lines(repr(figure))}
        found.append({"data": data, "metadata": {}, "output_type": "display_data"})
    plt.close("all")
    return found


def renew(path: Path) -> None:
    """Stores the outputs of today in a notebook."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    with LocalGalileo(sample_sessions(), names=sample_names()) as server:
        os.environ |= {"GALILEO_API_URL": server.url, "GALILEO_API_KEY": server.api_key, "MPLBACKEND": "Agg"}
        asyncio.run(run_cells(notebook["cells"], {}))
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    renew(Path(sys.argv[1]))
