"""Which studies whoever asks may know of: one condition for all that is read at a person's wish.

A transaction carries it (``Database.seen_by``), and whatever reads studies, or what belongs to one,
adds ``only_seen`` to its statement. What it leaves out is not there for whoever asks: it is not
found, counted or listed. The node itself reads without one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.engines import RESTRICTION
from storage.records import Topic


class OriginKind(StrEnum):
    """What tells where a study comes from."""

    AE_TITLE = "ae_title"
    """Whoever sent, or brought, an image of it."""
    INSTITUTION = "institution"
    """What its images say (Institution Name)."""


def normal(value: str) -> str:
    """As origins are compared: whatever the case, without spaces around."""
    return value.strip().casefold()[: schema.IndexedText.MOST]


@dataclass(frozen=True, slots=True)
class Origins:
    """Studies from one of these AE titles and of one of these institutions; where one of the lists
    is empty, from anywhere."""

    ae_titles: tuple[str, ...] = ()
    institutions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Restriction:
    """The studies of any of these origins. ``any_of`` None: all studies; empty: none.

    of_these: they have to be admitted by each of these besides.
    """

    any_of: tuple[Origins, ...] | None = None
    of_these: tuple[Restriction, ...] = ()

    def admits(self, study_id: Any) -> sa.ColumnElement[bool] | None:
        """The condition on a column that holds the row of a study; None where all are admitted."""
        if self.any_of is None:
            return None
        of_any = sa.or_(sa.false(), *(_is_from(one, study_id) for one in self.any_of))
        others = (one.admits(study_id) for one in self.of_these)
        return sa.and_(of_any, *(one for one in others if one is not None))

    def within(self, other: Restriction) -> Restriction:
        """The studies that both admit."""
        if other.any_of is None or other == self:
            return self
        if self.any_of is None:
            return other
        return Restriction(self.any_of, (*self.of_these, other))


EVERYTHING = Restriction()
NOTHING = Restriction(())


def only_seen(tx: sa.Connection, study_id: Any) -> Iterable[sa.ColumnElement[bool]]:
    """What a statement adds to its conditions: none, or the one on the row of its study."""
    restriction: Restriction = tx.get_execution_options().get(RESTRICTION, EVERYTHING)
    condition = restriction.admits(study_id)
    return () if condition is None else (condition,)


def only_of_seen_jobs(tx: sa.Connection, job_id: Any) -> Iterable[sa.ColumnElement[bool]]:
    """The same for what belongs to a job: on the column that holds its row."""
    jobs = schema.jobs.alias()
    seen = tuple(only_seen(tx, jobs.c.study_id))
    return (sa.exists().where(jobs.c.id == job_id, *seen),) if seen else ()


def only_of_seen_uids(tx: sa.Connection, uid: Any) -> Iterable[sa.ColumnElement[bool]]:
    """The same for what names its study by UID; what names none is of no study."""
    studies = schema.studies.alias()
    seen = tuple(only_seen(tx, studies.c.id))
    return (sa.exists().where(studies.c.study_instance_uid == uid, *seen),) if seen else ()


def only_about_seen(tx: sa.Connection, events: Any) -> Iterable[sa.ColumnElement[bool]]:
    """The same for events: what is about a study, a job or a delivery, and nothing else."""
    sent = schema.deliveries.alias()
    subject, about = events.c.subject, events.c.subject_id
    of_study = tuple(only_seen(tx, about))
    if not of_study:
        return ()
    of_delivery = sa.exists().where(sent.c.id == about, *only_of_seen_jobs(tx, sent.c.job_id))
    return (
        sa.or_(
            sa.and_(subject == Topic.STUDY.value, *of_study),
            sa.and_(subject == Topic.JOB.value, *only_of_seen_jobs(tx, about)),
            sa.and_(subject == Topic.DELIVERY.value, of_delivery),
        ),
    )


def only_unrestricted(tx: sa.Connection) -> Iterable[sa.ColumnElement[bool]]:
    """For what may name studies that are not here: nothing of it for who sees some studies only."""
    return (sa.false(),) if is_restricted(tx) else ()


def is_restricted(tx: sa.Connection) -> bool:
    """Whether whoever asks sees some studies only."""
    restriction: Restriction = tx.get_execution_options().get(RESTRICTION, EVERYTHING)
    return restriction.any_of is not None


def _is_from(origins: Origins, study_id: Any) -> sa.ColumnElement[bool]:
    lists = (
        (OriginKind.AE_TITLE, origins.ae_titles),
        (OriginKind.INSTITUTION, origins.institutions),
    )
    return sa.and_(sa.true(), *(_has(kind, some, study_id) for kind, some in lists if some))


def _has(kind: OriginKind, values: tuple[str, ...], study_id: Any) -> sa.ColumnElement[bool]:
    table = schema.study_origins.alias()
    return sa.exists().where(
        table.c.study_id == study_id,
        table.c.kind == kind.value,
        table.c.value.in_([normal(one) for one in values]),
    )
