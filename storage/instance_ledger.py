"""How far the instances of a study have come: announced, stored, analyzed, sent, committed.

A view: every number is counted in the tables that hold the facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from storage import announcements, gaps, schema
from storage.announcements import Announced
from storage.database import Transaction
from storage.gaps import Gap
from storage.records import (
    DeliveryState,
    JobState,
    ResultCommitmentState,
    StudyRow,
)

_ANALYZED = (JobState.DONE.value, JobState.NOT_APPLICABLE.value)
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Count:
    """``done`` of ``total``."""

    done: int
    total: int


_NONE = Count(0, 0)


@dataclass(frozen=True, slots=True)
class InstanceLedger:
    """The stages of one study's way."""

    announced: int | None
    """Instances that peers have announced; None where nobody announces."""
    missing: int
    """Announced, and not stored."""
    stored: int
    """Synced on disk and indexed."""
    jobs: Count
    """Those that came to a result, be it that they do not apply; what failed did not."""
    sent: Count
    """Results, once for each destination."""
    committed: Count
    """Of the results that were sent to destinations which are asked to commit."""
    gaps: tuple[Gap, ...]


def of_study(tx: Transaction, study: StudyRow) -> InstanceLedger:
    """The ledger of one study."""
    return of_studies(tx, [study])[study.id]


def of_studies(tx: Transaction, studies: Iterable[StudyRow]) -> dict[int, InstanceLedger]:
    """The ledgers of studies, by row number; the number of statements grows with none of them."""
    found: dict[int, InstanceLedger] = {}
    every = list(studies)
    for start in range(0, len(every), _AT_ONCE):
        found |= _of_part(tx, every[start : start + _AT_ONCE])
    return found


def _of_part(tx: Transaction, studies: Sequence[StudyRow]) -> dict[int, InstanceLedger]:
    ids = [study.id for study in studies]
    uids = [study.study_instance_uid for study in studies]
    announced = announcements.announced_in_studies(tx, uids)
    jobs, sent, committed = _jobs(tx, ids), _sent(tx, ids), _committed(tx, ids)
    standing = gaps.open_gaps_of(tx, ids)
    return {
        study.id: _ledger(
            study,
            announced.get(study.study_instance_uid),
            jobs.get(study.id, _NONE),
            sent.get(study.id, _NONE),
            committed.get(study.id, _NONE),
            tuple(gap for gap in standing if gap.study_id == study.id),
        )
        for study in studies
    }


def _ledger(
    study: StudyRow,
    announced: Announced | None,
    jobs: Count,
    sent: Count,
    committed: Count,
    standing: tuple[Gap, ...],
) -> InstanceLedger:
    return InstanceLedger(
        announced=announced.instances if announced else None,
        missing=announced.missing if announced else 0,
        stored=study.instances,
        jobs=jobs,
        sent=sent,
        committed=committed,
        gaps=standing,
    )


def _jobs(tx: Transaction, study_ids: Sequence[int]) -> dict[int, Count]:
    table = schema.jobs
    done = sa.case((table.c.state.in_(_ANALYZED), 1), else_=0)
    query = sa.select(table.c.study_id, sa.func.count(), _sum(done))
    return _counts(tx, query.where(table.c.study_id.in_(study_ids)).group_by(table.c.study_id))


_NEVER_SENT = (DeliveryState.SUPERSEDED.value, DeliveryState.LEFT_OUT.value)


def _sent(tx: Transaction, study_ids: Sequence[int]) -> dict[int, Count]:
    table, jobs = schema.deliveries, schema.jobs
    done = sa.case((table.c.state == DeliveryState.SENT.value, 1), else_=0)
    query = (
        sa.select(jobs.c.study_id, sa.func.count(), _sum(done))
        .select_from(jobs.join(table, table.c.job_id == jobs.c.id))
        .where(jobs.c.study_id.in_(study_ids))
        .where(table.c.state.not_in(_NEVER_SENT))
    )
    return _counts(tx, query.group_by(jobs.c.study_id))


def _committed(tx: Transaction, study_ids: Sequence[int]) -> dict[int, Count]:
    table, deliveries, jobs = schema.result_commitments, schema.deliveries, schema.jobs
    done = sa.case((table.c.state == ResultCommitmentState.COMMITTED.value, 1), else_=0)
    query = (
        sa.select(jobs.c.study_id, sa.func.count(), _sum(done))
        .select_from(table)
        .join(deliveries, deliveries.c.id == table.c.delivery_id)
        .join(jobs, jobs.c.id == deliveries.c.job_id)
        .where(jobs.c.study_id.in_(study_ids))
    )
    return _counts(tx, query.group_by(jobs.c.study_id))


def _sum(column: sa.Case[int]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(column), 0)


def _counts(tx: Transaction, query: sa.Executable) -> dict[int, Count]:
    return {study_id: Count(int(done), int(total)) for study_id, total, done in tx.execute(query)}
