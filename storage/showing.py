"""Which series a viewer opens to show a result, a job or a study with what was found in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.errors import NotFound
from storage.kinds import ObjectKind
from storage.records import Header, JobState
from storage.restriction import only_seen

_MARKED = (
    ObjectKind.SEGMENTATION,
    ObjectKind.LABEL_MAP,
    ObjectKind.PROBABILITY,
    ObjectKind.MAP,
    ObjectKind.STRUCTURE_SET,
)
_REST = (ObjectKind.PICTURE, ObjectKind.SHEET, ObjectKind.RECORD)
OF_STUDY = (*_MARKED, ObjectKind.REPORT, ObjectKind.IMAGE, *_REST)
"""Of all that a study has, what shows a finding on the image comes first."""
OF_JOB = (*_MARKED, ObjectKind.IMAGE, ObjectKind.REPORT, *_REST)
"""A job that makes images is there for the images."""
_PICTURES = "1.2.840.10008.5.1.4.1.1.7"
"""Secondary Capture Image Storage: in colour, where a job makes images of both kinds."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is to be seen: a study and, where there is one, a result in it."""

    study_id: int
    study_instance_uid: str
    kind: ObjectKind | None = None
    """None: the study alone."""
    series_instance_uid: str = ""
    """Of the result."""
    source_series_instance_uid: str = ""
    """Of the images that it was made from."""
    instance_id: int = 0
    """The row of the result, where it is asked for by itself; 0: whatever is found first."""
    sop_instance_uid: str = ""
    """Of the result."""
    samples: int = 0
    """Rows × Columns × frames of the result; 0 where it has none."""
    series_id: int = 0
    """The row of a series that is asked for by itself and is no result; 0: none is."""


@dataclass(frozen=True, slots=True)
class Known:
    """A study that a link asks for by UID or accession number."""

    id: int
    header: Header


def of_study(tx: Transaction, study_id: int) -> Shown:
    """The study with the best result of its newest jobs; alone where there is none.

    Raises
    ------
    NotFound
    """
    table = schema.studies
    query = sa.select(table.c.study_instance_uid).where(table.c.id == study_id)
    uid = tx.scalar(query.where(*only_seen(tx, table.c.id)))
    if uid is None:
        raise NotFound(f"there is no study {study_id}")
    jobs = schema.jobs
    newer = jobs.alias()
    is_replaced = sa.exists().where(newer.c.predecessor_id == jobs.c.id)
    found = _best(tx, OF_STUDY, jobs.c.study_id == study_id, ~is_replaced)
    return replace(found, instance_id=0) if found else Shown(study_id, uid)


def of_job(tx: Transaction, job_id: int) -> Shown:
    """The best result of a job; without any, the images it read.

    Raises
    ------
    NotFound
    """
    found = _best(tx, OF_JOB, schema.jobs.c.id == job_id)
    if found is not None:
        return found
    query = _selected(*_STUDY_COLUMNS).where(schema.jobs.c.id == job_id)
    row = tx.execute(query.where(*only_seen(tx, schema.jobs.c.study_id))).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    return Shown(row.study_id, row.study_instance_uid, None, "", row.source)


def of_object(tx: Transaction, job_id: int, number: int) -> Shown:
    """One object of a job, counted from 0 in the order in which they were made.

    What is not held any more keeps its number: none opens in the place of another.

    Raises
    ------
    NotFound
        There is none, or it was deleted.
    """
    results = schema.results
    made = sa.select(results.c.id).where(results.c.job_id == job_id).order_by(results.c.id)
    wanted = made.limit(1).offset(number).scalar_subquery()
    row = tx.execute(_results(tx, results.c.id == wanted)).one_or_none()
    if row is None:
        raise NotFound(f"job {job_id} has no object {number} any more")
    return _shown(row)


