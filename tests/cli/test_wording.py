"""Errors on the command line name its options, not what to write in Python."""

import re
from pathlib import Path

import pytest
from support.processes import IDS, WHERE
from support.servers import PROJECT, answers, http, raw_server

import galileo_sessions
from galileo_sessions import Col, FilterCheckError, GalileoError, Issue
from galileo_sessions.cli.report import WORDING, reword

PYTHON = re.compile(r"\b(api_key|auth|base_url|timeout|ssl|proxy)=|await|Retry\(|Limits\(|PasswordAuth|count_all")
CLIENT = "".join([file.read_text() for file in Path(galileo_sessions.__file__).parent.glob("client/**/*.py")])


@pytest.mark.parametrize("pattern", WORDING)
def test_each_sentence_is_one_of_the_client(pattern):
    """A sentence that the client no longer writes needs no translation, and a new one may need another."""
    assert re.search(pattern.removeprefix(r"\. ").replace(r"(?=\d)", "").removesuffix(".*"), CLIENT)


@pytest.mark.parametrize(
    ("python", "shown"),
    [
        ("no credentials. Set GALILEO_API_KEY in the environment, or pass api_key=...", "in the environment"),
        ("Set SSL_CERT_FILE, or pass ssl=ssl.create_default_context(cafile=...)", "Set SSL_CERT_FILE"),
        ("Check GALILEO_USERNAME and GALILEO_PASSWORD, or PasswordAuth(...)", "GALILEO_PASSWORD"),
        ("Raise the limit (ulimit -n), or lower Limits(maximum=...)", "or lower --concurrency"),
        ("no request can be made (X). Check base_url and proxy", "Check GALILEO_API_URL"),
        ("503; given up. Try again later, or raise timeout= or Retry(patience=...)", "given up. Try again later"),
        ("429. A single count waits for 10 s at most: give it timeout=9 or more", "429. Try again later"),
        ("429. That is more than timeout= leaves: give it timeout=9", "429. Try again later"),
        ("429. The client waits no longer than Retry(max_retry_after=60): give it Retry", "429. Try again later"),
        ("timeout= ran out before a request could be sent", "--timeout ran out before a request could be sent"),
        ("Write timeout=30", "Write --timeout 30"),
    ],
)
def test_sentences_name_options(python, shown):
    """What only Python can do is left out; an option stands for the rest. A second time changes nothing."""
    error = GalileoError(python)
    for _ in range(2):
        reword(error)
        assert error.message.endswith(shown)
        assert PYTHON.search(error.message) is None


async def test_errors_of_commands_have_no_python(run, monkeypatch):
    """No credentials, a URL with credentials, a login that is refused, a timeout, and an outage."""
    shown = []
    for url, environment in (
        ("https://api.example.com", {}),
        ("https://me:pw@example.com", {"API_KEY": "k"}),
        ("https://127.0.0.1:1", {"API_KEY": "k"}),
    ):
        with monkeypatch.context() as patch:
            patch.setenv("GALILEO_API_URL", url)
            for name, value in environment.items():
                patch.setenv(f"GALILEO_{name}", value)
            shown.append(await run("count", PROJECT, "--timeout", "1"))
    async with raw_server(answers(http(401, ""))) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        with monkeypatch.context() as patch:
            patch.setenv("GALILEO_USERNAME", "me")
            patch.setenv("GALILEO_PASSWORD", "pw")
            shown.append(await run("columns", PROJECT))
    monkeypatch.setenv("GALILEO_API_KEY", "k")
    async with raw_server(answers(http(429, "", Retry_After="100"))) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        shown.append(await run("columns", PROJECT))
    assert all(done.status in (1, 2) and done.err for done in shown)
    assert [done.err for done in shown if PYTHON.search(done.err)] == []


async def test_only_the_own_filter_is_drawn(server, run):
    """A drawing has no conditions of --by, --since or --until, and stands there once."""
    period = ("--by", "created_at:day", "--since", "2026-06-01", "--check", "--ordered", "--concurrency", "1")
    done = await run("count", *IDS[:2], "-w", '(Col("scor") > 3) & (Col("score") > 1)', *period)
    assert done.status == 2
    assert done.err.splitlines()[:6] == [
        f"{IDS[0]}: 1 condition doesn't match the project's columns:",
        "  and",
        "  ├─ scor > 3    number",
        "  │  ↑ there is no column 'scor'; did you mean score?",
        "  └─ score > 1   number",
        f"{IDS[1]}: 1 condition doesn't match the project's columns, as above",
    ]
    done = await run("count", IDS[0], "-w", WHERE, "--since", "1d", "--time-column", "creatd_at", "--check")
    assert done.err.splitlines()[1:-1] == ["  there is no column 'creatd_at'; did you mean created_at?"]


def test_a_condition_of_both_kinds_is_drawn():
    """The user's conditions are drawn, and those of other options are named below."""
    own, other = Col("a") > 1, Col("b") > 2
    error = FilterCheckError("2 conditions:\nx", issues=(Issue((), "bad a", "", own), Issue((), "bad b", "", other)))
    reword(error, own)
    assert error.message == "2 conditions:\na > 1   number\n↑ bad a\nbad b"
