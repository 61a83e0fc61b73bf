"""What examination a report is about, in one code: no more than the images' header says."""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.dataset import Dataset

from analyzers.contract import Code
from node.results.modules import copied

OF_A_REGION: Mapping[tuple[str, str], Code] = {
    ("CT", "chest"): Code("24627-2", "LN", "CT Chest"),
    ("CT", "abdomen"): Code("41806-1", "LN", "CT Abdomen"),
    ("CT", "head"): Code("24725-4", "LN", "CT Head"),
    ("MR", "head"): Code("24590-2", "LN", "MRI Head"),
    ("MR", "whole body"): Code("46358-8", "LN", "MRI whole body"),
    ("PT", "whole body"): Code("44139-4", "LN", "PET whole body"),
}
"""PS3.16 CID 100 and 7000."""

OF_A_MODALITY: Mapping[str, Code] = {
    "CT": Code("77477000", "SCT", "Computed tomography"),
    "MR": Code("113091000", "SCT", "Magnetic resonance imaging"),
    "PT": Code("82918005", "SCT", "Positron emission tomography"),
    **dict.fromkeys(("CR", "DX", "RG"), Code("168537006", "SCT", "Plain radiography")),
}
ANY = Code("363679005", "SCT", "Imaging procedure")

_REGIONS: Mapping[str, str] = {
    **dict.fromkeys(("CHEST", "THORAX", "LUNG", "LUNGS"), "chest"),
    **dict.fromkeys(("ABDOMEN", "ABD"), "abdomen"),
    **dict.fromkeys(("HEAD", "BRAIN", "SKULL"), "head"),
    **dict.fromkeys(("WHOLEBODY", "WHOLE BODY"), "whole body"),
}
"""Body Part Examined (PS3.16 Annex L), and how vendors spell it."""


def of(header: Dataset) -> Code:
    """The examination, with the part of the body where the header names one that has a code."""
    modality = copied.modality_of(header)
    region = _REGIONS.get(copied.text_of(header, "BodyPartExamined").strip().upper(), "")
    return OF_A_REGION.get((modality, region)) or OF_A_MODALITY.get(modality, ANY)
