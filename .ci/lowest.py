"""Writes the lowest version of each dependency, and of what each extra adds, into a file of requirements."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
requirements = sum(project["optional-dependencies"].values(), project["dependencies"])
lowest = [line.replace(">=", "==") for line in requirements if not line.startswith(project["name"])]
Path(sys.argv[1]).write_text("\n".join(lowest), encoding="utf-8")
