"""What an analyzer is given, what it gives back, and how it says what it can read.

Owns the array convention of the whole node. Knows no DICOM, no database and no network.

Convention: axes are ``(slice, row, column)``; ``affine`` maps an index ``(slice, row, column, 1)``
to patient coordinates in mm, LPS (x to the patient's left, y to the back, z to the head); slices
are sorted so that the index rises along the normal of the image plane; CT is in HU after rescale;
masks lie on the input grid.
"""

from __future__ import annotations

from analyzers.contract.analyzer import (
    About,
    Analyzer,
    AnalyzerInfo,
    Limits,
    NoParameters,
    ParameterValues,
)
from analyzers.contract.answers import (
    Classification,
    Measurement,
    OperatingPoint,
    Reference,
    Statement,
)
from analyzers.contract.code import Code
from analyzers.contract.errors import AnalyzerError, InvalidParameters, NotApplicable
from analyzers.contract.findings import Finding, Findings
from analyzers.contract.images import (
    Blending,
    ColorImage,
    CompressedImage,
    DerivedImage,
    ParametricMap,
    Registration,
    Shades,
    WindowPreset,
)
from analyzers.contract.inputs import InputContract
from analyzers.contract.marks import Detection, Labels, Segment, Segmentation
from analyzers.contract.parameters import Parameter, Parameters
from analyzers.contract.progress import counting, reached
from analyzers.contract.series import FDG, Plane, SeriesFacts, Subject, Tracer
from analyzers.contract.volume import AIR_HU, Reported, Volume, no_suv

__all__ = [
    "AIR_HU",
    "FDG",
    "About",
    "Analyzer",
    "AnalyzerError",
    "AnalyzerInfo",
    "Blending",
    "Classification",
    "Code",
    "ColorImage",
    "CompressedImage",
    "DerivedImage",
    "Detection",
    "Finding",
    "Findings",
    "InputContract",
    "InvalidParameters",
    "Labels",
    "Limits",
    "Measurement",
    "NoParameters",
    "NotApplicable",
    "OperatingPoint",
    "Parameter",
    "ParameterValues",
    "Parameters",
    "ParametricMap",
    "Plane",
    "Reference",
    "Registration",
    "Reported",
    "Segment",
    "Segmentation",
    "SeriesFacts",
    "Shades",
    "Statement",
    "Subject",
    "Tracer",
    "Volume",
    "WindowPreset",
    "counting",
    "no_suv",
    "reached",
]
