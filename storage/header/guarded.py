"""Data sets whose values cannot hurt: what cannot be converted reads as empty.

Every header is guarded as soon as it is read. Owns what pydicom may raise when it converts a value,
and the bytes of text that does not decode; ``storage.header.values`` says what a value means.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import PersonName

DAMAGED = (
    ArithmeticError, AttributeError, BytesLengthException, EOFError, LookupError,
    NotImplementedError, OSError, RecursionError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""What pydicom raises when it converts a value that is not of its VR."""

TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Representations that Specific Character Set governs (PS3.5 6.1.2.3)."""

_REPLACED = "\ufffd"
_DEFAULT = python_encoding[""]


class GuardedItem(Dataset):
    """A data set whose values cannot hurt, at any depth.

    A damaged value reads as an empty one, and ``is_damaged`` tells. Bytes of a text that do not
    decode by the character set that is declared stand in the text as lone surrogates, never as
    U+FFFD: ``undecoded`` gives the bytes again.

    Volumes have hundreds of headers, each of which is asked a hundred times: keywords become tags
    once in a process, and what was converted is given without a second look.
    """

    def __contains__(self, name: Any) -> bool:
        tag = _tag(name)
        return super().__contains__(name) if tag is None else tag in self._dict

    def get(self, key: Any, default: Any = None) -> Any:
        tag = _tag_of(key) if isinstance(key, str) else None
        if tag is None:
            return super().get(key, default)
        return self[tag].value if tag in self._dict else default

    def __getitem__(self, key: Any) -> Any:
        tag = _tag(key)
        if tag is None and not isinstance(key, slice) and key in self:
            tag = Tag(key)
        given = None if tag is None else self._dict.get(tag)
        if tag is None or given is None:
            return super().__getitem__(key)
        element = self._converted(tag, given) if isinstance(given, RawDataElement) else given
        if element.VR == "SQ":
            _guard(element.value or ())
        return element

    def _converted(self, tag: BaseTag, given: RawDataElement) -> DataElement:
        try:
            element: DataElement = super().__getitem__(tag)
            self._keep_bytes(element, given)
        except DAMAGED:
            return self._emptied(tag)
        return element

    def is_damaged(self, keyword: str) -> bool:
        """Whether there is a value that cannot be converted."""
        return Tag(keyword) in self.__dict__.get("_damaged", ()) if keyword in self else False

    def _emptied(self, tag: BaseTag) -> DataElement:
        self.__dict__.setdefault("_damaged", set()).add(tag)
        element = DataElement(tag, "UN", None)
        self[tag] = element
        return element

    def _keep_bytes(self, element: DataElement, given: RawDataElement) -> None:
        """Put text that was read with replacements in the place of its own bytes."""
        raw = given.value
        if element.VR not in TEXT or not raw or raw.isascii():
            return
        if _decodes(element, raw, self):
            return
        escaped = raw.rstrip(b" \0").decode("ascii", "surrogateescape")
        if element.VR == "PN":
            element.value = [PersonName(part) for part in escaped.split("\\")]
        else:
            element.value = escaped


def _tag(name: object) -> BaseTag | None:
    """None for whatever else pydicom may take for a tag."""
    if isinstance(name, BaseTag):
        return name
    return _tag_of(name) if isinstance(name, str) else None


@lru_cache(8192)
def _tag_of(keyword: str) -> BaseTag | None:
    tag = tag_for_keyword(keyword)
    return None if tag is None else BaseTag(tag)


class GuardedHeader(GuardedItem, FileDataset):
    """The same of a file."""


def guarded_header(header: FileDataset) -> GuardedHeader:
    """The same header, guarded from now on."""
    header.__class__ = GuardedHeader
    assert isinstance(header, GuardedHeader)
    return header


def _guard(found: Sequence[Dataset]) -> None:
    """Guard the items of a sequence, once: there may be 100,000."""
    if found and not isinstance(found[-1], GuardedItem):
        for one in found:
            one.__class__ = GuardedItem


def undecoded(text: str) -> bytes | None:
    """The bytes of a text that did not decode; None: it did."""
    if not any("\udc80" <= letter <= "\udcff" for letter in text):
        return None
    return text.encode("ascii", "surrogateescape")


def _decodes(element: DataElement, raw: bytes, dataset: Dataset) -> bool:
    """Whether the bytes are text in the character set that is declared for them."""
    declared = dataset.original_character_set or _DEFAULT
    encodings = [declared] if isinstance(declared, str) else list(declared)
    parts = element.value if element.VM > 1 else [element.value]
    if any(_REPLACED in str(part) for part in parts):
        return False
    try:
        decode_bytes(raw, convert_encodings(encodings), set())
    except DAMAGED:
        return False
    return not _is_misspelt(dataset, encodings)


def _is_misspelt(dataset: Dataset, encodings: Sequence[str]) -> bool:
    """Whether the text was read as Latin-1 only because the term declared is nobody's."""
    given = dataset.get("SpecificCharacterSet") or ()
    terms = list(given) if isinstance(given, MultiValue) else [str(given)] if given else []
    known = all(term in python_encoding for term in terms)
    return bool(terms) and not known and list(encodings[:1]) == [_DEFAULT]
