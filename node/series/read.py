"""Makes a volume from the images of a series, or says by name why they are none.

The way: headers, one regular grid, pixels. Every condition is checked before a pixel is read.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.codes import HOUNSFIELD_UNIT, PERCENT
from analyzers.contract import Code, Volume
from node.series.decoded import Shelf
from node.series.examined import require_one_patient, subject
from node.series.facts import facts_of
from node.series.frames import (
    PlacedFrame,
    Rescale,
    frame_count,
    frames_of,
    is_projection,
    projected,
)
from node.series.geometry import (
    Grid,
    MixedFramesOfReference,
    MixedGrids,
    NoPixels,
    SeveralRadiographs,
    TooLarge,
    UnreadableHeader,
    arrange,
    depths_of,
    turns,
)
from node.series.padding import measured_voxels, padding_of
from node.series.pixels import (
    ImageFile,
    PixelFormat,
    Target,
    is_image,
    pixel_format,
    read_header,
)
from node.series.source import Frame, Source
from node.series.uptake import Uptake, uptake
from storage.files.port import Readable
from storage.header import values

MAX_PIXELS = 2**31
"""2048 slices of 1024×1024, 4 GiB at 16 bits: the largest CT there is, several times over."""


PET_UNITS: Mapping[str, Code] = {
    "BQML": Code("Bq/ml", "UCUM", "Becquerels/milliliter"),
    "GML": Code("g/ml", "UCUM", "Standardized Uptake Value (g/ml)"),
    "CNTS": Code("{counts}", "UCUM", "Counts"),
    "CPS": Code("{counts}/s", "UCUM", "Counts per second"),
    "PCNT": PERCENT,
}
"""Units (0054,1001) that have a UCUM code of their own (PS3.3 C.8.9.1.1.3, PS3.16 CID 84)."""


def read_series(
    files: Sequence[Readable],
    shelf: Shelf | None = None,
    volume_of: tuple[int, int] | None = None,
) -> Source:
    """The volume of a series and the headers of its images, in slice order.

    shelf: where pixels may lie that were decoded before. volume_of: the how-manieth volume of how
    many, where each place has so many frames (``node.series.parts``).

    Raises
    ------
    UnsupportedSeries
        The subclass in ``node.series.geometry`` names the condition that is not met.
    OSError
        A file cannot be read.
    """
    with _quiet():
        images = [read_header(file) for file in files]
        require_one_patient(image.header for image in images)
        form = _common_format(images)
        projection = bool(images) and all(is_projection(image.header) for image in images)
        frames = [_radiograph(images)] if projection else _placed_frames(images)
        frames = _frames_of_one(frames, volume_of) if volume_of else frames
        grid = arrange([frame.plane for frame in frames])
        ordered = [frames[i] for i in grid.order]
        stored, decoder = _read_stored(images, ordered, form, shelf or Shelf())
        volume = _volume(stored, grid, ordered, images, projection)
    return _source(images, ordered, volume, decoder)


def read_headers(files: Sequence[Readable]) -> tuple[Dataset, ...]:
    """The headers of those images that can be read, in the order given; for a report alone.

    Raises
    ------
    UnreadableHeader
        None of the files can be read.
    """
    with _quiet():
        found = [_header_or_none(file) for file in files]
    headers = tuple(header for header in found if header is not None)
    if files and not headers:
        raise UnreadableHeader("none of the files can be read")
    return headers


def _header_or_none(file: Readable) -> Dataset | None:
    try:
        return read_header(file).header
    except (UnreadableHeader, OSError):
        return None


@contextmanager
def _quiet() -> Iterator[None]:
    """pydicom warns of every value that breaks its VR; what matters is refused by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# --- headers --------------------------------------------------------------------------------------


def _common_format(images: Sequence[ImageFile]) -> PixelFormat:
    if not images:
        raise NoPixels(0)
    others = sum(not is_image(image.header) for image in images)
    if others:
        raise NoPixels(others)
    forms = {pixel_format(image.header) for image in images}
    if len(forms) > 1:
        sizes = {(form.rows, form.columns) for form in forms}
        attribute = "Rows and Columns" if len(sizes) > 1 else "stored pixel format"
        raise MixedGrids(attribute, max(len(sizes), len(forms)))
    (form,) = forms
    pixels = sum(frame_count(image.header) for image in images) * form.rows * form.columns
    if pixels > MAX_PIXELS:
        raise TooLarge(pixels, MAX_PIXELS)
    return form


def _radiograph(images: Sequence[ImageFile]) -> PlacedFrame:
    if len(images) > 1:
        raise SeveralRadiographs(len(images))
    return projected(images[0].header)


def _placed_frames(images: Sequence[ImageFile]) -> list[PlacedFrame]:
    spaces = {values.text(image.header, "FrameOfReferenceUID") for image in images}
    if len(spaces) > 1:
        raise MixedFramesOfReference(len(spaces))
    return [frame for i, image in enumerate(images) for frame in frames_of(image.header, header=i)]


