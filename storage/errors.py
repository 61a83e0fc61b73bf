"""The errors of ``storage``. ``node.errors`` decides which of them are worth a retry."""

from __future__ import annotations


class StorageError(Exception):
    """Base of all errors raised by this package."""


class DatabaseUnavailable(StorageError):
    """The database cannot be reached, is locked by another for too long, or its disk is full."""


class Overloaded(StorageError):
    """Whoever only looks must wait: too many look at once, or it takes too long. Nothing is wrong
    with the database, and nobody who works on it is kept waiting."""


class NoDatabase(StorageError):
    """No node has worked here: there is no database, or an empty one."""


class SchemaMismatch(StorageError):
    """The database was made by a newer version of this node."""


class StoreUnavailable(StorageError):
    """The instance store cannot be written to or read from (missing folder, I/O error)."""


class OutOfSpace(StoreUnavailable):
    """The disk or the quota of the instance store is full (ENOSPC, EDQUOT)."""


class FolderTaken(StorageError):
    """Another node works in this folder; the message names it."""


class UnreadableInstance(StorageError):
    """A data set lacks what identifies it, or cannot be parsed; the message says what.

    Carries no value of the data set: the message may be logged.
    """


class NotFound(StorageError):
    """There is no row with this id."""
