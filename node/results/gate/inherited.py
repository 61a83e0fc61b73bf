"""Whose a value in a written object is: the node's own, or copied from the images.

What is copied is the modality's: no complaint about it stops a result. A value counts as copied
where the images hold the same one in the attribute that it was copied from, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from node.results.modules import copied
from node.results.modules.acquisition import KEPT
from node.results.modules.subject import OPTIONAL_OF_SUBJECT, REQUIRED_OF_SUBJECT
from node.series.source import Source

SUBJECT = frozenset((*REQUIRED_OF_SUBJECT, *OPTIONAL_OF_SUBJECT, "ReferencedRequestSequence"))
"""Copied unaltered at the top level, whatever they hold."""

OWN = frozenset(
    {
        *("ImageType", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription"),
        *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceSerialNumber"),
        *("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime"),
        *("SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
        *("ContentLabel", "ContentDescription", "ContentCreatorName", "ConversionType"),
        *("DerivationDescription", "DerivationCodeSequence", "PixelData", "NumberOfFrames"),
    }
)
"""Written by the node for every object at the top level, also where the images say the same."""

_PLACE = frozenset(
    {
        *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
        *("LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    }
)
"""Copied into functional groups, from wherever the images hold them."""

_STEP = re.compile(r"(\w+)\(([0-9a-f]{4}),([0-9a-f]{4})\)(?:\[(\d+)\])?")


@dataclass(frozen=True, slots=True)
class Step:
    """One attribute on the way to a value; ``item`` is from 1, as dciodvfy counts."""

    keyword: str
    tag: int
    item: int


def steps(path: str) -> tuple[Step, ...]:
    """The steps of a path such as "SourceImageSequence(0008,2112)[1]/…"; empty where it is none."""
    found = [_STEP.fullmatch(part) for part in path.split("/")]
    return tuple(
        Step(match[1], Tag(int(match[2], 16), int(match[3], 16)), int(match[4] or 1))
        for match in found
        if match
    )


class Judge:
    """Tells whose the values of one object are; asked as often as there are complaints about it.

    Without a source only what is always copied is known: the subject, and UIDs not of the node.
    """

    def __init__(self, dataset: Dataset, source: Source | None) -> None:
        self._dataset = dataset
        self._source = source
        self._headers = _headers(source) if source is not None else []

    @cached_property
    def _uids(self) -> frozenset[str]:
        """By which the images are called and referred to."""
        return frozenset(str(header.get(word)) for header in self._headers for word in _UIDS)

    def is_inherited(self, path: Sequence[Step]) -> bool:
        """Whether the value at the path, or the gap there, is that of the images."""
        if not path:
            return False
        if path[0].keyword in SUBJECT:
            return True
        element = _element(self._dataset, path)
        if element is not None and element.VR == "UI":
            return self._is_foreign_uid(path, element)
        if len(path) > 1:
            return self._is_copied_below(path, element)
        return self._is_copied(path[0], element)

    def _is_foreign_uid(self, path: Sequence[Step], element: DataElement) -> bool:
        if self._source is None:
            return not str(element.value).startswith("2.25.")
        return str(element.value) in self._uids or self._is_copied_below(path, element)

    def _is_copied(self, step: Step, element: DataElement | None) -> bool:
        if self._source is None or step.keyword in OWN:
            return False
        if element is None or element.is_empty:
            return is_gap(step.keyword, self._dataset, self._source)
        return any(same(element, one[step.tag]) for one in self._headers if step.tag in one)

    def _is_copied_below(self, path: Sequence[Step], element: DataElement | None) -> bool:
        if _inside_copied_item(path, self._dataset, self._headers):
            return True
        if element is None or path[-1].keyword not in _PLACE:
            return False
        return any(same(element, one) for one in anywhere(self._headers, path[-1].tag))


_UIDS = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
    "FrameOfReferenceUID",
)


def is_gap(keyword: str, dataset: Dataset, source: Source) -> bool:
    """Whether an attribute that is copied into this kind of object is empty in an image already."""
    if keyword not in KEPT.get(str(dataset.get("SOPClassUID")), ()):
        return False
    return any(_is_empty(header, keyword) for header in _headers(source))


def _is_empty(header: Dataset, keyword: str) -> bool:
    """Also where the value breaks its value representation, and so is not copied."""
    element = copied.of(header, keyword)
    return element is None or element.is_empty


def _headers(source: Source) -> list[Dataset]:
    return [header for one in (source, *source.companions.values()) for header in one.headers]


def _element(dataset: Dataset, path: Sequence[Step]) -> DataElement | None:
    """The element at the end of the path; None where a step is not there."""
    for step in path[:-1]:
        items = dataset[step.tag].value if step.tag in dataset else []
        if not 0 < step.item <= len(items):
            return None
        dataset = items[step.item - 1]
    return dataset.get(path[-1].tag)


def _inside_copied_item(path: Sequence[Step], dataset: Dataset, headers: Sequence[Dataset]) -> bool:
    """Whether the path leads through an item that an image holds in the same sequence."""
    first = path[0]
    items = dataset[first.tag].value if first.tag in dataset else []
    if len(path) < 2 or not 0 < first.item <= len(items):
        return False
    ours = items[first.item - 1]
    return any(
        _within(ours, theirs)
        for header in headers
        if first.tag in header
        for theirs in header[first.tag].value or []
    )


def _within(ours: Dataset, theirs: Any) -> bool:
    """Whether every value of an item is the other's: what was not sound has been left out."""
    return isinstance(theirs, Dataset) and all(
        element.tag in theirs and same(element, theirs[element.tag]) for element in ours
    )


def same(ours: DataElement | None, theirs: DataElement) -> bool:
    """Whether a value is the other's, as it is or mended."""
    if ours is None:
        return False
    if ours.VR == "SQ":
        return theirs.VR == "SQ" and all(
            any(_within(item, other) for other in theirs.value) for item in ours.value
        )
    if _plain(ours.value) == _plain(theirs.value):
        return True
    mended = copied.sound(theirs)
    return mended is not None and _plain(ours.value) == _plain(mended.value)


def _plain(value: Any) -> tuple[object, ...]:
    """Values without padding; numbers by their value, however they are spelled."""
    values = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    return tuple(_number_or_text(one) for one in values)


def _number_or_text(value: Any) -> object:
    if isinstance(value, bytes):
        return value
    text = str(value).strip(" \0")
    try:
        return float(text)
    except ValueError:
        return text


def anywhere(headers: Sequence[Dataset], tag: int) -> Iterator[DataElement]:
    """The attribute in the images, at any depth."""
    for header in headers:
        for element in header:
            if element.tag == tag:
                yield element
            elif element.VR == "SQ":
                yield from anywhere(list(element.value), tag)