def _frames_of_one(frames: list[PlacedFrame], volume_of: tuple[int, int]) -> list[PlacedFrame]:
    """Those of one volume; all where the places have not so many each, so that it is told."""
    number, count = volume_of
    positions = [placed.plane.position for placed in frames]
    turn = turns(depths_of(positions, frames[0].plane.orientation))
    if set(Counter(turn).values()) != {len(frames) // count}:
        return frames
    return [placed for placed, one in zip(frames, turn, strict=True) if one == number]


# --- pixels ---------------------------------------------------------------------------------------


def _read_stored(
    images: Sequence[ImageFile], ordered: Sequence[PlacedFrame], form: PixelFormat, shelf: Shelf
) -> tuple[NDArray[Any], str]:
    """One array for the whole volume, filled file by file; and what decoded it."""
    stored = np.empty((len(ordered), form.rows, form.columns), form.dtype)
    targets: defaultdict[int, list[Target]] = defaultdict(list)
    for index, placed in enumerate(ordered):
        number = placed.frame.number or 1
        targets[placed.frame.header].append(Target(number - 1, stored[index]))
    decoders = {shelf.read(images[i], wanted) for i, wanted in targets.items()}
    return stored, "; ".join(sorted(decoders))


def _volume(
    stored: NDArray[Any],
    grid: Grid,
    ordered: Sequence[PlacedFrame],
    images: Sequence[ImageFile],
    projection: bool,
) -> Volume:
    header = images[0].header
    rescales = [placed.rescale for placed in ordered]
    headers = [image.header for image in images]
    paddings = [padding_of(header) for header in headers]
    modality = values.text(header, "Modality")
    units, units_reason = _units(header, rescales)
    activity = _uptake(headers, rescales) if modality == "PT" else Uptake(None)
    return Volume(
        stored=stored,
        affine=grid.affine,
        modality=modality,
        slope=np.array([1.0 if r.slope is None else r.slope for r in rescales]),
        intercept=np.array([r.intercept or 0.0 for r in rescales]),
        units=units,
        units_reason=units_reason,
        projection=projection,
        suv_factor=activity.factor,
        suv_reason=activity.reason,
        tracer=activity.tracer,
        subject=subject(header),
        facts=replace(
            facts_of(headers),
            orientation=values.texts(header, "PatientOrientation"),
            kernel=values.texts(header, "ConvolutionKernel"),
            derivation=_derivation(headers),
        ),
        frame_of_reference=values.text(header, "FrameOfReferenceUID"),
        valid=measured_voxels(stored, [paddings[placed.frame.header] for placed in ordered]),
    )


def _derivation(headers: Sequence[Dataset]) -> tuple[str, ...]:
    """Codes and descriptions of all images, each once."""
    said = []
    for header in headers:
        coded = values.items(header, "DerivationCodeSequence")
        said += [values.text(one, "CodeValue") for one in coded]
        said.append(values.text(header, "DerivationDescription"))
    return tuple(dict.fromkeys(one for one in said if one))


def _units(header: Dataset, rescales: Sequence[Rescale]) -> tuple[Code | None, str]:
    """What the values are measured in after rescale, where the images say so; or why it is open."""
    modality = values.text(header, "Modality")
    if modality == "PT":
        return PET_UNITS.get(values.text(header, "Units").upper()), ""
    if modality != "CT":
        return None, ""
    reason = _why_not_hounsfield(header, rescales)
    return (None, reason) if reason else (HOUNSFIELD_UNIT, "")


def _uptake(headers: Sequence[Dataset], rescales: Sequence[Rescale]) -> Uptake:
    """Without a rescale the values are in no units, whatever Units says (PS3.3 C.8.9.4)."""
    if any(rescale.slope is None for rescale in rescales):
        return Uptake(None, "Rescale Slope is not given")
    return uptake(headers)


def _why_not_hounsfield(header: Dataset, rescales: Sequence[Rescale]) -> str:
    """Why the values of a CT are not known to be HU; empty where they are.

    Rescale Type may be absent where it is HU, but not of a multi-energy CT (PS3.3 C.8.2.1.1).
    """
    if any(r.slope is None or r.intercept is None for r in rescales):
        return "no rescale (Rescale Slope and Rescale Intercept are not given)"
    if any(r.kind not in ("HU", "") for r in rescales):
        return "Rescale Type is not HU"
    multi_energy = values.text(header, "MultienergyCTAcquisition").upper() == "YES"
    if multi_energy and any(not r.kind for r in rescales):
        return "Rescale Type of a multi-energy CT is not given"
    return ""


def _source(
    images: Sequence[ImageFile], ordered: Sequence[PlacedFrame], volume: Volume, decoder: str
) -> Source:
    """Headers in the order in which the slices first need them."""
    places: dict[int, int] = {}
    frames = []
    for placed in ordered:
        place = places.setdefault(placed.frame.header, len(places))
        frames.append(Frame(place, placed.frame.number))
    headers = tuple(images[i].header for i in places)
    return Source(headers, tuple(frames), volume, decoder)
