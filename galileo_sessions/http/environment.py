"""The environment variables that describe a deployment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TypeAlias

from galileo_sessions.errors import ConfigurationError
from galileo_sessions.http.secret import Secret

_ELSEWHERE = ("API_URL", "CONSOLE_URL", "JWT_TOKEN", "API_KEY", "USERNAME", "PASSWORD")
VARIABLES: Mapping[str, tuple[str, ...]] = {
    # Splunk Observability Cloud: where it is, and a token. Beside a realm, GALILEO_ variables are
    # ignored.
    "REALM": ("SPLUNK_AO_REALM",),
    "O11Y_TOKEN": ("SPLUNK_AO_O11Y_API_TOKEN", "SPLUNK_AO_O11Y_TOKEN"),
    # Other deployments. An API_URL wins over a CONSOLE_URL; a JWT_TOKEN over an API_KEY, and that
    # over a login.
    **{name: (f"GALILEO_{name}", f"SPLUNK_AO_{name}") for name in _ELSEWHERE},
    # Headers for a gateway, as a JSON object. The client's own win.
    "EXTRA_HEADERS": ("GALILEO_EXTRA_HEADERS",),
    # What Galileo's SDK exchanges for a JWT; it isn't read, but hidden.
    "SSO_ID_TOKEN": ("GALILEO_SSO_ID_TOKEN", "SPLUNK_AO_SSO_ID_TOKEN"),
}
"""What the environment can set, and by which variables: the first one wins that isn't empty."""

Setting: TypeAlias = tuple[str, Secret[str]]
"""The variable or the argument that sets something, and its value."""


def setting(name: str) -> Setting | None:
    """What the environment sets."""
    for variable in VARIABLES[name]:
        if os.environ.get(variable):
            return variable, Secret(os.environ[variable])
    return None


def credentials_in_environment() -> list[Secret[str]]:
    """All credentials that the environment has, also those that aren't used."""
    kinds = ("O11Y_TOKEN", "JWT_TOKEN", "API_KEY", "USERNAME", "PASSWORD", "SSO_ID_TOKEN")
    variables = [variable for kind in kinds for variable in VARIABLES[kind]]
    return [Secret(os.environ.get(variable, "")) for variable in variables]


def settings_together(*names: str) -> list[Setting]:
    """
    What the environment sets of these: all, or nothing.

    Raises:
        ConfigurationError: if it sets only some.
    """
    found = [given for name in names if (given := setting(name)) is not None]
    missing = [" or ".join(VARIABLES[name]) for name in names if setting(name) is None]
    if found and missing:
        raise ConfigurationError(f"{found[0][0]} is set without {missing[0]}", hint="Set both")
    return found


def observability_cloud() -> list[Setting]:
    """
    The URL and the token of Splunk Observability Cloud; an empty list for another deployment.

    Raises:
        ConfigurationError: if the realm or the token is missing, or if the realm can't be one,
            or if a SPLUNK_AO_ variable of another deployment is set, too.
    """
    found = settings_together("REALM", "O11Y_TOKEN")
    if not found:
        return []
    (name, realm), token = found
    others = [VARIABLES[other][1] for other in _ELSEWHERE]
    conflicting = [key for key in others if os.environ.get(key)]
    if conflicting:
        problem = f"{name} and {token[0]} conflict with {' and '.join(conflicting)}"
        raise ConfigurationError(
            f"{problem}: they name different deployments",
            hint="Unset the variables of one of them",
        )
    if not re.fullmatch("[A-Za-z0-9-]{1,16}", realm.reveal()):  # but, for example, a token
        raise ConfigurationError(f"{name} must be a realm such as us1")
    url = Secret(f"https://app.{realm.reveal()}.observability.splunkcloud.com/ao/api")
    return [(name, url), token]
