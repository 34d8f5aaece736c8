"""
Says what a release still lacks, and fails if that is anything: `python .ci/releasable.py vX.Y.Z`.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = "galileo_sessions/version.py"


def text_of(name: str) -> str:
    return ROOT.joinpath(name).read_text(encoding="utf-8")


def is_on_main(tag: str) -> bool:
    """Whether the tag is in the history of `main`: the branch here, or the one of `origin`."""
    command = ["git", "-C", ROOT, "branch", "--all", "--contains", tag, "--format=%(refname)"]
    branches = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return not {"refs/heads/main", "refs/remotes/origin/main"}.isdisjoint(branches)


def lacking(tag: str) -> Iterator[str]:
    """A line for each thing that is missing or doesn't fit."""
    (version,) = re.findall('^__version__ = "(.*)"$', text_of(VERSION), re.MULTILINE)
    settings = tomllib.loads(text_of("pyproject.toml"))
    project = settings["project"]
    description = settings["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    if tag != f"v{version}":
        yield f"the tag is {tag}, the version {version}"
    if f"\n## [{version}] - " not in text_of("CHANGELOG.md"):
        yield f"CHANGELOG.md has no section for {version}"
    if "license" not in project:
        yield "pyproject.toml has no license"
    if not list(ROOT.glob("LICENSE*")):
        yield "there is no file LICENSE"
    if not project.get("urls"):
        yield "pyproject.toml has no project.urls"
    if any("unset:" in each["replacement"] for each in description["substitutions"]):
        yield "README's links on PyPI have no address: replace `unset:` in pyproject.toml"
    if not is_on_main(tag):
        yield f"the tag {tag} isn't on main"


if __name__ == "__main__":
    sys.exit("\n".join(lacking(sys.argv[1])) or None)
