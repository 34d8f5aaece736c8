"""
Schemathesis against the local server: requests made from the API's document, valid and broken, answers judged by it.

`tests/support/openapi.json` is the part of the document for counts and columns, without texts.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from galileo_sessions.local import LocalGalileo, sample_sessions

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None,
    reason="Schemathesis isn't installed; it is in the group `check`",
)

DOCUMENT = Path(__file__).parents[1] / "support" / "openapi.json"
UNFIT = "positive_data_acceptance"  # the server refuses some valid bodies, which the client never sends
UUID4 = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


def explained(rule: Any) -> Any:
    """The document with what Schemathesis can't know: uuid4, that a discriminator is required, and the 401."""
    if isinstance(rule, list):
        return [explained(each) for each in rule]
    if not isinstance(rule, dict):
        return rule
    made = {key: explained(value) for key, value in rule.items()}
    if made.get("format") == "uuid4":
        made["pattern"] = UUID4
    if "const" in made.get("properties", {}).get("type", {}):
        made["required"] = sorted({*made.get("required", ()), "type"})
    if "responses" in made:
        made["responses"]["401"] = {"description": "to another key, which the document leaves out"}
    return made


@pytest.mark.parametrize(
    ("strict", "phase", "seconds"),
    [(False, "coverage", 12), (False, "fuzzing", 6), (True, "fuzzing", 4)],
    ids=["coverage", "fuzzing", "strict"],
)
def test_schemathesis_finds_nothing(tmp_path: Path, strict: bool, phase: str, seconds: int) -> None:
    """Neither a 5xx nor a status, a header or an answer that the document and what is explained here don't allow."""
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(explained(json.loads(DOCUMENT.read_text(encoding="utf-8")))))
    options = ["--phases", phase, "--max-time", str(seconds), "--continue-on-failure", "--no-shrink", "--seed", "1"]
    options += ["--exclude-checks", UNFIT]
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(document), *options]
    with LocalGalileo(sample_sessions(), strict=strict) as server:
        command += ["--url", server.url, "--header", f"Galileo-API-Key: {server.api_key}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=seconds + 120)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "2 selected / 2 total" in done.stdout
