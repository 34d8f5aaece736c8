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
from galileo_sessions.filters.kinds import UUID_TEXT

Source: TypeAlias = dict[str, str] | None
"""Ids and names, each with its place, such as `ids.txt, line 3: `; or None for all projects."""

_VARIABLES = ("GALILEO_PROJECT_ID", "GALILEO_PROJECT")  # the first one that is set


def read_source(
    projects: Sequence[str], query: CountQuery | None = None, file: BinaryIO | None = None, *, every: bool = False
) -> Source:
    """
    The projects in the arguments, a file, a saved query or the environment.

    Raises:
        click.UsageError: if there are none, or if the options can't be combined.
        Refused: if a file can't be read, or has none.
    """
    options = {"PROJECT": projects, "--projects-from": file, "--all": every}
    used = [name for name, value in options.items() if value]
    if len(used) > 1:
        raise click.UsageError(f"{used[0]} and {used[1]} can't be used together.")
    if every:
        return None
    if file is not None:
        return _read_file(file)
    if not projects and query is not None and query.project_id != ANY_PROJECT:
        projects = [query.project_id]
    given = dict.fromkeys([project.strip() for project in projects], "")
    if "" in given:
        raise click.UsageError("PROJECT must not be empty.")
    in_environment = [{value: f"{name}: "} for name in _VARIABLES if (value := os.environ.get(name, "").strip())]
    if not given and not in_environment:
        raise click.UsageError(f"no project. Give PROJECT, or set {_VARIABLES[0]}.")
    return given or in_environment[0]


def _read_file(file: BinaryIO) -> dict[str, str]:
    """The projects in a file, one on each line. Lines that begin with # are comments, because a name can contain it."""
    lines = enumerate(read_option(file.name, str, file.read(), "utf-8-sig").split("\n"), 1)
    texts = {line.strip(): f"{file.name}, line {number}: " for number, line in lines}
    found = {text: place for text, place in texts.items() if text and not text.startswith("#")}
    if not found:
        raise Refused(f"{file.name} has no project")
    return found


async def find_projects(galileo: GalileoSessions, source: Source, seconds: float | None) -> list[Project]:
    """
    The projects of a source, without duplicates. A single name is asked for; for several, all projects are listed.

    Raises:
        Refused: if there is none, or if some can't be found. It names the first three.
        GalileoError: if the projects can't be listed.
    """
    places = source or {}
    names = [text for text in places if UUID_TEXT.fullmatch(text) is None]
    listed: list[Project] = []
    try:
        if names and len(places) == 1:
            listed = [await galileo.project(names[0], timeout=seconds)]
        elif names or source is None:
            listed = [each async for each in galileo.projects(type=None if names else "gen_ai", timeout=seconds)]
    except ProjectLookupError as error:
        raise Refused(_not_found(error, names[0], places[names[0]])) from None
    except GalileoError as error:
        if names:
            name = _shown(names[0], places[names[0]], f"the value of {places[names[0]][:-2]}")
            error.args = (f"{name} isn't an id, and the projects can't be listed to find this name: {error.message}",)
        raise
    found = listed if source is None else _chosen(listed, source)
    if not found:
        raise Refused("the credentials can see no project")
    return found


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
    """How a message names a project. A variable's value isn't shown: it can be a key in the wrong place."""
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
