"""Where requests go: `base_url`, the environment, or the public service; and through which proxy."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.request import getproxies, proxy_bypass

from attrs import frozen
from yarl import URL

from galileo_sessions.errors import ConfigurationError
from galileo_sessions.http.secret import Secret, flat, from_environment

PUBLIC = "https://api.galileo.ai"
_CONSOLE = "GALILEO_CONSOLE_URL"
_CONSOLE_HOST = re.compile(r"^(app(?=\.galileo\.ai$)|console(?=[.-]))")


def base_url(argument: Secret[str | Secret[str] | None]) -> str:
    """
    The API's URL without a slash at its end: the argument, else GALILEO_API_URL,
    else GALILEO_CONSOLE_URL turned into its API host, else the public service.

    Raises:
        ConfigurationError: if it isn't an http(s) URL, holds credentials, a query or a fragment,
            or would send the key unencrypted to another machine.
    """
    candidates = {"base_url": flat(argument)} | {name: from_environment(name) for name in ("GALILEO_API_URL", _CONSOLE)}
    for name, given in candidates.items():
        if given is not None:
            problem = _address_problem(name, given)
            if problem is not None:
                raise ConfigurationError(f"{name} {problem[0]}", hint=problem[1])
            url = URL(given.reveal())
            if name == _CONSOLE:  # by Galileo's convention
                url = url.with_host(_CONSOLE_HOST.sub("api", url.host or ""))
            return str(url).rstrip("/")
    return PUBLIC


def _address_problem(name: str, secret: Secret[str]) -> tuple[str, str] | None:
    """What is wrong with a base URL, and a hint. They show no part of it, because a key can be there by mistake."""
    url = _http_url(secret)
    if url is None:
        hint = "Write https:// before a host; a key belongs in GALILEO_API_KEY, or api_key="
        return f"must be an http(s) URL such as {PUBLIC}", hint
    if url.user is not None or url.password is not None:
        return "holds credentials", "Set GALILEO_USERNAME and GALILEO_PASSWORD, or pass auth=BasicAuth(...)"
    if url.raw_query_string or url.raw_fragment:
        return "has a query or a fragment", "Leave out what follows the path"
    if url.scheme == "http" and not _is_loopback(url):
        return "would send the key unencrypted", "Write https://; http is for loopback only"
    if url.host == "app.galileo.ai" and name != _CONSOLE:
        return "is the address of the console, not of the API", f"Write {PUBLIC}, or nothing: that is the default"
    return None


def _http_url(secret: Secret[str]) -> URL | None:
    try:
        url = URL(secret.reveal())
    except (TypeError, ValueError):
        return None
    return url if url.scheme in ("http", "https") and url.host else None


@frozen
class Proxy:
    """
    A proxy, as aiohttp gets it.

    The URL has no user and no password, because aiohttp's exceptions show it, and OpenTelemetry's spans show those.
    """

    url: URL
    headers: Secret[Mapping[str, str]]


def proxy_of(target: str, argument: Secret[str | Secret[str] | None], *, trust_env: bool) -> Proxy | None:
    """
    The proxy on the way to a base URL: the argument, else, with `trust_env`, the one that the environment names.

    None for loopback, where a proxy would lead away from this machine, or back to itself.
    The environment is read once: aiohttp would read it for each request, in a thread.

    Raises:
        ConfigurationError: if it isn't an http(s) URL, or if its credentials can't be sent. The text doesn't show it.
    """
    url = URL(target)
    name, proxy, is_local = "proxy", flat(argument), _is_loopback(url)
    if proxy is None and trust_env and not is_local and not proxy_bypass(url.host or ""):
        name, proxy = "HTTPS_PROXY", _environment_proxy()
    if proxy is None:
        return None
    found = _read_proxy(proxy)
    if isinstance(found, str):
        raise ConfigurationError(f"{name} {found}")
    return None if is_local else found


def _read_proxy(secret: Secret[str]) -> Proxy | str:
    """The proxy that a URL means, its credentials encoded as aiohttp would; or what is wrong, without a password."""
    url = _http_url(secret)
    if url is None:
        return "must be an http(s) URL such as http://proxy.example.com:8080"
    user, password = url.user or "", url.password or ""
    try:
        login = b64encode(f"{user}:{password}".encode("latin-1")).decode("ascii")
    except UnicodeEncodeError:
        login = ""
    if ":" in user or not login:
        return "must have no colon in its user name, and only Latin-1 in its credentials"
    return Proxy(url.origin(), Secret({"Proxy-Authorization": f"Basic {login}"} if user or password else {}))


def _environment_proxy() -> Secret[str] | None:
    """The proxy that the environment names for https. As in curl, one without a scheme is reached by http."""
    url = getproxies().get("https")
    return Secret(url if "://" in url else f"http://{url}") if url else None


def _is_loopback(url: URL) -> bool:
    try:
        return url.host == "localhost" or ip_address(url.host or "").is_loopback
    except ValueError:
        return False
