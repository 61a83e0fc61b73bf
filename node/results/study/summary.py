"""The summary of a study: one report above those of the analyzers, for whoever opens one alone.

A Comprehensive 3D SR after TID 1500, as the analyzers' own reports: it is the root from which all
results of a rule are reached (IHE AI Results asks for one, of that template), whoever takes one
takes the other, and it opens in the same viewers. It repeats no number: it says of every analysis
what it came to, in the words of its report, and refers to that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, combinations

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from analyzers.contract import Code
from node.results import uids
from node.results.modules import provenance
from node.results.modules.source import HierarchicalReference, Provenance
from node.results.report import content_items, evidence, groups, procedures
from node.results.report.sr import LANGUAGES, QUALITATIVE_EVALUATIONS, name_every_item
from node.results.series_numbers import ABOVE, Block, SeriesNumbers
from node.results.study.members import Answered, KeyImage, Outcome
from node.results.words import sentences
from node.series.source import Source
from storage.records import JobState

NUMBER = Block(1)
REFERRED = Code("260753009", "SCT", "Source")
_COUNTED = {
    JobState.FAILED: sentences.COUNT_FAILED,
    JobState.CANCELLED: sentences.COUNT_CANCELLED,
    JobState.NOT_APPLICABLE: sentences.COUNT_NOT_APPLICABLE,
    JobState.DONE: sentences.COUNT_DONE,
}
"""In the order of saying it: what somebody has to know first."""
_CAME_TO = {
    JobState.FAILED: sentences.CAME_TO_FAILED,
    JobState.CANCELLED: sentences.CAME_TO_CANCELLED,
    JobState.NOT_APPLICABLE: sentences.CAME_TO_NOT_APPLICABLE,
    JobState.DONE: sentences.CAME_TO,
}


def build(source: Source, outcomes: Sequence[Outcome], provenance_: Provenance) -> Dataset:
    """The summary report, ready to be written.

    Where all failed its evidence is an image of the study, to which nothing refers.
    """
    language = provenance_.maker.language
    referred = references(outcomes) or [HierarchicalReference.to(source.headers[0])]
    document: Dataset = hd.sr.Comprehensive3DSR(
        evidence=evidence.stand_ins(referred),
        content=_content(source, outcomes, provenance_),
        series_instance_uid=uids.object_uid(provenance_.key, "summary-series"),
        series_number=SeriesNumbers(provenance_.key, ABOVE).next(NUMBER).series_number,
        sop_instance_uid=uids.object_uid(provenance_.key, "summary"),
        instance_number=1,
        manufacturer=provenance.MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=described(outcomes, sentences.SUMMARY(language), language),
    )
    document.CurrentRequestedProcedureEvidenceSequence = evidence.hierarchy(referred)
    if provenance_.predecessor is not None:
        document.PredecessorDocumentsSequence = evidence.hierarchy([provenance_.predecessor])
    document.CompletionFlag = "PARTIAL" if _lacks_some(outcomes) else "COMPLETE"
    provenance.stamp(document, source, provenance_)
    return document


def references(outcomes: Sequence[Outcome]) -> list[HierarchicalReference]:
    """All that a summary refers to, each once: reports, images made, an image with a finding."""
    found = (chain(one.refers_to, (key.image for key in one.key_images[:1])) for one in outcomes)
    return list(dict.fromkeys(chain.from_iterable(found)))


def described(outcomes: Sequence[Outcome], title: str, language: str) -> str:
    """A Series Description that begins with how the analyses ended."""
    return provenance.text(f"{_ends(outcomes, language).upper()}: {title}")


def _ends(outcomes: Sequence[Outcome], language: str) -> str:
    """ "1 failed, 3 done"."""
    counts = Counter(one.state for one in outcomes)
    return ", ".join(
        said(language, count=counts[state]) for state, said in _COUNTED.items() if counts[state]
    )


def _lacks_some(outcomes: Sequence[Outcome]) -> bool:
    return any(one.state in (JobState.FAILED, JobState.CANCELLED) for one in outcomes)


def _content(
    source: Source, outcomes: Sequence[Outcome], provenance_: Provenance
) -> hd.sr.MeasurementReport:
    placed = list(_places(source, outcomes))
    language = LANGUAGES[provenance_.maker.language]
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=device(provenance_)),
        procedure_reported=provenance.concept(procedures.of(source.headers[0])),
        imaging_measurements=placed or [_placeholder(source)],
        language_of_content_item_and_descendants=hd.sr.LanguageOfContentItemAndDescendants(
            provenance.concept(language)
        ),
    )
    root = report[0].ContentSequence
    if not placed:
        root.pop()
    container = hd.sr.ContainerContentItem(
        name=provenance.concept(QUALITATIVE_EVALUATIONS), relationship_type=content_items.CONTAINS
    )
    container.ContentSequence = hd.sr.ContentSequence(
        list(_sentences(outcomes, provenance_.maker.language))
    )
    root.append(container)
    name_every_item(report)
    return report


def device(provenance_: Provenance) -> hd.sr.ObserverContext:
    """The node as the observer (PS3.16 TID 1002, 1004)."""
    return hd.sr.ObserverContext(
        observer_type=provenance.concept(Code("121007", "DCM", "Device")),
        observer_identifying_attributes=provenance.device_observer(provenance_),
    )


def _sentences(outcomes: Sequence[Outcome], language: str) -> Iterator[hd.sr.ContentItem]:
    """First of all how the analyses ended, then each; the method last."""
    ends = sentences.ANALYSES(language, count=len(outcomes), ends=_ends(outcomes, language))
    yield content_items.text_item(content_items.CONCLUSION, ends)
    for said in disagreements(outcomes, language):
        yield content_items.text_item(content_items.CONCLUSION, said)
    for one in outcomes:
        text = " ".join(one.texts)
        said = _CAME_TO[one.state](language, title=one.title, text=text).strip()
        item = content_items.text_item(content_items.CONCLUSION, said)
        below = [_reference(reference) for reference in one.refers_to]
        if below:
            item.ContentSequence = hd.sr.ContentSequence(below)
        yield item
    yield content_items.text_item(content_items.COMMENT, sentences.SUMMED_UP(language))


def disagreements(outcomes: Sequence[Outcome], language: str) -> list[str]:
    """A sentence a question to which analyses of one series gave answers that exclude each other.

    Each answer is right by its own method; whoever reads only the first would not know.
    """
    asked: dict[tuple[str, tuple[str, str]], list[tuple[Outcome, Answered]]] = {}
    for one in outcomes:
        for it in one.answered:
            asked.setdefault((it.series_instance_uid, it.question), []).append((one, it))
    return [
        sentences.DISAGREE(
            language,
            question=given[0][1].asked,
            answers="; ".join(f"{one.title}: {', '.join(it.answers)}" for one, it in given),
        )
        for given in asked.values()
        if _exclude_each_other([it.answers for _, it in given])
    ]


def _exclude_each_other(answers: Sequence[tuple[str, ...]]) -> bool:
    return any(set(one).isdisjoint(other) for one, other in combinations(answers, 2))


def _reference(referred: HierarchicalReference) -> hd.sr.ContentItem:
    return hd.sr.CompositeContentItem(
        name=provenance.concept(REFERRED),
        referenced_sop_class_uid=referred.sop_class_uid,
        referenced_sop_instance_uid=referred.sop_instance_uid,
        relationship_type=content_items.INFERRED_FROM,
    )


def _places(source: Source, outcomes: Sequence[Outcome]) -> Iterator[groups.Group]:
    """A place each. An analyzer may have looked at several series, or images of one: each place
    is followed up by itself."""
    before: Counter[tuple[str, str]] = Counter()
    for one in outcomes:
        if one.key_images:
            series = one.key_images[0].image.series_instance_uid
            before[one.analyzer, series] += 1
            yield _place(source, one, f"{series}:{before[one.analyzer, series]}")


def _place(source: Source, one: Outcome, which: str) -> groups.Group:
    """Where the first finding of an analysis is looked at: viewers jump there."""
    text = content_items.text_item(content_items.COMMENT, one.title)
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(source, one.analyzer, which),
        referenced_region=_region(one.key_images[0]),
        algorithm_id=hd.sr.AlgorithmIdentification(
            name=one.analyzer, version=one.version, manufacturer=provenance.MANUFACTURER
        ),
    )
    group[0].ContentSequence.append(text)
    return group


def _placeholder(source: Source) -> groups.Group:
    """highdicom asks for a measurement group where the template does not; it is taken out."""
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(source, groups.WHOLE_SERIES)
    )


def _tracking(source: Source, analyzer: str, which: str = "") -> hd.sr.TrackingIdentifier:
    uid = uids.tracking_uid(source, "summary", f"{analyzer}\0{which}")
    return hd.sr.TrackingIdentifier(uid=uid, identifier=f"summary:{analyzer}")


def _region(key: KeyImage) -> hd.sr.ImageRegion:
    """highdicom is told that it is a CT image: it knows no private SOP class."""
    image = hd.sr.SourceImageForRegion(
        referenced_sop_class_uid=CTImageStorage,
        referenced_sop_instance_uid=key.image.sop_instance_uid,
        referenced_frame_numbers=[key.frame] if key.frame else None,
    )
    region = hd.sr.ImageRegion(
        graphic_type=hd.sr.GraphicTypeValues(key.graphic),
        graphic_data=np.array(key.points, np.float32).reshape(-1, 2),
        source_image=image,
    )
    (selected,) = region.ContentSequence
    selected.ReferencedSOPSequence[0].ReferencedSOPClassUID = key.image.sop_class_uid
    return region
