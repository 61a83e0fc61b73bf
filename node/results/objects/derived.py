"""Derived images as new series of the source's kind: CT, MR and PET Image Storage, one a slice.

Owns how values become stored pixels: 16-bit signed, with the source's rescale where the values fit
on its steps, with a finer or wider one where they do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from analyzers.contract import Code, DerivedImage
from node.results import uids
from node.results.errors import DerivedUnsupported, FindingsContradictImages
from node.results.modules import copied, origin, padding, planes, provenance
from node.results.modules.acquisition import DEFAULTS, IMAGE_TYPES, KEPT, drop_unmet
from node.results.modules.origin import Origin
from node.results.modules.padding import HIGHEST, LOWEST
from node.results.modules.source import Provenance
from node.results.series_numbers import SeriesPlace
from node.series.source import Source

RESCALE_TYPES: Mapping[str, str] = {CTImageStorage: "HU", MRImageStorage: "US"}
"""Where the source names none. PET has no Rescale Type, it has Units (PS3.3 C.8.9.1)."""
MIN_STEPS = 256
"""Fewer steps of the source's rescale over the range of values would lose the image."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """``value = stored * slope + intercept``, one of each a slice."""

    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]


def instances(
    source: Source,
    image: DerivedImage,
    provenance_: Provenance,
    place: SeriesPlace,
    made_from: Origin | None = None,
) -> Iterator[Dataset]:
    """The images of the new series in slice order, made one at a time.

    ``made_from`` is the companion that was laid on the grid of the source. Raises
    ``DerivedUnsupported`` for images that are not made from single-frame CT, MR or PET, before the
    first is made.
    """
    made_from = made_from or origin.itself(source)
    _check(source, image, made_from)
    series = _Series(source, image, provenance_, place, made_from, _scaling(image, made_from))
    for slice_index in range(len(image.values)):
        yield _instance(series, slice_index)


@dataclass(frozen=True, slots=True)
class _Series:
    """What all images of a derived series share."""

    source: Source
    image: DerivedImage
    provenance: Provenance
    place: SeriesPlace
    made_from: Origin
    scaling: Scaling


def _check(source: Source, image: DerivedImage, made_from: Origin) -> None:
    kind = str(made_from.source.headers[0].SOPClassUID)
    if kind not in KEPT:
        raise DerivedUnsupported(
            "derived images are made from single-frame CT, MR and PET images; "
            f"these are {UID(kind).name}"
        )
    if source.volume is None or image.values.shape != source.volume.shape:
        raise FindingsContradictImages("the derived image does not lie on the grid of the images")
    if not all(np.isfinite(plane).all() for plane in image.values):
        raise FindingsContradictImages("the derived image holds values that are not finite")


# --- pixels ---------------------------------------------------------------------------------------


def _scaling(image: DerivedImage, made_from: Origin) -> Scaling:
    """The rescale of the images it is made from if it can hold the values, or one over their range.

    A companion on another grid has one for all slices: a slice mixes several of it.
    """
    lows, highs = _ranges(image, made_from)
    slices, volume = list(made_from.slices), origin.volume_of(made_from.source)
    slope, intercept = volume.slope[slices], volume.intercept[slices]
    fits = not image.role or (np.ptp(slope) == 0 and np.ptp(intercept) == 0)
    fits = fits and bool(
        np.all(np.rint((lows - intercept) / slope) >= LOWEST)
        and np.all(np.rint((highs - intercept) / slope) <= HIGHEST)
    )
    if fits and _fine_enough(image, slope, intercept, float(highs.max() - lows.min())):
        return Scaling(slope, intercept)
    kind = made_from.source.headers[0].SOPClassUID
    symmetric = kind == PositronEmissionTomographyImageStorage
    return _full_range(float(lows.min()), float(highs.max()), len(lows), symmetric)


