"""Inserts that bear what is there already, as both databases know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def insert(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An insert with ``on_conflict``, of the dialect of this name. Each is read where it is used:
    a node has one database."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def insert_missing(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that leaves out what is there."""
    return insert(dialect, table).on_conflict_do_nothing()
