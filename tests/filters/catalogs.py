"""The catalog that the API's document shows as its example."""

from __future__ import annotations

from typing import Any

from galileo_sessions import load_catalog

EVERYTHING = ("control", "tool", "session", "trace", "agent", "llm", "workflow", "retriever")
LOGGED = ("control", "tool", "trace", "agent", "llm", "workflow", "retriever")
SPANS = ("control", "tool", "agent", "llm", "workflow", "retriever")
TYPES = ["control", "tool", "session", "agent", "trace", "llm", "workflow", "retriever"]
AGENTS = ["default", "router", "judge", "classifier", "planner", "reflection", "react", "supervisor"]

# id, label, data_type, filter_type, applicable_types, is_optional, allowed_values
ROWS: list[tuple[str, str, str, str, tuple[str, ...], bool, list[str] | None]] = [
    ("input", "Input", "text", "text", EVERYTHING, False, None),
    ("output", "Output", "text", "text", EVERYTHING, False, None),
    ("name", "Name", "text", "text", EVERYTHING, False, None),
    ("created_at", "Created", "timestamp", "date", EVERYTHING, False, None),
    ("tags", "Tags", "string_list", "collection", LOGGED, False, None),
    ("status_code", "Status Code", "integer", "number", LOGGED, True, None),
    ("external_id", "External Id", "text", "text", EVERYTHING, True, None),
    ("dataset_input", "Dataset Input", "text", "text", LOGGED, False, None),
    ("dataset_output", "Dataset Output", "text", "text", LOGGED, False, None),
    ("id", "ID", "uuid", "id", EVERYTHING, False, None),
    ("session_id", "Session ID", "uuid", "id", LOGGED, False, None),
    ("project_id", "Project ID", "uuid", "id", LOGGED, False, None),
    ("run_id", "Run ID", "uuid", "id", LOGGED, False, None),
    ("updated_at", "Last Updated", "timestamp", "date", LOGGED, True, None),
    ("has_children", "Has Children", "boolean", "boolean", LOGGED, True, None),
    ("progress_message", "Progress Message", "text", "text", EVERYTHING, False, None),
    ("error_message", "Error Message", "text", "text", EVERYTHING, False, None),
    ("is_complete", "Is Complete", "boolean", "boolean", LOGGED, False, None),
    ("type", "Type", "text", "text", SPANS, False, TYPES),
    ("trace_id", "Trace ID", "uuid", "id", SPANS, False, None),
    ("parent_id", "Parent ID", "uuid", "id", SPANS, False, None),
    ("step_number", "Step Number", "integer", "number", SPANS, True, None),
    ("agent_type", "Agent Type", "text", "text", ("agent",), False, AGENTS),
    ("tools", "Tools", "text", "text", ("llm",), False, None),
    ("model", "Model", "text", "text", ("llm",), True, None),
    ("temperature", "Temperature", "floating_point", "number", ("llm",), True, None),
    ("finish_reason", "Finish Reason", "text", "text", ("llm",), True, None),
    ("tool_call_id", "Tool Call Id", "text", "text", ("tool",), True, None),
    ("control_id", "Control Id", "integer", "number", ("control",), True, None),
    ("agent_name", "Agent Name", "text", "text", ("control",), True, None),
    ("check_stage", "Check Stage", "text", "text", ("control",), True, ["post", "pre"]),
    ("applies_to", "Applies To", "text", "text", ("control",), True, ["llm_call", "tool_call"]),
    ("evaluator_name", "Evaluator Name", "text", "text", ("control",), True, None),
    ("selector_path", "Selector Path", "text", "text", ("control",), True, None),
]
STANDARD = {"category": "standard", "filterable": True, "group_label": "Standard", "is_empty": False}
NAMES = ("id", "label", "data_type", "filter_type", "applicable_types", "is_optional", "allowed_values")
TOXICITY: dict[str, Any] = {
    "applicable_types": [],
    "category": "metric",
    "data_type": "floating_point",
    "data_unit": "percentage",
    "filter_type": "number",
    "filterable": True,
    "group_label": "Safety Metrics",
    "id": "metrics/toxicity",
    "is_empty": False,
    "is_optional": False,
    "label": "Output Toxicity (SLM)",
    "multi_valued": False,
    "roll_up_method": "average",
    "sortable": True,
    "threshold": {"buckets": [0.5, 0.8], "display_value_levels": ["Low", "Medium", "High"], "inverted": True},
}


def entry(row: tuple[Any, ...]) -> dict[str, Any]:
    """A column as the document has it: `allowed_values` stands only where there are some."""
    many = {"multi_valued": row[0] == "tags", "sortable": row[0] != "tags"}
    return STANDARD | many | {name: value for name, value in zip(NAMES, row, strict=True) if value is not None}


EXAMPLE: dict[str, Any] = {"columns": [*map(entry, ROWS), TOXICITY]}
CATALOG = load_catalog(EXAMPLE)
