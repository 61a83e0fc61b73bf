"""A series as it was read: the volume, and the headers of the images it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from analyzers.contract import Volume


@dataclass(frozen=True, slots=True)
class Frame:
    """Which image a slice of the volume came from."""

    header: int
    """Index into ``Source.headers``."""
    number: int | None = None
    """Frame number from 1 in a multi-frame image; None in a single-frame one."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A series as read. ``frames[i]`` is the image of ``volume.stored[i]``.

    headers: data sets with file meta, without pixel data; one a slice, or one in all for a
    multi-frame image. ``volume`` is None where only a report is written (no series fits).
    """

    headers: tuple[Dataset, ...]
    frames: tuple[Frame, ...]
    volume: Volume | None
    decoder: str = ""
    """What decoded the pixels, for the provenance: "pydicom 3.0.2" …"""
    companions: Mapping[str, Source] = field(default_factory=dict)
    """The other series that the analyzer was given, by role."""
