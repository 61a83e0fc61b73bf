"""Whether what the node wrote itself keeps to the standard's forms, without any other program.

Owns the rules that hold in every object: value representations and multiplicities (PS3.5 6.2,
PS3.6), coded entries (PS3.3 Table 8.8-1), units (UCUM), UIDs, value types of content items (PS3.3
C.17.3). Which attributes an object must hold at all is ``node.results.gate.required``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import STR_VR, validate_value

from node.results.gate import macros, sound, ucum
from node.results.gate.inherited import SUBJECT, Step

OWN_UID = re.compile(r"2\.25\.(0|[1-9][0-9]{0,38})")
"""Every UID of the node is derived from a UUID (PS3.5 B.2)."""
_OWN_UIDS = ("SOPInstanceUID", "SeriesInstanceUID")
_PIXELS = 0x7FE0
"""The group of pixel data: any value is a pixel."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that the standard does not allow, and where."""

    path: tuple[Step, ...]
    sentence: str


def faults(dataset: Dataset) -> Iterator[Fault]:
    """Everything in an object that breaks the forms; values are not quoted."""
    for keyword in _OWN_UIDS:
        if keyword in dataset and not OWN_UID.fullmatch(str(dataset.get(keyword))):
            step = Step(keyword, dataset[keyword].tag, 1)
            yield Fault((step,), f"{keyword} is none of the node's own")
    yield from _of_item(dataset, ())


def _of_item(item: Dataset, path: tuple[Step, ...]) -> Iterator[Fault]:
    for tag in item.keys():  # noqa: SIM118 - a data set iterates over elements, and reads pixels
        of_the_images = not path and keyword_for_tag(tag) in SUBJECT
        if of_the_images or tag.group == _PIXELS or tag.is_private:
            continue
        yield from sound.SEEN.unless(sound.of_element(item, tag, path), _of_tag(item, tag, path))
    for sentence in _of_parts(item, path):
        yield Fault(path, f"{_names(path)}: {sentence}")
    yield from _of_macros(item, path)


def _of_tag(item: Dataset, tag: BaseTag, path: tuple[Step, ...]) -> Iterator[Fault]:
    """What is wrong with an element of an item, and with all below it."""
    element = item[tag]
    keyword = element.keyword or str(tag)
    here = (*path, Step(keyword, tag, 1))
    yield from (Fault(here, text) for text in of_element(element, here))
    if element.VR == "SQ":
        for number, inner in enumerate(element.value, 1):
            below = (*path, Step(keyword, tag, number))
            yield from sound.SEEN.unless(sound.of_item(inner, below), _of_item(inner, below))


def _of_parts(item: Dataset, path: tuple[Step, ...]) -> Iterator[str]:
    """What is wrong with an item as a whole: a coded entry, a content item."""
    if path:
        yield from _of_code(item)
    if path and path[-1].keyword == "ContentSequence":
        yield from _of_content(item)


def _of_macros(item: Dataset, path: tuple[Step, ...]) -> Iterator[Fault]:
    """What is missing beside what is there, each with its own path: the images may lack it too."""
    lacking = [*macros.missing(path[-1].keyword, item)] if path else [*macros.torn(item)]
    if tuple(step.keyword for step in path[-2:]) == macros.WITH_A_PURPOSE:
        lacking += [] if item.get(_PURPOSE) else [_PURPOSE]
    for keyword in lacking:
        here = (*path, Step(keyword, Tag(keyword), 1))
        yield Fault(here, f"{_names(here)} is missing")


_PURPOSE = "PurposeOfReferenceCodeSequence"


def _names(path: Sequence[Step]) -> str:
    return "/".join(step.keyword for step in path)


# --- one element ----------------------------------------------------------------------------------


def of_element(element: DataElement, path: Sequence[Step]) -> Iterator[str]:
    """What is wrong with an element alone, wherever it stands, but for what is below it."""
    name = _names(path)
    if not dictionary_has_tag(element.tag):
        yield f"{name} is no attribute of the standard"
        return
    if element.VR not in dictionary_VR(element.tag).split(" or "):
        yield f"{name} has the value representation {element.VR}"
    if element.is_empty and not _may_be_empty(element):
        yield f"{name} is empty"
    if element.VR == "SQ" or element.is_empty:
        return
    if not _fits(element.VM, dictionary_VM(element.tag)):
        yield f"{name} has {element.VM} values, {dictionary_VM(element.tag)} are allowed"
    if element.VR in STR_VR and not all(_is_sound(element.VR, one) for one in _values(element)):
        yield f"{name} is not a value of its value representation {element.VR}"


def _may_be_empty(element: DataElement) -> bool:
    if element.VR == "SQ":
        return element.keyword in macros.MAY_BE_EMPTY
    return element.keyword not in macros.NEVER_EMPTY


