"""The catalog that the API's document shows as its example, without the descriptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from galileo_sessions import load_catalog

FILE = Path(__file__).parents[1] / "support" / "available_columns.json"
EXAMPLE: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
CATALOG = load_catalog(EXAMPLE)
