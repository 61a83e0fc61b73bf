"""A written object, read once: its data set, what is alike in it only once, and its frames."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, MutableSequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from node.results.errors import GateRefused
from node.results.gate.elements import Group, NotPlain, Reader, below, items
from node.results.gate.sound import Example

_DEFERRED = 4096
"""Values of more bytes are read from the file when they are asked for."""
PER_FRAME = Tag("PerFrameFunctionalGroupsSequence")
SHARED = Tag("SharedFunctionalGroupsSequence")
_REPEATED = frozenset(
    Tag(keyword)
    for keyword in (
        *("PerFrameFunctionalGroupsSequence", "SourceImageSequence", "ReferencedSeriesSequence"),
        *("ReferencedInstanceSequence", "ReferencedSOPSequence", "ReferencedImageSequence"),
        "ContentSequence",
    )
)
"""Sequences with an item for every image or frame."""
_WITH_CONTENT = b"\x40\x00\x30\xa7SQ"
"""What a content item holds that has others below it: nothing stands for it."""
_PIXEL_DATA = Tag("PixelData")
_REFERENCES, _INSTANCE = int(Tag("ReferencedSOPSequence")), int(Tag("ReferencedSOPInstanceUID"))
_SEGMENTS = int(Tag("ReferencedSegmentNumber"))


@dataclass(frozen=True, slots=True)
class FrameGroups:
    """The functional groups of a frame: its own, and below them those that all frames share."""

    own: tuple[Group, ...]
    shared: tuple[Group, ...]

    def value(self, *way: str) -> bytes | None:
        """The value in the first items on the way, the frame's own or shared: both are legal."""
        tags = tuple(map(_tag, way))
        for group in (*self.own, *self.shared):
            if group.tag == tags[0] and group.values.get(tags):
                return group.values[tags]
        return None


@dataclass(frozen=True, slots=True)
class Reference:
    """An item of ReferencedSOPSequence: an instance, and its segments where some are meant."""

    sop_instance_uid: str
    segments: tuple[int, ...] = ()

    @staticmethod
    def of(item: Dataset) -> Reference:
        """From a data set."""
        given = item.get("ReferencedSegmentNumber")
        numbers = (
            [] if given is None else given if isinstance(given, MultiValue | list) else [given]
        )
        return Reference(str(item.ReferencedSOPInstanceUID), tuple(int(one) for one in numbers))


def _referred(holding: Iterable[Dataset], through: str) -> Iterator[Dataset]:
    for one in holding:
        yield from one.get("ReferencedSOPSequence") or ()
        yield from _referred(one.get(through) or (), through)


def _tag(keyword: str) -> int:
    tag = _TAGS.get(keyword)
    if tag is None:
        tag = _TAGS[keyword] = int(Tag(keyword))
    return tag


_TAGS: dict[str, int] = {}