def _fits(count: int, allowed: str) -> bool:
    """Whether a number of values is one of PS3.6's: "1", "2-n", "3-3n", "1-3", "1-n or 1"."""
    return any(_fits_one(count, part) for part in allowed.split(" or "))


def _fits_one(count: int, allowed: str) -> bool:
    least, _, most = allowed.partition("-")
    if count < int(least):
        return False
    if not most:
        return count == int(least)
    if most.endswith("n"):
        return count % int(most[:-1] or 1) == 0
    return count <= int(most)


def _values(element: DataElement) -> list[str]:
    many = isinstance(element.value, MultiValue | list)
    return [str(one) for one in (element.value if many else [element.value])]


def _is_sound(vr: str, value: str) -> bool:
    try:
        validate_value(vr, value, config.RAISE)
    except ValueError:
        return False
    return True


# --- coded entries --------------------------------------------------------------------------------


def _of_code(item: Dataset) -> Iterator[str]:
    """PS3.3 Table 8.8-1: value, scheme and meaning, none of them empty."""
    if not any(word in item for word in (*_CODE_VALUES, "CodeMeaning", "CodingSchemeDesignator")):
        return
    if (
        "CodingSchemeIdentificationSequence" in item
        or "CodingSchemeResponsibleOrganization" in item
    ):
        return  # says whose a scheme is: no code
    if not any(str(item.get(word) or "").strip() for word in _CODE_VALUES):
        yield "the code has no value"
    if not _text(item, "CodingSchemeDesignator") and "URNCodeValue" not in item:
        yield "the code has no scheme"
    if not _text(item, "CodeMeaning"):
        yield "the code has no meaning"
    if _text(item, "CodingSchemeDesignator") == "UCUM" and not ucum.is_unit(
        _text(item, "CodeValue")
    ):
        yield "the unit is none of UCUM"


_CODE_VALUES = ("CodeValue", "LongCodeValue", "URNCodeValue")


def _text(item: Dataset, keyword: str) -> str:
    return str(item.get(keyword) or "").strip()


# --- content items --------------------------------------------------------------------------------

_HOLDS = {
    "CONTAINER": ("ContinuityOfContent",),
    "TEXT": ("TextValue",),
    "CODE": ("ConceptCodeSequence",),
    "NUM": (),
    "UIDREF": ("UID",),
    "PNAME": ("PersonName",),
    "DATE": ("Date",),
    "TIME": ("Time",),
    "DATETIME": ("DateTime",),
    "IMAGE": ("ReferencedSOPSequence",),
    "COMPOSITE": ("ReferencedSOPSequence",),
    "WAVEFORM": ("ReferencedSOPSequence",),
    "SCOORD": ("GraphicType", "GraphicData"),
    "SCOORD3D": ("GraphicType", "GraphicData", "ReferencedFrameOfReferenceUID"),
}
"""Type 1 of each value type (PS3.3 C.17.3.2 and C.18)."""
_FOREIGN = {
    kind: {word for words in _HOLDS.values() for word in words}.difference(held)
    | ({"MeasuredValueSequence"} if kind != "NUM" else set())
    for kind, held in _HOLDS.items()
}
"""What only items of other value types hold."""
_NAMELESS = frozenset({"IMAGE", "COMPOSITE", "WAVEFORM", "SCOORD", "SCOORD3D"})
"""Value types that need no concept name (PS3.3 Table C.17-5)."""


def _of_content(item: Dataset) -> Iterator[str]:
    kind = _text(item, "ValueType")
    if kind not in _HOLDS:
        yield "the value type is none of the standard"
        return
    if not _text(item, "RelationshipType"):
        yield "RelationshipType is missing"
    if kind not in _NAMELESS and not item.get("ConceptNameCodeSequence"):
        yield "ConceptNameCodeSequence is missing"
    for keyword in _HOLDS[kind]:
        if keyword not in item or item[keyword].is_empty or not str(item[keyword].value).strip():
            yield f"{keyword} is missing in an item of value type {kind}"
    for keyword in sorted(_FOREIGN[kind] & {keyword_for_tag(tag) for tag in item.keys()}):  # noqa: SIM118
        yield f"{keyword} stands in an item of value type {kind}"
    if kind == "NUM":
        yield from _of_number(item)


def _of_number(item: Dataset) -> Iterator[str]:
    """PS3.3 Table C.18.1-1: one value with its unit, or none."""
    if "MeasuredValueSequence" not in item:
        yield "MeasuredValueSequence is missing"
        return
    measured: Sequence[Any] = item.MeasuredValueSequence or []
    if len(measured) > 1:
        yield "a number has more than one measured value"
    for one in measured:
        if "NumericValue" not in one or one["NumericValue"].VM != 1:
            yield "a number has not one value"
        if len(one.get("MeasurementUnitsCodeSequence") or []) != 1:
            yield "a number has not one unit"
