"""What a run says, for pages: the answer, the numbers of each finding, pictures, method and limits.

Words are those of the report; the numbers have its digits. No page names the patient.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.contract import Classification, Detection, Measurement, Segmentation
from node.results.bench import Bench
from node.results.forms import drawing, marks, pictures, rows, views
from node.results.forms.rows import Row
from node.results.forms.views import View
from node.results.modules import copied, provenance
from node.results.modules.source import Provenance
from node.results.report import content_items, statements
from node.results.words import sentences

MOST_PICTURES = 4


@dataclass(frozen=True, slots=True)
class Section:
    """Something found, and all that is said of it."""

    name: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A picture, uint8 RGB, and what it shows."""

    pixels: NDArray[np.uint8]
    caption: str


@dataclass(frozen=True, slots=True)
class Account:
    """Everything that pages say, in their order."""

    title: str
    subtitle: str
    warning: str
    answer: Sequence[str]
    sections: Sequence[Section]
    pictures: Sequence[Shown]
    told: Sequence[str]
    method: Sequence[str]


def of(bench: Bench) -> Account:
    """What the run says; its report has been made."""
    run, language = bench.provenance, bench.provenance.maker.language
    answer, told = _sentences(bench.report)
    made_by = statements.method(run)
    return Account(
        title=f"{run.analyzer_title} {run.analyzer_version}",
        subtitle=_subtitle(bench, language),
        warning=sentences.NOT_FOR_DIAGNOSIS(language),
        answer=answer,
        sections=list(_sections(bench, language)),
        pictures=list(_pictures(bench)),
        told=[one for one in told if one != made_by],
        method=[made_by, *_method(bench, language)],
    )


def of_summary(report: Dataset, run: Provenance) -> Account:
    """What the summary of a study says: of every analysis what it came to, in words."""
    answer, told = _sentences(report)
    language = run.maker.language
    made_by = sentences.ALGORITHM(
        language, name=run.analyzer, version=run.analyzer_version, node=run.node_version
    )
    return Account(
        title=run.analyzer_title,
        subtitle="",
        warning=sentences.NOT_FOR_DIAGNOSIS(language),
        answer=answer,
        sections=(),
        pictures=(),
        told=told,
        method=[made_by],
    )


def _subtitle(bench: Bench, language: str) -> str:
    count = len(bench.source.frames) or len(bench.source.headers)
    modality = copied.modality_of(bench.source.headers[0])
    row = sentences.IMAGE_READ if count == 1 else sentences.IMAGES_READ
    return row(language, modality=modality, count=count)


# --- sentences ------------------------------------------------------------------------------------


def _sentences(report: Dataset | None) -> tuple[list[str], list[str]]:
    """The conclusion of the report, and everything else that it says outside of groups."""
    answer, told = list[str](), list[str]()
    for item in _texts([] if report is None else report.ContentSequence):
        is_answer = _named(item) == content_items.CONCLUSION.value
        (answer if is_answer else told).append(str(item.TextValue))
    return answer, told


_OBSERVER = hd.sr.RelationshipTypeValues.HAS_OBS_CONTEXT.value
_ELSEWHERE = frozenset({"126010", "111028"})
"""Imaging Measurements and Image Library (PS3.16 TID 1500, 1600)."""


def _texts(items: Iterable[Dataset]) -> Iterator[Dataset]:
    for item in items:
        if item.RelationshipType == _OBSERVER or _named(item) in _ELSEWHERE:
            continue
        if item.ValueType == "TEXT":
            yield item
        yield from _texts(item.get("ContentSequence", []))


def _named(item: Dataset) -> str:
    concept = item.get("ConceptNameCodeSequence")
    return str(concept[0].get("CodeValue")) if concept else ""


# --- numbers --------------------------------------------------------------------------------------


def _sections(bench: Bench, language: str) -> Iterator[Section]:
    """Of each structure and box, and of the series; nothing for what there is nothing to say of."""
    for index, item in enumerate(bench.findings.items):
        if isinstance(item, Segmentation):
            for segment in bench.present[index]:
                yield Section(segment.label, list(rows.of_finding(segment, language)))
        elif isinstance(item, Detection):
            name = statements.detection_name(item, language)
            yield Section(name, list(rows.of_finding(item, language)))
    whole = [one for one in bench.findings.items if isinstance(one, Measurement | Classification)]
    if whole:
        said = [row for one in whole for row in rows.of_one(one, language)]
        yield Section(sentences.WHOLE_SERIES(language), said)


# --- pictures and method --------------------------------------------------------------------------


def _pictures(bench: Bench) -> Iterator[Shown]:
    volume = bench.source.volume
    if volume is None:
        return
    for view in views.of(marks.of(bench), MOST_PICTURES):
        scene = pictures.scene(bench, volume, view)
        caption = ": ".join(one for one in (scene.place, _names(view)) if one)
        yield Shown(drawing.alone(scene), caption)


def _names(view: View) -> str:
    return ", ".join(f"{one.caption.tag} {one.caption.name}".strip() for one in view.marks)


def _method(bench: Bench, language: str) -> Iterator[str]:
    run = bench.provenance
    yield sentences.ALGORITHM(
        language, name=run.analyzer, version=run.analyzer_version, node=run.node_version
    )
    if run.parameters:
        what = ", ".join(provenance.parameter_texts(run))
        yield sentences.PARAMETERS(language, what=what)
