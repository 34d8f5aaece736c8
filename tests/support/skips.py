"""The skips that may happen where all extras and groups are installed. Any other would hide a test from every run."""

from __future__ import annotations

import os
import shutil
import sys

import pytest
from docs.browser import CHROMIUM

LOCAL = "GITHUB_ACTIONS" not in os.environ  # there, .ci/run installs what a machine may lack

KNOWN = {
    "asyncio has eager tasks since Python 3.12": sys.version_info < (3, 12),
    "Python 3.14 says more": sys.version_info >= (3, 14),
    "there is no Chromium here: apt-get install chromium": LOCAL and CHROMIUM is None,
    "there is no fish here: apt-get install fish": LOCAL and shutil.which("fish") is None,
    "there is no zsh here: apt-get install zsh": LOCAL and shutil.which("zsh") is None,
}
"""The reason of each, and whether it holds for this run."""


class KnownSkips:
    """A plugin: a run fails if a test is skipped for another reason, or for none of those that hold."""

    def __init__(self) -> None:
        self.expected = {reason for reason, holds in KNOWN.items() if holds}
        self.seen: set[str] = set()

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Remembers a skip of a test, or of a module; an xfail is none."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self.seen.add(report.longrepr[2].removeprefix("Skipped: "))

    pytest_runtest_logreport = pytest_collectreport = note

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.seen != self.expected and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for said, reasons in ("unknown", self.seen - self.expected), ("missing", self.expected - self.seen):
            for reason in sorted(reasons):
                terminalreporter.write_line(f"{said} skip, see tests/support/skips.py: {reason}", red=True)
