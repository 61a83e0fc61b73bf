"""Fixtures of the storage tests: each database test runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from storage.database import Database, open_database
from storage.instances import InstanceStore

TEMPLATE = "migrated"


@dataclass(frozen=True)
class Server:
    """A PostgreSQL that listens on a socket in ``folder`` only."""

    folder: Path

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(
            host=str(self.folder), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL of our own, started once; what needs it is skipped where it cannot start."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL is not installed: its half of the storage tests does not run")
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # five times as fast
    folder = Path(tempfile.mkdtemp(prefix="wetread-pg-", dir=memory))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    try:
        _control(f"{programs[-1]}/initdb -D {folder}/data -A trust -U postgres --no-sync -E UTF8")
        settings = (
            f"-c unix_socket_directories={folder} -c listen_addresses= -c fsync=off"
            " -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off"
        )
        start = f"{programs[-1]}/pg_ctl -D {folder}/data -l {folder}/log -w -t 30"
        try:
            _control(f"{start} -o '{settings}' start")
            server = Server(folder)
            server.execute(f"CREATE DATABASE {TEMPLATE}")
            open_database(server.url(TEMPLATE)).close()
            yield server
        finally:
            _control(f"{programs[-1]}/pg_ctl -D {folder}/data -w -m immediate stop")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"PostgreSQL cannot be started: {error.stderr.decode()[-300:]}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _control(command: str) -> None:
    words = ["su", "postgres", "-c", command] if os.getuid() == 0 else ["sh", "-c", command]
    subprocess.run(
        words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, cwd="/", timeout=60,
    )  # fmt: skip


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
    server: Server = request.getfixturevalue("server")
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
def empty_url(make_url: Callable[[bool], str]) -> str:
    """A database that nobody has opened yet."""
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
