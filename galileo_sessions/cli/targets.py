"""Which projects are counted: ids and names, as arguments or in a file."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import BinaryIO, TypeAlias

import click
from attrs import Factory, define

from galileo_sessions.api.projects import Project, find_project
from galileo_sessions.api.query import ANY_PROJECT, CountQuery
from galileo_sessions.cli.options import Refused, named, told
from galileo_sessions.counting.client import GalileoSessions
from galileo_sessions.display import brief, printable
from galileo_sessions.errors import GalileoError, ProjectLookupError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.kinds import UUID_TEXT
from galileo_sessions.flow.budget import Budget

Source: TypeAlias = dict[str, str] | None
"""Ids and names, each with its place, such as `ids.txt, line 3: `; or None for all projects."""

PROJECT_ENV = "GALILEO_PROJECT_ID"

_EXAMPLES = 3  # of names that aren't found


def read_source(projects: tuple[str, ...], file: BinaryIO | None, query: CountQuery, *, every: bool) -> Source:
    """
    The projects in the arguments, a file, a saved query or the environment.

    Raises:
        click.UsageError: if there are none, or if the options can't be combined.
        Refused: if a file can't be read.
    """
    options = {"PROJECT": bool(projects), "--projects-from": file is not None, "--all": every}
    used = [name for name, is_used in options.items() if is_used]
    if len(used) > 1:
        raise click.UsageError(f"{used[0]} and {used[1]} can't be used together.")
    if every:
        return None
    if projects == ("-",):
        file = sys.stdin.buffer
    elif "-" in projects:
        raise click.UsageError("- reads the projects from stdin. It must stand alone.")
    if file is not None:
        return _read_file(file)
    if query.project_id != ANY_PROJECT:
        projects = projects or (query.project_id,)
    return read_projects(projects, "PROJECT, --projects-from FILE (- is stdin) or --all,")


def read_projects(projects: Iterable[str], sources: str) -> dict[str, str]:
    """
    The ids and names in the arguments or, without arguments, in the environment, each with its place.

    Args:
        projects: The arguments.
        sources: Where projects can be given, for the error if there are none.

    Raises:
        click.UsageError: if there are none, or if one is empty.
    """
    given = dict.fromkeys([project.strip() for project in projects], "")
    if "" in given:
        raise click.UsageError("PROJECT must not be empty.")
    in_environment = os.environ.get(PROJECT_ENV, "").strip()
    if given or in_environment:
        return given or {in_environment: f"{PROJECT_ENV}: "}
    raise click.UsageError(f"no project. Give {sources} or set {PROJECT_ENV}.")


def _read_file(file: BinaryIO) -> dict[str, str]:
    lines = named(file.name, str, file.read(), "utf-8-sig").split("\n")
    texts = {number: _uncommented(line) for number, line in enumerate(lines, 1)}
    return {text: f"{file.name}, line {number}: " for number, text in texts.items() if text}


def _uncommented(line: str) -> str:
    """The line without a comment, which only follows nothing or an id, because a name can contain a #."""
    text = line.strip()
    before = text.partition("#")[0].rstrip()
    return text if before and UUID_TEXT.fullmatch(before) is None else before


@define
class Finder:
    """Finds projects by id or name. All projects are listed once, as soon as something isn't an id."""

    galileo: GalileoSessions
    budget: Budget = Factory(Budget)
    named: bool = False
    """Whether the names of projects are known."""
    _is_listed: bool = False
    _by_id: dict[str, Project] = Factory(dict[str, Project])
    _by_name: dict[str, list[Project]] = Factory(lambda: defaultdict[str, list[Project]](list))

    async def find(self, text: str, place: str = "") -> Project:
        """
        The project with an id or a name.

        Raises:
            ProjectLookupError: if no project has the name, or if several have it.
            GalileoError: if the projects can't be listed.
        """
        if UUID_TEXT.fullmatch(text):
            project = Project(text)
            return self._by_id.get(project.id, project)
        if not self._is_listed:
            await self._list(text)
        try:
            return find_project(self._by_name.get(text) or self._by_id.values(), text)
        except ProjectLookupError as error:
            raise ProjectLookupError(f"{place}{error.message}", error.projects, hint=error.hint) from None

    async def _list(self, text: str) -> None:
        try:
            async for project in self.galileo.projects(timeout=self.budget.left(asyncio.get_running_loop().time())):
                self._by_id[project.id] = project
                self._by_name[(project.name or "").strip()].append(project)
        except GalileoError as error:
            problem = f"{brief(text)} isn't an id, and the projects can't be listed to find this name"
            error.args = (f"{problem}: {error.message}",)
            raise
        self._is_listed = True

    async def projects(self, source: Source) -> list[Project] | AsyncIterator[Project]:
        """
        The projects of a source, without duplicates; all projects of the service as they are listed.

        Raises:
            Refused: if some can't be found. It names three of them.
            GalileoError: if the projects can't be listed.
        """
        if source is None:
            self.named = True
            return self.galileo.projects(timeout=self.budget.left(asyncio.get_running_loop().time()))
        name = next((text for text in source if UUID_TEXT.fullmatch(text) is None), None)
        if name is not None:
            await self._list(name)
            self.named = True
        unknown = [text for text in source if UUID_TEXT.fullmatch(text) is None and len(self._by_name[text]) != 1]
        problems: list[str] = []
        for text in islice(unknown, _EXAMPLES):  # finding what was meant takes a while
            try:
                _ = await self.find(text, source[text])
            except ProjectLookupError as error:
                problems.append(told(error))
        if len(unknown) > _EXAMPLES:
            problems.append(f"{len(unknown) - _EXAMPLES:,} more")
        if problems:
            raise Refused(printable("\n".join(problems)))
        found = [await self.find(text) for text in source]
        return [*{project.id: project for project in found}.values()]

    async def columns(self, projects: list[Project], **scope: str | None) -> ColumnCatalog:
        """The columns of the first project that has sessions."""

        catalog = ColumnCatalog([])
        for project in projects:
            left = self.budget.left(asyncio.get_running_loop().time())
            catalog = await self.galileo.columns(project, timeout=left, **scope)
            if catalog:
                break
        return catalog

    async def are_empty(self, project_ids: list[str]) -> bool:
        """Whether no project has a session. Then it has no columns either, and its filter can't be checked."""
        everything = await self.galileo.count_all(
            project_ids, check=False, fail_fast=True, timeout=self.budget.left(asyncio.get_running_loop().time())
        )
        return not everything.total
