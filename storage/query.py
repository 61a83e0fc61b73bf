"""What the index finds for a query: rows of one level, narrowed by SQL, in pages by key.

What is found holds all that matches, and perhaps more: whoever asks compares every value. One
condition that few rows fulfil is followed by its index, the others are tried on what it finds;
where none is that narrow, the rows are walked from the newest on. So the cost of a query depends on
what it finds, not on how much there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.listed import among
from storage.records import Header
from storage.restriction import only_seen
from storage.schema import unindexed

FEW = 5_000
"""Rows of a condition from which on it is no longer followed."""

_patients, _studies, _series, _instances = (
    schema.patients,
    schema.studies,
    schema.series,
    schema.instances,
)
_names = schema.study_names


class Level(StrEnum):
    """Of a query. PS3.4 C.6.1.1."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


@dataclass(frozen=True, slots=True)
class Texts:
    """Some values, and all that begin with something; without either, any."""

    exact: tuple[str, ...] = ()
    prefix: str = ""

    def __bool__(self) -> bool:
        return bool(self.exact or self.prefix)


ANYTHING = Texts()


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What rows have to fulfil. Names are normalised component groups (``storage.names``); the
    dates of ``first_date`` and ``last_date`` are YYYYMMDD. What is empty restricts nothing."""

    study_uids: tuple[str, ...] = ()
    series_uids: tuple[str, ...] = ()
    sop_uids: tuple[str, ...] = ()
    patient_id: Texts = ANYTHING
    patient_name: Texts = ANYTHING
    accession_number: Texts = ANYTHING
    first_date: str = ""
    last_date: str = ""
    modality: Texts = ANYTHING


@dataclass(frozen=True, slots=True)
class Hit:
    """A row, with the headers of its own and of the levels above.

    id: of the row, the key by which pages go on. study_id: of a patient, the newest study's.
    """

    id: int
    patient_row: int
    study_id: int
    series_id: int
    header: Header
    transfer_syntax_uid: str = ""


def find(
    tx: Transaction,
    level: Level,
    narrowing: Narrowing,
    before: int | None,
    limit: int,
    few: int = FEW,
) -> list[Hit]:
    """The next ``limit`` rows, newest first, below the one with the id ``before``.

    A condition that ``few`` rows or more fulfil is not followed.
    """
    conditions = list(_conditions(tx.dialect.name, level, narrowing))
    followed = _narrowest(tx, conditions, few)
    query = _statement(level, conditions, followed).where(*only_seen(tx, _studies.c.id))
    if before is not None:
        key = _KEYS[level]
        query = query.where((unindexed(key) if followed else key) < before)
    return [_HITS[level](row) for row in tx.execute(query.limit(limit))]


def statement(dialect: str, level: Level, narrowing: Narrowing) -> sa.Select[Any]:
    """What is asked of the database where the first condition is followed."""
    conditions = list(_conditions(dialect, level, narrowing))
    return _statement(level, conditions, conditions[0] if conditions else None)


def _statement(
    level: Level, conditions: Sequence[_Condition], followed: _Condition | None
) -> sa.Select[Any]:
    query = _rows(level)
    for one in conditions:
        query = query.where(one.followed(level) if one is followed else one.check)
    key = _KEYS[level]
    return query.order_by((unindexed(key) if followed else key).desc())


# --- rows of a level ------------------------------------------------------------------------------

_KEYS: dict[Level, sa.Column[int]] = {
    Level.PATIENT: _patients.c.id,
    Level.STUDY: _studies.c.id,
    Level.SERIES: _series.c.id,
    Level.IMAGE: _instances.c.id,
}


def _rows(level: Level) -> sa.Select[Any]:
    own = (_patients.c.id.label("patient_row"), _studies.c.id.label("study_id"))
    query = sa.select(*own, _studies.c.header.label("study"))
    if level is Level.PATIENT:
        newest = (
            sa.select(sa.func.max(_studies.c.id))
            .where(_studies.c.patient_id == _patients.c.id)
            .correlate(_patients)
            .scalar_subquery()
        )
        return query.select_from(_patients.join(_studies, _studies.c.id == newest))
    studies = _studies.join(_patients, _patients.c.id == _studies.c.patient_id)
    if level is Level.STUDY:
        return query.select_from(studies)
    query = query.add_columns(_series.c.id.label("series_id"), _series.c.header.label("series"))
    series = _series.join(studies, _studies.c.id == _series.c.study_id)
    if level is Level.SERIES:
        return query.select_from(series)
    query = query.add_columns(
        _instances.c.id, _instances.c.header.label("image"), _instances.c.transfer_syntax_uid
    )
    return query.select_from(_instances.join(series, _series.c.id == _instances.c.series_id))


def _patient(row: Any) -> Hit:
    return Hit(row.patient_row, row.patient_row, row.study_id, 0, row.study)


def _study(row: Any) -> Hit:
    return Hit(row.study_id, row.patient_row, row.study_id, 0, row.study)


def _of_series(row: Any) -> Hit:
    header = {**row.study, **row.series}
    return Hit(row.series_id, row.patient_row, row.study_id, row.series_id, header)


def _image(row: Any) -> Hit:
    """Its study's row says what it belongs to, whatever the image itself says of it."""
    header = {**row.series, **row.image, **row.study, "Modality": row.series.get("Modality")}
    return Hit(
        row.id, row.patient_row, row.study_id, row.series_id, header, row.transfer_syntax_uid
    )


