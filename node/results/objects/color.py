"""Colour images as Secondary Capture, one a slice, in the place of the image each was made from.

Any workstation shows them; a line below the image says that nobody has looked at it. A map over a
radiograph, which has no place in space and so cannot be a Parametric Map, becomes one too: the
radiograph in grey, the map in colour above it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.contract import Code, ColorImage, ParametricMap, Volume
from node.results import uids
from node.results.errors import FindingsContradictImages
from node.results.modules import copied, planes, provenance
from node.results.modules.source import Provenance
from node.results.objects import capture, derived
from node.results.series_numbers import SeriesPlace
from node.results.words import numbers, phrases, sentences
from node.series.source import Source
from storage.header import values

COMBINATION = Code("113062", "DCM", "Pixel by pixel addition")
"""CID 7203 Image Derivation."""
MOST_OPAQUE = 0.6
"""Share of colour where the map is highest."""


def instances(
    source: Source,
    image: ColorImage,
    provenance_: Provenance,
    place: SeriesPlace,
    role: str = "color",
) -> Iterator[Dataset]:
    """The images of the new series in slice order; ``role`` tells it from others in its place.

    Raises ``FindingsContradictImages`` for pixels that are not uint8 RGB on the grid of the images.
    """
    volume = source.volume
    if volume is None or image.values.shape != (*volume.shape, 3) or image.values.dtype != np.uint8:
        raise FindingsContradictImages(
            "the colour image is not uint8 RGB on the grid of the images"
        )
    series = _Series(source, image, provenance_, place, f"{role}-{place.index}")
    for slice_index in range(len(image.values)):
        yield _instance(series, slice_index)


@dataclass(frozen=True, slots=True)
class _Series:
    """What all images of a series share."""

    source: Source
    image: ColorImage
    provenance: Provenance
    place: SeriesPlace
    role: str


def overlay(volume: Volume, item: ParametricMap, language: str) -> ColorImage:
    """The source in grey with the map in red to yellow above it, clear where the map is lowest."""
    grey = volume.values(np.float32)
    low, high = (float(v) for v in np.percentile(grey, (1, 99)))
    shown = np.clip((grey - low) / max(high - low, 1e-6), 0, 1)[..., None]
    least, most = float(item.values.min()), float(item.values.max())
    share = ((item.values - least) / max(most - least, 1e-12))[..., None].astype(np.float32)
    heat = np.concatenate([np.ones_like(share), share, np.zeros_like(share)], axis=-1)
    opacity = MOST_OPAQUE * share
    mixed = shown * (1 - opacity) + heat * opacity
    values: NDArray[np.uint8] = np.rint(255 * mixed).astype(np.uint8)
    remarks = sentences.SHADES_OF_MAP(
        language,
        quantity=phrases.shown(item.quantity.meaning, language),
        lowest=numbers.spelled(f"{least:.4g}", language),
        highest=numbers.spelled(f"{most:.4g}", language),
        unit=phrases.shown(item.unit.meaning, language),
    )
    return ColorImage(values, item.title, COMBINATION, remarks)


def _instance(series: _Series, slice_index: int) -> Dataset:
    source, image, provenance_, role = series.source, series.image, series.provenance, series.role
    header = source.headers[source.frames[slice_index].header]
    language = provenance_.maker.language
    dataset = capture.begin(source)
    dataset.SOPInstanceUID = uids.object_uid(provenance_.key, role, slice_index)
    dataset.SeriesInstanceUID = uids.object_uid(provenance_.key, f"{role}-series")
    dataset.SeriesNumber = series.place.series_number
    dataset.InstanceNumber = slice_index + 1
    dataset.SeriesDescription = provenance.series_title(
        provenance_,
        sentences.COLOUR_PICTURE(provenance_.maker.language, title=image.title),
    )
    orientation = copied.of(header, "PatientOrientation")
    dataset.PatientOrientation = "" if orientation is None else orientation.value
    derived.describe(dataset, source, slice_index, image.title, image.remarks, image.derivation)
    plane = image.values[slice_index]
    factor = capture.enlargement(plane.shape[1])
    warned = capture.warned(plane, sentences.NOT_FOR_DIAGNOSIS(language))
    capture.finish(dataset, source, provenance_, warned)
    _place(dataset, header, source, slice_index, factor)
    return dataset


def _place(
    dataset: Dataset, header: Dataset, source: Source, slice_index: int, factor: int
) -> None:
    """Where the image lies, as standard extension of the class: viewers link scrolling by it.

    factor: how often each pixel is written along rows and columns.
    """
    here = planes.plane(source, slice_index)
    if here is None:
        spacing = values.known(values.numbers(header, "PixelSpacing"))
        if spacing and min(spacing) > 0:  # 0 stands in old radiographs for "not known"
            dataset.PixelSpacing = [planes.decimal(value / factor) for value in spacing]
        return
    down, right = (value / factor for value in here.spacing)
    along, below = np.array(here.orientation).reshape(2, 3)
    first = np.array(here.position) - (along * right + below * down) * (factor - 1) / 2
    dataset.FrameOfReferenceUID = uids.frame_of_reference_uid(source)
    dataset.PositionReferenceIndicator = ""
    dataset.ImagePositionPatient = [planes.decimal(float(value)) for value in first]
    dataset.ImageOrientationPatient = [planes.decimal(value) for value in here.orientation]
    dataset.PixelSpacing = [planes.decimal(down), planes.decimal(right)]
    dataset.SliceThickness = planes.decimal(here.thickness_mm) if here.thickness_mm else ""