def _ranges(
    image: DerivedImage, made_from: Origin
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and the highest value of each slice; padding has no say where others have."""
    valid = None if image.role else origin.volume_of(made_from.source).valid
    lows, highs = [], []
    for index, plane in enumerate(image.values):
        found = plane if valid is None or not valid[index].any() else plane[valid[index]]
        lows.append(float(found.min()))
        highs.append(float(found.max()))
    return np.array(lows), np.array(highs)


def _fine_enough(
    image: DerivedImage, slope: NDArray[np.float64], intercept: NDArray[np.float64], span: float
) -> bool:
    if np.issubdtype(image.values.dtype, np.integer) and np.all(slope == 1):
        return True
    return span / float(slope.max()) >= MIN_STEPS or _on_steps(image, slope, intercept)


def _on_steps(
    image: DerivedImage, slope: NDArray[np.float64], intercept: NDArray[np.float64]
) -> bool:
    """Whether every value lies on a step of the rescale already."""
    for plane, step, offset in zip(image.values, slope, intercept, strict=True):
        stored = (plane.astype(np.float64) - offset) / step
        if np.abs(stored - np.rint(stored)).max() > 1e-3:
            return False
    return True


def _full_range(low: float, high: float, slices: int, symmetric: bool) -> Scaling:
    """A rescale over [low, high], in numbers that a decimal string can hold.

    PET must have an intercept of 0 (PS3.3 C.8.9.4).
    """
    offset = 0.0 if symmetric else float(f"{(low + high) / 2:.8g}")
    reach = max(abs(high - offset), abs(low - offset)) or 1.0
    step = float(f"{reach / HIGHEST * (1 + 1e-6):.8g}")
    return Scaling(np.full(slices, step), np.full(slices, offset))


def _stored(plane: NDArray[Any], slope: float, intercept: float) -> NDArray[np.int16]:
    stored = np.rint((plane.astype(np.float64) - intercept) / slope)
    return np.clip(stored, LOWEST, HIGHEST).astype("<i2")


# --- one image ------------------------------------------------------------------------------------


def _instance(series: _Series, slice_index: int) -> Dataset:
    source, image, provenance_ = series.source, series.image, series.provenance
    header = series.made_from.header(slice_index)
    dataset = Dataset()
    dataset.SOPClassUID = header.SOPClassUID
    role = f"derived-{series.place.index}"
    dataset.SOPInstanceUID = uids.object_uid(provenance_.key, role, slice_index)
    dataset.SeriesInstanceUID = uids.object_uid(provenance_.key, f"{role}-series")
    dataset.Modality = copied.modality_of(header)
    dataset.SeriesNumber = series.place.series_number
    dataset.SeriesDescription = provenance.series_title(provenance_, image.title)
    dataset.ImageType = list(IMAGE_TYPES[str(header.SOPClassUID)])
    made_from = series.made_from
    place = made_from.slices[slice_index]
    describe(dataset, made_from.source, place, image.title, image.remarks, image.derivation)
    provenance.stamp(dataset, source, provenance_, header)
    keep_acquisition(dataset, header, source, slice_index)
    if image.role:
        _move(dataset, source, slice_index)
    _pixels(dataset, header, series, slice_index)
    return dataset


def _move(dataset: Dataset, source: Source, slice_index: int) -> None:
    """Put an image of a companion in the place of an image of the source."""
    dataset.SourceImageSequence[0].SpatialLocationsPreserved = "NO"
    here = planes.plane(source, slice_index)
    if here is None:
        raise FindingsContradictImages("the images have no place in space")
    for keyword in _OF_THE_OLD_GRID:
        dataset.pop(keyword, None)
    dataset.ImagePositionPatient = [planes.decimal(value) for value in here.position]
    dataset.ImageOrientationPatient = [planes.decimal(value) for value in here.orientation]
    dataset.PixelSpacing = [planes.decimal(value) for value in here.spacing]
    dataset.SliceThickness = planes.decimal(here.thickness_mm) if here.thickness_mm else ""
    dataset.InstanceNumber = slice_index + 1
    if dataset.SOPClassUID == PositronEmissionTomographyImageStorage:
        dataset.NumberOfSlices = len(source.frames)
        dataset.ImageIndex = slice_index + 1


_OF_THE_OLD_GRID = (
    *("SpacingBetweenSlices", "SliceLocation", "ReconstructionDiameter", "TableHeight"),
    *("DataCollectionDiameter", "GantryDetectorTilt"),
)


def describe(
    dataset: Dataset, source: Source, slice_index: int, title: str, remarks: str, how: Code
) -> None:
    """Say in words and codes how an image was derived, and from which image."""
    dataset.DerivationDescription = provenance.text(
        ". ".join(part for part in (title, remarks) if part), 1024
    )
    dataset.DerivationCodeSequence = [provenance.concept(how)]
    reference = planes.image_reference(source, slice_index)
    dataset.SourceImageSequence = [planes.as_source(reference, is_in_place=True)]


def keep_acquisition(dataset: Dataset, header: Dataset, source: Source, slice_index: int) -> None:
    """Copy what the new image keeps of the one it was made from, and settle what depends on it."""
    kind = str(header.SOPClassUID)
    for keyword in KEPT[kind]:
        element = copied.of(header, keyword)
        if element is not None:
            dataset[keyword] = element
    for keyword, value in DEFAULTS[kind].items():
        if keyword not in dataset:
            setattr(dataset, keyword, deepcopy(value))
    drop_unmet(dataset)
    dataset.FrameOfReferenceUID = uids.frame_of_reference_uid(source)
    if dataset.get("InstanceNumber") in (None, ""):
        dataset.InstanceNumber = slice_index + 1


def _pixels(dataset: Dataset, header: Dataset, series: _Series, slice_index: int) -> None:
    plane, scaling = series.image.values[slice_index], series.scaling
    slope, intercept = float(scaling.slope[slice_index]), float(scaling.intercept[slice_index])
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = header.get("PhotometricInterpretation") or "MONOCHROME2"
    dataset.Rows, dataset.Columns = plane.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    if "RescaleSlope" in header or (slope, intercept) != (1.0, 0.0):
        dataset.RescaleIntercept = planes.decimal(intercept)
        dataset.RescaleSlope = planes.decimal(slope)
        rescale_type = copied.text_of(header, "RescaleType") or RESCALE_TYPES.get(
            str(header.SOPClassUID)
        )
        if rescale_type:
            dataset.RescaleType = rescale_type
    stored = _stored(plane, slope, intercept)
    if not series.image.role:
        volume = origin.volume_of(series.source)
        here = float(volume.slope[slice_index]), float(volume.intercept[slice_index])
        same = here == (slope, intercept)
        padding.mark(dataset, stored, series.source, slice_index, same_rescale=same)
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
