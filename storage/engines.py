"""Connections to SQLite and PostgreSQL, set up so that both behave alike.

One writer at a time, a wait for it that ends, and readers that see one moment: what SQLite does by
nature, PostgreSQL is told to do. So code that is right on one is right on the other.
"""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from storage.errors import SchemaMismatch

SAFE_SQLITE = (3, 51, 3)
"""Older ones can corrupt a WAL database that several connections share (the WAL-reset bug)."""

WRITE = "wetread_write"
"""Execution option of a connection: whether its transactions write."""

_POOL = {"pool_size": 8, "max_overflow": 24}
_WRITER_LOCK = 0x57657477  # any numbers that no other program on the server uses
DISPATCHER_LOCK = 0x57657472


def sqlite_engine(url: URL, busy_s: float, foreign_keys: bool = True) -> sa.Engine:
    """An engine on pysqlite3.

    Raises
    ------
    SchemaMismatch
        The SQLite in it is one that can corrupt the database.
    """
    from pysqlite3 import dbapi2

    if dbapi2.sqlite_version_info < SAFE_SQLITE:
        raise SchemaMismatch(
            f"SQLite {dbapi2.sqlite_version} can corrupt the database: install pysqlite3>=0.6.1"
            " (not pysqlite3-binary)"
        )
    engine = sa.create_engine(
        url.set(drivername="sqlite+pysqlite"),
        module=dbapi2,
        poolclass=sa.pool.QueuePool,
        pool_timeout=busy_s,
        connect_args={"check_same_thread": False, "timeout": busy_s},
        hide_parameters=True,  # errors are logged, and parameters are patients' data
        **_POOL,
    )

    def set_pragmas(connection: Any, record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
        connection.execute(f"PRAGMA busy_timeout = {round(busy_s * 1000)}")
        _use_wal(connection, busy_s, dbapi2.OperationalError)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")

    sa.event.listen(engine, "connect", set_pragmas)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _use_wal(connection: Any, busy_s: float, locked: type[Exception]) -> None:
    """Switch to the write-ahead log. SQLite does not wait here while another process switches."""
    deadline = time.monotonic() + busy_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except locked:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get(WRITE, False)
    connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def server_engine(url: URL, busy_s: float) -> sa.Engine:
    """An engine on PostgreSQL.

    Raises
    ------
    SchemaMismatch
        The driver is missing.
    """
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    try:
        engine = sa.create_engine(
            url,
            pool_pre_ping=True,
            pool_timeout=busy_s,
            connect_args={"connect_timeout": max(round(busy_s), 2)},
            hide_parameters=True,
            **_POOL,
        )
    except ImportError as error:
        raise SchemaMismatch(
            f"the driver for {url.drivername} is missing: pip install 'wetread[postgres]'"
        ) from error

    def begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get(WRITE, False):
            wait = f"SET LOCAL lock_timeout = {round(busy_s * 1000)}"
            connection.exec_driver_sql(wait)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK)))

    sa.event.listen(engine, "begin", begin)
    return engine


def options(engine: sa.Engine, write: bool) -> dict[str, Any]:
    """The execution options of a transaction."""
    if write or engine.dialect.name == "sqlite":
        return {WRITE: write}
    return {WRITE: False, "isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
