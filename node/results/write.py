"""From findings to files that may leave: builds every object, writes it, and asks the gate.

The one entrance to this room. Everything lies in one folder, named relative to its parent. The
same findings with the same provenance give the same bytes; what differs in anything has other UIDs.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pydicom
from highdicom._standard_utils import is_attribute_in_iod
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from analyzers.contract import (
    Blending,
    Classification,
    ColorImage,
    CompressedImage,
    DerivedImage,
    Detection,
    Findings,
    Measurement,
    ParametricMap,
    Registration,
    Segment,
    Segmentation,
    Statement,
    WindowPreset,
)
from node.results import identity
from node.results.errors import DerivedUnsupported, FindingsContradictImages
from node.results.gate import gate
from node.results.modules import origin
from node.results.modules.source import Provenance, Reference
from node.results.objects import (
    blending,
    color,
    compressed,
    derived,
    parametric,
    presentation,
    registration,
    seg,
)
from node.results.pictures import preview
from node.results.report import numbers, sr, statements
from node.results.report.statements import Verdict
from node.series.source import Source
from storage.records import FindingRow, JobResults, ResultObject

_K = TypeVar("_K")
_Object = (
    DerivedImage
    | ColorImage
    | CompressedImage
    | ParametricMap
    | Registration
    | Blending
    | WindowPreset
)

OVERLAYS = 10
"""Maps over radiographs are numbered from here among the colour images."""


def write_results(
    source: Source,
    findings: Findings,
    provenance: Provenance,
    folder: Path,
    *,
    validate_all: bool = False,
) -> JobResults:
    """Write the objects of an analysis into ``folder`` and let them through the gate.

    ``validate_all`` shows every image of a derived series to dciodvfy, not only the first and the
    last. Raises ``GateRefused`` and the other errors of ``node.results.errors``; what was written
    stays in the folder for whoever looks into it. Nothing is synced: that is for whoever keeps it.
    """
    findings = statements.with_uptake(source, blending.those_held(source, findings))
    provenance = identity.of_run(source, findings, provenance)
    with _quiet():
        desk = _Desk(source, provenance, _made(folder), validate_all)
        for number, (index, mask) in enumerate(_of_kind(findings, Segmentation)):
            desk.segmentation(mask, index, number)
        for number, (_, image) in enumerate(_of_kind(findings, DerivedImage)):
            desk.derived(image, findings, number)
        for number, (_, series) in enumerate(_of_kind(findings, CompressedImage)):
            desk.compressed(series, number)
        for number, (_, chart) in enumerate(_of_kind(findings, ParametricMap)):
            desk.parametric(chart, number)
        for number, (_, picture) in enumerate(_of_kind(findings, ColorImage)):
            desk.color(picture, number)
        for number, (_, moved) in enumerate(_of_kind(findings, Registration)):
            desk.registration(moved, number)
        for number, (_, shown) in enumerate(_of_kind(findings, Blending)):
            desk.blending(shown, number)
        for number, (_, preset) in enumerate(_of_kind(findings, WindowPreset)):
            desk.window(preset, number)
        desk.detections([box for _, box in _of_kind(findings, Detection)])
        desk.report(
            sr.build(
                source,
                findings,
                desk.segs,
                provenance,
                desk.derived_references,
                tuple(desk.evidence.values()),
            )
        )
    return JobResults(
        objects=tuple(desk.objects),
        findings=tuple(rows(findings, desk.present)),
        previews=tuple(desk.previews),
        remarks=findings.remarks,
    )


def load_tables() -> None:
    """Load what highdicom knows of the standard's modules: 60 MB, once in a process."""
    is_attribute_in_iod("ContentDate", ComprehensiveSRStorage)


def write_notice(
    source: Source,
    verdict: Verdict | str,
    reasons: Sequence[str],
    provenance: Provenance,
    folder: Path,
) -> JobResults:
    """Write the report that there is no result; ``verdict`` is "not applicable" or "failed"."""
    provenance = identity.of_run(source, (str(verdict), list(reasons)), provenance)
    with _quiet():
        desk = _Desk(source, provenance, _made(folder), validate_all=False)
        desk.report(sr.build_notice(source, Verdict(verdict), reasons, provenance))
        texts = statements.reason_texts(source, reasons)
    return JobResults(objects=tuple(desk.objects), remarks=tuple(texts))


def rows(findings: Findings, present: statements.Presence) -> Iterator[FindingRow]:
    """One line a number or statement, for the status page and the command line."""
    for index, item in enumerate(findings.items):
        if isinstance(item, Segmentation):
            for segment in item.segments:
                yield from _segment_rows(segment, segment in present.get(index, ()))
        elif isinstance(item, Detection):
            yield from _detection_rows(item)
        elif isinstance(item, Measurement):
            yield _measurement_row("", item)
        elif isinstance(item, Classification):
            yield _classification_row("", item)
        elif isinstance(item, Statement):
            yield FindingRow("", "Conclusion", None, "", f"{item.conclusion.meaning} ({item.rule})")
        else:
            yield _object_row(item)