_HITS = {
    Level.PATIENT: _patient,
    Level.STUDY: _study,
    Level.SERIES: _of_series,
    Level.IMAGE: _image,
}


# --- conditions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Condition:
    """One condition: as the ids of a table's rows, to be followed, and as a check of a row."""

    at: Level
    ids: sa.Select[Any]
    check: sa.ColumnElement[bool]

    def followed(self, level: Level) -> sa.ColumnElement[bool]:
        """That a row of a level belongs to these."""
        return _belongs(level, self.at, self.ids)


_ORDER = tuple(Level)
_UP = {
    Level.STUDY: (_studies.c.patient_id, _studies.c.id),
    Level.SERIES: (_series.c.study_id, _series.c.id),
    Level.IMAGE: (_instances.c.series_id, _instances.c.id),
}
"""Of a table: what it belongs to, and its key."""


def _belongs(level: Level, at: Level, ids: sa.Select[Any]) -> sa.ColumnElement[bool]:
    if at is level:
        return _KEYS[level].in_(ids)
    if _ORDER.index(at) > _ORDER.index(level):
        parent, key = _UP[at]
        above = sa.select(parent).where(key.in_(ids))
        return _belongs(level, _ORDER[_ORDER.index(at) - 1], above)
    parent, _ = _UP[level]
    nearest = _ORDER[_ORDER.index(level) - 1]
    if nearest is at:
        return parent.in_(ids)
    return parent.in_(sa.select(_KEYS[nearest]).where(_belongs(nearest, at, ids)))


def _narrowest(tx: Transaction, conditions: Sequence[_Condition], few: int) -> _Condition | None:
    """The condition that the fewest rows fulfil; None where all have many."""
    fewest, found = few, None
    for one in conditions:
        some = one.ids.limit(fewest).subquery()
        number = tx.scalar(sa.select(sa.func.count()).select_from(some)) or 0
        if number < fewest:
            fewest, found = number, one
        if fewest <= 1:
            break
    return found


def _conditions(dialect: str, level: Level, wanted: Narrowing) -> Iterator[_Condition]:
    """The narrowest kinds first."""
    for at, column, uids in (
        (Level.IMAGE, _instances.c.sop_instance_uid, wanted.sop_uids),
        (Level.SERIES, _series.c.series_instance_uid, wanted.series_uids),
        (Level.STUDY, _studies.c.study_instance_uid, wanted.study_uids),
    ):
        if uids:
            yield _on(level, at, lambda c, listed=uids: among(dialect, c, listed), column)
    texts = (
        (Level.STUDY, _studies.c.accession_number, wanted.accession_number),
        (Level.PATIENT, _patients.c.patient_id, wanted.patient_id),
    )
    for at, column, text in texts:
        if text:
            yield _on(level, at, lambda c, one=text: _fits(dialect, c, one), column)
    if wanted.patient_name:
        yield _named(level, dialect, wanted.patient_name)
    if wanted.first_date or wanted.last_date:
        first, last = wanted.first_date, wanted.last_date
        yield _on(level, Level.STUDY, lambda c: between(c, first, last), _studies.c.study_date)
    if wanted.modality:
        modality = wanted.modality
        yield _on(level, Level.SERIES, lambda c: _fits(dialect, c, modality), _series.c.modality)


