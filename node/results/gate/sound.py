"""What was looked at before, byte for byte, and had no fault.

Reports of an analyzer are alike but for numbers, UIDs and times: the same codes and names, again
and again. Whoever has looked at an element or an item of a sequence once need not look at the same
bytes again in the same place, in whatever object they stand. What has a fault is never remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from node.results.gate.inherited import Step

MOST = 4096
"""So many are remembered in a process; then it begins anew."""
MOST_BYTES = 1024
"""Longer ones are hardly ever the same."""
Key = tuple[object, ...]
_Fault = TypeVar("_Fault")


class Example(Dataset):
    """An item of a sequence that stands for those that are alike.

    as_written: the bytes of all of it in the file, Explicit VR Little Endian.
    """

    def __init__(self, item: Dataset, as_written: bytes) -> None:
        super().__init__(item)
        self.set_original_encoding(False, True, item.original_character_set)
        self.as_written = as_written


class Seen:
    """Of one process."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._sound: set[Key] = set()

    def unless(self, key: Key | None, faults: Iterable[_Fault]) -> Iterator[_Fault]:
        """The faults, which are not even looked for where there were none the last time."""
        if key in self._sound:
            return
        is_sound = True
        for fault in faults:
            is_sound = False
            yield fault
        if is_sound and key is not None:
            if len(self._sound) >= self._most:
                self._sound.clear()
            self._sound.add(key)


SEEN = Seen()


def of_element(item: Dataset, tag: BaseTag, path: Sequence[Step]) -> Key | None:
    """What the verdict on an element of an item depends on; None where it is not to be remembered.

    path: of the item. Of it only the last sequence counts (``wellformed``).
    """
    raw = item.get_item(tag, keep_deferred=True)
    if not isinstance(raw, RawDataElement) or raw.is_implicit_VR or not raw.is_little_endian:
        return None
    if raw.value is None or len(raw.value) > MOST_BYTES:
        return None
    return (_last(path, 1), tag, raw.VR, raw.value, str(item.original_character_set))


def of_item(item: Dataset, path: Sequence[Step]) -> Key | None:
    """What the verdict on an item of a sequence depends on; None where it is not to be remembered.

    path: of the item. Of it only the last two sequences count (``wellformed``).
    """
    if not isinstance(item, Example) or len(item.as_written) > MOST_BYTES:
        return None
    return (_last(path, 2), item.as_written, str(item.original_character_set))


def _last(path: Sequence[Step], count: int) -> tuple[str, ...]:
    return tuple(step.keyword for step in path[-count:])
