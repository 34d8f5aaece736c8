"""Where the API is: `base_url`, the environment, or the public service."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from galileo_sessions.errors import ConfigurationError, brief

PUBLIC = "https://api.galileo.ai"


def base_url(argument: str | None, environ: Mapping[str, str]) -> str:
    """
    The API's URL without a slash at its end: the argument, else GALILEO_API_URL,
    else GALILEO_CONSOLE_URL turned into its API host, else the public service.

    Raises:
        ConfigurationError: if it isn't an http(s) URL, holds credentials, a query or a fragment,
            or would send the key unencrypted to another machine.
    """
    if argument is not None:
        return _checked("base_url", argument)
    for name in ("GALILEO_API_URL", "GALILEO_CONSOLE_URL"):
        if environ.get(name):
            url = _checked(name, environ[name])
            return url if name == "GALILEO_API_URL" else _api_of_console(url)
    return PUBLIC


def _checked(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError):
        raise ConfigurationError(f"{name} {brief(url)} is no URL. Write one such as {PUBLIC}") from None
    if parts.username is not None or parts.password is not None:  # not shown, for it may be a real password
        raise ConfigurationError(f"{name} holds credentials. Leave them out of the URL, and give auth=BasicAuth(...)")
    if parts.scheme not in ("http", "https") or not host or any(c <= " " for c in url):
        raise ConfigurationError(f"{name} {brief(url)} is no http(s) URL. Write one such as {PUBLIC}")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{name} {brief(url)} has a query or a fragment. Leave out what follows the path")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigurationError(
            f"{name} {brief(url)} would send the key unencrypted. Write https://; http is for loopback only"
        )
    return url.rstrip("/")


def proxy_url(argument: str | None) -> str | None:
    """
    The URL of a proxy as it was given; it may hold credentials, and so no error shows it.

    Raises:
        ConfigurationError: if it is no http(s) URL.
    """
    if argument is None:
        return None
    try:
        parts = urlsplit(argument)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        usable = False
    if not usable:
        raise ConfigurationError("proxy= is no http(s) URL. Write one such as http://proxy.example.com:8080")
    return argument


def _is_loopback(host: str) -> bool:
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
