"""Whether anything has been committed to a database since it was last asked: far cheaper to ask
than the questions whose answers would be the same.
"""

from __future__ import annotations

import threading
from typing import Any

import sqlalchemy as sa

from storage.errors import DatabaseUnavailable

_SNAPSHOT = "SELECT CAST(pg_current_snapshot() AS text)"
"""Names the transactions whose changes are seen. The same in all databases of a server."""
_VERSION = "PRAGMA data_version"
"""Changes with what any other connection commits: this one never writes."""


class Change:
    """A connection of its own that only looks. ``mark`` may be called from any thread."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._question = _VERSION if engine.dialect.name == "sqlite" else _SNAPSHOT
        self._lock = threading.Lock()
        self._connection: Any = None
        self._session = 0

    def mark(self) -> object:
        """Equal to an earlier one only where nothing was committed in between, by anybody.

        Raises
        ------
        DatabaseUnavailable
        """
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                return self._session, self._ask(self._connection)
            except (self._faults(), sa.exc.SQLAlchemyError) as error:
                self._close()
                said = str(getattr(error, "orig", None) or error).splitlines()
                raise DatabaseUnavailable(said[0] if said else type(error).__name__) from error

    def close(self) -> None:
        with self._lock:
            self._close()

    def _connect(self) -> Any:
        pooled = self._engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()  # held for good, it would be one fewer for those who work
        if self._engine.dialect.name != "sqlite":
            connection.autocommit = True
        self._session += 1
        return connection

    def _ask(self, connection: Any) -> object:
        """By the driver alone: all that SQLAlchemy does around it costs ten times as much."""
        return connection.execute(self._question).fetchone()[0]

    def _faults(self) -> type[Exception]:
        found: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return found

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
