"""What is known of a series and of the person examined before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Plane(StrEnum):
    """The anatomical plane nearest to the image plane."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


@dataclass(frozen=True, slots=True)
class Subject:
    """What the header says of the person examined. None: it does not say."""

    age_years: float | None = None
    sex: str | None = None
    """F, M or O (PS3.3 C.7.1.1)."""
    weight_kg: float | None = None
    height_m: float | None = None


FDG = "FDG"
"""The name of fluorodeoxyglucose as a tracer."""


@dataclass(frozen=True, slots=True)
class Tracer:
    """What was injected for a PET. Empty: the header does not say."""

    name: str = ""
    nuclide: str = ""
    """"F-18", "Ga-68"."""

    @property
    def is_fdg(self) -> bool:
        """Whether the header says that it is; not: whether it may be."""
        return self.name == FDG


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What is known of a series before a pixel is decoded. None: the header does not say."""

    modality: str
    instances: int
    slices: int
    """Frames of images, whether their place in space can be read or not; 0 when there is none."""
    plane: Plane | None = None
    spacing_mm: float | None = None
    """Median distance between slices."""
    thickness_mm: float | None = None
    contrast: bool | None = None
    image_type: tuple[str, ...] = ()
    body_part: str = ""
    description: str = ""
    view: str = ""
    """View Position of a radiograph: AP, PA, LL … (PS3.3 C.8.1.1)."""
    orientation: tuple[str, ...] = ()
    """Patient Orientation: where rows and columns run to (PS3.3 C.7.6.1.1.1). Known of images that
    are read, not of the index."""
    kernel: tuple[str, ...] = ()
    """Convolution Kernel of CT, as the maker names it; known as ``orientation`` is."""
    derivation: tuple[str, ...] = ()
    """Codes of Derivation Code Sequence and what Derivation Description says; known as
    ``orientation`` is."""
