"""Derived UIDs: the same run gives the same UIDs, so that a repeat makes the same objects.

Owns every UID of results. Nothing here is random, nothing comes from a clock.
"""

from __future__ import annotations

import hashlib

from pydicom.uid import UID

from node.series.source import Source
from storage.header import values

FORM = "8"
"""Raised whenever the same findings are written otherwise: other bytes have another UID."""


def object_uid(key: str, role: str, index: int = 0) -> UID:
    """The UID of one thing that a run makes: ``role`` says which ("seg", "sr-series" …)."""
    return _derived("object", FORM, key, role, str(index))


def tracking_uid(source: Source, analyzer: str, finding_key: str) -> UID:
    """The UID by which a finding is followed up.

    Independent of the job: it stays the same when a larger set of images of the series or a newer
    version of the analyzer supersedes the result.
    """
    header = source.headers[0]
    study, series = str(header.StudyInstanceUID), str(header.SeriesInstanceUID)
    return _derived("tracking", study, series, analyzer, finding_key)


def device_uid(analyzer: str, version: str, weights: str = "", serial: str = "") -> UID:
    """Identifies an algorithm on a node: a new version and a retrained model are new devices (IHE
    AIR)."""
    return _derived("device", analyzer, version, weights, serial)


def frame_of_reference_uid(source: Source) -> UID:
    """The source's frame of reference; derived from the series where the header has none."""
    header = source.headers[0]
    given = values.uid(header, "FrameOfReferenceUID")
    if given:
        return UID(given)
    return _derived("frame of reference", str(header.SeriesInstanceUID))


def _derived(*names: str) -> UID:
    """A UUID-derived UID (PS3.5 B.2) from the first 128 bits of a SHA-256."""
    digest = hashlib.sha256("\0".join(("wetread", *names)).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")
