"""Radiographs that share a series, each as a series of its own: each is looked at by itself.

A chest has two views, which many machines put into one series; they make no volume together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from node.series.frames import PROJECTIONS
from storage.records import Header, StoredInstance, StoredSeries

_IMAGE = "image "
_OF_ONE = ("ViewPosition",)
"""What an older index has of the series, as one of its images said it."""


def one_by_one(series: Iterable[StoredSeries]) -> list[StoredSeries]:
    """The series, each with several radiographs as so many with one each; the others as they are.

    Those have the id and the UID of the series, and the header of their image.
    """
    return [part for one in series for part in (_parts(one) if _is_divided(one) else (one,))]


def variant_of(series: StoredSeries) -> str:
    """What tells the jobs on one radiograph of a series from those on another; empty where the
    images of a series are looked at together."""
    if not series.is_part:
        return ""
    (image,) = series.instances
    return _IMAGE + hashlib.sha256(image.sop_instance_uid.encode()).hexdigest()[:16]


def image_part(variant: str) -> str:
    """That part of a job's variant."""
    _, found, digest = variant.rpartition(_IMAGE)
    return found + digest if found else ""


def _is_divided(series: StoredSeries) -> bool:
    return (
        len(series.instances) > 1
        and series.header.get("Modality") in PROJECTIONS
        and all(map(_is_radiograph, series.instances))
    )


def _is_radiograph(image: StoredInstance) -> bool:
    return not image.header.get("ImagePositionPatient") and _frames(image.header) == 1


def _frames(header: Header) -> int:
    given = header.get("NumberOfFrames")
    return given if isinstance(given, int) else 1


def _parts(series: StoredSeries) -> list[StoredSeries]:
    common = {key: value for key, value in series.header.items() if key not in _OF_ONE}
    return [
        replace(series, header={**common, **one.header}, instances=(one,), is_part=True)
        for one in series.instances
    ]
