"""Connections to SQLite and PostgreSQL, set up so that both behave alike.

One writer at a time, a wait for it that ends, and readers that see one moment: what SQLite does by
nature, PostgreSQL is told to do. So code that is right on one is right on the other.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from storage.errors import Overloaded, SchemaMismatch

SAFE_SQLITE = (3, 51, 3)
"""Older ones can corrupt a WAL database that several connections share (the WAL-reset bug)."""

WRITE = "wetread_write"
"""Execution option of a connection: whether its transactions write."""

DEADLINE = "wetread_deadline"
"""Execution option of a connection: when (``time.monotonic``) its transaction has to end."""

RESTRICTION = "wetread_restriction"
"""Execution option of a connection: which studies are there for it (``storage.restriction``)."""


@dataclass(frozen=True, slots=True)
class Pool:
    """How many connections there are, and how long one waits for one of them."""

    size: int
    overflow: int
    wait_s: float

    def options(self) -> dict[str, Any]:
        """The pool's part of the arguments of an engine."""
        return {
            "pool_size": self.size,
            "max_overflow": self.overflow,
            "pool_timeout": self.wait_s,
        }


WORK = Pool(8, 24, 10.0)
"""For receiving, jobs and deliveries."""
LOOK = Pool(4, 0, 2.0)
"""For whoever only looks: few, so that many who look keep nobody from working."""

TOO_LONG = "what was asked for takes too long: ask for less, or again later"
TOO_MANY = "too many ask at once: ask again in a moment"

_ALIVE = {
    "keepalives": 1,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""libpq's: a server that is silent for half a minute, cable pulled or firewall restarted, counts as
away. Without them a statement waits for it for hours."""

_LIMITS_S = {"statement_timeout": 60, "idle_in_transaction_session_timeout": 60}
"""The server's: no statement, and no transaction whose owner was stopped, keeps others waiting."""

_LOOK_EVERY = 20_000
"""After so many steps of a statement SQLite asks whether its time is over: about a millisecond."""
_WRITER_LOCK = 0x57657477  # any numbers that no other program on the server uses
DISPATCHER_LOCK = 0x57657472


def sqlite_engine(
    url: URL, busy_s: float, foreign_keys: bool = True, pool: Pool = WORK
) -> sa.Engine:
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
        connect_args={"check_same_thread": False, "timeout": busy_s},
        hide_parameters=True,  # errors are logged, and parameters are patients' data
        **pool.options(),
    )

    def set_pragmas(connection: Any, record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
        connection.execute(f"PRAGMA busy_timeout = {round(busy_s * 1000)}")
        _use_wal(connection, busy_s, dbapi2.OperationalError)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")

    sa.event.listen(engine, "connect", set_pragmas)
    sa.event.listen(engine, "begin", _begin_sqlite)
    sa.event.listen(engine, "before_cursor_execute", _in_time)
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
    _interrupt_at(connection.connection.driver_connection, _deadline_of(connection))
    if connection.info.get(WRITE) is not write:
        connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
        connection.info[WRITE] = write  # of this connection to the database, until it is closed
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _deadline_of(connection: sa.Connection) -> float | None:
    deadline: float | None = connection.get_execution_options().get(DEADLINE)
    return deadline


def _interrupt_at(connection: Any, deadline: float | None) -> None:
    """SQLite has no time limit of its own: it asks now and then whether to go on."""
    if deadline is None:
        connection.set_progress_handler(None, 0)
    else:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _LOOK_EVERY)


def _in_time(
    connection: sa.Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    many: bool,
) -> None:
    """Before a statement: the time of all together is limited, not only that of each."""
    deadline = _deadline_of(connection)
    if deadline is not None and time.monotonic() > deadline:
        raise Overloaded(TOO_LONG)


def server_engine(url: URL, busy_s: float, pool: Pool = WORK) -> sa.Engine:
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
            connect_args={"connect_timeout": max(round(busy_s), 2), **_ALIVE},
            hide_parameters=True,
            **pool.options(),
        )
    except ImportError as error:
        raise SchemaMismatch(
            f"the driver for {url.drivername} is missing: pip install 'wetread[postgres]'"
        ) from error

    def limit(connection: Any, record: object) -> None:
        """By statements, as a pooler between us and the server may not pass options on."""
        with connection.cursor() as cursor:
            for name, limit_s in _LIMITS_S.items():
                cursor.execute(f"SET {name} = {round(limit_s * 1000)}")
        connection.commit()

    def begin(connection: sa.Connection) -> None:
        deadline = _deadline_of(connection)
        if deadline is not None:
            left_ms = max(1, round((deadline - time.monotonic()) * 1000))
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {left_ms}")
        if connection.get_execution_options().get(WRITE, False):
            wait = f"SET LOCAL lock_timeout = {round(busy_s * 1000)}"
            connection.exec_driver_sql(wait)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK)))

    sa.event.listen(engine, "connect", limit)
    sa.event.listen(engine, "begin", begin)
    sa.event.listen(engine, "before_cursor_execute", _in_time)
    return engine


def options(engine: sa.Engine, write: bool) -> dict[str, Any]:
    """The execution options of a transaction."""
    if write or engine.dialect.name == "sqlite":
        return {WRITE: write}
    return {WRITE: False, "isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
