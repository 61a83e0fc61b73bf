"""Key Object Selection documents (PS3.16 TID 2010): images with a finding, and what is retracted.

**Retraction** is the rejection note of IHE Imaging Object Change Management (IOCM). Its title is
(113001, DCM, "Rejected for Quality Reasons"): results of a part of the images are of lower quality
than those of all, somebody may have looked at them, and with this title an archive keeps them for
whoever has to know what was seen, and hides or marks them. "Data Retention Policy Expired" (113039)
lets it destroy them, and archives refuse it before the study's own retention has ended;
"Patient Safety" (113037) says that they are dangerous, "Incorrect Modality Worklist Entry" (113038)
that they are another patient's. A destination that hides by one of those only is given that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import highdicom as hd
from pydicom.dataset import Dataset

from analyzers.contract import Code
from node.results import uids
from node.results.modules import provenance
from node.results.modules.source import Provenance
from node.results.report import evidence
from node.results.series_numbers import ABOVE, Block, SeriesNumbers
from node.results.study.members import KeyImage, Outcome, Selected
from node.results.study.summary import described, device
from node.results.words import sentences
from node.series.source import Source

KEY_IMAGES_NUMBER = Block(2)
RETRACTION_NUMBER = Block(3)
OF_INTEREST = Code("113000", "DCM", "Of Interest")
REJECTED: Mapping[str, Code] = {
    "quality": Code("113001", "DCM", "Rejected for Quality Reasons"),
    "safety": Code("113037", "DCM", "Rejected for Patient Safety Reasons"),
    "retention": Code("113039", "DCM", "Data Retention Policy Expired"),
}
"""PS3.16 CID 7010, by what the settings call them."""


@dataclass(frozen=True, slots=True)
class _Document:
    """What tells one document of a run from the others."""

    role: str
    number: Block
    title: Code
    text: str
    series_description: str


def key_images(outcomes: Sequence[Outcome]) -> list[KeyImage]:
    """The images with a finding, each once, in the order of the analyses."""
    found = (key for one in outcomes for key in one.key_images)
    return list({(key.image, key.frame): key for key in found}.values())


def build(source: Source, outcomes: Sequence[Outcome], provenance_: Provenance) -> Dataset:
    """The selection of the images with a finding; there has to be one at least.

    It refers to images of the study alone, which every archive has that they came from.
    """
    language, selected = provenance_.maker.language, key_images(outcomes)
    titles = dict.fromkeys(one.title for one in outcomes if one.key_images)
    named = _Document(
        role="key-objects",
        number=KEY_IMAGES_NUMBER,
        title=OF_INTEREST,
        text=sentences.CHOSEN(language, what=", ".join(titles)),
        series_description=described(outcomes, sentences.KEY_IMAGES(language), language),
    )
    images = [Selected(key.image, is_image=True) for key in selected]
    document = _document(source, images, provenance_, named)
    _name_frames(document, selected)
    return document


def build_retraction(
    source: Source, objects: Sequence[Selected], reason: str, provenance_: Provenance
) -> Dataset:
    """The note that takes objects back; ``reason`` is one of ``REJECTED``."""
    language = provenance_.maker.language
    named = _Document(
        role="retraction",
        number=RETRACTION_NUMBER,
        title=REJECTED[reason],
        text=sentences.WHY_RETRACTED(language),
        series_description=sentences.RETRACTED(language),
    )
    return _document(source, objects, provenance_, named)


def _document(
    source: Source, objects: Sequence[Selected], provenance_: Provenance, named: _Document
) -> Dataset:
    referred = list(dict.fromkeys(one.object for one in objects))
    content = hd.ko.KeyObjectSelection(
        document_title=provenance.concept(named.title),
        referenced_objects=[_stand_in(one) for one in objects],
        observer_device_context=device(provenance_),
        description=named.text,
    )
    document: Dataset = hd.ko.KeyObjectSelectionDocument(
        evidence=evidence.stand_ins(referred),
        content=content,
        series_instance_uid=uids.object_uid(provenance_.key, f"{named.role}-series"),
        series_number=SeriesNumbers(provenance_.key, ABOVE).next(named.number).series_number,
        sop_instance_uid=uids.object_uid(provenance_.key, named.role),
        instance_number=1,
        manufacturer=provenance.MANUFACTURER,
        series_description=provenance.text(named.series_description),
    )
    document.CurrentRequestedProcedureEvidenceSequence = evidence.hierarchy(referred)
    document.ContinuityOfContent = "SEPARATE"
    provenance.stamp(document, source, provenance_)
    return document


def _stand_in(one: Selected) -> Dataset:
    """What highdicom takes as an object: an image is what has rows and columns."""
    stand_in = Dataset()
    stand_in.SOPClassUID = one.object.sop_class_uid
    stand_in.SOPInstanceUID = one.object.sop_instance_uid
    if one.is_image:
        stand_in.Rows = stand_in.Columns = 1
    return stand_in


def _name_frames(document: Dataset, selected: Sequence[KeyImage]) -> None:
    """Say which frames of an image of several they are."""
    items = [one for one in document.ContentSequence if one.ValueType == "IMAGE"]
    for item, key in zip(items, selected, strict=True):
        if key.frame:
            item.ReferencedSOPSequence[0].ReferencedFrameNumber = key.frame
