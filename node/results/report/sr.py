"""The report of an analysis: Comprehensive 3D SR after TID 1500 (PS3.16), the root of its results.

Owns the document: title, observer, procedure, evidence, predecessors, conclusion. There is one for
every analysis, also where nothing was found, where the images do not fit, and where it failed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import highdicom as hd
from pydicom.dataset import Dataset

from analyzers.contract import Code, Findings, Statement
from node.results import prepared, uids
from node.results.modules import provenance
from node.results.modules.source import HierarchicalReference, Provenance
from node.results.report import (
    changes,
    content_items,
    evidence,
    groups,
    library,
    places,
    procedures,
    statements,
)
from node.results.report import reasons as reasons_
from node.results.report.statements import NoticeReason
from node.results.series_numbers import Block, SeriesNumbers
from node.results.words import sentences
from node.series.source import Source

QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
REPORT_NUMBER = Block(1)
REGIONS_NUMBER = Block(9)
LANGUAGES = {
    "en": Code("en", "RFC5646", "English"),
    "de": Code("de", "RFC5646", "German"),
}
"""PS3.16 CID 5000."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to tell the findings: what its UIDs derive from, and the number of its series."""

    role: str
    number: Block


REPORT = Form("sr", REPORT_NUMBER)
REGIONS = Form("sr-regions", REGIONS_NUMBER)
"""For readers that know no segments: structures are regions of images, and nothing is referred to
but images."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made beside the report, and is spoken of in it."""

    segmentations: Mapping[int, Dataset] = field(default_factory=dict)
    """The Segmentation objects, by the index of their finding."""
    images: Sequence[HierarchicalReference] = ()
    """Those of derived series."""
    further: Sequence[HierarchicalReference] = ()
    """What is no image: registrations, presentation states."""
    cited: Sequence[Source] = ()
    """Companions that were used."""
    titles: statements.MadeTitles = field(default_factory=statements.MadeTitles)

    def objects(self) -> list[HierarchicalReference]:
        """All that is no segmentation."""
        return [*self.images, *self.further]

    def companions(self) -> list[HierarchicalReference]:
        """The images of the companions."""
        headers = (header for one in self.cited for header in one.headers)
        return [HierarchicalReference.to(header) for header in headers]


@dataclass(frozen=True, slots=True)
class Content:
    """What stands below the root, in this order: the answer comes first, method and limits last."""

    conclusion: str
    measured: Sequence[groups.Group]
    said: Sequence[hd.sr.ContentItem]


def report_uid(run: Provenance) -> str:
    """The UID of the report of a run."""
    return str(uids.object_uid(run.key, REPORT.role))


def build(
    source: Source,
    findings: Findings,
    made: Made,
    provenance_: Provenance,
    form: Form = REPORT,
) -> Dataset:
    """The report of the findings, ready to be written.

    A segmentation of which no object was made is reported as "looked for, not found".
    """
    slices, language = places.key_slices(findings), provenance_.maker.language
    by_regions = form is REGIONS
    context = groups.Context(source, provenance_, made.segmentations, slices, by_regions)
    present = groups.encoded_segments(findings, context)
    where: dict[str, str] = {}
    for (_, key), index in slices.items():
        where.setdefault(key, places.image_in_words(source, index, language))
    concluded = statements.conclusion(findings, present, provenance_, made.titles, where)
    beside = [
        *(one.in_words(language) for one in changes.since(provenance_.earlier, findings, language)),
        *findings.remarks,
    ]
    said = [
        *groups.absent_structures(findings, context),
        *(
            content_items.statement_item(one, language)
            for one in findings.items
            if isinstance(one, Statement)
        ),
        *(content_items.text_item(content_items.COMMENT, one) for one in beside),
        *_derived_series(made.images, language),
        *library.other_objects(made.further),
        content_items.text_item(content_items.COMMENT, statements.method(provenance_)),
    ]
    segmentations = () if by_regions else made.segmentations.values()
    objects = [HierarchicalReference.to(dataset) for dataset in segmentations]
    objects += [*made.companions(), *made.objects()]
    measured = groups.measurement_groups(findings, context)
    report = _report(source, provenance_, Content(concluded, measured, said))
    document = _document(source, provenance_, report, objects, form=form)
    library.add_images(document, (source, *made.cited), made.images)
    document.CompletionFlag = "COMPLETE"
    prepared.keep_ready(document)
    return document


