"""How a query is answered: for every key where its value comes from, decided once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.tag import BaseTag, Tag

from node.query.asked import Key, Query
from node.query.header import by_tag
from node.query.keys import Source, indexed_at, source
from node.query.matching import Matcher, matcher

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
    """All keys below one element of the answer, with what is needed of them for every row."""

    keys: tuple[Key, ...]
    source: Source
    tag: BaseTag
    vr: str
    keyword: str
    creator: str
    is_matched: bool
    is_nested: bool
    """It is a sequence of which items are asked for."""
    matches: Matcher

    @classmethod
    def of(cls, keys: Sequence[Key], query: Query) -> Field:
        """The field of the keys that begin with the same tag."""
        first = keys[0]
        is_nested = any(len(key.path) > 1 for key in keys)
        return cls(
            tuple(keys),
            Source.FILE if is_nested else source(first, query.level),
            Tag(first.tag),
            first.vr,
            first.keyword,
            first.creator,
            any(key.is_matched for key in keys),
            is_nested,
            matcher(first.vr, first.values, query.options),
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """A date and a time that are matched together."""

    date: Field
    time: Field


@dataclass(frozen=True, slots=True)
class Plan:
    """The fields of a query, each with its source.

    of_index, of_page, of_file: what is matched, each field for itself, by when it is known.
    """

    query: Query
    retrieve_ae_title: str
    fields: tuple[Field, ...]
    pairs: tuple[Pair, ...]
    unsupported: tuple[Key, ...]
    of_index: tuple[Field, ...]
    of_page: tuple[Field, ...]
    of_file: tuple[Field, ...]

    @classmethod
    def of(cls, query: Query, retrieve_ae_title: str) -> Plan:
        """Decide where everything comes from."""
        fields = [Field.of(keys, query) for keys in by_tag(_all_keys(query), 0).values()]
        pairs = _pairs(fields) if query.options.combined_datetime else ()
        together = {one.tag for pair in pairs for one in (pair.date, pair.time)}
        apart = [one for one in fields if one.is_matched and one.tag not in together]
        return cls(
            query,
            retrieve_ae_title,
            tuple(one for one in fields if one.source not in _LEFT_OUT),
            pairs,
            tuple(key for one in fields if one.source in _LEFT_OUT for key in one.keys),
            tuple(one for one in apart if one.source is Source.INDEX),
            tuple(one for one in apart if one.source in _PAGE),
            tuple(one for one in apart if one.source is Source.FILE),
        )

    @property
    def reads_files(self) -> bool:
        """Whether anything is asked that only files tell."""
        return any(one.source is Source.FILE for one in self.fields)

    @property
    def compares_files(self) -> bool:
        """Whether anything is matched that only files tell."""
        together = (one for pair in self.pairs for one in (pair.date, pair.time))
        return any(one.source is Source.FILE for one in (*self.of_file, *together))

    @property
    def needs_sample(self) -> bool:
        """Whether anything is asked that one instance tells."""
        return any(one.source in (Source.FILE, Source.SAMPLE) for one in self.fields)

    def asks(self, *keywords: str) -> bool:
        """Whether any of these computed attributes is asked for, or needed."""
        needed = (*self.fields, *self.of_page)
        return any(one.keyword in keywords for one in needed if one.source in _COMPUTED)


_LEFT_OUT = frozenset((Source.NOWHERE, Source.BELOW))
_PAGE = frozenset((Source.COMPUTED, Source.SAMPLE, Source.BELOW))
_COMPUTED = frozenset((Source.COMPUTED, Source.BELOW))


def _all_keys(query: Query) -> Sequence[Key]:
    if not query.include_all:
        return query.keys
    asked = {key.path for key in query.keys}
    more = (key for key in indexed_at(query.level) if key.path not in asked)
    return (*query.keys, *more)


def _pairs(fields: Sequence[Field]) -> tuple[Pair, ...]:
    matched = {one.keyword: one for one in fields if one.is_matched}
    found = [(matched.get(date), matched.get(time)) for date, time in _PAIRS]
    return tuple(Pair(date, time) for date, time in found if date and time)
