"""README and the pages of docs/, and the programs on them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
PASTED = "# python -m asyncio\n"
"""The first line of a program that awaits without a function."""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def python_blocks(page: Path) -> list[tuple[str, str | None]]:
    """The Python blocks of a page, at their own lines, so that errors name them; and the output shown right below."""
    text = text_of(page)
    found = re.finditer(r"^```python\n((?:.*\n)*?)```\n(?:\n```text\n((?:.*\n)*?)```)?", text, re.MULTILINE)
    return [("\n" * text[: block.start(1)].count("\n") + block[1], block[2]) for block in found]