def _on(level: Level, at: Level, test: Any, column: sa.Column[Any]) -> _Condition:
    """A condition on a column. Of a level below, one row that fulfils it is enough."""
    ids = sa.select(_KEYS[at]).where(test(column))
    if _ORDER.index(at) <= _ORDER.index(level):
        return _Condition(at, ids, test(unindexed(column)))
    return _Condition(at, ids, _has_below(level, at, test, column))


def _has_below(
    level: Level, at: Level, test: Any, column: sa.Column[Any]
) -> sa.ColumnElement[bool]:
    """That below a row of a level there is one that fulfils a condition."""
    studies, series, instances = _studies.alias(), _series.alias(), _instances.alias()
    tables = {Level.STUDY: studies, Level.SERIES: series, Level.IMAGE: instances}
    joined: Any = tables[at]
    if at is Level.IMAGE:
        joined = joined.join(series, series.c.id == instances.c.series_id)
    if level is Level.PATIENT and at is not Level.STUDY:
        joined = joined.join(studies, studies.c.id == series.c.study_id)
    above = {
        Level.PATIENT: lambda: studies.c.patient_id == _patients.c.id,
        Level.STUDY: lambda: series.c.study_id == _studies.c.id,
        Level.SERIES: lambda: instances.c.series_id == _series.c.id,
    }[level]()
    fulfils = test(unindexed(tables[at].c[column.name]))
    return sa.exists().select_from(joined).where(above, fulfils)


def _named(level: Level, dialect: str, name: Texts) -> _Condition:
    ids = sa.select(_names.c.study_id).where(_fits(dialect, _names.c.name, name))
    if level is Level.PATIENT:
        studies = _studies.alias()
        there = studies.join(_names, _names.c.study_id == studies.c.id)
        mine = studies.c.patient_id == _patients.c.id
        check = sa.exists().select_from(there).where(mine, _fits(dialect, _names.c.name, name))
    else:
        mine = _names.c.study_id == _studies.c.id
        check = sa.exists().where(mine, _fits(dialect, unindexed(_names.c.name), name))
    return _Condition(Level.STUDY, ids, check)


def _fits(dialect: str, column: Any, text: Texts) -> sa.ColumnElement[bool]:
    if text.exact:
        cut = [one[: schema.IndexedText.MOST] for one in text.exact]
        equal = among(dialect, column, cut)
        return sa.or_(equal, begins(column, text.prefix)) if text.prefix else equal
    return begins(column, text.prefix)


def begins(column: Any, prefix: str) -> sa.ColumnElement[bool]:
    """Whether a text of an index begins like this: one range of it."""
    prefix = prefix[: schema.IndexedText.MOST]
    after = _after(prefix)
    begins: sa.ColumnElement[bool] = column >= prefix
    return sa.and_(begins, column < after) if after else begins


def _after(prefix: str) -> str:
    """The first text behind all that begin with this; empty where there is none."""
    for place in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[place]) + 1
        if 0xD800 <= code <= 0xDFFF:
            code = 0xE000  # no text has surrogates
        if code <= 0x10FFFF:
            return prefix[:place] + chr(code)
    return ""


def between(column: Any, first: str, last: str) -> sa.ColumnElement[bool]:
    """Dates as text. Those as ACR-NEMA had them, YYYY.MM.DD, come before all others of a year."""
    until = [column <= last] if last else []
    if not first:
        return sa.and_(*until)
    year = first[:4]
    dotted = f"{year}.{first[4:6]}.{first[6:]}"
    old = sa.and_(column >= dotted, column < f"{year}/")
    return sa.or_(sa.and_(column >= first, *until), old)


