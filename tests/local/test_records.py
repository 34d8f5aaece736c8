"""The values of records: those of numpy, pandas and decimal are taken as filters take them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from galileo_sessions import Col, Filter, GalileoSessions
from galileo_sessions.local import LocalGalileo

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"


class NaTType(datetime):
    """Stands for pandas' NaT, which is a datetime that can't be compared, where pandas isn't installed."""

    def utcoffset(self) -> timedelta:
        raise ValueError("NaTType does not support utcoffset")


class NAType:
    """Stands for pandas' NA, which has no truth value."""

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")


async def count(value: object, where: Filter) -> tuple[int, str | None]:
    """The count over one session with `value` as its c, and the filter type of c."""
    async with (
        LocalGalileo([{"project_id": PROJECT, "c": value}]) as server,
        GalileoSessions(server.api_key, base_url=server.url, check=False) as galileo,
    ):
        columns = {info.id: info.filter_type for info in (await galileo.columns(PROJECT)).columns}
        return await galileo.count(PROJECT, where), columns.get("c")


@pytest.mark.parametrize(
    ("value", "where", "kind"),
    [
        (np.float32(0.5), Col("c").eq(0.5), "number"),
        (np.int64(3), Col("c").gt(2), "number"),
        (np.bool_(True), Col("c").is_true(), "boolean"),
        (np.str_("x"), Col("c").eq("x"), "text"),
        (np.array(["a", "b"]), Col.collection("c").contains("b"), "collection"),
        ({"a"}, Col.collection("c").eq("a"), "collection"),
        (Decimal("2.5"), Col("c").eq(2.5), "number"),
        (Decimal("Infinity"), Col.text("project_id").eq(PROJECT), "number"),
        (UUID(PROJECT), Col("c").eq(UUID(PROJECT)), "id"),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_a_value_counts_as_pythons_own(value: Any, where: Filter, kind: str) -> None:
    """Values of numpy and decimal count like Python's own."""
    assert (1, kind) == await count(value, where)


@pytest.mark.parametrize(
    "value",
    [None, math.nan, np.float64("nan"), np.float32("nan"), Decimal("NaN"), NaTType(1, 1, 1), NAType()],
    ids=["None", "NaN", "numpy's", "float32", "Decimal's", "NaT", "NA"],
)
async def test_a_missing_value_is_none(value: object) -> None:
    """A missing value satisfies no leaf and no negation, and makes no column."""
    where = Col.number("c").gt(3) | ~Col.number("c").gt(3) | Col.text("c").eq("x") | ~Col.text("c").eq("x")
    assert (0, None) == await count(value, where)


def test_a_time_without_a_zone_is_refused() -> None:
    """A datetime without a time zone is refused, because no filter would match it."""
    with pytest.raises(ValueError, match="the session's c, datetime.*Write value.replace"):
        LocalGalileo([{"project_id": PROJECT, "c": datetime(2026, 5, 1, tzinfo=UTC).replace(tzinfo=None)}])
