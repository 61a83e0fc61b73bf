"""Results of jobs that ended before results were instances of their study: which are none yet.

Their rows say nothing of their headers: whoever enters them (``index.add_own``) has to read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage import outbox, schema
from storage.database import Transaction
from storage.records import ResultObject


@dataclass(frozen=True, slots=True)
class Unentered:
    """A result that is no instance of its study."""

    id: int
    job_id: int
    study_id: int
    ended_at: datetime
    object: ResultObject


def unentered(tx: Transaction, after: int, limit: int) -> list[Unentered]:
    """The next of them behind the result with the id ``after``."""
    results, jobs, instances = schema.results, schema.jobs, schema.instances
    ended_at = sa.func.coalesce(jobs.c.finished_at, jobs.c.created_at, type_=schema.UtcMoment)
    is_it = instances.c.sop_instance_uid == results.c.sop_instance_uid
    query = (
        sa.select(results, jobs.c.study_id, ended_at.label("ended_at"))
        .select_from(results.join(jobs).outerjoin(instances, is_it))
        .where(results.c.id > after, instances.c.id.is_(None))
        .order_by(results.c.id)
        .limit(limit)
    )
    return [
        Unentered(row.id, row.job_id, row.study_id, row.ended_at, outbox.result_object(row))
        for row in tx.execute(query)
    ]
