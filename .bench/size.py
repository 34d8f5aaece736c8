"""Prints the lines of code and tokens of each folder of the package, and how they changed since a Git revision."""

import ast
import io
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYOUT = (tokenize.COMMENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.INDENT, tokenize.NEWLINE, tokenize.NL)


def size_of(source: str) -> tuple[int, int]:
    """The lines and the tokens of a source file; blank lines, comments and docstrings don't count."""
    docstrings = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in LAYOUT]
    tokens = [token for token in tokens if token.start[0] not in docstrings]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)}), len(tokens)


def sizes(revision: str | None) -> tuple[Counter[str], Counter[str]]:
    """The lines and the tokens by folder, in the working tree or in a revision."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True).stdout

    if revision is None:
        files = {str(file.relative_to(ROOT)): file.read_text() for file in ROOT.glob("galileo_sessions/**/*.py")}
    else:
        names = git("ls-tree", "-r", "--name-only", revision, "galileo_sessions").splitlines()
        files = {name: git("show", f"{revision}:{name}") for name in names if name.endswith(".py")}
    lines, tokens = Counter[str](), Counter[str]()
    for name, source in files.items():
        parts, found = Path(name).parts, size_of(source)
        for folder in ("all", parts[1] if len(parts) > 2 else "(top)"):
            lines[folder] += found[0]
            tokens[folder] += found[1]
    return lines, tokens


if __name__ == "__main__":
    lines, tokens = sizes(None)
    old_lines, old_tokens = sizes(sys.argv[1]) if len(sys.argv) > 1 else (lines, tokens)
    print(f"{'folder':10} {'lines':>7} {'tokens':>7} {'a line':>7} {'+lines':>7} {'+tokens':>8}")
    for folder in sorted(lines, key=lambda name: (name == "all", name)):
        row = f"{folder:10} {lines[folder]:7,} {tokens[folder]:7,} {tokens[folder] / max(1, lines[folder]):7.1f}"
        print(row, f"{lines[folder] - old_lines[folder]:+7,} {tokens[folder] - old_tokens[folder]:+8,}")
