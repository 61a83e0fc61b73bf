"""Answers to a query: data sets that hold what was asked for, and nothing else."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import format_number_as_ds

from node.query import header
from node.query.asked import Key
from node.query.matching import NUMBERS, UNMATCHED, Options

UTF_8 = "ISO_IR 192"
CHARACTER_SET = 0x00080005
ONLINE = "ONLINE"
_BINARY = NUMBERS - {"DS", "IS"}
_NUL_PADDED = frozenset(("UI",))
LONGEST_BYTES = 64 * 1024
"""Of a value that is bytes: longer ones are answered as empty."""

Elements = dict[BaseTag, DataElement | RawDataElement]


@dataclass(frozen=True)
class Answer:
    """One match. unsupported: the keys that the node does not answer, left out."""

    elements: Elements
    unsupported: tuple[Key, ...] = ()

    @functools.cached_property
    def dataset(self) -> Dataset:
        """As a data set: its own, to be added to."""
        return data_set(dict(self.elements))


# --- from texts -----------------------------------------------------------------------------------


def texts(value: Any) -> tuple[str, ...]:
    """A value as the index keeps it, in the words of DICOM."""
    if isinstance(value, str):
        return (value,) if value else ()
    several = value if isinstance(value, list) else [value]
    found = tuple(_text(one) for one in several)
    return found if any(found) else ()


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else _decimal(value)
    return str(value)


def _decimal(value: float) -> str:
    """At most 16 characters. PS3.5 6.2 DS."""
    try:
        return repr(value) if len(repr(value)) <= 16 else format_number_as_ds(value)
    except ValueError:
        return ""


def written(tag: int, vr: str, values: Sequence[str]) -> DataElement | RawDataElement:
    """An element with these values, as it stands in a UTF-8 data set of Explicit VR."""
    place = tag if isinstance(tag, BaseTag) else Tag(tag)
    if vr in _BINARY or vr == "AT":
        return DataElement(place, vr, _numbers(vr, values))
    if vr == "SQ":
        return DataElement(place, vr, Items())
    text = values[0] if len(values) == 1 else "\\".join(values)
    raw = text.encode("utf-8", "replace")
    if len(raw) % 2:
        raw += b"\0" if vr in _NUL_PADDED else b" "
    return RawDataElement(place, vr, len(raw), raw, 0, False, True)


def _numbers(vr: str, values: Sequence[str]) -> Any:
    read = float if vr in ("FD", "FL") else int
    try:
        numbers = [read(one) for one in values if one]
    except ValueError:
        return None
    return numbers[0] if len(numbers) == 1 else numbers or None


# --- from a header --------------------------------------------------------------------------------


def copied(
    found: DataElement | None, keys: Sequence[Key], options: Options, depth: int = 0
) -> DataElement | RawDataElement:
    """An element of a file as it is answered; of a sequence the items that match, with what is
    asked of them (PS3.4 C.2.2.2.6)."""
    key = keys[0]
    tag = key.path[depth]
    if found is None:
        return written(tag, _empty_vr(key, depth), ())
    if found.VR == "SQ":
        return DataElement(Tag(tag), "SQ", Items(_items(found, keys, options, depth)))
    if found.VR in UNMATCHED:
        value = found.value if isinstance(found.value, bytes) else b""
        return DataElement(Tag(tag), found.VR, value if len(value) <= LONGEST_BYTES else b"")
    return written(tag, str(found.VR), header.texts_of(found))


def _empty_vr(key: Key, depth: int) -> str:
    return key.vr if len(key.path) == depth + 1 else "SQ"


def _items(
    found: DataElement, keys: Sequence[Key], options: Options, depth: int
) -> Iterable[Dataset]:
    inner = [key for key in keys if len(key.path) > depth + 1]
    items = header.items_of(found)
    if not inner:
        return [_whole(item) for item in items]
    fitting = header.fitting_items(items, inner, depth + 1, options)
    return [_chosen(item, inner, depth + 1, options) for item in fitting]


def _chosen(item: Dataset, keys: Sequence[Key], depth: int, options: Options) -> Dataset:
    elements: Elements = {}
    for tag, group in header.by_tag(keys, depth).items():
        creator = group[0].creators[depth] if group[0].creators else ""
        there = header.element_of(item, tag, creator)
        add(elements, copied(there, group, options, depth), creator)
    return data_set(elements)


def _whole(item: Dataset) -> Dataset:
    """All of an item, where the sequence itself is asked for."""
    elements: Elements = {}
    for tag in item.keys():  # noqa: SIM118  a data set yields elements
        if tag.element == 0 or int(tag) == CHARACTER_SET:
            continue
        whole = Key((int(tag),), "UN")
        add(elements, copied(header.element_of(item, int(tag), ""), [whole], Options()), "")
    return data_set(elements)


# --- data sets ------------------------------------------------------------------------------------


def add(elements: Elements, element: DataElement | RawDataElement, creator: str) -> None:
    """Put an element in its place, a private one with its creator (PS3.5 7.8.1)."""
    tag = element.tag
    elements[tag] = element
    if creator:
        reserved = Tag(tag.group, tag.element >> 8)
        elements[reserved] = written(int(reserved), "LO", (creator,))


def data_set(elements: Elements) -> Dataset:
    """The data set of elements that were ``written``."""
    made = Dataset(elements)
    made.set_original_encoding(False, True, ["utf8"])
    return made


def with_character_set(elements: Elements) -> Elements:
    """The elements of a whole answer, which say so where they hold more than ASCII."""
    if any(not _is_plain(one) for one in elements.values()):
        elements[Tag(CHARACTER_SET)] = written(CHARACTER_SET, "CS", (UTF_8,))
    return elements


def _is_plain(element: DataElement | RawDataElement) -> bool:
    if isinstance(element, RawDataElement):
        return (element.value or b"").isascii()
    if element.VR != "SQ":
        return True
    return all(map(_is_all_plain, element.value))


def _is_all_plain(item: Dataset) -> bool:
    return all(_is_plain(item.get_item(tag)) for tag in item.keys())  # noqa: SIM118  as above
