"""OHIF's configuration as the node serves it: one data source, the node's own DICOMweb."""

from __future__ import annotations

from pathlib import Path

PARTS = ("segmentations.js", "labels.js", "maps.js", "first_picture.js", "app-config.js")
"""One script in several files, in this order."""


def app_config(segmentations_as: str) -> str:
    """``app-config.js``. ``segmentations_as``: ``bitmap`` or ``labelmap``, how a segmentation that
    was edited in OHIF is stored."""
    script = "\n".join(Path(__file__).with_name(part).read_text() for part in PARTS)
    return script.replace("%segmentations_as%", segmentations_as)
