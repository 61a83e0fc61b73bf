"""Opens the database: SQLite by default, PostgreSQL when one machine is outgrown.

A ``Transaction`` is handed to every function of this package, so that callers compose one.
"""

from __future__ import annotations

import copy
import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from storage import schema
from storage.change import Change
from storage.engines import (
    DEADLINE,
    DISPATCHER_LOCK,
    LOOK,
    RESTRICTION,
    TOO_LONG,
    TOO_MANY,
    options,
    server_engine,
    sqlite_engine,
)
from storage.errors import DatabaseUnavailable, NoDatabase, Overloaded, SchemaMismatch
from storage.faults import is_refused

if TYPE_CHECKING:
    from storage.restriction import Restriction

Transaction = sa.Connection

BUSY_S = 10
"""How long a writer waits for another before the database counts as unavailable."""

MIGRATIONS = Path(__file__).parent / "migrations"
_REVISIONS = "alembic_version"
"""The table in which alembic keeps which one the schema has."""

ENOUGH = 10_000
"""From so many instances on statistics are kept: those of a few rows mislead."""
_LOOKED_AT = 400
"""Of each index so many entries: SQLite's own advice, some milliseconds."""

LOOK_S = 5.0
"""How long whoever only looks may take."""


class Database:
    """An open database. All methods may be called from any thread."""

    def __init__(
        self,
        engine: sa.Engine,
        looking: sa.Engine,
        lock_file: Path | None,
        busy_s: float = BUSY_S,
    ) -> None:
        self._engine = engine
        self._busy_s = busy_s
        self._writing = threading.Lock()
        self._looking = looking
        self._change = Change(engine)
        self._lock_file = lock_file
        self._lock: IO[bytes] | Transaction | None = None
        self._locking = threading.Lock()
        self._restriction: Callable[[], Restriction] | None = None

    def seen_by(self, restriction: Callable[[], Restriction]) -> Database:
        """The same database as whoever asks sees it: ``restriction`` is asked at the beginning of
        each transaction, and says which studies are there in it (``storage.restriction``).

        It is closed with this one.
        """
        seen = copy.copy(self)
        seen._restriction = restriction
        return seen

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view; nothing may be written in it.

        Raises
        ------
        DatabaseUnavailable
        """
        with self._transaction(self._engine, options(self._engine, write=False)) as tx:
            yield tx

    @contextmanager
    def look(self, limit_s: float = LOOK_S) -> Iterator[Transaction]:
        """A consistent view for pages and programs that only show: on few connections of their
        own, so that those who receive and work never wait for them, and not for longer than
        ``limit_s``.

        Raises
        ------
        DatabaseUnavailable
        Overloaded
            Too many look at once, or it takes too long.
        """
        deadline = time.monotonic() + limit_s
        chosen = {**options(self._looking, write=False), DEADLINE: deadline}
        try:
            with self._transaction(self._looking, chosen) as tx:
                yield tx
        except DatabaseUnavailable as error:
            if isinstance(error.__cause__, PoolTimeout):
                raise Overloaded(TOO_MANY) from error
            if time.monotonic() > deadline:
                raise Overloaded(TOO_LONG) from error
            raise

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction: committed and synced at the end, undone by an exception.

        Raises
        ------
        DatabaseUnavailable
        """
        with self._turn(), self._transaction(self._engine, options(self._engine, write=True)) as tx:
            yield tx

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Who waits for a writer of this process goes on when that has ended. SQLite sleeps, up to
        a tenth of a second, and looks again: left to it is who waits for another process, or for
        too long."""
        if self._engine.dialect.name != "sqlite":
            yield
            return
        is_mine = self._writing.acquire(timeout=self._busy_s)
        try:
            yield
        finally:
            if is_mine:
                self._writing.release()

    def mark(self) -> object:
        """See ``Change.mark``.

        Raises
        ------
        DatabaseUnavailable
        """
        return self._change.mark()

    def prove(self, at: datetime) -> None:
        """Write a row and commit it: the database works.

        Raises
        ------
        DatabaseUnavailable
        """
        with self.write() as tx:
            tx.execute(sa.delete(schema.heartbeat))
            tx.execute(sa.insert(schema.heartbeat).values(id=1, at=at))

    def refresh_statistics(self, enough: int = ENOUGH) -> bool:
        """Tell the planner of statements how much there is; false while there are not ``enough``
        instances for it to matter. What has changed little since is not looked at again.

        Raises
        ------
        DatabaseUnavailable
        """
        with self.read() as tx:
            newest = tx.scalar(sa.select(sa.func.max(schema.instances.c.id))) or 0
        if newest < enough:
            return False
        for statement in self._due_statistics():  # one a transaction: others write in between
            with self.write() as tx:
                if tx.dialect.name == "sqlite":
                    tx.exec_driver_sql(f"PRAGMA analysis_limit = {_LOOKED_AT}")
                tx.exec_driver_sql(statement)
        return True

    def _due_statistics(self) -> list[str]:
        with self.write() as tx:
            if tx.dialect.name == "sqlite":  # says what it would do, and does not do it
                return list(tx.exec_driver_sql("PRAGMA optimize = 0x10003").scalars())
        return [f"ANALYZE {name}" for name in schema.metadata.tables]

    def try_lock_dispatcher(self) -> bool:
        """Become the one dispatcher of this database, until unlocked or the process ends.

        Raises
        ------
        DatabaseUnavailable
        """
        with self._locking:
            if self._lock is not None:
                return False
            file = self._lock_file
            self._lock = _lock_on_file(file) if file else self._lock_on_server()
            return self._lock is not None

    def keep_dispatcher_lock(self) -> bool:
        """Whether this is still the one dispatcher; a lock that a lost server session took away
        is asked for again."""
        with self._locking:
            if self._lock is None:
                return False
            if self._lock_file or _is_alive(self._lock):
                return True
            self._lock = self._lock_on_server()
            return self._lock is not None

    def unlock_dispatcher(self) -> None:
        with self._locking:
            if self._lock is not None:
                self._lock.close()
            self._lock = None

    def close(self) -> None:
        self.unlock_dispatcher()
        self._change.close()
        self._engine.dispose()
        self._looking.dispose()

    @contextmanager
    def _transaction(self, engine: sa.Engine, chosen: dict[str, Any]) -> Iterator[Transaction]:
        if self._restriction is not None:
            chosen = {**chosen, RESTRICTION: self._restriction()}
        try:
            with (
                engine.connect() as connection,
                connection.execution_options(**chosen).begin(),
            ):
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            if isinstance(error, DBAPIError) and is_refused(error):
                raise  # a fault of this program or of a value, not of the database
            raise DatabaseUnavailable(_cause(error)) from error

    def _lock_on_server(self) -> Transaction | None:
        try:
            connection = self._engine.connect()
            connection.detach()  # closing it must end the session, and with it the lock
            held = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(DISPATCHER_LOCK)))
            connection.commit()
        except (DBAPIError, PoolTimeout) as error:
            raise DatabaseUnavailable(_cause(error)) from error
        if held:
            return connection
        connection.close()
        return None


def _is_alive(held: IO[bytes] | Transaction) -> bool:
    if not isinstance(held, sa.Connection):
        return True
    try:
        held.scalar(sa.select(1))
        held.commit()
    except DBAPIError:
        held.invalidate()
        held.close()
        return False
    return True


def _lock_on_file(path: Path) -> IO[bytes] | None:
    try:
        handle = path.open("ab")
    except OSError as error:
        raise DatabaseUnavailable(f"{path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def is_url(text: str) -> bool:
    """Whether a text can be read as the URL of a database."""
    try:
        make_url(text)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        return False
    return True


def open_database(url: str, busy_s: float = BUSY_S) -> Database:
    """Open a database, made and migrated to the newest schema where needed.

    A transaction waits ``busy_s`` for one that holds what it needs.

    Raises
    ------
    DatabaseUnavailable
        It cannot be reached or made.
    SchemaMismatch
        A newer version of the node made it, or its driver is missing or unsafe.
    """
    parsed = _parsed(url)
    database = _database(parsed, busy_s)
    try:
        _migrate(parsed)
    except BaseException:
        database.close()
        raise
    return database


def visit_database(url: str, read_only: bool = True) -> Database:
    """A database that a node has made, perhaps running now: nothing is made or migrated.

    Raises
    ------
    DatabaseUnavailable
        It cannot be reached.
    NoDatabase
        No node has worked here.
    SchemaMismatch
        Its schema is older than this version's, or newer.
    """
    database = _existing(_parsed(url), read_only)
    try:
        with database.read() as tx:
            _compare_schema(tx)
    except BaseException:
        database.close()
        raise
    return database


def _existing(url: URL, read_only: bool) -> Database:
    if url.get_backend_name() != "sqlite":
        return _database(url)
    path = Path(url.database or "")
    if not path.is_file() or not path.stat().st_size:
        raise NoDatabase(f"no node here: there is no database {path}")
    if not read_only:
        return _database(url)
    name = f"file:{quote(str(path))}"  # opened for reading: even a faulty statement changes nothing
    only = URL.create("sqlite", database=name, query={"mode": "ro", "uri": "true"})
    return Database(sqlite_engine(only, BUSY_S), sqlite_engine(only, BUSY_S, pool=LOOK), None)


def _compare_schema(tx: Transaction) -> None:
    found = _revision(tx)
    if not found:
        raise NoDatabase("no node here: the database holds no tables of one")
    known = _known_revisions()
    if found == known[-1]:
        return
    if found in known:
        raise SchemaMismatch(
            "the schema of the database is older than this version's: it is brought up to date"
            " when the node is started with this version"
        )
    raise SchemaMismatch(
        "the schema of the database is newer than this version's: use the version that the node"
        " runs"
    )


def _revision(tx: Transaction) -> str:
    """That of the schema; empty without one. Nothing of alembic is read for it: a database is
    migrated once a version, and opened often."""
    if not sa.inspect(tx).has_table(_REVISIONS):
        return ""
    return ",".join(sorted(tx.scalars(sa.text(f"SELECT version_num FROM {_REVISIONS}"))))


def _known_revisions() -> list[str]:
    """Those of this version, the newest last: each is the number its file begins with."""
    found = (MIGRATIONS / "versions").glob("[0-9]*_*.py")
    return sorted(path.name.partition("_")[0] for path in found)


def join_database(url: str) -> Database:
    """A database that another process of the node has opened: nothing is asked of it here.

    So it may be locked, or away for a while.

    Raises
    ------
    DatabaseUnavailable
        The URL cannot be read.
    """
    return _database(_parsed(url))


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # their text may hold the password
        raise DatabaseUnavailable("the database's URL cannot be read") from None


def _database(url: URL, busy_s: float = BUSY_S, foreign_keys: bool = True) -> Database:
    if url.get_backend_name() == "sqlite":
        lock_file = _sqlite_folder(url)
        working = sqlite_engine(url, busy_s, foreign_keys)
        looking = sqlite_engine(url, busy_s, foreign_keys, LOOK)
        return Database(working, looking, lock_file, busy_s)
    return Database(server_engine(url, busy_s), server_engine(url, busy_s, LOOK), None)


def _sqlite_folder(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise DatabaseUnavailable("a database in memory would lose what was acknowledged")
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(f"{path.parent} cannot be made: {error}") from error
    return path.with_name(path.name + ".dispatcher.lock")


def _migrate(url: URL) -> None:
    """Bring the schema to its newest revision.

    On a connection without foreign keys: SQLite alters a table by making it anew, and dropping the
    old one would delete what refers to it.
    """
    migrating = _database(url, foreign_keys=False)
    try:
        with migrating.write() as tx:
            _upgrade(tx)
    finally:
        migrating.close()


def _upgrade(tx: Transaction) -> None:
    before = _revision(tx)
    if before == _known_revisions()[-1]:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql("SET LOCAL statement_timeout = 0")  # a large table takes its time
    tables = set(sa.inspect(tx).get_table_names())
    if _REVISIONS not in tables and tables & schema.metadata.tables.keys():
        raise SchemaMismatch("the database holds tables of another program")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = tx
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaMismatch(
            f"the database was made by a newer version of this node, or by another program: {error}"
        ) from error
    if _revision(tx) != before and tx.dialect.name == "sqlite" and _has_orphans(tx):
        raise SchemaMismatch("after the migration a row refers to one that is not there")


def _has_orphans(tx: Transaction) -> bool:
    return tx.exec_driver_sql("PRAGMA foreign_key_check").first() is not None


def _cause(error: Exception) -> str:
    """What the driver said, without the statement and its values."""
    original = getattr(error, "orig", None)
    return (str(original or error).splitlines() or [type(error).__name__])[0]