# --- what is computed for a page ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts:
    """How much lies below a row."""

    studies: int = 0
    series: int = 0
    instances: int = 0


def counts(tx: Transaction, level: Level, ids: Iterable[int]) -> dict[int, Counts]:
    """What lies below patients, studies or series, by their ids: one statement."""
    joined: Any = _series.outerjoin(_instances, _instances.c.series_id == _series.c.id)
    key: sa.Column[int] = _series.c.id
    if level is Level.STUDY:
        key = _series.c.study_id
    if level is Level.PATIENT:
        joined = _studies.outerjoin(joined, _series.c.study_id == _studies.c.id)
        key = _studies.c.patient_id
    studies = sa.func.count(sa.distinct(_studies.c.id)) if level is Level.PATIENT else sa.literal(0)
    series = sa.func.count(sa.distinct(_series.c.id))
    query = sa.select(key, studies, series, sa.func.count(_instances.c.id)).select_from(joined)
    if level is Level.PATIENT:  # the others are counted of what was seen
        query = query.where(*only_seen(tx, _studies.c.id))
    rows = tx.execute(query.where(_listed(tx, key, ids)).group_by(key))
    return {row[0]: Counts(row[1], row[2], row[3]) for row in rows}


def modalities(tx: Transaction, study_ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """The modalities of each study's series, sorted: one statement."""
    query = sa.select(_series.c.study_id, _series.c.modality).distinct()
    chosen = query.where(_listed(tx, _series.c.study_id, study_ids))
    return _grouped(tx, chosen.order_by(_series.c.modality))


def sop_classes(tx: Transaction, study_ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """The SOP classes of each study's instances, sorted: one statement."""
    joined = _series.join(_instances, _instances.c.series_id == _series.c.id)
    query = sa.select(_series.c.study_id, _instances.c.sop_class_uid).select_from(joined)
    chosen = query.distinct().where(_listed(tx, _series.c.study_id, study_ids))
    return _grouped(tx, chosen.order_by(_instances.c.sop_class_uid))


def _grouped(tx: Transaction, query: sa.Select[Any]) -> dict[int, tuple[str, ...]]:
    found: dict[int, list[str]] = {}
    for key, value in tx.execute(query):
        if value:
            found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}


def _listed(tx: Transaction, column: Any, ids: Iterable[int]) -> sa.ColumnElement[bool]:
    return column.in_(sorted(set(ids)))  # type: ignore[no-any-return]


# --- one instance that speaks for many ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """An instance of a study or series, what the index keeps of it, and where its bytes lie."""

    header: Header
    key: str
    own: bool


def samples(tx: Transaction, level: Level, hits: Sequence[Hit]) -> dict[int, Sample]:
    """One instance for each row, by the row's id: one statement.

    The first that was received; of what holds nothing but the node's own, the first of these.
    """
    first = _first(_instances, _instances.c.series_id, _series.c.id)
    joined = _series.join(_instances, _instances.c.id == first)
    if level is Level.IMAGE:
        joined = _series.join(_instances, _instances.c.series_id == _series.c.id)
        key, row = _instances.c.id, {one.id: one.id for one in hits}
    elif level is Level.SERIES:
        key, row = _series.c.id, {one.id: one.id for one in hits}
    else:
        key, row = _studies.c.id, {one.study_id: one.id for one in hits}
        chosen = _first(_series, _series.c.study_id, _studies.c.id)
        joined = _studies.join(_series, _series.c.id == chosen).join(
            _instances, _instances.c.id == first
        )
    columns = (key, _series.c.header, _instances.c.header, _instances.c.key, _instances.c.own)
    query = sa.select(*columns).select_from(joined).where(_listed(tx, key, row))
    return {
        row[one]: Sample({**series, **image}, place, bool(own))
        for one, series, image, place, own in tx.execute(query)
    }


def _first(table: sa.Table, parent: sa.Column[int], above: sa.Column[int]) -> Any:
    """The id of the first row below another, one that was received before the node's own."""
    one = table.alias()
    query = sa.select(one.c.id).where(one.c[parent.name] == above)
    return query.order_by(one.c.own, one.c.id).limit(1).correlate(above.table).scalar_subquery()
