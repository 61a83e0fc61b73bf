"""Radiographs and crops of MR that models were not made for, and some that they were made for.

From radiographs and crops that took no part in a fit, from CT projected as a radiograph, and from
MR of other parts of the body. Each is what an archive may send; what its header says is true of
proper ones only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.contract import SeriesFacts, Subject, Volume
from analyzers.grid.patient_grid import patient_grid
from analyzers.models.training import hippocampus_data
from analyzers.models.training.hippocampus_atlas import WAYS
from analyzers.radiograph.training.fitness import SPOILT
from analyzers.radiograph.training.opacity_data import is_untouched, readings
from benchmarks.repeatability import volumes

ADULT, CHILD = Subject(age_years=55.0, sex="F"), Subject(age_years=6.0, sex="F")
SEED, EACH, PROPER = 11, 8, 200
"""So many images are altered in each way; so many proper ones there are at most."""
CROP_MM = (36, 50, 36)
LOUD = 2.0
"""Noise added to a crop, in standard deviations of its values."""
TRIES = 300
"""Places looked at in an MR of another part."""
LEAST_SIGNAL = 0.35
"""Share of a crop that is brighter than a third of the series' 99th percentile: not air alone."""
FILM = 512
MU_WATER = 0.019
"""Per mm, at about 70 keV."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """An image to judge; what: its kind, proper: whether the models were made for it."""

    what: str
    volume: Volume
    proper: bool = False


# --- radiographs ----------------------------------------------------------------------------------


def _tilted(image: Floats, rng: np.random.Generator) -> Floats:
    size = image.shape[::-1]
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), rng.uniform(-5, 5), 1)
    return np.asarray(cv2.warpAffine(image, turn, size, borderMode=cv2.BORDER_REPLICATE))


def _quantum(image: Floats, rng: np.random.Generator) -> Floats:
    return image + rng.normal(0, 4, image.shape).astype(np.float32)


def _collimated(image: Floats, rng: np.random.Generator) -> Floats:
    top, bottom, left, right = (round(share * len(image)) for share in rng.uniform(0, 0.04, 4))
    return image[top : len(image) - bottom, left : image.shape[1] - right]


def _reduced(image: Floats, rng: np.random.Generator) -> Floats:
    share = rng.uniform(0.6, 0.9)
    return np.asarray(cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA))


def _windowed(image: Floats, rng: np.random.Generator) -> Floats:
    bright: Floats = 255 * (np.clip(image, 0, 255) / 255) ** np.exp(rng.uniform(-0.25, 0.25))
    return bright


ROOMS: Mapping[str, Callable[[Floats, np.random.Generator], Floats]] = {
    "proper, turned by up to 5°": _tilted,
    "proper, noise of 4 of 255 greys": _quantum,
    "proper, each edge cut by up to 4 %": _collimated,
    "proper, 0.6–0.9 times the pixels": _reduced,
    "proper, other brightness": _windowed,
}
"""What another room or reader makes of a radiograph that is none the worse for it."""


def in_turn(count: int, ways: int, most: int) -> Iterator[tuple[int, int]]:
    """Image and way of each proper variation, so many that ``most`` are proper in all: each image
    is altered in one way before any is altered in a second."""
    for number in range(max(0, min(most - count, count * ways))):
        yield number % count, (number % count + number // count) % ways


def films(radiographs: Path, studies: Path, small: Path, each: int = EACH) -> Iterator[Given]:
    """Radiographs of patients that took no part in a fit, the same altered, and others.

    radiographs: folder with ``labels.csv``; studies: DICOM, of which CT are projected; small: an
    archive of MedMNIST.
    """
    names = [
        name for name, rows in readings(radiographs).items() if is_untouched(rows[0]["patient"])
    ]
    images = [_grey(radiographs / "images" / name) for name in names]
    yield from (Given("as it should", film(image), proper=True) for image in images)
    rng = np.random.default_rng(SEED)
    rooms = tuple(ROOMS.items())
    for image, way in in_turn(len(images), len(rooms), PROPER):
        what, alter = rooms[way]
        yield Given(what, film(alter(images[image], rng)), proper=True)
    for what, spoil in SPOILT.items():
        if what != "as it should":
            for image in rng.permutation(len(images))[:each]:
                yield Given(what, film(np.ascontiguousarray(spoil(images[image], rng))))
    yield from _by_header(film(images[0]))
    for one in np.load(small)["train_images"][:each]:
        large = cv2.resize(one.astype(np.float32), (FILM, FILM), interpolation=cv2.INTER_CUBIC)
        yield Given("28 pixels a side, enlarged", film(large))
    yield from _of_ct(studies)


def film(image: NDArray[np.floating], **said: object) -> Volume:
    """A radiograph of an adult, 0.7 mm a pixel; said: facts of its header."""
    stored = np.rint(image).astype(np.int16)[None]
    facts = replace(SeriesFacts("DX", 1, 1), **{"body_part": "CHEST", "view": "PA", **said})
    one = np.ones(1)
    return Volume(
        stored, np.diag([0.7, 0.7, 0.7, 1.0]), "DX", one, 0 * one, None, True, None, ADULT, facts
    )


def _by_header(proper: Volume) -> Iterator[Given]:
    assert proper.facts is not None
    yield Given("a child by its age", replace(proper, subject=CHILD))
    for what, said in {
        "lateral by its view": {"view": "LL"},
        "lateral by its directions": {"orientation": ("A", "F")},
        "mirrored by its directions": {"orientation": ("R", "F")},
        "a foot by its part": {"body_part": "FOOT"},
    }.items():
        yield Given(what, replace(proper, facts=replace(proper.facts, **said)))


def _of_ct(studies: Path) -> Iterator[Given]:
    """Axial slices, and projections from the side and from the front of parts of the body."""
    for _, volume in volumes("lung_segmentation", studies):
        values = patient_grid(volume).view(volume.values())
        dz, dy, dx = patient_grid(volume).spacing_mm
        for share in (0.3, 0.7):
            plane = np.clip(values[int(share * len(values))] + 1000, 0, 2000)
            yield Given("an axial slice of CT", film(plane))
        yield Given("CT projected from the side", film(_projected(values, 2, dy, dz)))
        extent = len(values) * dz
        for part in range(max(1, int(extent // 400))):
            first = int(part * 400 / dz)
            piece = values[first : first + int(400 / dz)]
            yield Given(
                "CT projected from the front",
                film(_projected(piece, 1, dx, dz)),
            )


def _projected(values: Floats, axis: int, across_mm: float, along_mm: float) -> Floats:
    """What a radiograph would show: thickness of water along an axis, head up."""
    water = np.maximum(values + 1000, 0).sum(axis) / 1000 * MU_WATER
    size = (round(water.shape[1] * across_mm), round(water.shape[0] * along_mm))
    turned = cv2.resize(np.ascontiguousarray(water[::-1]).astype(np.float32), size)
    return turned / max(float(turned.max()), 1e-6) * 4000


def _grey(path: Path) -> Floats:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise FileNotFoundError(path)
    return image.astype(np.float32)


# --- crops of MR ----------------------------------------------------------------------------------


def _turned(*axes: int) -> Callable[[Floats], Floats]:
    return lambda image: np.rot90(image, 1, (axes[0], axes[1]))


def _loud(image: Floats) -> Floats:
    noise = np.random.default_rng(SEED).normal(0, LOUD, image.shape)
    return (image + noise).astype(np.float32)


CROP_WAYS: Mapping[str, Callable[[Floats], Floats]] = {
    **{way: alter for way, alter in WAYS.items() if way != "as it should"},
    "turned about the axis from head to foot": _turned(1, 2),
    "turned about the axis from front to back": _turned(0, 2),
    "turned about the axis from left to right": _turned(0, 1),
    "axes in another order": lambda image: np.moveaxis(image, 0, 2),
    "blurred by 3 mm": lambda image: ndimage.gaussian_filter(image, 3.0),
    "noise stronger than the tissues": _loud,
    "voxels said half as wide": lambda image: ndimage.zoom(image, 0.6, order=1),
    "voxels said twice as wide": lambda image: ndimage.zoom(image, 1.6, order=1),
    "grey matter brightest, as in FLAIR": lambda image: -np.abs(image - np.percentile(image, 50)),
}
"""Of normalised crops."""


def _bent(image: Floats, rng: np.random.Generator) -> Floats:
    axes = ((1, 2), (0, 2), (0, 1))[rng.integers(3)]
    angle = rng.uniform(-5, 5)
    return np.asarray(ndimage.rotate(image, angle, axes, reshape=False, order=1, mode="nearest"))


def _noisier(image: Floats, rng: np.random.Generator) -> Floats:
    return image + rng.normal(0, 0.08, image.shape).astype(np.float32)


def _narrower(image: Floats, rng: np.random.Generator) -> Floats:
    first = rng.integers(0, 3, 3)
    last = np.array(image.shape) - rng.integers(0, 3, 3)
    return image[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]


def _brighter(image: Floats, rng: np.random.Generator) -> Floats:
    return np.asarray(image * rng.uniform(0.7, 1.4) + rng.uniform(-0.5, 0.5), np.float32)


SCANS: Mapping[str, Callable[[Floats, np.random.Generator], Floats]] = {
    "proper, turned by up to 5°": _bent,
    "proper, noise of 0.08 standard deviations": _noisier,
    "proper, up to 2 mm cut from each face": _narrower,
    "proper, other gain and offset": _brighter,
}
"""What another scan or another hand makes of a crop that is none the worse for it."""


def crops(cases: Path, studies: Path, each: int = EACH) -> Iterator[Given]:
    """Crops that took no part in a fit, the same altered, and crops of other parts of the body."""
    data = hippocampus_data.read(cases)
    held = (*data.validation, *data.test)
    yield from (Given("as it should", crop(case.image), proper=True) for case in held)
    rng = np.random.default_rng(SEED)
    scans = tuple(SCANS.items())
    for place, way in in_turn(len(held), len(scans), PROPER):
        name, change = scans[way]
        yield Given(name, crop(change(held[place].image, rng)), proper=True)
    for what, alter in CROP_WAYS.items():
        for place in rng.permutation(len(held))[:each]:
            yield Given(what, crop(alter(held[place].image)))
    yield Given("a child by its age", replace(crop(held[0].image), subject=CHILD))
    for where, volume in volumes("hippocampus_fpn", studies):
        yield from islice(_elsewhere(where, volume, rng), each)


def crop(image: NDArray[np.floating]) -> Volume:
    """A crop at 1 mm on the left of an adult."""
    stored = np.rint(400 + 100 * image).astype(np.int16)
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[::-1]
    affine[:3, 3] = (25.0 - stored.shape[2] / 2, 20.0, -30.0)
    count = len(stored)
    facts = SeriesFacts("MR", count, count, spacing_mm=1.0)
    return Volume(
        stored, affine, "MR", np.ones(count), np.zeros(count), None, False, None, ADULT, facts
    )


# --- chests on CT ---------------------------------------------------------------------------------


def _of_values(volume: Volume, values: Floats) -> Volume:
    count = len(values)
    stored = np.clip(np.rint(values), -2048, 30000).astype(np.int16)
    return replace(
        volume, stored=stored, slope=np.ones(count), intercept=np.zeros(count), valid=None
    )


def _wide(volume: Volume, factor: float) -> Volume:
    affine = volume.affine.copy()
    affine[:3, :3] *= factor
    return replace(volume, affine=affine)


def _planes(volume: Volume, first: float, last: float) -> Volume:
    """The slices from one share of them to another, in their place."""
    start, stop = (round(share * len(volume.stored)) for share in (first, last))
    affine = volume.affine.copy()
    affine[:3, 3] += start * affine[:3, 0]
    values = volume.values()[start:stop]
    return _of_values(replace(volume, affine=affine), values)


def _spread(volume: Volume, spread: float) -> Volume:
    noise = np.random.default_rng(SEED).normal(0, spread, volume.shape).astype(np.float32)
    return _of_values(volume, volume.values() + noise)


CHEST_SCANS: Mapping[str, Callable[[Volume], Volume]] = {
    "proper, noise of 15 HU added": lambda volume: _spread(volume, 15.0),
    "proper, 8 % of the slices cut at each end": lambda volume: _planes(volume, 0.08, 0.92),
    "proper, smoothed by 0.7 pixels": lambda volume: _of_values(
        volume, ndimage.gaussian_filter(volume.values(), (0, 0.7, 0.7))
    ),
    "proper, a person 0.93 times as wide": lambda volume: _wide(volume, 0.93),
}
CHEST_WAYS: Mapping[str, Callable[[Volume], Volume]] = {
    "upside down": lambda volume: _of_values(volume, volume.values()[::-1]),
    "back to front": lambda volume: _of_values(volume, volume.values()[:, ::-1]),
    "mirrored": lambda volume: _of_values(volume, volume.values()[..., ::-1]),
    "axes in another order": lambda volume: _of_values(
        volume, np.ascontiguousarray(np.moveaxis(volume.values(), 1, 2))
    ),
    "inverted": lambda volume: _of_values(volume, -volume.values()),
    "noise of 300 HU added": lambda volume: _spread(volume, 300.0),
    "noise alone": lambda volume: _of_values(
        volume, np.random.default_rng(SEED).normal(-500, 400, volume.shape).astype(np.float32)
    ),
    "values 1024 too high, as stored": lambda volume: _of_values(volume, volume.values() + 1024),
    "blurred by 4 mm": lambda volume: _of_values(
        volume, ndimage.gaussian_filter(volume.values(), 4.0 / np.array(volume.spacing_mm))
    ),
    "left half of each slice": lambda volume: _of_values(
        volume, volume.values()[..., volume.shape[2] // 2 :]
    ),
    "lowest fifth of the slices": lambda volume: _planes(volume, 0.0, 0.2),
    "uppermost fifth of the slices": lambda volume: _planes(volume, 0.8, 1.0),
    "voxels said half as wide": lambda volume: _wide(volume, 0.5),
    "voxels said twice as wide": lambda volume: _wide(volume, 2.0),
    "a child by its age": lambda volume: replace(volume, subject=CHILD),
}
"""Of a chest on CT."""


def chests(studies: Path) -> Iterator[Given]:
    """CT that show lungs in slices thin enough, the same altered, and images of other parts."""
    for _, volume in volumes("lung_nodule", studies):
        yield Given("as it should", volume, proper=True)
        for what, alter in CHEST_SCANS.items():
            yield Given(what, alter(volume), proper=True)
        for what, alter in CHEST_WAYS.items():
            yield Given(what, alter(volume))
    for what, analyzer in (("CT of another part, or slices too thick", "lung_segmentation"),):
        for _, volume in volumes(analyzer, studies):
            if volume.spacing_mm[0] > THIN_MM:
                yield Given(what, volume)
                yield Given("the same, said to be thin", _thinner(volume))
    for _, volume in volumes("hippocampus_fpn", studies):
        if min(volume.shape) > 60:
            values = volume.values()
            scaled = values * (1500 / float(np.percentile(values, 99))) - 1000
            yield Given("MR sent as CT", replace(_of_values(volume, scaled), modality="CT"))


THIN_MM = 2.5


def _thinner(volume: Volume) -> Volume:
    """Slices said to lie 2.5 mm apart."""
    affine = volume.affine.copy()
    affine[:3, 0] *= THIN_MM / volume.spacing_mm[0]
    facts = volume.facts and replace(volume.facts, spacing_mm=THIN_MM)
    return replace(volume, affine=affine, facts=facts)


def _elsewhere(where: Path, volume: Volume, rng: np.random.Generator) -> Iterator[Given]:
    """Crops at random from a series that is larger than a crop, with voxels of 1 mm."""
    grid = patient_grid(volume)
    values = np.nan_to_num(grid.view(volume.values()))
    size = np.array(values.shape)
    if (size * grid.spacing_mm <= 80).all():
        return
    bright = values > np.percentile(values, 99) / 3
    wanted = np.maximum(1, np.round(np.array(CROP_MM) / grid.spacing_mm)).astype(int)
    if (wanted > size).any():
        return
    for _ in range(TRIES):
        first = rng.integers(0, size - wanted + 1)
        inside = tuple(slice(a, a + b) for a, b in zip(first, wanted, strict=True))
        if bright[inside].mean() < LEAST_SIGNAL:
            continue
        zoomed = ndimage.zoom(values[inside], grid.spacing_mm, order=1)
        low, high = np.percentile(zoomed, (0.5, 99.5))
        centre = (first + wanted / 2) / size
        said = ",".join(f"{one:.2f}" for one in centre)
        yield Given(
            f"MR of {where.name} {said}", crop(4 * (zoomed - low) / max(high - low, 1e-6) - 2)
        )