def of_series(tx: Transaction, study_instance_uid: str, series_instance_uid: str) -> Shown | None:
    """A series of a study, both by UID: the first result in it, else its images; None where it is
    not here."""
    results, series = schema.results, schema.series
    made = _results(tx, results.c.series_instance_uid == series_instance_uid)
    made = made.where(schema.studies.c.study_instance_uid == study_instance_uid)
    row = tx.execute(made.order_by(results.c.id).limit(1)).one_or_none()
    if row is not None:
        return _shown(row)
    studies = schema.studies
    query = sa.select(studies.c.id, series.c.id.label("series_id")).join(series)
    query = query.where(
        studies.c.study_instance_uid == study_instance_uid,
        series.c.series_instance_uid == series_instance_uid,
    )
    found = tx.execute(query.where(*only_seen(tx, studies.c.id))).one_or_none()
    if found is None:
        return None
    uids = {"series_instance_uid": series_instance_uid, "series_id": found.series_id}
    return Shown(found.id, study_instance_uid, **uids)


def report_beside(tx: Transaction, shown: Shown) -> Shown:
    """The report of the job that made a result; the result itself where there is none."""
    results = schema.results
    made_it = sa.select(results.c.job_id).where(
        results.c.sop_instance_uid == shown.sop_instance_uid
    )
    is_its_job = schema.jobs.c.id.in_(made_it)
    return _best(tx, (ObjectKind.REPORT,), is_its_job) or shown


def by_uid(tx: Transaction, study_instance_uid: str) -> list[Known]:
    """The study of this UID, if it is here."""
    return _known(tx, schema.studies.c.study_instance_uid == study_instance_uid)


def by_accession(tx: Transaction, accession_number: str) -> list[Known]:
    """The studies of an accession number, the newest first."""
    if not accession_number:
        return []
    said = accession_number[: schema.IndexedText.MOST]
    return _known(tx, schema.studies.c.accession_number == said)


_MOST = 50
_STUDY_COLUMNS = (
    schema.jobs.c.study_id,
    schema.studies.c.study_instance_uid,
    schema.series.c.series_instance_uid.label("source"),
)


def _selected(*columns: Any) -> sa.Select[Any]:
    jobs, series, studies = schema.jobs, schema.series, schema.studies
    return sa.select(*columns).select_from(
        jobs.join(series, jobs.c.series_id == series.c.id).join(
            studies, jobs.c.study_id == studies.c.id
        )
    )


def _results(tx: Transaction, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Objects of jobs that are still held, with their study and source."""
    jobs, results, held = schema.jobs, schema.results, schema.instances
    made = results.c.series_instance_uid.label("made")
    columns = (held.c.id.label("instance_id"), held.c.header, held.c.sop_instance_uid)
    query = _selected(*_STUDY_COLUMNS, results.c.kind, made, *columns).join(
        results, results.c.job_id == jobs.c.id
    )
    query = query.join(held, held.c.sop_instance_uid == results.c.sop_instance_uid)
    return query.where(*conditions, *only_seen(tx, jobs.c.study_id))


def _best(
    tx: Transaction, order: Sequence[ObjectKind], *conditions: sa.ColumnElement[bool]
) -> Shown | None:
    jobs, results = schema.jobs, schema.results
    places = {kind.value: place for place, kind in enumerate(order)}
    rank = sa.case(places, value=results.c.kind)
    is_picture = results.c.sop_class_uid.startswith(_PICTURES)
    query = _results(tx, *conditions, jobs.c.state == JobState.DONE.value)
    query = query.where(results.c.kind.in_(list(places)))
    by = (rank, jobs.c.id.desc(), sa.case((is_picture, 0), else_=1), results.c.id)
    row = tx.execute(query.order_by(*by).limit(1)).one_or_none()
    return None if row is None else _shown(row)


def _shown(row: sa.Row[Any]) -> Shown:
    kind = ObjectKind(row.kind)
    uid = row.study_instance_uid
    made = (row.made, row.source, row.instance_id, row.sop_instance_uid)
    return Shown(row.study_id, uid, kind, *made, _samples(row.header))


def _samples(header: dict[str, Any]) -> int:
    rows, columns, frames = map(header.get, ("Rows", "Columns", "NumberOfFrames"))
    return int(rows or 0) * int(columns or 0) * int(frames or 1)


def _known(tx: Transaction, condition: sa.ColumnElement[bool]) -> list[Known]:
    table = schema.studies
    query = sa.select(table.c.id, table.c.header).where(condition, *only_seen(tx, table.c.id))
    query = query.order_by(table.c.study_date.desc(), table.c.id.desc()).limit(_MOST)
    return [Known(*row) for row in tx.execute(query)]
