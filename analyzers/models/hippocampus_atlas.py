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
from analyzers.models.hippocampus_input import Resampling

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
TORN = (
    "Caution: bright and dark voxels lie side by side as in no image that the networks know: grey"
    " values beyond the end of the scale came out at its other end."
)
PILED = (
    "Caution: grey values pile up at the {end} end of the scale: it was folded back on itself, or"
    " cut off."
)
ENLARGED = (
    "Caution: what is shown resembles a hippocampus {factor:g} times as large as any should be: the"
    " header may say the voxels too wide. Do not rely on the volumes."
)
JUMP = 0.7
"""Part of the range of grey values that two neighbours seldom are apart."""
END = 0.05
"""Part of that range which is called its end."""
LARGER = (1.6, 1.3)
"""How many times as large as the training crops contents are looked for."""

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

    least_detail, most_detail: limits of ``detail_of``, beyond which stands a caution, as above
    most_torn of ``torn_share`` and above most_dark, most_bright of ``end_shares``.
    """

    mean: Field
    known: Field
    least_detail: float = 0.0
    most_detail: float = float("inf")
    most_torn: float = 1.0
    most_dark: float = 1.0
    most_bright: float = 1.0


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
        *(model.number("limit", f"most_{one}") for one in ("detail", "torn", "dark", "bright")),
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


def cautions(image: NDArray[np.float32], atlas: Atlas, upright: float = 1.0) -> tuple[str, ...]:
    """Why an answer for a normalised image at 1 mm should not be relied on.

    upright: how well the atlas fits as it is.
    """
    detail, (dark, bright) = detail_of(image), end_shares(image)
    found = {
        SMOOTH: detail < atlas.least_detail,
        NOISY: detail > atlas.most_detail,
        TORN: torn_share(image) > atlas.most_torn,
        PILED.format(end="dark"): dark > atlas.most_dark,
        PILED.format(end="bright"): bright > atlas.most_bright,
    }
    said = tuple(sentence for sentence, holds in found.items() if holds)
    factor = enlarged(image, atlas, upright)
    return said if factor == 1.0 else (*said, ENLARGED.format(factor=factor))


def torn_share(image: NDArray[np.float32]) -> float:
    """Share of neighbours further apart than ``JUMP`` of the range, along the axis of the most."""
    most = JUMP * float(np.ptp(image))
    return max(float((np.abs(np.diff(image, 1, axis)) > most).mean()) for axis in range(3))


def end_shares(image: NDArray[np.float32]) -> tuple[float, float]:
    """Share of voxels within ``END`` of the range from its dark, and from its bright end."""
    low, high = float(image.min()), float(image.max())
    near = END * (high - low)
    return float((image < low + near).mean()), float((image > high - near).mean())


def enlarged(image: NDArray[np.float32], atlas: Atlas, upright: float) -> float:
    """How many times too large the contents are, of ``LARGER``; 1 where none fits better.

    The image is made smaller and the atlas laid on it; what is then too small to hold it, is not.
    """
    best, factor = upright, 1.0
    for one in LARGER:
        place = _Place(_shrunk(image, one), atlas.known)
        for flip in UPRIGHT:
            fits = place.correlations(np.flip(atlas.mean, flip), np.flip(atlas.known, flip))
            if float(fits.max(initial=-1.0)) > best:
                best, factor = float(fits.max()), one
    return factor


def _shrunk(image: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """The image with voxels so many times as wide."""
    return Resampling(image.shape, (1 / factor,) * 3).forward(image)


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
    place = _Place(image, atlas.known)
    straight, inverted = {}, {}
    for flip in FLIPS:
        correlations = place.correlations(np.flip(atlas.mean, flip), np.flip(atlas.known, flip))
        straight[flip] = float(correlations.max(initial=-1.0))
        inverted[flip] = float((-correlations).max(initial=-1.0))
    return Likeness(straight, inverted)


class _Place:
    """An image on which templates of one shape are laid in every place, by Fourier transform.

    known: that of the templates, mirrored or not. Places that cover too little of it along one axis
    are not computed: the transforms need to be no larger than the rest.
    """

    def __init__(self, image: NDArray[np.float32], known: Field) -> None:
        whole = [a + b - 1 for a, b in zip(image.shape, known.shape, strict=True)]
        first = [_first(known, axis) for axis in range(3)]
        self._inside = tuple(slice(a, n - a) for a, n in zip(first, whole, strict=True))
        sizes = zip(image.shape, known.shape, whole, first, strict=True)
        self._shape = tuple(fft.next_fast_len(max(a, b, n - f), real=True) for a, b, n, f in sizes)
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
            yield fft.irfftn(power * spectrum, self._shape)[self._inside]

    def _spectrum(self, values: Field) -> NDArray[np.complex128]:
        found: NDArray[np.complex128] = fft.rfftn(values, self._shape)
        return found


def _first(known: Field, axis: int) -> int:
    """The first place along an axis where enough of a template may lie on the image, either way."""
    along = known.sum(tuple({0, 1, 2} - {axis}))
    needed = LEAST_COVERED * along.sum()
    return min(int((np.cumsum(one) >= needed).argmax()) for one in (along, along[::-1]))