class Written:
    """One file of the node.

    dataset: the object, with all that it holds; long values are read when they are asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dataset: Dataset = pydicom.dcmread(path, defer_size=_DEFERRED)
        self._reader = Reader()

    @cached_property
    def alike(self) -> Dataset:
        """The object, with one item for all that are alike in a sequence of an item an image.

        What the gate finds wrong in the whole object it finds in this one: of items that differ in
        UIDs and numbers alone, all of them sound, one is left.
        """
        if self.dataset.original_encoding != (False, True):
            return self.dataset
        return self._reduced(self.dataset)

    @cached_property
    def frames(self) -> list[FrameGroups]:
        """The functional groups of every frame. Raises ``GateRefused``."""
        try:
            shared = [self._reader.groups(one) for one in items(self._raw(SHARED))]
            own = [self._reader.groups(one) for one in items(self._raw(PER_FRAME))]
        except NotPlain as fault:
            raise GateRefused("object", (f"the functional groups: {fault}",)) from fault
        below = shared[0] if shared else ()
        return [FrameGroups(one, below) for one in own]

    def referred(self, sequence: str, through: str) -> list[Reference]:
        """What the items of ReferencedSOPSequence refer to that stand in a sequence of the object,
        or in one of the sequences ``through`` below it."""
        way = int(Tag(through))
        try:
            found = [
                self._reference(inner)
                for one in items(self._plain(Tag(sequence)))
                for inner in below(one, _REFERENCES, way)
            ]
        except NotPlain:
            holding = [*self.dataset.get(sequence, ())]
            found = [Reference.of(one) for one in _referred(holding, through)]
        return found

    def _plain(self, tag: BaseTag) -> bytes:
        """The value of a sequence. Raises ``NotPlain``."""
        if self.dataset.original_encoding != (False, True):
            raise NotPlain("the object is not in Explicit VR Little Endian")
        raw = self.dataset.get_item(tag, keep_deferred=True)
        if raw is not None and not isinstance(raw, RawDataElement):
            raise NotPlain("the sequence has no length")
        return self._raw(tag)

    def _reference(self, item: bytes) -> Reference:
        values = {
            group.tag: group.values.get((group.tag,), b"") for group in self._reader.groups(item)
        }
        numbers = values.get(_SEGMENTS, b"")
        uid = values.get(_INSTANCE, b"").rstrip(b" \0").decode("latin-1")
        return Reference(uid, struct.unpack(f"<{len(numbers) // 2}H", numbers))

    def pixels(self, first: int, count: int) -> bytes:
        """So many bytes of native Pixel Data from ``first`` on; fewer where it has no more."""
        raw = self.dataset.get_item(_PIXEL_DATA, keep_deferred=True)
        if not isinstance(raw, RawDataElement):
            return b""
        if raw.value is not None:
            return raw.value[first : first + count]
        with self.path.open("rb") as file:
            file.seek(raw.value_tell + first)
            return file.read(max(min(count, raw.length - first), 0))

    def _raw(self, tag: BaseTag) -> bytes:
        """The value of a sequence as it lies in the file; empty where there is none."""
        raw = self.dataset.get_item(tag, keep_deferred=True)
        if not isinstance(raw, RawDataElement):
            return b""
        if raw.value is not None:
            return raw.value
        with self.path.open("rb") as file:
            file.seek(raw.value_tell)
            return file.read(raw.length)

    # --- what is alike ----------------------------------------------------------------------------

    def _reduced(self, dataset: Dataset) -> Dataset:
        made = Dataset()
        made.set_original_encoding(False, True, dataset.original_character_set)
        for tag in dataset.keys():  # noqa: SIM118 - a data set iterates over elements, and reads all
            if tag.group == _PIXEL_DATA.group:
                made.add(_held_back(dataset, tag))
            elif tag in _REPEATED:
                made.add(DataElement(tag, "SQ", self._examples(dataset, tag)))
            elif isinstance(raw := dataset.get_item(tag, keep_deferred=True), RawDataElement):
                made[tag] = raw if raw.value is not None else dataset[tag]
            else:
                made[tag] = dataset[tag]
        return made

    def _examples(self, dataset: Dataset, tag: BaseTag) -> list[Dataset]:
        raw = dataset.get_item(tag, keep_deferred=True)
        if not isinstance(raw, RawDataElement):
            return list(dataset[tag].value)
        value = raw.value if raw.value is not None else self._raw(tag)
        try:
            found = {self._key(one): one for one in reversed(list(items(value)))}
        except NotPlain:
            return list(dataset[tag].value)
        texts = dataset.original_character_set
        return [
            Example(self._reduced(_parsed(one, texts)), one) for one in reversed(found.values())
        ]

    def _key(self, item: bytes) -> object:
        if _WITH_CONTENT in item:
            return item
        return tuple(group.key for group in self._reader.groups(item))


def _parsed(content: bytes, character_set: str | MutableSequence[str]) -> Dataset:
    """An item of a sequence as a data set, its texts in the character set of the object."""
    return read_dataset(
        BytesIO(content),
        is_implicit_VR=False,
        is_little_endian=True,
        parent_encoding=character_set,
    )


def _held_back(dataset: Dataset, tag: BaseTag) -> DataElement:
    """An element of pixels with next to none of them."""
    raw = dataset.get_item(tag, keep_deferred=True)
    is_empty = not raw.length if isinstance(raw, RawDataElement) else raw.is_empty
    return DataElement(tag, raw.VR, b"" if is_empty else b"\0\0")
