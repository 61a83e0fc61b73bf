"""New SQLite databases of tests are copies of one that the migrations made: half a second less."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.engine import URL

from storage import database

by_migrations = database._migrate


def by_copying(url: URL) -> None:
    """In place of ``by_migrations``: what is there already is left to those."""
    path = Path(url.database or "")
    if url.get_backend_name() == "sqlite" and not path.exists():
        path.write_bytes(empty())
    else:
        by_migrations(url)


@cache
def empty() -> bytes:
    """A database file with all tables."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        by_migrations(database._parsed(f"sqlite:///{path}"))
        return path.read_bytes()
