"""What is fetched from other archives at somebody's wish, how far it is, and what came of it.

waiting → running → done | partial | nothing | failed | cancelled. A row that an abrupt end leaves
running is taken up again: what is held already is not fetched twice.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from storage import events, schema
from storage.database import Transaction
from storage.errors import NotFound
from storage.records import Level, StudyState, Topic
from storage.restriction import only_unrestricted


class FetchState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    """All that was found is here."""
    PARTIAL = "partial"
    """Something of it is missing."""
    NOTHING = "nothing"
    """The source has nothing of the kind."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self not in (FetchState.WAITING, FetchState.RUNNING)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; empty ones restrict nothing. Wildcards and ranges as C-FIND has them."""

    accession_number: str = ""
    patient_id: str = ""
    study_uids: tuple[str, ...] = ()
    series_uids: tuple[str, ...] = ()
    study_date: str = ""
    modality: str = ""

    @property
    def names_something(self) -> bool:
        """Whether it is more than everything of a kind."""
        lists = self.study_uids or self.series_uids
        return bool(self.accession_number or self.patient_id or self.study_date or lists)


@dataclass(frozen=True, slots=True)
class NewFetch:
    """``asked_by``: a command or the page, never a name."""

    source: str
    wanted: Wanted
    asked_by: str
    analyzer: str = ""
    """Runs on each study that came, whatever the rules say."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of instances: how many there are, were held already, and came."""

    studies: int = 0
    expected: int = 0
    held: int = 0
    received: int = 0

    @property
    def missing(self) -> int:
        return max(self.expected - self.held - self.received, 0)


@dataclass(frozen=True, slots=True)
class Fetch:
    """A row, and how far it is."""

    id: int
    source: str
    wanted: Wanted
    analyzer: str
    asked_by: str
    asked_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    state: FetchState
    reason: str
    is_cancel_wanted: bool
    counts: Counts


@dataclass(frozen=True, slots=True)
class FetchedStudy:
    """A study that was found. ``study_id`` is its row here, None while nothing of it is."""

    study_instance_uid: str
    study_id: int | None
    expected: int
    missing: int
    analysis: str = ""
    """What became of the wish to analyze it; "owed" while the study is not complete."""


OWED = "owed"


def ask(tx: Transaction, new: NewFetch, at: datetime) -> int:
    """Enter a wish; whoever serves the source takes it up."""
    values = {
        "source": new.source,
        "wanted": dataclasses.asdict(new.wanted),
        "analyzer": new.analyzer,
        "asked_by": new.asked_by,
        "asked_at": at,
        "state": FetchState.WAITING.value,
    }
    key = tx.execute(sa.insert(schema.fetches).values(**values)).inserted_primary_key
    return int((key or (0,))[0])


def is_due(tx: Transaction, source: str) -> bool:
    """Whether something is to be fetched from a source."""
    return tx.scalar(_due(source).limit(1)) is not None


def claim(tx: Transaction, source: str, at: datetime) -> Fetch | None:
    """The next fetch from a source, which runs from now on; first what an abrupt end has left."""
    table = schema.fetches
    row = tx.execute(_due(source).order_by(table.c.state, table.c.id).limit(1)).one_or_none()
    if row is None:
        return None
    values = {"state": FetchState.RUNNING.value, "started_at": row.started_at or at}
    tx.execute(sa.update(table).where(table.c.id == row.id).values(**values))
    return get(tx, int(row.id))


def get(tx: Transaction, fetch_id: int) -> Fetch:
    """One fetch.

    Raises
    ------
    NotFound
    """
    table = schema.fetches
    chosen = sa.select(table).where(table.c.id == fetch_id, *only_unrestricted(tx))
    row = tx.execute(chosen).one_or_none()
    if row is None:
        raise NotFound(f"there is no fetch {fetch_id}")
    return _fetch(row)


def newest(tx: Transaction, limit: int) -> list[Fetch]:
    """The newest first."""
    table = schema.fetches
    query = sa.select(table).where(*only_unrestricted(tx)).order_by(table.c.id.desc())
    return [_fetch(row) for row in tx.execute(query.limit(limit))]


