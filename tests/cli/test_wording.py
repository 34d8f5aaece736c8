"""Errors on the command line are one line, and name its options, not what to write in Python."""

import re

import pytest
from cli.processes import Outcome
from support.clients import IDS
from support.sockets import PROJECT, answers, http

from galileo_sessions import errors
from galileo_sessions.cli.wording import message_of

PYTHON = re.compile(r"\b(api_key|auth|base_url|timeout|ssl|proxy)=|await|Retry\(|Limits\(|PasswordAuth|count_all")


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (errors.ConfigurationError("no credentials", hint="Pass api_key=..."), "no credentials"),
        (errors.FilterError("no", hint="Write Col('a') > 1"), "no. Write Col('a') > 1"),
        (errors.ProjectLookupError("no project 'a'", hint="Did you mean b?"), "no project 'a'. Did you mean b?"),
        (errors.TLSError("the certificate isn't trusted", hint="Pass ssl="), "trusted. Check that this port has TLS."),
        (errors.ConnectError("refused"), "refused. Check GALILEO_API_URL, the proxy and the network"),
        (errors.DeadlineExceededError("the timeout ran out", hint="timeout=9"), "ran out. Raise --timeout"),
        (errors.LoginError("401", status=401, hint="PasswordAuth(...)"), "401. Check GALILEO_USERNAME and"),
        (errors.AuthenticationError("401", status=401), "401. Check GALILEO_API_KEY, and that it belongs"),
        (errors.RateLimitedError("429", status=429, hint="Raise Retry(patience=...)"), "429. Try again later"),
        (errors.ResponseError("400", status=400), "400"),
        (errors.ValidationError("422: bad\na\n↑ bad", status=422), "422: bad"),
        (errors.GalileoError("a\x1b[31m"), r"a\x1b[31m"),
        (
            errors.FilterParseError("no\n  a >\n     ^", text="a >", offset=3, hint="Add a value"),
            "no. Add a value\n  a >\n     ^",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_class_has_its_own_hint(error, shown):
    """A filter's hint is the library's, because filters are written as in Python. A drawing marks only text."""
    assert shown in message_of(error)
    assert PYTHON.search(message_of(error)) is None


async def test_errors_of_commands_have_no_python(run, serving, monkeypatch):
    """No credentials, a URL with credentials, a login that is refused, a timeout, and an outage: one line each."""
    shown: list[Outcome] = []
    for url, environment in (
        ("https://api.example.com", {}),
        ("https://me:pw@example.com", {"API_KEY": "k"}),
        ("https://127.0.0.1:1", {"API_KEY": "k"}),
    ):
        with monkeypatch.context() as patch:
            patch.setenv("GALILEO_API_URL", url)
            for name, value in environment.items():
                patch.setenv(f"GALILEO_{name}", value)
            shown.append(await run("explain", PROJECT, "-w", "a > 1"))
    async with serving(answers(http(401, ""))):
        with monkeypatch.context() as patch:
            patch.delenv("GALILEO_API_KEY")
            patch.setenv("GALILEO_USERNAME", "me")
            patch.setenv("GALILEO_PASSWORD", "pw")
            shown.append(await run("columns", PROJECT))
    async with serving(answers(http(429, "", Retry_After="100"))):
        shown.append(await run("columns", PROJECT))
    assert [done.status for done in shown] == [2, 2, 1, 1, 1]
    assert [done.err for done in shown if PYTHON.search(done.err) or done.err.count("\n") > 1] == []


async def test_a_filter_that_does_not_fit_is_one_line(server, run):
    """With --check, each condition that doesn't fit is named once; a period's condition is named, too."""
    where = (
        '(Col("scor") > 3) & (Col("scor") < 5) & (Col("score") == "a") & (Col("inputt") == "x") & (Col("nam") == "x")'
    )
    done = await run("count", IDS[0], "-w", where, "--since", "1d", "--check")
    assert done.err == (
        f"{IDS[0]}: there is no column 'scor'; did you mean score?; 'score' is filtered as number, not as text. "
        "Write Col.number('score').eq(...); there is no column 'inputt'; did you mean input?\n"
        "0 of 1 project counted, 1 failed, 0 sessions\n"
    )
