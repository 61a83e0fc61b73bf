"""Fixtures of the storage tests: each database test runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from storage import database as databases
from storage.database import Database, open_database
from storage.files.instances import InstanceStore
from tests import new_databases
from tests.postgres import TEMPLATE, Postgres


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.interop)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_url(
    request: pytest.FixtureRequest, backend: str, tmp_path: Path
) -> Iterator[Callable[[bool], str]]:
    """Gives URLs of fresh databases; with ``migrated`` they may have our tables already."""
    if backend == "sqlite":
        yield lambda migrated: f"sqlite:///{tmp_path}/db-{uuid4().hex}/wetread.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    made: list[str] = []

    def make(migrated: bool) -> str:
        made.append(f"test_{uuid4().hex}")
        server.execute(
            f"CREATE DATABASE {made[-1]} TEMPLATE {TEMPLATE if migrated else 'template0'}"
            " STRATEGY FILE_COPY"
        )
        return server.url(made[-1])

    yield make
    for name in made:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_url(make_url: Callable[[bool], str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A database that nobody has opened yet, and that the migrations will make."""
    monkeypatch.setattr(databases, "_migrate", new_databases.by_migrations)
    return make_url(False)


@pytest.fixture
def url(make_url: Callable[[bool], str]) -> str:
    """A database for the ``database`` fixture."""
    return make_url(True)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A fresh, open database with all tables."""
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> InstanceStore:
    return InstanceStore(tmp_path / "instances", tmp_path / "quarantine")
