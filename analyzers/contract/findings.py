"""All that one analysis can say."""

from __future__ import annotations

from dataclasses import dataclass

from analyzers.contract.answers import Classification, Measurement, Statement
from analyzers.contract.images import (
    Blending,
    ColorImage,
    CompressedImage,
    DerivedImage,
    ParametricMap,
    Registration,
    WindowPreset,
)
from analyzers.contract.marks import Detection, Segmentation

Finding = (
    Segmentation
    | Detection
    | DerivedImage
    | ColorImage
    | ParametricMap
    | CompressedImage
    | Registration
    | Blending
    | WindowPreset
    | Measurement
    | Classification
    | Statement
)


@dataclass(frozen=True, slots=True)
class Findings:
    """All that one analysis says. ``remarks`` are sentences for the report.

    ``cautions`` are sentences that stand before the answer: why it should not be relied on.
    """

    items: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
