"""Writes the lowest versions of all dependencies, extras included, to a requirements file."""

import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
requirements = sum(project["optional-dependencies"].values(), project["dependencies"])
lowest = [line.replace(">=", "==") for line in requirements if not line.startswith(project["name"])]
Path(sys.argv[1]).write_text("\n".join(lowest), encoding="utf-8")
