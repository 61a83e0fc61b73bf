"""One of a list of any length, in one statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa


def among(dialect: str, column: Any, values: Sequence[str]) -> sa.ColumnElement[bool]:
    """Whether a column holds one of these texts: a single parameter carries them all."""
    if len(values) == 1:
        return column == values[0]  # type: ignore[no-any-return]
    return column.in_(each(dialect, sa.literal(json.dumps(list(values)), sa.Text)))  # type: ignore[no-any-return]


def each(dialect: str, listed: sa.ColumnElement[str]) -> sa.Select[Any]:
    """The texts of a list that one parameter carries as JSON."""
    if dialect == "postgresql":
        texts = sa.func.json_array_elements_text(sa.cast(listed, sa.JSON)).column_valued("listed")
        return sa.select(texts)
    table = sa.func.json_each(listed).table_valued("value", name="listed")
    return sa.select(table.c.value)
