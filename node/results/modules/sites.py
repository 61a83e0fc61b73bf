"""In which part of the body a finding lies, in one code: as its analyzer says, or the images do."""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.dataset import Dataset

from analyzers.contract import Code, Detection, Segment
from node.results.modules import copied
from storage.header import values

ANATOMICAL_STRUCTURES = frozenset({"91723000", "123037004"})
"""SCT codes of the category Anatomical Structure: today's and the one before 2019."""

HEAD = Code("69536005", "SCT", "Head")
CHEST = Code("816094009", "SCT", "Chest")
ABDOMEN = Code("818981001", "SCT", "Abdomen")
LOWER_LIMB = Code("61685007", "SCT", "Lower limb")
UPPER_LIMB = Code("53120007", "SCT", "Upper limb")

OF_A_PART: Mapping[str, Code] = {
    "HEAD": HEAD,
    "SKULL": Code("89546000", "SCT", "Skull"),
    "BRAIN": Code("12738006", "SCT", "Brain"),
    "NECK": Code("45048000", "SCT", "Neck"),
    "HEADNECK": Code("774007", "SCT", "Head and Neck"),
    **dict.fromkeys(("CHEST", "THORAX"), CHEST),
    "LUNG": Code("39607008", "SCT", "Lung"),
    "HEART": Code("80891009", "SCT", "Heart"),
    "BREAST": Code("76752008", "SCT", "Breast"),
    **dict.fromkeys(("ABDOMEN", "ABD"), ABDOMEN),
    "LIVER": Code("10200004", "SCT", "Liver"),
    "KIDNEY": Code("64033007", "SCT", "Kidney"),
    "PROSTATE": Code("41216001", "SCT", "Prostate"),
    "PELVIS": Code("816092008", "SCT", "Pelvis"),
    "ABDOMENPELVIS": Code("818982008", "SCT", "Abdomen and Pelvis"),
    "CHESTABDOMEN": Code("416550000", "SCT", "Chest and Abdomen"),
    "CHESTABDPELVIS": Code("416775004", "SCT", "Chest, Abdomen and Pelvis"),
    "SPINE": Code("421060004", "SCT", "Spine"),
    "CSPINE": Code("122494005", "SCT", "Cervical spine"),
    "TSPINE": Code("122495006", "SCT", "Thoracic spine"),
    "LSPINE": Code("122496007", "SCT", "Lumbar spine"),
    **dict.fromkeys(("LEG", "LOWEREXTREMITY"), LOWER_LIMB),
    **dict.fromkeys(("ARM", "UPPEREXTREMITY"), UPPER_LIMB),
    "THIGH": Code("68367000", "SCT", "Thigh"),
    "KNEE": Code("72696002", "SCT", "Knee"),
    "WHOLEBODY": Code("38266002", "SCT", "Entire body"),
}
"""Defined terms of Body Part Examined (PS3.16 Annex L), and how vendors spell it; CID 4."""


def site_of(finding: Segment | Detection, header: Dataset) -> Code | None:
    """Where it lies: its own site; itself, if it is a part of the body; what the images show."""
    if finding.site is not None:
        return finding.site
    return finding.kind if is_anatomical(finding) else region_of(header)


def is_anatomical(finding: Segment | Detection) -> bool:
    """Whether it is a part of the body, and nothing in one."""
    return finding.category.value in ANATOMICAL_STRUCTURES


def region_of(header: Dataset) -> Code | None:
    """The part of the body that the images show; None where the header names none with a code."""
    examined = copied.text_of(header, "BodyPartExamined").upper()
    return _coded_region(header) or OF_A_PART.get("".join(filter(str.isalnum, examined)))


def in_words(finding: Segment | Detection, header: Dataset) -> str:
    """ "Nodule, right, Lung": what it is, on which side, in which part of the body."""
    side = finding.laterality.meaning.lower() if finding.laterality else ""
    site = site_of(finding, header)
    said = (finding.kind.meaning, side, site.meaning if site else "")
    return ", ".join(dict.fromkeys(part for part in said if part))


def _coded_region(header: Dataset) -> Code | None:
    """Anatomic Region Sequence (PS3.3 10.5), where its code is one of today's."""
    item = values.item(header, "AnatomicRegionSequence")
    value, scheme, meaning = (
        copied.text_of(item, one) for one in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    )
    return Code(value, scheme, meaning) if value and scheme == "SCT" and meaning else None
