"""Jobs on their way into the ledger: each once, behind those it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import own_jobs, reading_state, schema
from storage.database import Transaction
from storage.ledger import rows
from storage.ledger.names import key_of, taught_digest
from storage.records import JobState, NewJob


def enqueue(tx: Transaction, job: NewJob, at: datetime) -> int | None:
    """Enter a job; None when the same one stands there already.

    An older job of the same analyzer on the study becomes its predecessor; if that one has not
    run yet, it never will.
    """
    return next(iter(enqueue_all(tx, [job], at)), None)


def enqueue_all(tx: Transaction, jobs: Sequence[NewJob], at: datetime) -> list[int]:
    """Enter the jobs of one study, each behind those it waits for; gives the ids of the new ones.

    One that was prepared is due from now on; what was prepared and is not among them never will be.
    """
    entry = _Entry(tx, jobs, at)
    entered = [job_id for job in jobs if (job_id := entry.enter(job)) is not None]
    entry.drop_prepared(entered)
    entry.renew_studies()
    return entered


def enqueue_beside(tx: Transaction, job: NewJob, at: datetime) -> int | None:
    """Enter a job beside whatever is planned for its study; None when it stands there already."""
    entry = _Entry(tx, [job], at)
    entered = entry.enter(job)
    entry.renew_studies()
    return entered


def prepare(tx: Transaction, job: NewJob, at: datetime) -> None:
    """Enter a job that is due only when ``enqueue_all`` is given it again.

    So a job of many instances is no part of the transaction that enters all jobs of its study.
    """
    _Entry(tx, [job], at, rows.PREPARED).enter(job)


class _Entry:
    """Jobs of one study on their way into the ledger: what stands there is read once."""

    def __init__(
        self, tx: Transaction, jobs: Sequence[NewJob], at: datetime, due_at: datetime | None = None
    ) -> None:
        self._tx, self._at = tx, at
        self._due_at = due_at or at
        table = schema.jobs
        keys = {key for job in jobs for key in (key_of(job), *job.waits_for)}
        query = sa.select(
            table.c.id, table.c.key, table.c.study_id, table.c.series_id, table.c.analyzer,
            table.c.state, table.c.not_before, table.c.rule, table.c.variant, table.c.every_series,
        )  # fmt: skip
        self._studies = {job.study_id for job in jobs}
        found = tx.execute(
            query.where(sa.or_(table.c.study_id.in_(self._studies), table.c.key.in_(keys)))
        ).all()
        self._ids: dict[str, int] = {row.key: row.id for row in found}
        self._prepared = {row.key for row in found if _is_prepared(row)}
        self._older = found
        self._inputs: dict[tuple[int, ...], int] = {}
        self._dropped: set[int] = set()

    def enter(self, job: NewJob) -> int | None:
        key = key_of(job)
        job_id = self._ids.get(key)
        if job_id is None:
            job_id = self._ids[key] = self._insert(job, key)
        elif key not in self._prepared or self._due_at == rows.PREPARED:
            return None
        if self._due_at < rows.PREPARED:
            self._make_due(job, job_id)
        return job_id

    def drop_prepared(self, entered: Sequence[int]) -> None:
        """Other images came while these were planned."""
        reason = "not run: other images came while it was planned"
        for row in self._older:
            if row.key not in self._prepared or row.id in entered:
                continue
            if row.state == JobState.PENDING.value and row.id not in self._dropped:
                ended = {"finished_at": self._at, "reason": reason}
                rows.change(self._tx, row.id, state=JobState.NOT_APPLICABLE.value, **ended)
                before, after = JobState.PENDING, JobState.NOT_APPLICABLE
                rows.record(self._tx, self._at, row.id, before, after, reason)

    def renew_studies(self) -> None:
        """Once, after all jobs: their studies' states follow."""
        for study_id in sorted(self._studies):
            reading_state.renew(self._tx, study_id)

    def _insert(self, job: NewJob, key: str) -> int:
        values = _row(job, key, self._at, _predecessor(self._older, job))
        values["not_before"] = self._due_at
        entered = self._tx.execute(sa.insert(schema.jobs), values)
        job_id = int((entered.inserted_primary_key or (0,))[0])
        self._enter_inputs(job, job_id)
        _enter_companions(self._tx, job, job_id)
        self._enter_waits(job, job_id)
        return job_id

    def _make_due(self, job: NewJob, job_id: int) -> None:
        if key_of(job) in self._prepared:
            rank_at = self._at - rows.HEAD_START[job.priority]
            values = {"not_before": self._at, "rank_at": rank_at, "created_at": self._at}
            waits = {"state": JobState.PENDING.value, "finished_at": None, "reason": ""}
            rows.change(self._tx, job_id, **values, **waits)
        rows.record(self._tx, self._at, job_id, "", JobState.PENDING, f"rule {job.rule!r}")
        self._dropped |= _drop_pending(self._tx, self._older, job, job_id, self._at)

    def _enter_inputs(self, job: NewJob, job_id: int) -> None:
        """Jobs on the same images are many: their rows are copied inside the database."""
        table = schema.job_inputs
        same = self._inputs.setdefault(job.instance_ids, job_id)
        if same != job_id:
            copied = sa.select(sa.literal(job_id, sa.BigInteger), table.c.instance_id)
            query = copied.where(table.c.job_id == same)
            self._tx.execute(sa.insert(table).from_select(["job_id", "instance_id"], query))
            return
        inputs = [{"job_id": job_id, "instance_id": one} for one in job.instance_ids]
        if inputs:
            self._tx.execute(sa.insert(table), inputs)

    def _enter_waits(self, job: NewJob, job_id: int) -> None:
        others = {self._ids[key] for key in job.waits_for if key in self._ids} - {job_id}
        if others:
            waits = [{"job_id": job_id, "waits_for_id": other} for other in sorted(others)]
            self._tx.execute(sa.insert(schema.job_waits), waits)


