"""What is asked: a query's keys, read from an identifier (PS3.4 C.2.2.1) or named (PS3.18)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydicom.datadict import (
    dictionary_VR,
    keyword_for_tag,
    private_dictionary_VR,
    tag_for_keyword,
)
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from node.query.matching import PLAIN, Options, is_universal
from storage.header.guarded import DAMAGED, GuardedItem
from storage.header.values import spelt
from storage.query import Level

__all__ = ["BadIdentifier", "Key", "Level", "Options", "Query", "Root", "UnknownAttribute"]

_ORDER = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE)
UNIQUE = {
    Level.PATIENT: 0x00100020,
    Level.STUDY: 0x0020000D,
    Level.SERIES: 0x0020000E,
    Level.IMAGE: 0x00080018,
}
"""The unique keys of the levels. PS3.4 C.6.1.1, C.6.2.1."""
LEVEL = 0x00080052
"""Query/Retrieve Level."""
NO_KEYS = frozenset((0x00080005, LEVEL, 0x00080054, 0x00080056, 0x00080201))
"""What an identifier says beside its keys: never matched. PS3.4 C.4.1.1.3."""
MAX_DEPTH = 8
"""Of sequences in sequences."""
_TEXT_OF_ONE_VALUE = frozenset(("LT", "ST", "UR", "UT"))
_SEPARATORS = re.compile(r"[\\,]")


class Root(StrEnum):
    """The information models. PS3.4 C.6."""

    PATIENT = "patient"
    STUDY = "study"


class BadIdentifier(Exception):
    """The identifier does not fit the SOP class; ``tag`` is the offending element's."""

    def __init__(self, tag: int, reason: str) -> None:
        super().__init__(reason)
        self.tag = tag
        self.reason = reason


class UnknownAttribute(Exception):
    """A name that is no attribute's."""


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute that is matched, asked for, or both.

    path: tags, the sequences it lies in first and its own last. creators: the private creator of
    each of them; empty for the standard's. values: what is matched; none for anything.
    """

    path: tuple[int, ...]
    vr: str
    values: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()

    @property
    def tag(self) -> int:
        """Of the element in the data set itself."""
        return self.path[0]

    @property
    def keyword(self) -> str:
        """Its name where it lies in no sequence; empty for others and for private ones."""
        return keyword_for_tag(self.tag) if len(self.path) == 1 else ""

    @property
    def creator(self) -> str:
        """Of the element in the data set itself."""
        return self.creators[0] if self.creators else ""

    @property
    def is_matched(self) -> bool:
        """Whether it restricts anything."""
        return not is_universal(self.vr, self.values)


@dataclass(frozen=True, slots=True)
class Query:
    """A query. include_all: all that the index keeps of the level is answered too."""

    level: Level
    keys: tuple[Key, ...]
    root: Root = Root.STUDY
    options: Options = PLAIN
    include_all: bool = False

    def values_of(self, tag: int) -> tuple[str, ...]:
        """What is asked of an attribute outside of sequences; none where anything is."""
        found = (key for key in self.keys if key.path == (tag,) and key.is_matched)
        return next((key.values for key in found), ())

    def missing_parents(self) -> tuple[int, ...]:
        """The unique keys above the level that a hierarchical query has to give one value of.

        PS3.4 C.4.1.3.1.1: without them it is a relational query.
        """
        first = 0 if self.root is Root.PATIENT else 1
        above = _ORDER[first : _ORDER.index(self.level)]
        return tuple(UNIQUE[one] for one in above if not _is_single(self.values_of(UNIQUE[one])))


def _is_single(values: Sequence[str]) -> bool:
    return len(values) == 1 and not set(values[0]) & {"*", "?"}


# --- from an identifier ---------------------------------------------------------------------------


def from_identifier(identifier: Dataset, root: Root, options: Options = PLAIN) -> Query:
    """The query of a C-FIND-RQ.

    Raises
    ------
    BadIdentifier
        The level is missing, unknown, or not one of the information model.
    """
    guarded = _guarded(identifier)
    level = _level(guarded, root)
    return Query(level, tuple(_keys(guarded, (), ())), root, options)


def _guarded(dataset: Dataset) -> GuardedItem:
    if not isinstance(dataset, GuardedItem):
        dataset.__class__ = GuardedItem
    assert isinstance(dataset, GuardedItem)
    return dataset


def _level(identifier: Dataset, root: Root) -> Level:
    text = str(identifier.get("QueryRetrieveLevel") or "").strip(" \0")
    if not text:
        raise BadIdentifier(LEVEL, "Query/Retrieve Level is missing")
    if text not in {one.value for one in Level}:
        raise BadIdentifier(LEVEL, "Query/Retrieve Level is none of the defined terms")
    if text == Level.PATIENT.value and root is Root.STUDY:
        raise BadIdentifier(LEVEL, "Study Root has no PATIENT level")
    return Level(text)


def _keys(holder: Dataset, above: tuple[int, ...], creators: tuple[str, ...]) -> Iterator[Key]:
    for tag in sorted(holder.keys()):
        if _is_no_key(tag, nested=bool(above)):
            continue
        creator = _creator(holder, tag)
        path, named = (*above, int(tag)), (*creators, creator)
        vr = _vr(holder, tag, creator)
        if vr != "SQ":
            yield Key(path, vr, _texts(holder, tag, vr), named)
            continue
        items = _items(holder, tag)
        inner = list(_keys(_guarded(items[0]), path, named)) if items else []
        yield from inner if inner and len(path) < MAX_DEPTH else [Key(path, vr, (), named)]


def _is_no_key(tag: BaseTag, nested: bool) -> bool:
    """Group lengths, commands, file meta, private creators, and what is said beside keys."""
    if tag.element == 0 or tag.group <= 2 or tag.is_private_creator:
        return True
    return int(tag) in NO_KEYS and not nested


def _creator(holder: Dataset, tag: BaseTag) -> str:
    """Who has reserved a private element's block. PS3.5 7.8.1."""
    if not tag.is_private:
        return ""
    reserved = Tag(tag.group, tag.element >> 8)
    return str(holder[reserved].value or "").strip(" \0") if reserved in holder else ""


