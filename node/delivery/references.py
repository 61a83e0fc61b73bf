"""Which instances an object refers to, by its own words."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import dcmread
from pydicom.dataset import Dataset

from storage.files.port import Readable

_REFERENCED_SOP_INSTANCE_UID = 0x00081155
_PREDECESSOR_DOCUMENTS_SEQUENCE = 0x0040A360
"""What an earlier document said is no part of what this one says: it may be elsewhere."""


def references_of(source: Readable) -> frozenset[str]:
    """The SOP Instance UIDs that an object written by the node refers to.

    Raises
    ------
    OSError
    """
    with source.open("rb") as file:
        return frozenset(_referenced(dcmread(file, stop_before_pixels=True)))


def _referenced(dataset: Dataset) -> Iterator[str]:
    for tag in dataset.keys():  # noqa: SIM118  the elements themselves are not all decoded
        if tag == _REFERENCED_SOP_INSTANCE_UID:
            yield str(dataset[tag].value)
        elif tag != _PREDECESSOR_DOCUMENTS_SEQUENCE and dataset.get_item(tag).VR == "SQ":
            for item in dataset[tag].value:
                yield from _referenced(item)