def _is_prepared(row: Any) -> bool:
    """Whether it is due once it is entered again; not where a person has cancelled it."""
    return bool(row.not_before >= rows.PREPARED and row.state != JobState.CANCELLED.value)


def _enter_companions(tx: Transaction, job: NewJob, job_id: int) -> None:
    beside = [
        {"job_id": job_id, "instance_id": one, "role": role}
        for role, instances in job.companions.items()
        for one in instances
    ]
    if beside:
        tx.execute(sa.insert(schema.job_companions), beside)


def _row(job: NewJob, key: str, at: datetime, predecessor: int | None) -> dict[str, Any]:
    return {
        "key": key,
        "inputs_digest": job.inputs_digest,
        "analyzer": job.analyzer,
        "analyzer_version": job.analyzer_version,
        "parameters_digest": taught_digest(job),
        "parameters": dict(job.parameters),
        "study_id": job.study_id,
        "series_id": job.series_id,
        "rule": job.rule,
        "priority": job.priority.value,
        "destinations": list(job.destinations),
        "refusals": list(job.refusals),
        "notices": job.notices,
        "state": JobState.PENDING.value,
        "created_at": at,
        "rank_at": at - rows.HEAD_START[job.priority],
        "not_before": at,
        "predecessor_id": predecessor,
        "findings": [],
        "previews": [],
        "remarks": [],
        "weights": job.weights,
        "variant": job.variant,
        "every_series": job.every_series,
        "missing": job.missing,
    }


def _predecessor(older: Sequence[Any], job: NewJob) -> int | None:
    """The newest job of the same analyzer on the study, on the same series where there is one."""
    alike = [row for row in older if _concerns(row, job)]
    newest = max(alike, key=lambda row: (row.series_id == job.series_id, row.id), default=None)
    return None if newest is None else int(newest.id)


def _concerns(row: Any, job: NewJob) -> bool:
    """Whether they are of one analyzer on one study; summaries are a rule's, retractions alone."""
    if row.study_id != job.study_id or row.analyzer != job.analyzer or row.variant != job.variant:
        return False
    if row.series_id != job.series_id and (row.every_series or job.every_series):
        return False
    return job.analyzer not in own_jobs.OWN or _is_summary_of(row, job)


def _is_summary_of(row: Any, job: NewJob) -> bool:
    return bool(job.analyzer == own_jobs.SUMMARY and row.rule == job.rule)


def _drop_pending(
    tx: Transaction, older: Sequence[Any], job: NewJob, job_id: int, at: datetime
) -> set[int]:
    dropped = set()
    for row in older:
        is_pending = row.state == JobState.PENDING.value and row.id != job_id
        is_alike = row.series_id == job.series_id or _is_summary_of(row, job)
        if is_pending and _concerns(row, job) and is_alike:
            rows.drop(tx, row.id, job_id, at, JobState.PENDING, "before it ran")
            dropped.add(int(row.id))
    return dropped
