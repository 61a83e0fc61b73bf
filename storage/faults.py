"""Which errors of a database say that it is away, and which that it will never take this.

What is away is waited for; what is refused for good must be set aside, or it stops all that comes
after it. The drivers' classes do not tell: PostgreSQL calls an index entry that is too long an
operational error, as it does a lost connection.
"""

from __future__ import annotations

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)

_REFUSED = (IntegrityError, DataError, ProgrammingError, NotSupportedError)

_REFUSED_STATES = frozenset({"0A", "21", "22", "23", "2F", "42", "44", "54"})
"""Classes of SQLSTATE (PostgreSQL, appendix A) about a statement or its values: not supported,
cardinality, data, integrity, routine, syntax or access, check option, limits of the program."""

_REFUSED_CODES = frozenset({1, 12, 18, 19, 20, 21, 25})
"""SQLite's primary result codes ERROR, NOTFOUND, TOOBIG, CONSTRAINT, MISMATCH, MISUSE, RANGE."""


def is_refused(error: DBAPIError) -> bool:
    """Whether the same statement with the same values would fail again, however long one waits."""
    if error.connection_invalidated:
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state[:2] in _REFUSED_STATES
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _REFUSED_CODES
    return isinstance(error, _REFUSED)
