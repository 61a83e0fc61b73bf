"""Lists of referenced instances in a message, read without making an object of every element.

A commitment request or its report may name tens of thousands of instances.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydicom.dataset import Dataset

from storage.errors import UnreadableInstance
from storage.header.elements import (
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED_LENGTH,
    Element,
    ElementReader,
)

KEYWORDS = {0x00081198: "FailedSOPSequence", 0x00081199: "ReferencedSOPSequence"}
_CLASS, _INSTANCE, _REASON = 0x00081150, 0x00081155, 0x00081197
_MAX_VALUE_BYTES = 128


class Listed(NamedTuple):
    """An item: the UIDs as they stand there, empty where they are missing."""

    sop_class_uid: str
    sop_instance_uid: str
    failure_reason: int | None = None


Lists = Mapping[str, tuple[Listed, ...]]
"""By keyword, those that are there."""


class Split(NamedTuple):
    """``rest``: the data set without its lists, encoded as it was."""

    rest: bytes
    lists: Lists


def split(raw: bytes, is_explicit: bool) -> Split:
    """Take the lists out of a little endian data set.

    Raises
    ------
    UnreadableInstance
        It ends within an element.
    NotPlain
        A real parser has to read it: ``lists_of``.
    """
    try:
        return _Reader(raw, is_explicit).split()
    except struct.error as error:
        raise UnreadableInstance("the data set ends within an element") from error


def lists_of(dataset: Dataset) -> Lists:
    """The lists of a data set that pydicom has read."""
    return {
        keyword: tuple(
            Listed(
                str(item.get("ReferencedSOPClassUID") or ""),
                str(item.get("ReferencedSOPInstanceUID") or ""),
                _reason(item.get("FailureReason")),
            )
            for item in dataset[keyword].value or ()
        )
        for keyword in KEYWORDS.values()
        if keyword in dataset
    }


def _reason(value: Any) -> int | None:
    return value if isinstance(value, int) else None


class _Reader(ElementReader):
    def __init__(self, raw: bytes, is_explicit: bool) -> None:
        super().__init__(raw)
        self._raw = raw
        self._is_explicit = is_explicit

    def split(self) -> Split:
        rest: list[bytes] = []
        lists: dict[str, tuple[Listed, ...]] = {}
        at = 0
        while at < self.end:
            element = self.head(at, self._is_explicit)
            keyword = KEYWORDS.get(element.tag)
            if keyword is None:
                after = self.after(element, self._is_explicit)
                rest.append(self._raw[at:after])
            else:
                items, after = self._items(element)
                lists[keyword] = items
            at = after
        return Split(b"".join(rest), lists)

    def _items(self, sequence: Element) -> tuple[tuple[Listed, ...], int]:
        is_explicit = self._is_explicit and sequence.vr != b"UN"
        end = self.after(sequence, self._is_explicit)
        found: list[Listed] = []
        at = sequence.value_at
        while at < end:
            item = self.head(at, is_explicit)
            if item.tag == SEQUENCE_END:
                break
            if item.tag != ITEM:
                raise UnreadableInstance("a sequence has something else than items")
            values, at = self._values(item, is_explicit)
            found.append(_listed(values))
        return tuple(found), end

    def _values(self, item: Element, is_explicit: bool) -> tuple[dict[int, bytes], int]:
        end = self.end if item.length == UNDEFINED_LENGTH else self.after(item, is_explicit)
        values: dict[int, bytes] = {}
        at = item.value_at
        while at < end:
            element = self.head(at, is_explicit)
            if element.tag == ITEM_END:
                return values, element.value_at
            after = self.after(element, is_explicit)
            if element.length <= _MAX_VALUE_BYTES:
                values[element.tag] = self._raw[element.value_at : after]
            at = after
        return values, end


def _listed(values: Mapping[int, bytes]) -> Listed:
    reason = values.get(_REASON)
    return Listed(
        _text(values.get(_CLASS, b"")),
        _text(values.get(_INSTANCE, b"")),
        int.from_bytes(reason, "little") if reason is not None and len(reason) == 2 else None,
    )


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip("\0 ")
