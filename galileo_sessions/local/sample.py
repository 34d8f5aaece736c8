"""Sessions to count, and the names of their projects: a fixed sample."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import TypeVar
from uuid import UUID

from galileo_sessions.api.query import SCOPE

T = TypeVar("T")

_LAST_DAY = date(2026, 6, 30)
_SCORER = "metrics/5d0a2b8e-93c4-4c1f-8f5e-0b7a6c9d1e42"
_SUBJECTS = {
    "support": "a refund, a lost parcel, an invoice sent twice, a locked account, a tax receipt",
    "travel": (
        "the night train to Vienna, a visa extension, hand luggage, "
        "a refund for a flight, Mexico in May"
    ),
    "code": (
        "a regular expression, a refund endpoint, a mutex, an index in SQL, async context managers"
    ),
    "medicine": (
        "a flu vaccine, ibuprofen, an X-ray of the wrist, a refund for pills, a toxic mushroom"
    ),
    "law": (
        "a rental contract, a tax exemption, a parking fine, "
        "the right to a refund, a small claims case"
    ),
    "cooking": (
        "sourdough bread, a vegan curry, mixing a dressing, oxtail soup, a refund for a course"
    ),
    "banking": (
        "a mortgage rate, an exchange fee, a refund to a card, a blocked card, a fixed deposit"
    ),
    "learning": (
        "a maths exam, the French subjunctive, a reading list, "
        "a refund for a book, a text on whales"
    ),
    "fitness": "a marathon plan, box jumps, a refund for a class, a sore knee, relaxing after work",
    "gardening": "tomato blight, a boxwood hedge, a refund for seeds, a small pond, winter pruning",
    "shopping": (
        "a good camera, express delivery, a gift box, a refund for shoes, an extended warranty"
    ),
    "energy": "a heat pump, solar panels, a fixed tariff, a tariff refund, the fuse box",
}
_NAMES = (
    "Support chatbot",
    "Travel planner",
    "Code assistant",
    "Pharmacy helpdesk",
    "Legal guide",
    "Recipe finder",
    "Banking assistant",
    "Homework tutor",
    "Fitness coach",
    "Garden adviser",
    "Shopping guide",
    "Energy adviser",
)
_PROJECT_IDS = [
    f"{0x74AEC44E + i * 0x0A1B2C3D:x}-ec21-4c9f-a3e2-b2ab2b81b4db" for i in range(len(_NAMES))
]
_QUESTIONS = (
    "Can you explain {}?",
    "What do I need to know about {}?",
    "Give me an example of {}.",
    "I have a problem with {}. What now?",
    "What happens next with {}?",
    "Write a short note on {}.",
    "Is {} the right choice for me?",
    "Who can help me with {}?",
)
_ANSWERS = (
    "Here is a short overview of {}.",
    "I'm sorry, I can't help with {}.",
    "Sure. For {}, follow these three steps.",
    "That depends: {} differs from case to case.",
    "An expert should have a look at {} first.",
    "The most important thing about {} is not to hurry.",
)
_TAGS = ("vip", "beta", "regression", "needs-review", "mobile")
_PLANS = ("free", "pro", "team")


def sample_sessions(last_day: date = _LAST_DAY) -> list[dict[str, object]]:
    """
    About 3,000 sessions of a dozen projects, over 90 days; the same on every call and machine,
    apart from the last day.

    Each has its `project_id` and a `log_stream_id`, `experiment_id` or `metrics_testing_id`, and
    values by column id: `id`, `name`, `external_id`, `input`, `output`, `error_message`, `score` (0
    to 5), `metrics/…` (0 to 1), `num_traces`, `is_complete`, `tags`, `created_at` (ISO 8601, UTC).
    Those of the last project, "Energy adviser", also have `status` ("success" or "error") and
    `user_metadata/plan`. Some values are missing, as in real data.

    Args:
        last_day: The last of the 90 days.
    """
    start = datetime.combine(last_day, time.min, UTC) - timedelta(days=89)
    rng = Random(20260630)  # noqa: S311  # a sample has to be the same each time
    sessions: list[dict[str, object]] = []
    for project_id, (subject, topics) in zip(_PROJECT_IDS, _SUBJECTS.items(), strict=True):
        scopes = [(name, _uuid(rng)) for name in ("log_stream_id", "log_stream_id", *SCOPE)]
        for _ in range(120 + _below(rng, 250)):
            scope, scope_id = _pick(rng, scopes)
            session = _session(rng, start, subject, _pick(rng, topics.split(", ")))
            if project_id == _PROJECT_IDS[-1]:
                session |= _details(session)
            sessions.append({"project_id": project_id, scope: scope_id, **session})
    return sessions


def sample_names() -> dict[str, str]:
    """
    The names of the sample's projects by id, such as "Support chatbot"; for
    `LocalGalileo(names=...)`.
    """
    return dict(zip(_PROJECT_IDS, _NAMES, strict=True))


def _session(rng: Random, start: datetime, subject: str, topic: str) -> dict[str, object]:
    number = _below(rng, 100_000)
    failed = rng.random() < 0.04
    session: dict[str, object] = {
        "id": _uuid(rng),
        "name": f"{subject}-{number:05}",
        "external_id": f"chat-{number:05}",
        "input": _pick(rng, _QUESTIONS).format(topic),
        "output": "" if failed else _pick(rng, _ANSWERS).format(topic),
        "created_at": (start + timedelta(seconds=_below(rng, 90 * 86_400))).isoformat(),
        "tags": [subject, *(tag for tag in _TAGS if rng.random() < 0.2)],
        "num_traces": 1 + _below(rng, 9),
        "is_complete": rng.random() < 0.9,
        "metrics/toxicity": _below(rng, 101) * _below(rng, 101) / 10_000,
    }
    if failed:
        session["error_message"] = "The model did not answer in time"
    elif rng.random() < 0.93:
        session["score"] = max(_below(rng, 51), _below(rng, 51)) / 10
    if rng.random() < 0.5:
        session[_SCORER] = _below(rng, 101) / 100
    return session


def _details(session: dict[str, object]) -> dict[str, object]:
    """Columns that only one project has, without a random number: all others stay as they are."""
    status = "error" if "error_message" in session else "success"
    number = int(str(session["name"])[-5:])
    return {"status": status, "user_metadata/plan": _PLANS[number % len(_PLANS)]}


def _below(rng: Random, limit: int) -> int:
    return int(rng.random() * limit)  # Python promises the same numbers only for random()


def _pick(rng: Random, items: Sequence[T]) -> T:
    return items[_below(rng, len(items))]


def _uuid(rng: Random) -> str:
    high = _below(rng, 2**53)
    middle = _below(rng, 2**53)
    low = _below(rng, 2**22)
    return str(UUID(int=high << 75 | middle << 22 | low, version=4))
