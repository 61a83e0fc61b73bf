"""The report of an analysis: Comprehensive 3D SR after TID 1500 (PS3.16), the root of its results.

Owns the document: title, observer, procedure, evidence, predecessors, conclusion. There is one for
every analysis, also where nothing was found, where the images do not fit, and where it failed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage

from analyzers.contract import Code, Findings, Statement
from node.results import uids
from node.results.modules import provenance
from node.results.modules.source import HierarchicalReference, Provenance
from node.results.modules.subject import REQUIRED_OF_SUBJECT
from node.results.report import groups, places, procedures, statements
from node.results.report.statements import NoticeReason
from node.results.series_numbers import Block, SeriesNumbers
from node.series.source import Source
from storage import values
from storage.guarded import undecoded

REASON = Code("121106", "DCM", "Comment")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
REPORT_NUMBER = Block(1)
ENGLISH = Code("en", "RFC5646", "English")


@dataclass(frozen=True, slots=True)
class Made:
    """What was made beside the report, and is spoken of in it."""

    segmentations: Mapping[int, Dataset] = field(default_factory=dict)
    """The Segmentation objects, by the index of their finding."""
    images: Sequence[HierarchicalReference] = ()
    """Those of derived series."""
    further: Sequence[HierarchicalReference] = ()
    """Other evidence: companions, registrations, presentation states."""
    titles: statements.MadeTitles = field(default_factory=statements.MadeTitles)


def build(
    source: Source,
    findings: Findings,
    made: Made,
    provenance_: Provenance,
) -> Dataset:
    """The report of the findings, ready to be written.

    A segmentation of which no object was made is reported as "looked for, not found".
    """
    slices = places.key_slices(findings)
    context = groups.Context(source, provenance_, made.segmentations, slices)
    present = groups.encoded_segments(findings, context)
    where = {key: places.image_in_words(source, index) for key, index in slices.items()}
    concluded = statements.conclusion(findings, present, provenance_, made.titles, where)
    sentences = [
        groups.text_item(groups.CONCLUSION, concluded),
        *groups.absent_structures(findings, context),
        *(groups.statement_item(one) for one in findings.items if isinstance(one, Statement)),
        *(groups.text_item(groups.COMMENT, remark) for remark in findings.remarks),
        *_derived_series(made.images),
    ]
    objects = [HierarchicalReference.to(dataset) for dataset in made.segmentations.values()]
    objects += [*made.images, *made.further]
    measured = groups.measurement_groups(findings, context)
    verdict = statements.verdict(findings, present)
    document = _document(source, provenance_, measured, sentences, objects, verdict)
    document.CompletionFlag = "COMPLETE"
    return document


def build_notice(
    source: Source, verdict: NoticeReason, reasons: Sequence[str], provenance_: Provenance
) -> Dataset:
    """The report that there is no result, and why.

    Its UID depends on what it says: a job that is tried again ends in another report.
    """
    sentences = [
        groups.text_item(groups.CONCLUSION, statements.notice(verdict, provenance_)),
        *(groups.text_item(REASON, text) for text in statements.reason_texts(source, reasons)),
    ]
    role = ":".join((verdict, *reasons))
    shown = groups.whole_image(groups.Context(source, provenance_, {}))
    document = _document(source, provenance_, shown, sentences, [], str(verdict), role)
    document.CompletionFlag = "PARTIAL" if verdict is NoticeReason.FAILED else "COMPLETE"
    return document


def _document(
    source: Source,
    provenance_: Provenance,
    measured: Sequence[groups.Group],
    sentences: Sequence[hd.sr.ContentItem],
    made: Sequence[HierarchicalReference],
    verdict: str,
    role: str = "",
) -> Dataset:
    report = _report(source, provenance_, measured, sentences)
    evidence = [HierarchicalReference.to(header) for header in source.headers] + list(made)
    document: Dataset = hd.sr.Comprehensive3DSR(
        evidence=_evidence_stand_ins(evidence),
        content=report,
        series_instance_uid=uids.object_uid(provenance_.key, "sr-series"),
        series_number=SeriesNumbers(provenance_.key).next(REPORT_NUMBER).series_number,
        sop_instance_uid=uids.object_uid(provenance_.key, f"sr{role}"),
        instance_number=1,
        manufacturer=provenance.MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=provenance.titled(provenance_.analyzer_title, verdict),
    )
    document.CurrentRequestedProcedureEvidenceSequence = _hierarchy(evidence)
    if provenance_.predecessor is not None:
        document.PredecessorDocumentsSequence = _hierarchy([provenance_.predecessor])
    _refer_to_request(document, source.headers[0])
    provenance.stamp(document, source, provenance_)
    return document


def _report(
    source: Source,
    provenance_: Provenance,
    measured: Sequence[groups.Group],
    sentences: Sequence[hd.sr.ContentItem],
) -> hd.sr.MeasurementReport:
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_device_context=hd.sr.ObserverContext(
                observer_type=provenance.concept(Code("121007", "DCM", "Device")),
                observer_identifying_attributes=provenance.device_observer(provenance_),
            )
        ),
        procedure_reported=provenance.concept(procedures.of(source.headers[0])),
        imaging_measurements=measured or [_placeholder(source, provenance_)],
        language_of_content_item_and_descendants=hd.sr.LanguageOfContentItemAndDescendants(
            provenance.concept(ENGLISH)
        ),
    )
    root = report[0].ContentSequence
    if not measured:
        root.pop()
    root.append(_evaluations(sentences))
    _name_every_item(report)
    return report


def _name_every_item(items: Iterable[Dataset]) -> None:
    """Its parts stand each by itself, so that whoever renders them gives their names too
    (Continuity of Content, PS3.3 C.17.3.2.4)."""
    for item in items:
        if item.ValueType == "CONTAINER":
            item.ContinuityOfContent = "SEPARATE"
        _name_every_item(item.get("ContentSequence", ()))


def _placeholder(source: Source, provenance_: Provenance) -> groups.Group:
    """highdicom asks for a measurement group where the template does not; it is taken out."""
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=uids.tracking_uid(source, provenance_.analyzer, groups.WHOLE_SERIES),
            identifier=groups.WHOLE_SERIES,
        )
    )


def _evaluations(sentences: Sequence[hd.sr.ContentItem]) -> hd.sr.ContentItem:
    container = hd.sr.ContainerContentItem(
        name=provenance.concept(QUALITATIVE_EVALUATIONS), relationship_type=groups.CONTAINS
    )
    container.ContentSequence = hd.sr.ContentSequence(sentences)
    return container


def _derived_series(derived: Sequence[HierarchicalReference]) -> list[hd.sr.ContentItem]:
    """A sentence and a reference for every derived series: the report is the root of all."""
    counts: defaultdict[str, int] = defaultdict(int)
    for made in derived:
        counts[made.series_instance_uid] += 1
    items = []
    for series, count in counts.items():
        item = groups.text_item(groups.COMMENT, f"A derived series of {count} images was made.")
        uid = hd.sr.UIDRefContentItem(
            name=provenance.concept(groups.SERIES_UID),
            value=series,
            relationship_type=groups.HAS_PROPERTIES,
        )
        item.ContentSequence = hd.sr.ContentSequence([uid])
        items.append(item)
    return items


def _evidence_stand_ins(evidence: Iterable[HierarchicalReference]) -> list[Dataset]:
    """What highdicom takes as evidence: identity alone, whatever the SOP class."""
    stand_ins = []
    for listed in evidence:
        stand_in = Dataset()
        stand_in.SOPClassUID = CTImageStorage
        stand_in.SOPInstanceUID = listed.sop_instance_uid
        stand_in.StudyInstanceUID = listed.study_instance_uid
        stand_in.SeriesInstanceUID = listed.series_instance_uid
        for keyword in REQUIRED_OF_SUBJECT:
            if keyword != "StudyInstanceUID":
                setattr(stand_in, keyword, "")
        stand_ins.append(stand_in)
    return stand_ins


def _hierarchy(references: Iterable[HierarchicalReference]) -> Items:
    """References by study and series (PS3.3 Table C.17-3, Hierarchical SOP Instance Macro)."""
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for listed in references:
        item = Dataset()
        item.ReferencedSOPClassUID = listed.sop_class_uid
        item.ReferencedSOPInstanceUID = listed.sop_instance_uid
        series = studies.setdefault(listed.study_instance_uid, {})
        series.setdefault(listed.series_instance_uid, []).append(item)
    return Items([_study_item(study, series) for study, series in studies.items()])


def _study_item(study: str, series: Mapping[str, list[Dataset]]) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study
    item.ReferencedSeriesSequence = Items()
    for series_uid, instances in series.items():
        inner = Dataset()
        inner.SeriesInstanceUID = series_uid
        inner.ReferencedSOPSequence = Items(instances)
        item.ReferencedSeriesSequence.append(inner)
    return item


_REQUEST = (
    "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
)


def _refer_to_request(document: Dataset, header: Dataset) -> None:
    """The request that the images answer, where they name it (PS3.3 C.17.2)."""
    requests = values.items(header, "RequestAttributesSequence")
    if not requests and not _request_text(header, "AccessionNumber"):
        return
    item = Dataset()
    item.StudyInstanceUID = header.StudyInstanceUID
    item.ReferencedStudySequence = []
    item.RequestedProcedureCodeSequence = []
    for keyword in _REQUEST:
        given = (_request_text(request, keyword) for request in (*requests[:1], header))
        setattr(item, keyword, next((text for text in given if text), ""))
    document.ReferencedRequestSequence = [item]


def _request_text(holder: Dataset, keyword: str) -> str:
    """As it is, also where it is too long; empty where it does not decode."""
    text = values.text(holder, keyword)
    return "" if undecoded(text) is not None else text
