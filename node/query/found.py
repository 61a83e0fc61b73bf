"""One row that the index found, with all that is known of it: compared, and answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from node.query import answer, header
from node.query.answer import ONLINE, Answer, Elements
from node.query.asked import Key
from node.query.keys import Source
from node.query.matching import MAX, MIN, parse_range, parse_span
from node.query.plan import Field, Pair, Plan
from storage import query as index
from storage.database import Transaction
from storage.errors import UnreadableInstance
from storage.files.archive import Archive
from storage.header.guarded import guarded_header
from storage.header.reading import read_header
from storage.query import Counts, Hit, Level, Sample

_RETRIEVE_AE_TITLE = Tag(0x00080054)
_AVAILABILITY = Tag(0x00080056)


@dataclass(slots=True)
class Found:
    """A row; ``file`` once it was read."""

    plan: Plan
    hit: Hit
    computed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sample: Sample | None = None
    file: Dataset | None = None
    is_file_read: bool = False
    """Whether it was tried to."""

    # --- comparing --------------------------------------------------------------------------------

    def matches_index(self) -> bool:
        """Whether everything matches that the index tells of the row itself."""
        header = self.hit.header
        return all(one.matches(answer.texts(header.get(one.keyword))) for one in self.plan.of_index)

    def matches_page(self) -> bool:
        """The same of what was looked up for the page."""
        return all(
            one.keyword in _LOOKED_UP or one.matches(self._texts(one)) for one in self.plan.of_page
        )

    def matches_file(self) -> bool:
        """The same of what stands in the file."""
        fits = all(map(self._fits_file, self.plan.of_file))
        return fits and all(map(self._fits_pair, self.plan.pairs))

    def _fits_file(self, one: Field) -> bool:
        if not one.is_nested:
            return one.matches(self._texts(one))
        inner = [key for key in one.keys if len(key.path) > 1]
        items = header.items_of(self._in_file(one))
        return bool(header.fitting_items(items, inner, 1, self.plan.query.options))

    def _fits_pair(self, pair: Pair) -> bool:
        """Date and time as one moment, the ranges of both as one. PS3.4 C.2.2.2.5."""
        days = parse_range("DA", pair.date.keys[0].values[0])
        times = parse_range("TM", pair.time.keys[0].values[0])
        day = parse_span("DA", next(iter(self._texts(pair.date)), ""))
        if days is None or times is None or day is None:
            return False
        time = parse_span("TM", next(iter(self._texts(pair.time)), ""))
        moment = day.first if time is None else _on(day.first, time.first)
        first = days.first if times.first == MIN else _on(days.first, times.first)
        last = days.last if times.last == MAX else _on(days.last, times.last)
        return first <= moment <= last

    # --- values -----------------------------------------------------------------------------------

    def _texts(self, one: Field) -> tuple[str, ...]:
        keyword = one.keyword
        if one.source is Source.INDEX:
            return answer.texts(self.hit.header.get(keyword))
        if one.source is Source.SAMPLE:
            return answer.texts(self.sample.header.get(keyword) if self.sample else None)
        if one.source is Source.FILE:
            return header.texts_of(self._in_file(one))
        return self.computed.get(_COMPUTED_AS.get(keyword, keyword), ())

    def _in_file(self, one: Field) -> DataElement | None:
        if self.file is None:
            return None
        return header.element_of(self.file, one.tag, one.creator)

    def read_file(self, archive: Archive) -> None:
        """Read the header of the instance that speaks for the row; one that is gone, or cannot be
        read, says nothing."""
        self.is_file_read = True
        if self.sample is None:
            return
        try:
            read = read_header(archive.blob_of(self.sample.key, self.sample.own))
        except (UnreadableInstance, OSError):
            return
        self.file = guarded_header(read.dataset)

    # --- answering --------------------------------------------------------------------------------

    def answer(self) -> Answer:
        """What was asked of the row."""
        elements: Elements = {}
        options = self.plan.query.options
        left_out: list[Key] = []
        for one in self.plan.fields:
            if one.source is Source.FILE and not self.is_file_read:
                left_out += one.keys
                continue
            if one.source is Source.FILE:
                element = answer.copied(self._in_file(one), one.keys, options)
            else:
                element = answer.written(one.tag, one.vr, self._texts(one))
            answer.add(elements, element, one.creator)
        for tag, vr, value in self._always():
            elements[tag] = answer.written(tag, vr, (value,))
        unsupported = (*self.plan.unsupported, *left_out)
        return Answer(answer.with_character_set(elements), unsupported)

    def _always(self) -> Iterator[tuple[BaseTag, str, str]]:
        yield _RETRIEVE_AE_TITLE, "AE", self.plan.retrieve_ae_title
        yield _AVAILABILITY, "CS", ONLINE


_LOOKED_UP = frozenset(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
"""Of levels below: the index has looked there."""
_COMPUTED_AS = {"Modality": "ModalitiesInStudy", "SOPClassUID": "SOPClassesInStudy"}
"""Of a study, what is asked of its series and instances."""


def _on(day: Any, time: Any) -> Any:
    return day.replace(
        hour=time.hour, minute=time.minute, second=time.second, microsecond=time.microsecond
    )


@dataclass(frozen=True, slots=True)
class Page:
    """What of a page of rows matches by all that the database tells."""

    found: Sequence[Found]

    @classmethod
    def read(cls, tx: Transaction, plan: Plan, hits: Sequence[Hit]) -> Page:
        """Compare, and look up what is asked of all rows together."""
        rows = [Found(plan, hit) for hit in hits]
        rows = [one for one in rows if one.matches_index()]
        _compute(tx, plan, rows)
        if plan.needs_sample:
            samples = index.samples(tx, plan.query.level, [one.hit for one in rows])
            for one in rows:
                one.sample = samples.get(one.hit.id)
        return cls([one for one in rows if one.matches_page()])


def _compute(tx: Transaction, plan: Plan, rows: Sequence[Found]) -> None:
    """What is counted and listed, each kind by one statement, if it is asked for."""
    values: list[dict[str, tuple[str, ...]]] = [{} for _ in rows]
    of_patient = _counted(tx, plan, rows, Level.PATIENT)
    of_study = _counted(tx, plan, rows, Level.STUDY)
    of_series = _counted(tx, plan, rows, Level.SERIES)
    studies = [one.hit.study_id for one in rows]
    modalities = index.modalities(tx, studies) if plan.asks("ModalitiesInStudy", "Modality") else {}
    classes = (
        index.sop_classes(tx, studies) if plan.asks("SOPClassesInStudy", "SOPClassUID") else {}
    )
    for one, known in zip(rows, values, strict=True):
        patient, study = of_patient.get(one.hit.patient_row), of_study.get(one.hit.study_id)
        series = of_series.get(one.hit.series_id)
        known |= _numbers("Patient", patient, "Studies", "Series", "Instances")
        known |= _numbers("Study", study, "Series", "Instances")
        known |= _numbers("Series", series, "Instances")
        known["ModalitiesInStudy"] = modalities.get(one.hit.study_id, ())
        known["SOPClassesInStudy"] = classes.get(one.hit.study_id, ())
        known["AvailableTransferSyntaxUID"] = answer.texts(one.hit.transfer_syntax_uid)
        one.computed = known


def _counted(tx: Transaction, plan: Plan, rows: Sequence[Found], level: Level) -> dict[int, Counts]:
    of = {Level.PATIENT: "Patient", Level.STUDY: "Study", Level.SERIES: "Series"}[level]
    names = [f"NumberOf{of}Related{what}" for what in ("Studies", "Series", "Instances")]
    if not plan.asks(*names):
        return {}
    return index.counts(tx, level, [_row_at(one.hit, level) for one in rows])


def _row_at(hit: Hit, level: Level) -> int:
    if level is Level.PATIENT:
        return hit.patient_row
    return hit.study_id if level is Level.STUDY else hit.series_id


def _numbers(of: str, counts: Counts | None, *what: str) -> dict[str, tuple[str, ...]]:
    if counts is None:
        return {}
    numbers = {"Studies": counts.studies, "Series": counts.series, "Instances": counts.instances}
    return {f"NumberOf{of}Related{one}": (str(numbers[one]),) for one in what}
