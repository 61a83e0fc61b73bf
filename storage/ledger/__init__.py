"""The job ledger: one row a job, its state, its attempts, and why.

pending → running → done | failed | not_applicable | cancelled. Every transition is an event. What a
finished job leaves – results and the deliveries they cause – is entered in the same transaction.
"""

from storage.ledger.cancelling import NotCancelled, cancel, cancelled, told_of
from storage.ledger.cancelling import not_told_of as cancelled_not_told_of
from storage.ledger.cancelling import wanted as wanted_cancelled
from storage.ledger.claiming import claim, is_anything_open
from storage.ledger.ending import (
    JobRunning,
    NotReleased,
    done,
    failed,
    not_applicable,
    release_running,
    released,
    restart,
    retry_later,
    wait_for,
    want_forms,
    without_forms,
)
from storage.ledger.entering import enqueue, enqueue_all, enqueue_beside, prepare
from storage.ledger.lines import add_lines, lines_of
from storage.ledger.names import inputs_digest, job_key, joined_digest, key_of, parameters_digest
from storage.ledger.notices import notice_settled, notices_owed, owe_notice
from storage.ledger.reading import (
    companions_of,
    find,
    first_input,
    get,
    input_instances,
    list_jobs,
    read_jobs,
    report_of,
    results_of,
    studies_of,
    waited_for,
)
from storage.ledger.rows import HEAD_START, PREPARED

__all__ = [
    "HEAD_START",
    "PREPARED",
    "JobRunning",
    "NotCancelled",
    "NotReleased",
    "add_lines",
    "cancel",
    "cancelled",
    "cancelled_not_told_of",
    "claim",
    "companions_of",
    "done",
    "enqueue",
    "enqueue_all",
    "enqueue_beside",
    "failed",
    "find",
    "first_input",
    "get",
    "input_instances",
    "inputs_digest",
    "is_anything_open",
    "job_key",
    "joined_digest",
    "key_of",
    "lines_of",
    "list_jobs",
    "not_applicable",
    "notice_settled",
    "notices_owed",
    "owe_notice",
    "parameters_digest",
    "prepare",
    "read_jobs",
    "release_running",
    "released",
    "report_of",
    "restart",
    "results_of",
    "retry_later",
    "studies_of",
    "told_of",
    "wait_for",
    "waited_for",
    "want_forms",
    "wanted_cancelled",
    "without_forms",
]
