"""How a query is answered: for every key where its value comes from, decided once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.query.asked import Key, Query
from node.query.header import by_tag
from node.query.keys import Source, indexed_at, source

_PAIRS = (
    ("StudyDate", "StudyTime"),
    ("SeriesDate", "SeriesTime"),
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("PatientBirthDate", "PatientBirthTime"),
    ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
)
"""Dates and times that are one moment, where combined matching is negotiated."""


@dataclass(frozen=True, slots=True)
class Field:
    """All keys below one element of the answer."""

    keys: tuple[Key, ...]
    source: Source

    @property
    def key(self) -> Key:
        return self.keys[0]

    @property
    def is_matched(self) -> bool:
        return any(key.is_matched for key in self.keys)


@dataclass(frozen=True, slots=True)
class Pair:
    """A date and a time that are matched together."""

    date: Field
    time: Field


@dataclass(frozen=True, slots=True)
class Plan:
    """The fields of a query, each with its source."""

    query: Query
    retrieve_ae_title: str
    fields: tuple[Field, ...]
    pairs: tuple[Pair, ...]
    unsupported: tuple[Key, ...]

    @classmethod
    def of(cls, query: Query, retrieve_ae_title: str) -> Plan:
        """Decide where everything comes from."""
        fields = [_field(keys, query) for keys in by_tag(_all_keys(query), 0).values()]
        pairs = _pairs(fields) if query.options.combined_datetime else ()
        left_out = (Source.NOWHERE, Source.BELOW)
        unsupported = [key for one in fields if one.source in left_out for key in one.keys]
        return cls(query, retrieve_ae_title, tuple(fields), pairs, tuple(unsupported))

    def of_source(self, *sources: Source) -> list[Field]:
        """The fields of some sources."""
        return [one for one in self.fields if one.source in sources]

    @property
    def reads_files(self) -> bool:
        """Whether anything is asked that only files tell."""
        return bool(self.of_source(Source.FILE))

    @property
    def needs_sample(self) -> bool:
        """Whether anything is asked that one instance tells."""
        return bool(self.of_source(Source.FILE, Source.SAMPLE))

    def asks(self, *keywords: str) -> bool:
        """Whether any of these computed attributes is asked for, or needed."""
        return any(one.key.keyword in keywords for one in self.fields)

    def apart(self) -> list[Field]:
        """The fields that are matched each for itself."""
        together = {id(one) for pair in self.pairs for one in (pair.date, pair.time)}
        return [one for one in self.fields if one.is_matched and id(one) not in together]


def _all_keys(query: Query) -> Sequence[Key]:
    if not query.include_all:
        return query.keys
    asked = {key.path for key in query.keys}
    more = (key for key in indexed_at(query.level) if key.path not in asked)
    return (*query.keys, *more)


def _field(keys: Sequence[Key], query: Query) -> Field:
    nested = any(len(key.path) > 1 for key in keys)
    return Field(tuple(keys), Source.FILE if nested else source(keys[0], query.level))


def _pairs(fields: Sequence[Field]) -> tuple[Pair, ...]:
    matched = {one.key.keyword: one for one in fields if one.is_matched}
    found = [(matched.get(date), matched.get(time)) for date, time in _PAIRS]
    return tuple(Pair(date, time) for date, time in found if date and time)