# --- files ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Desk:
    """Writes one object after the other and keeps account of them."""

    source: Source
    provenance: Provenance
    folder: Path
    validate_all: bool
    objects: list[ResultObject] = field(default_factory=list)
    previews: list[str] = field(default_factory=list)
    segs: dict[int, Dataset] = field(default_factory=dict)
    present: dict[int, tuple[Segment, ...]] = field(default_factory=dict)
    derived_references: list[Reference] = field(default_factory=list)
    evidence: dict[str, Reference] = field(default_factory=dict)
    """By UID, what else the report rests on or gave rise to: companions, registrations, states."""
    companions: dict[str, list[Dataset]] = field(default_factory=dict)
    """Headers of the derived images that were made from companions, by role."""

    def segmentation(self, item: Segmentation, index: int, number: int) -> None:
        present = seg.present_segments(item)
        self.present[index] = present
        if not present:
            return
        dataset = seg.build(self.source, item, self.provenance, number, present)
        path = self._write(dataset, f"seg-{number}.dcm", "seg")
        gate.check_segmentation(path, item, self.source)
        gate.check_required(path, self.source)
        self.segs[index] = dataset
        picture = self._picture(f"seg-{number}.png")
        preview.segmentation(self.source, item, present, self.provenance.analyzer_title, picture)

    def derived(self, item: DerivedImage, findings: Findings, number: int) -> None:
        last = len(self.source.frames) - 1
        made_from = self._made_from(item, findings)
        images = derived.instances(self.source, item, self.provenance, number, made_from)
        for index, dataset in enumerate(images):
            path = self._write(dataset, f"image-{number}-{index:05d}.dcm", "image")
            gate.check_required(path, self.source, validate=self.validate_all or index in (0, last))
            self.derived_references.append(sr.reference(dataset))
            if item.role:
                del dataset.PixelData
                self.companions.setdefault(item.role, []).append(dataset)
        picture = self._picture(f"image-{number}.png")
        preview.derived(
            self.source, item, f"{self.provenance.analyzer_title}: {item.title}", picture
        )

    def _made_from(self, item: DerivedImage, findings: Findings) -> origin.Origin | None:
        if not item.role:
            return None
        matrix = origin.matrix_of(findings, item.role)
        made_from = origin.companion(self.source, item.role, matrix)
        self._cite(made_from.source)
        return made_from

    def _cite(self, companion: Source) -> None:
        for header in companion.headers:
            self._add_evidence(header)

    def _add_evidence(self, dataset: Dataset) -> None:
        self.evidence[str(dataset.SOPInstanceUID)] = sr.reference(dataset)

    def registration(self, item: Registration, number: int) -> None:
        self._cite(origin.companion_source(self.source, item.role))
        dataset = registration.build(self.source, item, self.provenance, number)
        path = self._write(dataset, f"registration-{number}.dcm", "reg")
        gate.check_registration(path, item)
        gate.check_required(path, self.source)
        self._add_evidence(dataset)

    def blending(self, item: Blending, number: int) -> None:
        above = self.companions.get(item.role, [])
        dataset = blending.build(self.source, item, above, self.provenance, number)
        path = self._write(dataset, f"blending-{number}.dcm", "pr")
        gate.check_required(path, self.source)
        self._add_evidence(dataset)

    def window(self, item: WindowPreset, number: int) -> None:
        if not presentation.has_one_rescale(self.source):
            raise DerivedUnsupported(
                "the rescale changes from slice to slice: a preset holds one for the series"
            )
        dataset = presentation.build(self.source, item, self.provenance, number)
        path = self._write(dataset, f"window-{number}.dcm", "pr")
        gate.check_required(path, self.source)
        self._add_evidence(dataset)

    def compressed(self, item: CompressedImage, number: int) -> None:
        volume = self.source.volume
        if volume is None:
            raise FindingsContradictImages("there are no pixels that could be compressed")
        last = len(self.source.frames) - 1
        images = compressed.instances(self.source, item, self.provenance, number)
        for index, dataset in enumerate(images):
            path = self._write(dataset, f"compressed-{number}-{index:05d}.dcm", "image")
            gate.check_compressed(path, volume.stored[index], lossless=not item.method)
            gate.check_required(path, self.source, validate=self.validate_all or index in (0, last))
            self.derived_references.append(sr.reference(dataset))

    def parametric(self, item: ParametricMap, number: int) -> None:
        volume = self.source.volume
        if volume is not None and not parametric.can_be_placed(self.source):
            self.color(color.overlay(volume, item), OVERLAYS + number)
            return
        dataset = parametric.build(self.source, item, self.provenance, number)
        path = self._write(dataset, f"map-{number}.dcm", "map")
        gate.check_required(path, self.source)
        self.derived_references.append(sr.reference(dataset))

    def color(self, item: ColorImage, number: int) -> None:
        last = len(self.source.frames) - 1
        images = color.instances(self.source, item, self.provenance, number)
        for index, dataset in enumerate(images):
            path = self._write(dataset, f"color-{number}-{index:05d}.dcm", "image")
            gate.check_required(path, self.source, validate=self.validate_all or index in (0, last))
            self.derived_references.append(sr.reference(dataset))
        middle = Image.fromarray(item.values[len(item.values) // 2])
        middle.thumbnail((512, 512))
        middle.save(self._picture(f"color-{number}.png"))

    def detections(self, items: Sequence[Detection]) -> None:
        if items:
            picture = self._picture("detections.png")
            preview.detections(self.source, items, self.provenance.analyzer_title, picture)

    def report(self, document: Dataset) -> None:
        path = self._write(document, "report.dcm", "sr")
        made: dict[str, Dataset | None] = {
            reference.sop_instance_uid: None
            for reference in (*self.derived_references, *self.evidence.values())
        }
        made |= {str(dataset.SOPInstanceUID): dataset for dataset in self.segs.values()}
        gate.check_references(path, self.source, made)
        gate.check_required(path, self.source)

    def _write(self, dataset: Dataset, name: str, kind: str) -> Path:
        path = self.folder / name
        with path.open("wb") as file:
            pydicom.dcmwrite(file, dataset, enforce_file_format=True)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.objects.append(
            ResultObject(
                sop_instance_uid=str(dataset.SOPInstanceUID),
                sop_class_uid=str(dataset.SOPClassUID),
                series_instance_uid=str(dataset.SeriesInstanceUID),
                transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
                kind=kind,
                key=self._key(path),
                size_bytes=path.stat().st_size,
                sha256=digest,
            )
        )
        return path

    def _picture(self, name: str) -> Path:
        path = self.folder / name
        self.previews.append(self._key(path))
        return path

    def _key(self, path: Path) -> str:
        return f"{self.folder.name}/{path.name}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _quiet() -> warnings.catch_warnings[None]:
    """pydicom warns of every odd value copied from the images, with the value; it may not."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)


def _of_kind(findings: Findings, kind: type[_K]) -> list[tuple[int, _K]]:
    return [(i, item) for i, item in enumerate(findings.items) if isinstance(item, kind)]


# --- lines for people -----------------------------------------------------------------------------


def _object_row(item: _Object) -> FindingRow:
    """The line of what is an object of its own."""
    if isinstance(item, ParametricMap):
        return FindingRow(item.title, "Parametric map", None, numbers.unit_words(item.unit), "")
    if isinstance(item, Registration):
        return FindingRow(item.title, "Registration", None, "", "")
    if isinstance(item, Blending | WindowPreset):
        return FindingRow(item.title, "Presentation state", None, "", "")
    return FindingRow(item.title, "Derived series", None, "", item.remarks)


def _segment_rows(segment: Segment, present: bool) -> Iterator[FindingRow]:
    if not present:
        yield FindingRow(segment.label, "Presence", None, "", "looked for, not found")
        return
    if not segment.measurements and not segment.classifications:
        yield FindingRow(segment.label, "Presence", None, "", "found")
    for measurement in segment.measurements:
        yield _measurement_row(segment.label, measurement)
    for classification in segment.classifications:
        yield _classification_row(segment.label, classification)


def _detection_rows(detection: Detection) -> Iterator[FindingRow]:
    name = statements.detection_name(detection)
    score = None if detection.score is None else numbers.certainty_percent(detection.score)
    yield FindingRow(name, "Certainty", score, "" if score is None else "%", detection.key)
    for measurement in detection.measurements:
        yield _measurement_row(name, measurement)
    for classification in detection.classifications:
        yield _classification_row(name, classification)


def _measurement_row(structure: str, item: Measurement) -> FindingRow:
    derivation = f" ({item.derivation.meaning.lower()})" if item.derivation else ""
    value = numbers.kept(item.value) if math.isfinite(item.value) else None
    note = "" if value is not None else "could not be measured"
    return FindingRow(
        structure, f"{item.name.meaning}{derivation}", value, numbers.unit_words(item.unit), note
    )


def _classification_row(structure: str, item: Classification) -> FindingRow:
    sure = ""
    if item.probability is not None:
        limit = item.operating_point.threshold if item.operating_point else None
        sure = f" ({numbers.certainty_percent(item.probability, limit):g}%)"
    return FindingRow(structure, item.question.meaning, None, "", f"{item.answer.meaning}{sure}")
