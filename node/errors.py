"""What is worth a retry. This module alone decides between transient and permanent.

A permanent error would come back with the same input (bad geometry, a fault in a plugin); a
transient one may go away by itself (peer away, disk full, out of memory on a shared machine).
"""

from __future__ import annotations


class NodeError(Exception):
    """Base of the errors raised by ``node``."""


class SettingsError(NodeError):
    """The settings cannot be used; every line of the message names a key and what to do."""


class JobError(NodeError):
    """A job could not be done; ``traceback`` is the plugin's own, as text, where there is one."""

    transient = False

    def __init__(self, reason: str, traceback: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.traceback = traceback


class AnalyzerFault(JobError):  # noqa: N818
    """The analyzer raised."""


class ResultRefused(JobError):  # noqa: N818
    """The output gate let an object not pass; it lies in quarantine."""


class UnreadableSeries(JobError):  # noqa: N818
    """The series is no volume: its geometry or its pixels are unfit; the reason says which."""


class WorkerCrashed(JobError):  # noqa: N818
    """The worker process died: a segmentation fault, an abort, a kill from outside."""


class TimeLimitExceeded(JobError):  # noqa: N818
    """The analyzer ran longer than its limit and was killed."""


class MemoryLimitExceeded(JobError):  # noqa: N818
    """The worker held more memory than its limit and was killed."""


class TransientJobError(JobError):
    """Something outside the job failed: disk full, file system away, device out of memory."""

    transient = True


class WorkersStopped(TransientJobError):
    """The node is shutting down; the job is due again at the next start."""


_TRANSIENT_NAMES = frozenset({"OutOfMemoryError", "OutOfSpace", "StoreUnavailable"})


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later without anybody changing anything.

    Checked by name for errors of packages that must not be imported here (torch's
    ``OutOfMemoryError``).
    """
    if isinstance(error, JobError):
        return error.transient
    if type(error).__name__ in _TRANSIENT_NAMES:
        return True
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
