"""What the header of a file says of a key."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from node.query.asked import Key
from node.query.matching import Options, matches
from storage.header.guarded import DAMAGED
from storage.header.values import spelt


def element_of(holder: Dataset, tag: int, creator: str) -> DataElement | None:
    """An element, a private one wherever its creator has reserved a block here (PS3.5 7.8.1)."""
    try:
        if creator:
            place = Tag(tag)
            return holder.private_block(place.group, creator)[place.element & 0xFF]
        return holder[tag] if tag in holder else None  # noqa: SIM401  get() gives the value
    except DAMAGED:
        return None


def texts_of(element: DataElement | None) -> tuple[str, ...]:
    """The values of an element as text; none where it is empty, or holds bytes."""
    value = None if element is None else element.value
    if value is None or isinstance(value, bytes | Dataset) or element is None or element.VR == "SQ":
        return ()
    several = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    texts = tuple(spelt(one).strip(" \0") for one in several)
    return texts if any(texts) else ()


def items_of(element: DataElement | None) -> list[Dataset]:
    """The items of a sequence; none where it is empty, or none."""
    if element is None or element.VR != "SQ" or not element.value:
        return []
    return list(element.value)


def fitting_items(
    items: Sequence[Dataset], keys: Sequence[Key], depth: int, options: Options
) -> list[Dataset]:
    """The items in which all keys match. PS3.4 C.2.2.2.6.

    depth: of the items in the keys' paths; at ``path[depth]`` stand their own attributes.
    """
    return [one for one in items if _fits(one, keys, depth, options)]


def _fits(item: Dataset, keys: Sequence[Key], depth: int, options: Options) -> bool:
    for tag, group in by_tag(keys, depth).items():
        creator = _creator(group[0], depth)
        found = element_of(item, tag, creator)
        if len(group[0].path) == depth + 1:
            if not matches(group[0].vr, group[0].values, texts_of(found), options):
                return False
        elif not _holds(found, group, depth, options):
            return False
    return True


def _holds(found: DataElement | None, keys: Sequence[Key], depth: int, options: Options) -> bool:
    """Whether a sequence in a sequence has an item that fits, if any is asked for."""
    if not any(key.is_matched for key in keys):
        return True
    return bool(fitting_items(items_of(found), keys, depth + 1, options))


def by_tag(keys: Sequence[Key], depth: int) -> dict[int, list[Key]]:
    """Keys by the element that holds them at some depth."""
    found: dict[int, list[Key]] = {}
    for key in keys:
        found.setdefault(key.path[depth], []).append(key)
    return found


def _creator(key: Key, depth: int) -> str:
    return key.creators[depth] if key.creators else ""
