"""Whose the studies are that events name: looked up for some hundred events at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from node.audit.events import (
    Accessed,
    AuditEvent,
    Deleted,
    Exported,
    Imported,
    Subject,
    Transferred,
)
from storage import audit
from storage.audit import Whose
from storage.database import Transaction

Dated = tuple[AuditEvent, datetime]


def completed(tx: Transaction, found: Sequence[Dated]) -> list[Dated]:
    """The events with what the index knows of their studies, or what was told of them before."""
    named = [(_named(event, tx), at) for event, at in found]
    subjects = [subject for event, _ in named for subject in _subjects(event)]
    known = audit.indexed(tx, {one.study_instance_uid for one in subjects})
    strange = {one.study_instance_uid for one in subjects if not one.patient_id} - known.keys()
    known |= audit.told_before(tx, strange)
    return [(_with(event, known), at) for event, at in named]


def _subjects(event: AuditEvent) -> tuple[Subject, ...]:
    if isinstance(event, Deleted):
        return (event.subject,)
    if isinstance(event, Accessed | Transferred | Exported | Imported):
        return event.subjects
    return ()


def _named(event: AuditEvent, tx: Transaction) -> AuditEvent:
    """With UIDs, where studies are known by their rows."""
    if not isinstance(event, Accessed):
        return event
    return replace(event, subjects=tuple(_by_row(one, tx) for one in event.subjects))


def _by_row(subject: Subject, tx: Transaction) -> Subject:
    if subject.study_instance_uid or not (subject.study_id or subject.job_id):
        return subject
    uid = audit.study_of_row(tx, subject.study_id, subject.job_id)
    return replace(subject, study_instance_uid=uid)


def _with(event: AuditEvent, known: Mapping[str, Whose]) -> AuditEvent:
    if isinstance(event, Deleted):
        return replace(event, subject=_of(event.subject, known))
    if isinstance(event, Accessed | Transferred | Exported | Imported):
        return replace(event, subjects=tuple(_of(one, known) for one in event.subjects))
    return event


def _of(subject: Subject, known: Mapping[str, Whose]) -> Subject:
    whose = known.get(subject.study_instance_uid)
    if whose is None:
        return subject
    return replace(
        subject,
        patient_id=subject.patient_id or whose.patient_id,
        patient_name=subject.patient_name or whose.patient_name,
        accession_number=subject.accession_number or whose.accession_number,
    )
