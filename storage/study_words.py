"""Words by which a person finds a study: whatever their case and accents, from their beginning on.

Of a name every component is a word, of a finding every word and what follows it. Queries of DICOM
go by whole values (``storage.names``): this is for the search of pages.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.listed import among
from storage.query import begins
from storage.records import Header

_BETWEEN = re.compile(r"[\s^=,]+")


class WordKind(StrEnum):
    """What a word is of."""

    NAME = "name"
    """Of the patient; only for whoever may see names."""
    PATIENT_ID = "patient_id"
    ACCESSION = "accession"
    FINDING = "finding"


def folded(text: str) -> str:
    """A text as it is compared: without case, accents and what does not fit into an index."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(one for one in parts if not unicodedata.combining(one))
    return unicodedata.normalize("NFC", plain).strip(" \0")[: schema.IndexedText.MOST]


def words_in(text: str) -> list[str]:
    """The words of what a person has typed, folded."""
    return [one for one in _BETWEEN.split(folded(text)) if one]


def enter(tx: Transaction, study_id: int, header: Header) -> None:
    """By what a study is found from now on, as its header says; findings stay."""
    table = schema.study_words
    mine = (table.c.study_id == study_id, table.c.kind != WordKind.FINDING.value)
    tx.execute(sa.delete(table).where(*mine))
    rows = rows_of(study_id, header)
    if rows:
        tx.execute(sa.insert(table), rows)


def rows_of(study_id: int, header: Header) -> list[dict[str, object]]:
    """The rows of what its header says."""
    return [
        {"study_id": study_id, "kind": kind.value, "word": word}
        for kind, word in sorted(set(_of_header(header)))
    ]


def _of_header(header: Header) -> Iterator[tuple[WordKind, str]]:
    for word in words_in(str(header.get("PatientName") or "")):
        yield WordKind.NAME, word
    for kind, keyword in (
        (WordKind.PATIENT_ID, "PatientID"), (WordKind.ACCESSION, "AccessionNumber"),
    ):  # fmt: skip
        if word := folded(str(header.get(keyword) or "")):
            yield kind, word


def enter_findings(tx: Transaction, study_id: int, structures: Collection[str]) -> None:
    """What was found in a study, by the names of structures, and nothing else."""
    wanted = {tail for one in structures for tail in _tails(one)}
    table = schema.study_words
    mine = (table.c.study_id == study_id, table.c.kind == WordKind.FINDING.value)
    known = set(tx.scalars(sa.select(table.c.word).where(*mine)))
    for word in known - wanted:
        tx.execute(sa.delete(table).where(*mine, table.c.word == word))
    rows = [
        {"study_id": study_id, "kind": WordKind.FINDING.value, "word": word}
        for word in sorted(wanted - known)
    ]
    if rows:
        tx.execute(sa.insert(table), rows)


def _tails(text: str) -> Iterable[str]:
    """ "Left lung" is found by "left l" and by "lung"."""
    words = words_in(text)
    return (" ".join(words[start:]) for start in range(len(words)))


def studies_with(
    tx: Transaction, kinds: Iterable[WordKind], beginning: str
) -> sa.Select[tuple[int]]:
    """The rows of studies that have a word of some kind that begins like this."""
    table = schema.study_words
    kind = among(tx.dialect.name, table.c.kind, [one.value for one in kinds])
    return sa.select(table.c.study_id).where(kind, begins(table.c.word, beginning))
