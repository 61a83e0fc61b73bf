"""Where instances were left behind on their way, and which of these gaps someone was told of.

A gap is found by looking at what the other tables say; a row here only remembers that its alarm
was raised. It is closed, and its alarm acknowledged, when the gap is no longer found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storage import announcements, events, index, ledger, schema, suspension
from storage.database import Transaction
from storage.records import (
    AnnouncementState,
    DeliveryState,
    JobState,
    Level,
    Priority,
    ResultCommitmentState,
    Stage,
    StepStatus,
    Topic,
)
from storage.restriction import only_seen

ENDLESS_FOR = timedelta(days=7)
"""So long a step that was begun and never ended is a gap."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that should have come further. ``missing`` counts instances, jobs or results."""

    stage: Stage
    """The stage that was not reached."""
    missing: int
    since: datetime
    study_id: int | None
    """None where nothing of an announced study has come."""
    announcement_id: int | None = None

    @property
    def key(self) -> tuple[Stage, int | None, int | None]:
        return (self.stage, self.study_id, self.announcement_id)


WORDS = {
    Stage.RECEIVED: "images that were announced have not come",
    Stage.COMPLETED: "images came, and their study is not complete",
    Stage.ANALYZED: "a job has not ended",
    Stage.SENT: "results have not been sent",
    Stage.COMMITTED: "a destination has not committed to the results it was sent",
}


def find(tx: Transaction, before: datetime) -> list[Gap]:
    """Everything that stands still since before a moment."""
    return [
        *_not_received(tx, before),
        *_not_complete(tx, before),
        *_not_analyzed(tx, before),
        *_not_sent(tx, before),
        *_not_committed(tx, before),
    ]


def _not_received(tx: Transaction, before: datetime) -> Iterable[Gap]:
    """What was waited for in vain is a gap at once, what is still waited for when it is old.

    Of a step that nobody ends its end is missing. No image can bring that: some days later it is no
    gap any more, as every modality that was switched off in the middle leaves such a step behind.
    """
    table, named, studies = schema.announcements, schema.announced_studies, schema.studies
    study_id = sa.func.min(studies.c.id).label("study_id")
    awaited = sa.and_(
        table.c.state == AnnouncementState.AWAITED.value, table.c.changed_at <= before
    )
    endless = sa.and_(
        table.c.status == StepStatus.IN_PROGRESS.value,
        table.c.changed_at.between(before - ENDLESS_FOR, before),
    )
    given_up = sa.and_(
        table.c.state == AnnouncementState.GIVEN_UP.value,
        sa.or_(schema.unindexed(table.c.missing) > 0, endless),
    )
    query = (
        sa.select(table.c.id, table.c.state, table.c.changed_at, table.c.missing, study_id)
        .select_from(table)
        .outerjoin(named, named.c.announcement_id == table.c.id)
        .outerjoin(studies, studies.c.study_instance_uid == named.c.study_instance_uid)
        .where(sa.or_(awaited, given_up))
        .group_by(table.c.id)
        .order_by(table.c.id)
    )
    for row in tx.execute(query).all():
        is_counted = row.state == AnnouncementState.GIVEN_UP.value
        missing = row.missing or 1 if is_counted else announcements.missing_of(tx, row.id)
        if missing:
            yield Gap(Stage.RECEIVED, missing, row.changed_at, row.study_id, row.id)


def _not_complete(tx: Transaction, before: datetime) -> Iterable[Gap]:
    for study in index.due_studies(tx, before):
        yield Gap(Stage.COMPLETED, study.instances, study.last_received_at, study.id)


def _not_analyzed(tx: Transaction, before: datetime) -> Iterable[Gap]:
    """Since a job was entered or restarted: one that is put off again and again has not ended.

    What waits because a person suspended the queue was not left behind.
    """
    table = schema.jobs
    waiting = [JobState.RUNNING.value]
    if not suspension.is_since(tx, before):
        waiting.append(JobState.PENDING.value)
    is_old = sa.or_(
        *(
            sa.and_(table.c.priority == priority.value, table.c.rank_at <= before - head_start)
            for priority, head_start in ledger.HEAD_START.items()
        )
    )
    query = (
        sa.select(table.c.study_id, table.c.priority, sa.func.count(), sa.func.min(table.c.rank_at))
        .where(table.c.state.in_(waiting), table.c.not_before < ledger.PREPARED, is_old)
        .group_by(table.c.study_id, table.c.priority)
    )
    found: dict[int, Gap] = {}
    for study_id, priority, number, rank_at in tx.execute(query):
        since = rank_at + ledger.HEAD_START[Priority(priority)]
        other = found.get(study_id)
        if other is not None:
            number, since = number + other.missing, min(since, other.since)
        found[study_id] = Gap(Stage.ANALYZED, number, since, study_id)
    return found.values()


def _not_sent(tx: Transaction, before: datetime) -> Iterable[Gap]:
    table, jobs = schema.deliveries, schema.jobs
    waiting = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)
    query = (
        sa.select(jobs.c.study_id, sa.func.count(), sa.func.min(jobs.c.finished_at))
        .select_from(table.join(jobs, table.c.job_id == jobs.c.id))
        .where(table.c.state.in_(waiting), jobs.c.finished_at <= before)
        .group_by(jobs.c.study_id)
    )
    return _by_study(tx, query, Stage.SENT)


