"""Opens the database: SQLite by default, PostgreSQL when one machine is outgrown.

A ``Transaction`` is handed to every function of this package, so that callers compose one.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from storage import schema
from storage.errors import DatabaseUnavailable, SchemaMismatch

Transaction = sa.Connection

BUSY_S = 10
"""How long a writer waits for another before the database counts as unavailable."""

SAFE_SQLITE = (3, 51, 3)
"""Older ones can corrupt a WAL database that several connections share (the WAL-reset bug)."""

_WRITE = "wetread_write"
_LOCK_ID = 0x57657472  # any number that no other program on the server uses


class Database:
    """An open database. All methods may be called from any thread."""

    def __init__(self, engine: sa.Engine, lock_file: Path | None) -> None:
        self._engine = engine
        self._lock_file = lock_file
        self._lock: IO[bytes] | Transaction | None = None
        self._locking = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view; nothing may be written in it.

        Raises
        ------
        DatabaseUnavailable
        """
        with self._transaction(write=False) as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction: committed and synced at the end, undone by an exception.

        Raises
        ------
        DatabaseUnavailable
        """
        with self._transaction(write=True) as tx:
            yield tx

    def prove(self, at: datetime) -> None:
        """Write a row and commit it: the database works.

        Raises
        ------
        DatabaseUnavailable
        """
        with self.write() as tx:
            tx.execute(sa.delete(schema.heartbeat))
            tx.execute(sa.insert(schema.heartbeat).values(id=1, at=at))

    def try_lock_dispatcher(self) -> bool:
        """Become the one dispatcher of this database, until unlocked or the process ends."""
        with self._locking:
            if self._lock is not None:
                return False
            self._lock = self._lock_on_file() if self._lock_file else self._lock_on_server()
            return self._lock is not None

    def unlock_dispatcher(self) -> None:
        with self._locking:
            if self._lock is not None:
                self._lock.close()
            self._lock = None

    def close(self) -> None:
        self.unlock_dispatcher()
        self._engine.dispose()

    @contextmanager
    def _transaction(self, write: bool) -> Iterator[Transaction]:
        try:
            with self._engine.connect() as connection:
                options: dict[str, Any] = {_WRITE: write}
                with connection.execution_options(**options).begin():
                    yield connection
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise DatabaseUnavailable(_cause(error)) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise DatabaseUnavailable(_cause(error)) from error
            raise

    def _lock_on_file(self) -> IO[bytes] | None:
        if self._lock_file is None:
            return None
        handle = self._lock_file.open("ab")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return None
        return handle

    def _lock_on_server(self) -> Transaction | None:
        connection = self._engine.connect()
        connection.detach()  # closing it must end the session, and with it the lock
        held = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_LOCK_ID)))
        connection.commit()
        if held:
            return connection
        connection.close()
        return None


def open_database(url: str) -> Database:
    """Open a database, made and migrated to the newest schema where needed.

    Raises
    ------
    DatabaseUnavailable
        It cannot be reached or made.
    SchemaMismatch
        A newer version of the node made it, or its driver is missing or unsafe.
    """
    parsed = make_url(url)
    lock_file: Path | None = None
    if parsed.get_backend_name() == "sqlite":
        lock_file = _sqlite_folder(parsed)
        engine = _sqlite_engine(parsed)
    else:
        engine = _server_engine(parsed)
    database = Database(engine, lock_file)
    try:
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _sqlite_folder(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise DatabaseUnavailable("a database in memory would lose what was acknowledged")
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(f"{path.parent} cannot be made: {error}") from error
    return path.with_name(path.name + ".dispatcher.lock")


def _sqlite_engine(url: URL) -> sa.Engine:
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
        pool_size=8,
        max_overflow=24,
        pool_timeout=BUSY_S,
        connect_args={"check_same_thread": False, "timeout": BUSY_S},
    )
    sa.event.listen(engine, "connect", _set_pragmas)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_pragmas(connection: Any, record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_S * 1000}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _server_engine(url: URL) -> sa.Engine:
    try:
        return sa.create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=24)
    except ImportError as error:
        raise SchemaMismatch(
            f"the driver for {url.drivername} is missing: pip install 'wetread[postgres]'"
        ) from error


def _migrate(database: Database) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with database.write() as tx:
        config.attributes["connection"] = tx
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SchemaMismatch(
                "the database was made by a newer version of this node, or by another program:"
                f" {error}"
            ) from error


def _cause(error: Exception) -> str:
    """What the driver said, without the statement and its values."""
    original = getattr(error, "orig", None)
    return str(original or error).splitlines()[0]
