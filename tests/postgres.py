"""A PostgreSQL of the tests' own, for those that run on both databases."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from storage.database import open_database

TEMPLATE = "migrated"


@dataclass(frozen=True)
class Postgres:
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
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of our own, started once; what needs it is skipped where it cannot start."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL is not installed: the tests on it do not run")
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
            server = Postgres(folder)
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
