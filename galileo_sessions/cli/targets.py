"""Which projects are counted: ids and names, as arguments or in a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import BinaryIO, TypeAlias

import click

from galileo_sessions.api.projects import LogStream, Project, find_project
from galileo_sessions.api.query import ANY_PROJECT, CountQuery
from galileo_sessions.cli.wording import MOST, Refused, message_of, read_option
from galileo_sessions.counting.client import GalileoSessions
from galileo_sessions.display import brief
from galileo_sessions.errors import GalileoError, LogStreamLookupError, ProjectLookupError
from galileo_sessions.filters.values import UUID_TEXT

Source: TypeAlias = dict[str, str] | str
"""
Ids and names, each with its place, such as `ids.txt, line 3: `; or how the names of projects begin.
"""

_VARIABLES = ("GALILEO_PROJECT_ID", "GALILEO_PROJECT")  # the first one that is set


def read_source(
    projects: Sequence[str],
    query: CountQuery = CountQuery(ANY_PROJECT),  # noqa: B008  # frozen
    file: BinaryIO | None = None,
    prefix: str | None = None,
    *,
    every: bool = False,
) -> Source:
    """
    The projects in the arguments, a file, a saved query or the environment.

    Raises:
        click.UsageError: if there are none, or if the options can't be combined.
        Refused: if a file can't be read, or has none.
    """
    options = {"PROJECT": projects, "--projects-from": file, "--project-prefix": prefix}
    used = [name for name, value in (options | {"--all": every}).items() if value]
    if len(used) > 1:
        raise click.UsageError(f"{used[0]} and {used[1]} can't be used together.")
    if prefix == "":
        raise click.UsageError("--project-prefix must not be empty.")
    if every:
        return ""
    if prefix:
        return prefix
    if file is not None:
        return _read_file(file)
    if projects:
        return _read_arguments(projects)
    if query.project_id != ANY_PROJECT:
        return {query.project_id: ""}
    return _read_environment()


def _read_arguments(projects: Sequence[str]) -> dict[str, str]:
    given = dict.fromkeys([project.strip() for project in projects], "")
    if "" in given:
        raise click.UsageError("PROJECT must not be empty.")
    return given


def _read_environment() -> dict[str, str]:
    for name in _VARIABLES:
        value = os.environ.get(name, "").strip()
        if value:
            return {value: f"{name}: "}
    raise click.UsageError(f"no project. Give PROJECT, or set {_VARIABLES[0]}.")


def _read_file(file: BinaryIO) -> dict[str, str]:
    """The projects in a file, one on each line. A # in a name begins no comment."""
    content = read_option(file.name, str, file.read(), "utf-8-sig")
    found: dict[str, str] = {}
    for number, line in enumerate(content.split("\n"), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            found[text] = f"{file.name}, line {number}: "
    if not found:
        raise Refused(f"{file.name} has no project")
    return found


async def list_projects(
    galileo: GalileoSessions, prefix: str = "", seconds: float | None = None
) -> list[Project]:
    """The projects whose names begin with a prefix, without those of older types."""
    listed = [project async for project in galileo.projects(timeout=seconds)]
    return [project for project in listed if (project.name or "").startswith(prefix)]


async def find_projects(
    galileo: GalileoSessions, source: Source, seconds: float | None
) -> list[Project]:
    """
    The projects of a source, without duplicates. A single name is asked for; for several, all
    projects are listed.

    Raises:
        Refused: if there is none, or if some can't be found. It names the first three.
        GalileoError: if the projects can't be listed.
    """
    if isinstance(source, str):
        found = await list_projects(galileo, source, seconds)
        if not found:
            such = f" whose name begins with {brief(source)}" if source else ""
            raise Refused(f"the credentials can see no project{such}")
        return found
    names = [text for text in source if UUID_TEXT.fullmatch(text) is None]
    listed = await _list_for(names, galileo, source, seconds) if names else []
    return _chosen(listed, source)


async def _list_for(
    names: list[str], galileo: GalileoSessions, places: Mapping[str, str], seconds: float | None
) -> list[Project]:
    """The projects in which names are looked for."""
    name, place = names[0], places[names[0]]
    try:
        if len(places) == 1:
            return [await galileo.project(name, timeout=seconds)]
        return [each async for each in galileo.projects(type=None, timeout=seconds)]
    except ProjectLookupError as error:
        raise Refused(_not_found(error, name, place)) from None
    except GalileoError as error:
        shown = _shown(name, place, f"the value of {place[:-2]}")
        problem = f"{shown} isn't an id, and the projects can't be listed to find this name"
        error.args = (f"{problem}: {error.message}",)
        raise


def _chosen(listed: Sequence[Project], places: Mapping[str, str]) -> list[Project]:
    """The projects with these ids and names."""
    by_id = {project.id: project for project in listed}
    found: dict[str, Project] = {}
    problems: list[str] = []
    for text, place in places.items():
        try:
            project = Project(text) if UUID_TEXT.fullmatch(text) else find_project(listed, text)
            found[project.id] = by_id.get(project.id, project)
        except ProjectLookupError as error:
            problems.append(_not_found(error, text, place))
        if len(problems) == MOST:  # guessing what was meant takes a while
            break
    if problems:
        raise Refused("\n".join(problems))
    return [*found.values()]


def _not_found(error: ProjectLookupError, text: str, place: str) -> str:
    return place + message_of(error).replace(brief(text), _shown(text, place, "with this value"))


def _shown(text: str, place: str, value: str) -> str:
    """How a message names a project. A variable's value can be a key, so it isn't shown."""
    return value if place.startswith(_VARIABLES) else brief(text)


async def in_log_stream(
    galileo: GalileoSessions, projects: Sequence[Project], stream: str | None, seconds: float | None
) -> Sequence[Project | LogStream]:
    """
    The log stream of each project with a name or an id; the projects themselves without one.

    Raises:
        Refused: if a project has none with the name. It names the first three.
        GalileoError: if the log streams can't be listed.
    """
    if stream is None:
        return projects
    if not stream or UUID_TEXT.fullmatch(stream):
        return [LogStream(stream, "", project.id, project.name) for project in projects]

    async def find(project: Project) -> LogStream | str:
        try:
            return await galileo.log_stream(project, stream, timeout=seconds)
        except LogStreamLookupError as error:
            return f"{project.id}: {message_of(error)}"

    found = await asyncio.gather(*map(find, projects))
    problems = [each for each in found if isinstance(each, str)]
    if problems:
        raise Refused("\n".join(problems[:MOST]))
    return [each for each in found if isinstance(each, LogStream)]
