"""Whether what an object refers to is there: an image analyzed, or an object of the run."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydicom.dataset import Dataset

_OF_THE_IMAGES = frozenset(
    {
        *("ReferencedStudySequence", "ReferencedPerformedProcedureStepSequence"),
        *("RequestAttributesSequence", "ReferencedRequestSequence"),
    }
)
"""Copied from the images: what these name is no object of the node."""


def dangling(dataset: Dataset, known: Collection[str]) -> list[str]:
    """What is referred to and is none of ``known``."""
    uids = set(_referred(dataset))
    missing = len(uids.difference(known))
    if not missing:
        return []
    return [f"{missing} of {len(uids)} references lead to no image analyzed and no object made"]


def _referred(dataset: Dataset) -> Iterator[str]:
    for element in dataset:
        if element.keyword == "ReferencedSOPInstanceUID":
            yield str(element.value)
        elif element.keyword == "RTReferencedStudySequence":
            for study in element.value or ():
                for series in study.get("RTReferencedSeriesSequence") or ():
                    yield from _referred(series)
        elif element.VR == "SQ" and element.keyword not in _OF_THE_IMAGES:
            for item in element.value or ():
                yield from _referred(item)
