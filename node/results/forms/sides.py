"""Where a slice lies and how it is turned, in the words of those who look at it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.contract import Plane, Volume
from node.results.report import places
from node.results.words import numbers, sentences
from node.series.geometry import nearest_plane
from node.series.source import Source
from storage.header import values

_PLANES = {
    Plane.AXIAL: sentences.PLANE_AXIAL,
    Plane.CORONAL: sentences.PLANE_CORONAL,
    Plane.SAGITTAL: sentences.PLANE_SAGITTAL,
}
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
_OBLIQUE = 0.35
"""A direction cosine from which an axis is named beside the main one: 20 degrees."""


def letters(source: Source, volume: Volume, index: int) -> tuple[str, str, str, str]:
    """The patient's sides at the left, right, top and bottom of a slice (PS3.3 C.7.6.1.1.1)."""
    if volume.projection:
        given = [one.upper() for one in values.texts(_header(source, index), "PatientOrientation")]
        sound = len(given) == 2 and all(one and set(one) <= set(_OPPOSITE) for one in given)
        right, bottom = given if sound else ("", "")
    else:
        right, bottom = (_named(volume.affine[:3, axis]) for axis in (2, 1))
    return _opposite(right), right, _opposite(bottom), bottom


def in_words(source: Source, volume: Volume, index: int, language: str) -> str:
    """The plane, the image as viewers number it, and where it lies."""
    image = places.image_in_words(source, index, language)
    if volume.projection:
        return image
    row, column = volume.affine[:3, 2], volume.affine[:3, 1]
    plane = nearest_plane([*(row / np.linalg.norm(row)), *(column / np.linalg.norm(column))])
    said = [_PLANES[plane](language)]
    if image:
        said.append(sentences.ONE_OF(language, image=image, count=len(source.frames)))
    return " · ".join([*said, _position(volume, index, language)])


def is_measured(source: Source, volume: Volume, index: int) -> bool:
    """Whether the distance between pixels is known; a radiograph need not say it."""
    if not volume.projection:
        return True
    given = (values.known(values.numbers(_header(source, index), word)) for word in _SPACINGS)
    return any(one is not None and min(one) > 0 for one in given)


_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")


def _position(volume: Volume, index: int, language: str) -> str:
    """The middle of the slice along the patient's axis that it is nearest to be across."""
    row, column = volume.affine[:3, 2], volume.affine[:3, 1]
    axis = int(np.abs(np.cross(row, column)).argmax())
    _, rows, columns = volume.shape
    middle = volume.affine @ (index, (rows - 1) / 2, (columns - 1) / 2, 1)
    return f"{'xyz'[axis]} = {numbers.spelled(f'{middle[axis]:.1f}', language)} mm"


def _named(direction: NDArray[np.float64]) -> str:
    """ "L" or "LA": towards which sides a direction goes, the nearest first."""
    unit = direction / np.linalg.norm(direction)
    order = np.argsort(-np.abs(unit), kind="stable")
    named = [
        "RL"[int(unit[axis] > 0)] if axis == 0 else ("AP", "FH")[axis - 1][int(unit[axis] > 0)]
        for axis in order
        if axis == order[0] or abs(unit[axis]) >= _OBLIQUE
    ]
    return "".join(named)


def _opposite(side: str) -> str:
    return "".join(_OPPOSITE[one] for one in side)


def _header(source: Source, index: int) -> Dataset:
    return source.headers[source.frames[index].header]
