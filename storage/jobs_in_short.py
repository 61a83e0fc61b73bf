"""Jobs as the list of studies shows them: how far they are, what they found, what was refused.

A list is read all the time, by many: of each job only this is read, and what was found is made out
of its text once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.records import DeliveryState, FindingRow, JobState
from storage.restriction import only_seen

_MADE_OUT = 2048
"""Texts of findings that are remembered; a list shows some hundred."""


@dataclass(frozen=True, slots=True)
class JobInShort:
    """A job. previews: how many pictures it left. refused: its objects that destinations did not
    take."""

    id: int
    study_id: int
    predecessor_id: int | None
    analyzer: str
    state: JobState
    reason: str
    findings: tuple[FindingRow, ...]
    previews: int
    refused: int


def of_studies(tx: Transaction, study_ids: Sequence[int], each: int) -> dict[int, list[JobInShort]]:
    """The newest jobs of each study, at most ``each``, newest first; in two statements."""
    jobs = schema.jobs
    rank = sa.func.row_number().over(partition_by=jobs.c.study_id, order_by=jobs.c.id.desc())
    ranked = sa.select(jobs.c.id, rank.label("rank")).where(jobs.c.study_id.in_(study_ids))
    newest = ranked.subquery()
    columns = (
        jobs.c.id,
        jobs.c.study_id,
        jobs.c.predecessor_id,
        jobs.c.analyzer,
        jobs.c.state,
        jobs.c.reason,
        sa.cast(jobs.c.findings, sa.Text).label("findings"),
        sa.cast(jobs.c.previews, sa.Text).label("previews"),
    )
    query = sa.select(*columns).join(newest, newest.c.id == jobs.c.id)
    query = query.where(newest.c.rank <= each, *only_seen(tx, jobs.c.study_id))
    rows = tx.execute(query.order_by(jobs.c.id.desc())).all()
    refused = _refused(tx, [row.id for row in rows])
    found: dict[int, list[JobInShort]] = {}
    for row in rows:
        one = JobInShort(
            row.id,
            row.study_id,
            row.predecessor_id,
            row.analyzer,
            JobState(row.state),
            row.reason,
            _findings(row.findings),
            _number(row.previews),
            refused.get(row.id, 0),
        )
        found.setdefault(row.study_id, []).append(one)
    return found


def _refused(tx: Transaction, job_ids: Sequence[int]) -> dict[int, int]:
    """Counted in an index alone."""
    table = schema.deliveries
    query = sa.select(table.c.job_id, sa.func.count()).where(
        table.c.job_id.in_(job_ids), table.c.state == DeliveryState.FAILED.value
    )
    return {job_id: number for job_id, number in tx.execute(query.group_by(table.c.job_id))}


@lru_cache(_MADE_OUT)
def _findings(text: str) -> tuple[FindingRow, ...]:
    return tuple(map(FindingRow.of, json.loads(text)))


@lru_cache(_MADE_OUT)
def _number(text: str) -> int:
    return len(json.loads(text))
