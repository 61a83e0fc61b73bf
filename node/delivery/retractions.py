"""The note that takes back, at one destination, what later results have taken the place of.

Owns when it is due and what it names. It is a job of its own in the ledger, entered in the
transaction that records the last of the new results as stored there: the old ones are never taken
back before there are others, and never twice. What the destination was not sent is not named.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from storage import ledger, own_jobs, retractable
from storage.database import Transaction
from storage.records import JobState, NewJob
from storage.retractable import DESTINATION, OBJECTS, REASON

VERSION = "1"


def enter_due(
    tx: Transaction, job_id: int, destination: str, reason: str, at: datetime
) -> int | None:
    """Enter the note that is due now that a destination has stored something of a job; None where
    none is. ``reason`` is one of ``node.results.study.key_objects.REJECTED``.

    That a job failed takes the place of no results.
    """
    job = ledger.get(tx, job_id)
    if job.analyzer == own_jobs.RETRACTION or job.state is JobState.FAILED:
        return None
    if not retractable.is_stored(tx, job_id, destination):
        return None
    objects = retractable.superseded(tx, job_id, destination)
    first = ledger.first_input(tx, job_id)
    if not objects or first is None:
        return None
    uids = sorted(one.sop_instance_uid for one in objects)
    parameters = {DESTINATION: destination, REASON: reason, OBJECTS: " ".join(uids)}
    note = NewJob(
        inputs_digest=hashlib.sha256(json.dumps([job.key, destination, uids]).encode()).hexdigest(),
        analyzer=own_jobs.RETRACTION,
        analyzer_version=VERSION,
        parameters_digest=ledger.parameters_digest(parameters),
        parameters=parameters,
        study_id=job.study_id,
        series_id=first.series_id,
        instance_ids=(first.instance_id,),
        rule=job.rule,
        priority=job.priority,
        destinations=(destination,),
        notices=False,
    )
    return ledger.enqueue_beside(tx, note, at)
