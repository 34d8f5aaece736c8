"""Where the API is: `base_url`, the environment, or the public service."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from galileo_sessions.client.secret import Secret, from_environment
from galileo_sessions.errors import ConfigurationError, brief

PUBLIC = "https://api.galileo.ai"


def base_url(argument: Secret[str] | None) -> str:
    """
    The API's URL without a slash at its end: the argument, else GALILEO_API_URL,
    else GALILEO_CONSOLE_URL turned into its API host, else the public service.

    Raises:
        ConfigurationError: if it isn't an http(s) URL, holds credentials, a query or a fragment,
            or would send the key unencrypted to another machine.
    """
    if argument is not None:
        return _checked("base_url", argument)
    api, console = (from_environment(name) for name in ("GALILEO_API_URL", "GALILEO_CONSOLE_URL"))
    if api is not None:
        return _checked("GALILEO_API_URL", api)
    return PUBLIC if console is None else _api_of_console(_checked("GALILEO_CONSOLE_URL", console))


def _checked(name: str, url: Secret[str]) -> str:
    problem = _problem(url)
    if problem is not None:
        raise ConfigurationError(f"{name} {problem}")
    return url.reveal().rstrip("/")


def _problem(hidden: Secret[str]) -> str | None:
    """What is wrong with a base URL, in words that show no password and no query."""
    if not isinstance(hidden.reveal(), str):
        return f"is text, got {type(hidden.reveal()).__name__}. Write str(...), or one such as {PUBLIC}"
    url, shown = hidden.reveal(), _shown(hidden)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        _ = URL(url)  # which knows more hosts that are none
    except ValueError:
        return f"{shown} is no URL. Write one such as {PUBLIC}"
    if "@" in parts.netloc:
        return "holds credentials. Leave them out of the URL, and give auth=BasicAuth(...)"
    if parts.scheme not in ("http", "https") or not host or any(c <= " " for c in url):
        return f"{shown} is no http(s) URL. Write one such as {PUBLIC}"
    if parts.query or parts.fragment:
        return f"{shown} has a query or a fragment, which isn't shown here. Leave out what follows the path"
    if parts.scheme == "http" and not is_loopback(host):
        return f"{shown} would send the key unencrypted. Write https://; http is for loopback only"
    return None


def _shown(url: Secret[str]) -> str:
    """What stands neither before an @, nor where a port would be and is none, nor in a query."""
    text = re.split(r"@|%40", re.split(r"[?#]", url.reveal())[0])[-1]
    return brief(re.sub(r"^((?:[^/:]*://)?+[^/:]*):(?!\d{1,5}(?:/|$)).*", r"\1:…", text, flags=re.DOTALL))


def proxy_of(target: str, argument: Secret[str] | None, *, trust_env: bool) -> Secret[str] | None:
    """
    The proxy for an origin: the argument, else, with `trust_env`, the one that the environment names.

    None for loopback, where a proxy would lead away from this machine, or to itself.
    The environment is asked once: aiohttp would ask for each request, in a thread.

    Raises:
        ConfigurationError: if it is no http(s) URL, or if the target isn't https, for then the proxy could read
            the key. It doesn't show the proxy, which may hold credentials.
    """
    parts = urlsplit(target)
    host = parts.hostname or ""
    name, proxy = "proxy=", argument
    if proxy is None and trust_env and not proxy_bypass(host):
        name, proxy = f"{parts.scheme.upper()}_PROXY", _environment_proxy(parts.scheme)
    if proxy is not None and not _is_http(proxy):
        raise ConfigurationError(f"{name} is no http(s) URL. Write one such as http://proxy.example.com:8080")
    if proxy is not None and not _is_basic(proxy):
        raise ConfigurationError(
            f"{name} has a user or a password that can't be sent to it: no colon in a user, and latin-1 alone"
        )
    if proxy is None or is_loopback(host):
        return None
    if parts.scheme != "https":
        raise ConfigurationError(f"{target} would send the key through a proxy unencrypted. Write https://")
    return proxy


def _environment_proxy(scheme: str) -> Secret[str] | None:
    """Without a scheme of its own a proxy is one for http, as curl has it."""
    url = getproxies().get(scheme)
    return Secret(url if "://" in url else f"http://{url}") if url else None


def _is_http(url: Secret[str]) -> bool:
    try:
        parts, _ = urlsplit(url.reveal()), URL(url.reveal())
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        return False


def _is_basic(url: Secret[str]) -> bool:
    """Whether the user and the password of a URL are what Basic authentication can carry, by RFC 7617 and aiohttp."""
    parts = URL(url.reveal())
    user, password = parts.user or "", parts.password or ""
    try:
        _ = f"{user}{password}".encode("latin-1")
    except UnicodeEncodeError:
        return False
    return ":" not in user


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _api_of_console(url: str) -> str:
    """By Galileo's convention: app.galileo.ai is api.galileo.ai; console. and console- become api. and api-."""
    parts: SplitResult = urlsplit(url)
    host = parts.netloc
    if parts.hostname == "app.galileo.ai":
        host = "api" + host[len("app") :]
    elif host.lower().startswith(("console.", "console-")):
        host = "api" + host[len("console") :]
    return parts._replace(netloc=host).geturl().rstrip("/")