def build_notice(
    source: Source, verdict: NoticeReason, reasons: Sequence[str], provenance_: Provenance
) -> Dataset:
    """The report that there is no result, and why.

    Its UID depends on what it says: a job that is tried again ends in another report.
    """
    language = provenance_.maker.language
    given = reasons_.texts(source, reasons, language)
    concluded = statements.notice(verdict, given, provenance_)
    said = [content_items.text_item(content_items.COMMENT, statements.noticed(provenance_))]
    role, title = ":".join((verdict, *reasons)), statements.notice_title(verdict, language)
    provenance_ = replace(provenance_, outcome=title)
    shown = groups.whole_image(groups.Context(source, provenance_, {}))
    report = _report(source, provenance_, Content(concluded, shown, said))
    document = _document(source, provenance_, report, [], role)
    library.add_images(document, (source,))
    document.CompletionFlag = "PARTIAL" if verdict is NoticeReason.FAILED else "COMPLETE"
    prepared.keep_ready(document)
    return document


def _document(
    source: Source,
    provenance_: Provenance,
    report: hd.sr.MeasurementReport,
    made: Sequence[HierarchicalReference],
    role: str = "",
    form: Form = REPORT,
) -> Dataset:
    listed = [HierarchicalReference.to(header) for header in source.headers] + list(made)
    document: Dataset = hd.sr.Comprehensive3DSR(
        evidence=evidence.stand_ins(evidence.asked_for(listed, report)),
        content=report,
        series_instance_uid=uids.object_uid(provenance_.key, f"{form.role}-series"),
        series_number=SeriesNumbers(provenance_.key).next(form.number).series_number,
        sop_instance_uid=uids.object_uid(provenance_.key, f"{form.role}{role}"),
        instance_number=1,
        manufacturer=provenance.MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=_title(provenance_),
    )
    if provenance_.predecessor is not None:
        document.PredecessorDocumentsSequence = evidence.hierarchy([provenance_.predecessor])
    provenance.stamp(document, source, provenance_)
    document["CurrentRequestedProcedureEvidenceSequence"] = evidence.ready(listed)
    return document


def _title(provenance_: Provenance) -> str:
    """What is said of the run; of one that made images alone, that it did."""
    said = provenance_.outcome or sentences.TITLE_IMAGES(provenance_.maker.language)
    return provenance.series_title(replace(provenance_, outcome=said))


def _report(
    source: Source,
    provenance_: Provenance,
    content: Content,
) -> hd.sr.MeasurementReport:
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_device_context=hd.sr.ObserverContext(
                observer_type=provenance.concept(Code("121007", "DCM", "Device")),
                observer_identifying_attributes=provenance.device_observer(provenance_),
            )
        ),
        procedure_reported=provenance.concept(procedures.of(source.headers[0])),
        imaging_measurements=content.measured or [_placeholder(source, provenance_)],
        language_of_content_item_and_descendants=hd.sr.LanguageOfContentItemAndDescendants(
            provenance.concept(LANGUAGES[provenance_.maker.language])
        ),
    )
    root = report[0].ContentSequence
    measurements = root.pop()
    root.append(content_items.text_item(content_items.CONCLUSION, content.conclusion))
    if content.measured:
        root.append(measurements)
    root.append(_evaluations(content.said))
    name_every_item(report)
    return report


def name_every_item(items: Iterable[Dataset]) -> None:
    """Its parts stand each by itself, so that whoever renders them gives their names too
    (Continuity of Content, PS3.3 C.17.3.2.4)."""
    for item in items:
        if item.ValueType == "CONTAINER":
            item.ContinuityOfContent = "SEPARATE"
        name_every_item(item.get("ContentSequence", ()))


def _placeholder(source: Source, provenance_: Provenance) -> groups.Group:
    """highdicom asks for a measurement group where the template does not; it is taken out."""
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=uids.tracking_uid(source, provenance_.analyzer, groups.WHOLE_SERIES),
            identifier=groups.WHOLE_SERIES,
        )
    )


def _evaluations(said: Sequence[hd.sr.ContentItem]) -> hd.sr.ContentItem:
    container = hd.sr.ContainerContentItem(
        name=provenance.concept(QUALITATIVE_EVALUATIONS), relationship_type=content_items.CONTAINS
    )
    container.ContentSequence = hd.sr.ContentSequence(said)
    return container


def _derived_series(
    derived: Sequence[HierarchicalReference], language: str
) -> list[hd.sr.ContentItem]:
    """A sentence and a reference for every derived series: the report is the root of all."""
    counts: defaultdict[str, int] = defaultdict(int)
    for made in derived:
        counts[made.series_instance_uid] += 1
    items = []
    for series, count in counts.items():
        item = content_items.text_item(
            content_items.COMMENT, sentences.SERIES_MADE(language, count=count)
        )
        uid = hd.sr.UIDRefContentItem(
            name=provenance.concept(groups.SERIES_UID),
            value=series,
            relationship_type=content_items.HAS_PROPERTIES,
        )
        item.ContentSequence = hd.sr.ContentSequence([uid])
        items.append(item)
    return items
