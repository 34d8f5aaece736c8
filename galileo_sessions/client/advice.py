"""What to write instead of an argument that the client doesn't have."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from galileo_sessions.errors import ConfigurationError, brief

_CLIENT: Mapping[str, str] = {
    "timeout": "timeouts=Timeouts(attempt={value}) for each attempt; timeout= of a count is for the whole of it",
    "max_retries": "retry=Retry(attempts=...), which counts the first attempt too",
    "retries": "retry=Retry(attempts=...), which counts the first attempt too",
    "concurrency": "limits=Limits({value})",
    "max_concurrency": "limits=Limits({value})",
    "max_connections": "limits=Limits({value})",
    "rate_limit": "limits=Limits(rate=...)",
    "url": "base_url=...",
    "host": "base_url=...",
    "console_url": "base_url=..., or set GALILEO_CONSOLE_URL",
    "key": "api_key=...",
    "token": "auth=BearerAuth(...)",
    "username": "auth=PasswordAuth(username, password)",
    "password": "auth=PasswordAuth(username, password)",
    "verify": "ssl=...",
    "verify_ssl": "ssl=...",
    "proxies": "proxy=...",
    "connector": "session=aiohttp.ClientSession(connector=...)",
}
_COUNT: Mapping[str, str] = {
    "filter": "where=...",
    "query": "the CountQuery as the first argument",
    "filter_tree": "where=load_filter(...)",
    "condition": "where=...",
    "project": "the project's id as the first argument",
    "projects": "the ids as the first argument of count_many or count_all",
    "project_ids": "the ids as the first argument of count_many or count_all",
    "project_name": "the project's id; the API doesn't count by name",
    "log_stream": "log_stream_id=...",
    "experiment": "experiment_id=...",
    "max_concurrency": "concurrency={value}",
    "limit": "concurrency={value}",
    "retry": "GalileoSessions(retry=...)",
    "max_retries": "GalileoSessions(retry=Retry(attempts=...))",
    "timeouts": "GalileoSessions(timeouts=...), or timeout=... for the whole call",
    "start_time": 'where=Col.date("created_at") >= "..."',
    "end_time": 'where=Col.date("created_at") < "..."',
}


def unknown_argument(call: str, unknown: Mapping[str, object], known: Iterable[str]) -> ConfigurationError:
    """
    The error for a keyword argument that a method doesn't have. Values of a client's arguments may be secrets.

    Args:
        call: The name of the method, as users write it.
        unknown: What was given.
        known: The arguments that it has.
    """
    name, value = next(iter(unknown.items()))
    shown = brief(value) if isinstance(value, int | float) else "..."
    names = list(known)
    hint = (_CLIENT if call == "GalileoSessions" else _COUNT).get(name, "")
    close = get_close_matches(name, names, 1)
    if hint:
        advice = f"Write {hint.format(value=shown)}"
    elif close:
        advice = f"Did you mean {close[0]}=?"
    else:
        advice = f"It has {', '.join(names)}"
    return ConfigurationError(f"{call} has no argument {name}. {advice}")