def _not_committed(tx: Transaction, before: datetime) -> Iterable[Gap]:
    table, deliveries, jobs = schema.result_commitments, schema.deliveries, schema.jobs
    waiting = (ResultCommitmentState.OWED.value, ResultCommitmentState.REQUESTED.value)
    query = (
        sa.select(jobs.c.study_id, sa.func.count(), sa.func.min(table.c.owed_at))
        .select_from(table)
        .join(deliveries, deliveries.c.id == table.c.delivery_id)
        .join(jobs, jobs.c.id == deliveries.c.job_id)
        .where(table.c.state.in_(waiting), table.c.owed_at <= before)
        .group_by(jobs.c.study_id)
    )
    return _by_study(tx, query, Stage.COMMITTED)


def _by_study(tx: Transaction, query: sa.Select[Any], stage: Stage) -> list[Gap]:
    return [Gap(stage, number, since, study_id) for study_id, number, since in tx.execute(query)]


# --- the alarms -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """A gap that was opened or closed."""

    gap: Gap
    closed: bool


def watch(
    tx: Transaction, found: Iterable[Gap], at: datetime, limit: int | None = None
) -> list[Change]:
    """Raise an alarm for each new gap, close what is no longer one; gives what changed.

    limit: so many changes at most; the rest is for the next call.
    """
    table = schema.gaps
    open_rows = {
        (Stage(row.stage), row.study_id, row.announcement_id): row
        for row in tx.execute(sa.select(table).where(table.c.closed_at.is_(None)))
    }
    gaps = list(found)
    new = [gap for gap in gaps if gap.key not in open_rows][:limit]
    for gap in new:
        _open(tx, gap, at)
    _recount(tx, [(open_rows[gap.key], gap) for gap in gaps if gap.key in open_rows], limit)
    still = {gap.key for gap in gaps}
    old = [row for key, row in open_rows.items() if key not in still][:limit]
    for row in old:
        _close(tx, row, at)
    closed = [_gap(row) for row in old]
    return [Change(gap, closed=False) for gap in new] + [Change(gap, True) for gap in closed]


def _recount(tx: Transaction, pairs: Sequence[tuple[Any, Gap]], limit: int | None) -> None:
    table = schema.gaps
    for row, gap in [pair for pair in pairs if pair[0].missing != pair[1].missing][:limit]:
        tx.execute(sa.update(table).where(table.c.id == row.id).values(missing=gap.missing))


def _gap(row: Any) -> Gap:
    return Gap(Stage(row.stage), row.missing, row.since, row.study_id, row.announcement_id)


def _open(tx: Transaction, gap: Gap, at: datetime) -> None:
    subject, subject_id = _subject(gap.study_id, gap.announcement_id)
    event_id = events.record(
        tx, at, Level.ALARM, subject, subject_id, "", gap.stage, WORDS[gap.stage]
    )
    tx.execute(
        sa.insert(schema.gaps).values(
            study_id=gap.study_id,
            announcement_id=gap.announcement_id,
            stage=gap.stage.value,
            missing=gap.missing,
            since=gap.since,
            event_id=event_id,
        )
    )


def _close(tx: Transaction, row: sa.Row[Any], at: datetime) -> None:
    table = schema.gaps
    tx.execute(sa.update(table).where(table.c.id == row.id).values(closed_at=at))
    events.acknowledge(tx, row.event_id)
    subject, subject_id = _subject(row.study_id, row.announcement_id)
    events.record(tx, at, Level.INFO, subject, subject_id, row.stage, "", "the gap is closed")


def _subject(study_id: int | None, announcement_id: int | None) -> tuple[Topic, int]:
    if study_id is not None:
        return Topic.STUDY, study_id
    return Topic.ANNOUNCEMENT, announcement_id or 0


def open_gaps(tx: Transaction, study_id: int | None = None) -> list[Gap]:
    """The gaps whose alarm was raised, oldest first; of one study where it is given."""
    table = schema.gaps
    query = sa.select(table).where(table.c.closed_at.is_(None)).order_by(table.c.id)
    query = query.where(*only_seen(tx, table.c.study_id))
    if study_id is not None:
        query = query.where(table.c.study_id == study_id)
    return [_gap(row) for row in tx.execute(query)]


def open_gaps_of(tx: Transaction, study_ids: Sequence[int]) -> list[Gap]:
    """The open gaps of some studies, oldest first."""
    table = schema.gaps
    query = sa.select(table).where(table.c.closed_at.is_(None), table.c.study_id.in_(study_ids))
    return [_gap(row) for row in tx.execute(query.order_by(table.c.id))]


def count_open(tx: Transaction) -> dict[Stage, int]:
    """Open gaps by the stage that was not reached."""
    table = schema.gaps
    query = sa.select(table.c.stage, sa.func.count()).where(table.c.closed_at.is_(None))
    found = {stage: number for stage, number in tx.execute(query.group_by(table.c.stage))}
    return {stage: found.get(stage.value, 0) for stage in Stage}