def studies_of(tx: Transaction, fetch_id: int) -> list[FetchedStudy]:
    """What was found, in the order it was."""
    table, studies = schema.fetched_studies, schema.studies
    query = (
        sa.select(table, studies.c.id.label("study_id"))
        .outerjoin(studies, studies.c.study_instance_uid == table.c.study_instance_uid)
        .where(table.c.fetch_id == fetch_id)
        .order_by(table.c.id)
    )
    return [
        FetchedStudy(row.study_instance_uid, row.study_id, row.expected, row.missing, row.analysis)
        for row in tx.execute(query)
    ]


def note(tx: Transaction, fetch_id: int, counts: Counts) -> bool:
    """Say how far a fetch is; gives whether somebody wants it to end."""
    _set(tx, fetch_id, **dataclasses.asdict(counts))
    table = schema.fetches
    wanted = sa.select(table.c.is_cancel_wanted).where(table.c.id == fetch_id)
    return bool(tx.scalar(wanted))


def enter_study(tx: Transaction, fetch_id: int, found: FetchedStudy) -> None:
    """A study was looked at; it takes the place of what was said of it before."""
    table = schema.fetched_studies
    uid = found.study_instance_uid
    old = sa.delete(table).where(table.c.fetch_id == fetch_id, table.c.study_instance_uid == uid)
    tx.execute(old)
    values = {
        "fetch_id": fetch_id,
        "study_instance_uid": uid,
        "expected": found.expected,
        "missing": found.missing,
        "analysis": found.analysis,
    }
    tx.execute(sa.insert(table).values(**values))


def end(
    tx: Transaction, fetch: Fetch, state: FetchState, counts: Counts, reason: str, at: datetime
) -> None:
    """The fetch is over."""
    _set(tx, fetch.id, state=state.value, reason=reason, ended_at=at, **dataclasses.asdict(counts))
    level = Level.INFO if state is FetchState.DONE else Level.WARNING
    said = f"fetch {fetch.id} from {fetch.source}: {reason}"
    events.record(tx, at, level, Topic.NODE, 0, FetchState.RUNNING, state, said)


def cancel(tx: Transaction, fetch_id: int, at: datetime) -> FetchState:
    """A person wants it to end; gives its state. One that waits is over at once.

    Raises
    ------
    NotFound
    """
    found = get(tx, fetch_id)
    if found.state is FetchState.WAITING:
        end(tx, found, FetchState.CANCELLED, found.counts, "cancelled before it began", at)
        return FetchState.CANCELLED
    if found.state is FetchState.RUNNING:
        _set(tx, fetch_id, is_cancel_wanted=True)
    return found.state


# --- analyses of what came ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OwedAnalysis:
    """A complete study that is to be analyzed, as somebody wanted when it was fetched."""

    fetch_id: int
    fetched_id: int
    study_id: int
    analyzer: str


def owed_analyses(tx: Transaction) -> list[OwedAnalysis]:
    """Of studies that are complete."""
    table, fetches, studies = schema.fetched_studies, schema.fetches, schema.studies
    query = (
        sa.select(table.c.fetch_id, table.c.id, studies.c.id, fetches.c.analyzer)
        .join(fetches, fetches.c.id == table.c.fetch_id)
        .join(studies, studies.c.study_instance_uid == table.c.study_instance_uid)
        .where(table.c.analysis == OWED, studies.c.state == StudyState.COMPLETE.value)
        .order_by(table.c.id)
    )
    return [OwedAnalysis(*row) for row in tx.execute(query)]


def settle_analysis(tx: Transaction, owed: OwedAnalysis, words: str) -> None:
    """Say what became of it."""
    table = schema.fetched_studies
    tx.execute(sa.update(table).where(table.c.id == owed.fetched_id).values(analysis=words))


def _due(source: str) -> sa.Select[Any]:
    table = schema.fetches
    states = (FetchState.RUNNING.value, FetchState.WAITING.value)
    return sa.select(table).where(table.c.source == source, table.c.state.in_(states))


def _set(tx: Transaction, fetch_id: int, **values: Any) -> None:
    table = schema.fetches
    tx.execute(sa.update(table).where(table.c.id == fetch_id).values(**values))


def _fetch(row: Any) -> Fetch:
    wanted: dict[str, Any] = {
        key: tuple(one) if isinstance(one, list) else one for key, one in row.wanted.items()
    }
    return Fetch(
        row.id,
        row.source,
        Wanted(**wanted),
        row.analyzer,
        row.asked_by,
        row.asked_at,
        row.started_at,
        row.ended_at,
        FetchState(row.state),
        row.reason,
        row.is_cancel_wanted,
        Counts(row.studies, row.expected, row.held, row.received),
    )
