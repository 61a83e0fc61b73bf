"""OHIF's configuration as the node serves it: one data source, the node's own DICOMweb."""

from __future__ import annotations

from pathlib import Path

SOURCE = Path(__file__).with_name("app-config.js")


def app_config(segmentations_as: str) -> str:
    """``app-config.js``. ``segmentations_as``: ``bitmap`` or ``labelmap``, how a segmentation that
    was edited in OHIF is stored."""
    return SOURCE.read_text().replace("%segmentations_as%", segmentations_as)
