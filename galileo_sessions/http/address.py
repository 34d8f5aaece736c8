"""Where requests go, and through which proxy."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.request import getproxies, proxy_bypass

from attrs import frozen
from yarl import URL

from galileo_sessions.errors import ConfigurationError
from galileo_sessions.http.environment import (
    VARIABLES,
    Setting,
    observability_cloud,
    setting,
)
from galileo_sessions.http.secret import Secret, unwrapped

PUBLIC = "https://api.galileo.ai"
_APP = "app.galileo.ai"
_LABEL = r"(?<![^.])console(?![^.-])|(?<=-)console(?![^.])"
"""In the name of a host, the `console` of the labels `console`, `console-*` and `*-console`."""
_BARE = {
    r"\A(?=(localhost|127[\d.]+)(?![^:/]))": "http://",
    r"\A(?=[\w.-]+\.\w{1,24}(?![^:/]))": "https://",
}
"""The schemes of hosts that were written without one. A key or a token isn't taken for a host."""


def base_url(argument: Secret[str | Secret[str] | None]) -> str:
    """
    The API's URL without a slash at its end: the argument, or else what the environment says, or
    the public service.

    Raises:
        ConfigurationError: if it isn't an http(s) URL, holds credentials, a query or a fragment,
            or would send the key unencrypted to another machine.
    """
    name, secret = _given_address(unwrapped(argument))
    found = _read_address(secret, is_console=name in VARIABLES["CONSOLE_URL"])
    if isinstance(found, tuple):
        raise ConfigurationError(f"{name} {found[0]}", hint=found[1])
    return str(found).rstrip("/")


def _given_address(argument: Secret[str] | None) -> Setting:
    if argument is not None:
        return "base_url", argument
    for found in (*observability_cloud()[:1], setting("API_URL"), setting("CONSOLE_URL")):
        if found is not None:
            return found
    return "base_url", Secret(PUBLIC)


def _read_address(secret: Secret[str], *, is_console: bool) -> URL | tuple[str, str]:
    """
    The URL of an API; or what is wrong, and a hint. They show no part of it, because it can be a
    key by mistake.
    """
    if is_console:
        secret = _with_scheme(secret)
    url = _http_url(secret)
    if url is None:
        hint = "Write https:// before a host; a key belongs in GALILEO_API_KEY, or api_key="
        return f"must be an http(s) URL such as {PUBLIC}", hint
    if url.user is not None or url.password is not None:
        hint = "Set GALILEO_USERNAME and GALILEO_PASSWORD, or pass auth=BasicAuth(...)"
        return "holds credentials", hint
    url = _of_api(url, is_console=is_console)
    if url.raw_query_string or url.raw_fragment:
        return "has a query or a fragment", "Leave out what follows the path"
    if url.scheme == "http" and not _is_loopback(url):
        return "would send the key unencrypted", "Write https://; http is for loopback only"
    return url


def _with_scheme(secret: Secret[str]) -> Secret[str]:
    for pattern, scheme in _BARE.items():
        secret = Secret(re.sub(pattern, scheme, secret.reveal().strip()))
    return secret


def _of_api(url: URL, *, is_console: bool) -> URL:
    """
    The API's URL for the URL of a page in the console, by the rule of Galileo's SDK; another one
    stays as it is.

    Where only a console is expected, any `console` in the host's name counts.
    """
    host = url.host or ""
    if _is_loopback(url):
        return url
    if host == _APP or (is_console and _APP in host):
        return URL(PUBLIC)
    pattern = "console" if is_console else _LABEL
    api = re.sub(pattern, "api", host)
    if not is_console and api == host:
        return url
    return url.with_host(api).origin()


def _http_url(secret: Secret[str]) -> URL | None:
    try:
        url = URL(secret.reveal())
        if url.scheme not in ("http", "https") or not url.host:
            return None
        _ = url.with_host(url.host)  # which checks the name
    except (IndexError, TypeError, ValueError):
        return None
    return url


# ---- the proxy -----------------------------------------------------------------------------------


@frozen(eq=False, repr=False)
class Proxy:
    """
    A proxy, as aiohttp gets it.

    The URL has no user and no password, because aiohttp's exceptions show it, and OpenTelemetry's
    spans show those.
    """

    url: URL
    headers: Secret[Mapping[str, str]]


def proxy_of(
    target: str, argument: Secret[str | Secret[str] | None], *, trust_env: bool
) -> Proxy | None:
    """
    The proxy on the way to a base URL: the argument, else, with `trust_env`, the one that the
    environment names.

    None for loopback, where a proxy would lead away from this machine, or back to itself.
    The environment is read once: aiohttp would read it for each request, in a thread.

    Raises:
        ConfigurationError: if it isn't an http(s) URL, or if its credentials can't be sent. The
            text doesn't show it.
    """
    url = URL(target)
    is_local = _is_loopback(url)
    given = unwrapped(argument)
    chosen = None if given is None else ("proxy", given)
    if chosen is None and trust_env and not is_local:
        chosen = _environment_proxy(url)
    if chosen is None:
        return None
    name, proxy = chosen
    found = _read_proxy(proxy)
    if isinstance(found, str):
        raise ConfigurationError(f"{name} {found}")
    if is_local:
        return None
    return found


def _read_proxy(secret: Secret[str]) -> Proxy | str:
    """
    The proxy that a URL means, its credentials encoded as aiohttp would; or what is wrong, without
    a password.
    """
    url = _http_url(secret)
    if url is None:
        return "must be an http(s) URL such as http://proxy.example.com:8080"
    user = url.user or ""
    password = url.password or ""
    login = f"{user}:{password}"
    if ":" in user or re.search("[^\0-\xff]", login):
        return "must have no colon in its user name, and only Latin-1 in its credentials"
    headers: dict[str, str] = {}
    if login != ":":
        encoded = b64encode(login.encode("latin-1")).decode("ascii")
        headers["Proxy-Authorization"] = f"Basic {encoded}"
    return Proxy(url.origin(), Secret(headers))


def _environment_proxy(target: URL) -> Setting | None:
    """
    The proxy that the environment names for https, or else for all, unless it excepts the host. As
    in curl, one without a scheme is reached by http.
    """
    proxies = getproxies()
    name = "https" if proxies.get("https") else "all"
    url = proxies.get(name)
    if not url or proxy_bypass(target.host or ""):
        return None
    if "://" not in url:
        url = f"http://{url}"
    return f"{name.upper()}_PROXY", Secret(url)


def _is_loopback(url: URL) -> bool:
    try:
        return url.host == "localhost" or ip_address(url.host or "").is_loopback
    except ValueError:
        return False
