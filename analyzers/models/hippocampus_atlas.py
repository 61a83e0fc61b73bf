"""Whether an image shows a hippocampus as the networks learned it, lying as its header says.

The mean of the training crops, their hippocampi in one place, is laid on every place of the image,
as it is and mirrored along each axis; the best normalised correlation (10.1109/TIP.2011.2181402)
says which fits. Those of the set are left hippocampi: a right one fits mirrored to the side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from analyzers.contract import NotApplicable
from analyzers.models import stored_model

NAME = "hippocampus_atlas"
LEAST_CORRELATION = 0.5
"""Of the mean crop with the image, below which it is no hippocampus."""
LEAST_COVERED = 0.75
"""Share of the mean crop that lies on the image wherever it is laid."""
LEAST_VARIANCE = 0.1
"""Of the image under the mean crop, as a share of that of the whole: the flat resembles nothing."""

SMOOTH = (
    "Caution: the images show less detail than any that the networks know: they are blurred, or"
    " were enlarged from few voxels."
)
NOISY = "Caution: the images are noisier than any that the networks know."

Field = NDArray[np.float64]
Flip = tuple[int, ...]
AXES = {0: "upside down", 1: "back to front"}
UPRIGHT: tuple[Flip, ...] = ((), (2,))
FLIPS = tuple(
    tuple(axis for axis in range(3) if chosen[axis]) for chosen in product((0, 1), repeat=3)
)


class Side(StrEnum):
    """Of the patient."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """mean: ``(z, y, x)`` at 1 mm, normalised. known: 1 where nearly all crops reach.

    least_detail, most_detail: limits of ``detail_of``, beyond which stands a caution.
    """

    mean: Field
    known: Field
    least_detail: float = 0.0
    most_detail: float = float("inf")


@dataclass(frozen=True, slots=True)
class Likeness:
    """Best correlations with the mean crop by how it was mirrored; inverted: of the negative."""

    straight: Mapping[Flip, float]
    inverted: Mapping[Flip, float]

    @property
    def upright(self) -> float:
        return max(self.straight[flip] for flip in UPRIGHT)

    @property
    def side(self) -> Side:
        """Of the hippocampus, if no axis is mirrored."""
        left, right = (self.straight[flip] for flip in UPRIGHT)
        return Side.LEFT if left >= right else Side.RIGHT


def stored() -> Atlas:
    """The atlas that ships.

    Raises
    ------
    BrokenModel
    """
    model = stored_model.load(NAME)
    return Atlas(
        np.asarray(model.arrays["mean"], np.float64),
        np.asarray(model.arrays["known"], np.float64),
        model.number("limit", "least_detail"),
        model.number("limit", "most_detail"),
    )


def require_hippocampus(likeness: Likeness) -> None:
    """Refuse what does not resemble the training crops, or lies otherwise than its header says.

    Raises
    ------
    NotApplicable
    """
    inverted = max(likeness.inverted, key=lambda flip: likeness.inverted[flip])
    straight = max(likeness.straight, key=lambda flip: likeness.straight[flip])
    best = max(likeness.inverted[inverted], likeness.straight[straight])
    if best < LEAST_CORRELATION:
        raise NotApplicable(_unlike(likeness.upright))
    if likeness.inverted[inverted] == best:
        raise NotApplicable(
            "The grey values are inverted against T1-weighted images, which the networks read."
        )
    if straight not in UPRIGHT:
        said = " and ".join(AXES[axis] for axis in straight if axis in AXES)
        raise NotApplicable(f"The contents lie {said} against what the header says.")


def cautions(image: NDArray[np.float32], atlas: Atlas) -> tuple[str, ...]:
    """Why an answer for a normalised image at 1 mm should not be relied on, by its sharpness."""
    detail = detail_of(image)
    if detail < atlas.least_detail:
        return (SMOOTH,)
    return (NOISY,) if detail > atlas.most_detail else ()


def detail_of(image: NDArray[np.float32]) -> float:
    """Mean change of the slope from voxel to voxel along the axis where it is greatest.

    In standard deviations of the image: thick slices blur one axis, noise and blur all.
    """
    return max(float(np.abs(np.diff(image, 2, axis)).mean()) for axis in range(3))


def _unlike(correlation: float) -> str:
    return (
        "The images do not show a hippocampus as the networks learned it: they resemble the mean"
        f" of the training crops at {correlation:.2f}, at least {LEAST_CORRELATION:.2f} is needed."
    )


def likeness(image: NDArray[np.float32], atlas: Atlas) -> Likeness:
    """How an image at 1 mm, patient axes, resembles the atlas."""
    place = _Place(image, atlas.mean.shape)
    straight, inverted = {}, {}
    for flip in FLIPS:
        correlations = place.correlations(np.flip(atlas.mean, flip), np.flip(atlas.known, flip))
        straight[flip] = float(correlations.max(initial=-1.0))
        inverted[flip] = float((-correlations).max(initial=-1.0))
    return Likeness(straight, inverted)


class _Place:
    """An image on which templates of one shape are laid in every place, by Fourier transform."""

    def __init__(self, image: NDArray[np.float32], shape: tuple[int, ...]) -> None:
        sizes = zip(image.shape, shape, strict=True)
        self._shape = tuple(fft.next_fast_len(a + b - 1, real=True) for a, b in sizes)
        values = image.astype(np.float64)
        self._least = LEAST_VARIANCE * float(values.var())
        self._powers = [self._spectrum(one) for one in (np.ones_like(values), values, values**2)]

    def correlations(self, mean: Field, known: Field) -> Field:
        """Of every place where enough of the template lies on the image; may be empty."""
        count, total, squares = self._sums(known, 3)
        own, product_ = self._sums(known * mean, 2)
        (own_squares,) = self._sums(known * mean**2, 1)
        covered = count >= LEAST_COVERED * known.sum()
        n = count[covered]
        covariance = product_[covered] - total[covered] * own[covered] / n
        variance = squares[covered] - total[covered] ** 2 / n
        spread = own_squares[covered] - own[covered] ** 2 / n
        found: Field = covariance / np.sqrt(
            np.maximum(variance, self._least * n + 1e-9) * np.maximum(spread, 1e-9)
        )
        return found

    def _sums(self, template: Field, powers: int) -> Iterator[Field]:
        """Of the template times each power of the image (0, 1, 2), for every place."""
        spectrum = self._spectrum(np.flip(template))
        for power in self._powers[:powers]:
            yield fft.irfftn(power * spectrum, self._shape)

    def _spectrum(self, values: Field) -> NDArray[np.complex128]:
        found: NDArray[np.complex128] = fft.rfftn(values, self._shape)
        return found