def _vr(holder: Dataset, tag: BaseTag, creator: str) -> str:
    """As the dictionaries have it, else as the request says."""
    if not tag.is_private:
        return _known_vr(tag, holder)
    if creator:
        try:
            return private_dictionary_VR(tag, creator)[:2]
        except KeyError:
            pass
    return _said_vr(holder, tag)


def _known_vr(tag: BaseTag, holder: Dataset) -> str:
    try:
        return dictionary_VR(tag)[:2]  # "US or SS": the first
    except KeyError:
        return _said_vr(holder, tag)


def _said_vr(holder: Dataset, tag: BaseTag) -> str:
    return str(holder.get_item(tag, keep_deferred=True).VR or "UN")


def _items(holder: Dataset, tag: BaseTag) -> list[Dataset]:
    try:
        found = holder[tag].value
    except DAMAGED:
        return []
    return [one for one in found or () if isinstance(one, Dataset)]


def _texts(holder: Dataset, tag: BaseTag, vr: str) -> tuple[str, ...]:
    """The values of a key as they were written: a range is no number, and no date."""
    given = holder.get_item(tag, keep_deferred=True)
    if isinstance(given, RawDataElement) and vr in _PLAIN:
        text = (given.value or b"").decode("ascii", "replace")
        return _parts(text, vr)
    element = holder[tag]
    return _parts("\\".join(_one_by_one(element)), vr)


_PLAIN = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"))
"""Text of the default repertoire."""


def _one_by_one(element: DataElement) -> list[str]:
    value = element.value
    if value is None or isinstance(value, bytes):
        return []
    several = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    return [spelt(one) for one in several]


def _parts(text: str, vr: str) -> tuple[str, ...]:
    parts = [text] if vr in _TEXT_OF_ONE_VALUE else text.split("\\")
    stripped = tuple(part.strip(" \0") for part in parts)
    return stripped if any(stripped) else ()


# --- by name --------------------------------------------------------------------------------------


def named_key(name: str, text: str = "") -> Key:
    """An attribute by its keyword or its tag in hexadecimal; ``.`` leads into sequences.

    Values are separated by ``\\``, UIDs by ``,`` too (PS3.18 8.3.4.1).

    Raises
    ------
    UnknownAttribute
    """
    path = tuple(_tag_named(part) for part in name.split("."))
    if len(path) > MAX_DEPTH:
        raise UnknownAttribute("sequences lie too deep")
    vr = _vr_named(path[-1])
    if any(_vr_named(one) not in ("SQ", "UN") for one in path[:-1]):
        raise UnknownAttribute("what stands before a dot has to be a sequence")
    parts = tuple(_SEPARATORS.split(text)) if vr == "UI" else _parts(text, vr)
    values = tuple(one.strip() for one in parts)
    return Key(path, vr, values if any(values) else (), ("",) * len(path))


def _tag_named(name: str) -> int:
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return int(name, 16)
    found = tag_for_keyword(name)
    if found is None:
        raise UnknownAttribute("no such attribute")
    return found


def _vr_named(tag: int) -> str:
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "UN"
