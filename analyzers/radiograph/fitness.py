"""Whether a radiograph is one that models of frontal chests may judge: one check for all of them.

The header is asked for age, view, part of the body and where rows and columns run to; the pixels
for how the chest lies in them. What lies wrong is refused by name; where a person may simply be
built that way (the heart on the right), the answer is given with a caution before it.

The pixels are judged by two linear models of edges and density (``opacity_features``): which of
``LYINGS`` the whole image is, and on which side of the framed chest the heart lies. They learned
from radiographs that were turned, cut and spoilt on purpose (``training.fitness``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import InputContract, NotApplicable, Volume
from analyzers.grid.noise import SPREAD, second_differences
from analyzers.models import stored_model
from analyzers.radiograph.chest_frame import Image
from analyzers.radiograph.opacity_features import Kind, features

NAME = "radiograph_fitness"
UPRIGHT = ("as it should", "mirrored")
"""Ways to lie that are no fault of the image: the side of the heart is asked by itself."""
PARTS = ("left half", "right half", "upper half", "lower half")
LYINGS = (*UPRIGHT, "upside down", "turned", "on its side", "inverted", "inverted and upside down",
          *PARTS, "noise")  # fmt: skip
KINDS: tuple[Kind, ...] = ("edges", "density")
NO_CHEST = "The image does not look like a frontal chest radiograph."
_WHY = {
    "upside down": "The radiograph seems to be upside down.",
    "turned": "The radiograph seems to be upside down.",
    "on its side": "The radiograph seems to lie on its side.",
    "inverted": "The radiograph seems to be inverted: bone is dark where it should be bright.",
    "inverted and upside down": "The radiograph seems to be inverted and upside down.",
    "noise": "The radiograph is too noisy to be judged.",
    **dict.fromkeys(PARTS, "The radiograph seems to show a part of the chest only."),
}
UNSURE = (
    "Caution: the image looks less like a whole, upright frontal chest than nearly all that the"
    " method knows. Look at it before you rely on the answer."
)
HEART = (
    "Caution: the heart lies on the other side than usual. The image may be mirrored, or the person"
    " has dextrocardia; sides may be swapped, and the method knows no such chest."
)
SMOOTH = (
    "Caution: the radiograph shows less detail than any that the method knows: it is blurred, or"
    " was enlarged from few pixels."
)
NOISY = "Caution: the radiograph is noisier than any that the method knows."


@dataclass(frozen=True, slots=True, eq=False)
class FitnessModel:
    """lying: weights ``(features, LYINGS)``, added to ``bias``; heart: weights ``(features,)`` of
    the framed image less its mirror image, above 0: on the usual side.

    least_upright: probability of ``UPRIGHT`` below which an image is refused. sure_upright,
    least_heart, noise, detail: beyond them stands a caution; detail is the least ``noise_of``.
    """

    lying: NDArray[np.float32]
    bias: NDArray[np.float32]
    heart: NDArray[np.float32]
    least_upright: float
    sure_upright: float
    least_heart: float
    noise: float
    detail: float

    @classmethod
    def of(cls, stored: stored_model.StoredModel) -> FitnessModel:
        """Raises BrokenModel or KeyError when a part is missing."""
        lying, bias, heart = (
            np.asarray(stored.arrays[name], np.float32) for name in ("lying", "bias", "heart")
        )
        names = ("least_upright", "sure_upright", "heart", "noise", "detail")
        return cls(lying, bias, heart, *(stored.number("limit", name) for name in names))

    def lyings(self, seen: NDArray[np.floating]) -> NDArray[np.float64]:
        """The probability of each of ``LYINGS`` for rows of features ``(n, features)``."""
        scores = seen.astype(np.float64) @ self.lying + self.bias
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
        return shares

    def side_of_heart(self, framed: Image) -> float:
        """Log odds that the heart of a framed chest lies where it usually does."""
        return float(sides(framed) @ self.heart)


@cache
def shipped() -> FitnessModel:
    """The model that comes with the node."""
    return FitnessModel.of(stored_model.load(NAME))


def require_header(volume: Volume, contract: InputContract) -> None:
    """What the header says of person, view, part and directions agrees with a frontal chest.

    Raises
    ------
    NotApplicable
        It names the condition that is not met.
    """
    require_kind(volume, contract)
    if volume.facts and (why := _why_misdirected(volume.facts.orientation)):
        raise NotApplicable(why)


def require_kind(volume: Volume, contract: InputContract) -> None:
    """By its header the radiograph is of a person, view and part that the models were made for.

    Raises
    ------
    NotApplicable
        It names the condition that is not met.
    """
    contract.require_age(volume)
    if volume.facts is None:
        return
    from analyzers.anatomy.body_region import Region, said_regions

    unmet = contract.refusals(volume.facts)
    if unmet:
        raise NotApplicable(unmet[0])
    said = said_regions(volume.facts)
    if said and Region.CHEST not in said:
        raise NotApplicable(f"By its header the radiograph shows another part: {said[0]}.")


def require_upright(image: Image, model: FitnessModel | None = None) -> tuple[str, ...]:
    """A standardised radiograph is a whole frontal chest, head up, bone bright; a caution where
    that is not sure.

    Raises
    ------
    NotApplicable
        It says how the image lies instead.
    """
    found = shipped() if model is None else model
    shares = found.lyings(features(image, KINDS)[None])[0]
    upright = shares[: len(UPRIGHT)].sum()
    if upright < found.least_upright:
        raise NotApplicable(_WHY[LYINGS[len(UPRIGHT) + int(shares[len(UPRIGHT) :].argmax())]])
    return (UNSURE,) if upright < found.sure_upright else ()


def cautions(image: Image, framed: Image, model: FitnessModel | None = None) -> tuple[str, ...]:
    """Why an answer for a standardised image, and for the same framed, should not be relied on."""
    found = shipped() if model is None else model
    noise = noise_of(image)
    said = [NOISY] if noise > found.noise else [SMOOTH] if noise < found.detail else []
    if found.side_of_heart(framed) < found.least_heart:
        said.append(HEART)
    return tuple(said)


def noise_of(image: Image) -> float:
    """Spread of the noise of a standardised image (Immerkær 1996, DOI 10.1006/cviu.1996.0060)."""
    second = second_differences(image)[1:-1, 1:-1]
    return float(np.sqrt(np.pi / 2) * np.abs(second).mean() / SPREAD)


def sides(framed: Image) -> NDArray[np.float64]:
    """The features of a framed chest less those of its mirror image."""
    mirrored = np.ascontiguousarray(framed[:, ::-1])
    return features(framed, KINDS) - features(mirrored, KINDS)


def _why_misdirected(orientation: tuple[str, ...]) -> str:
    """A frontal chest is shown as if the person faced the reader: rows run to the left, columns to
    the feet (PS3.3 C.7.6.1.1.1). Empty: it is, or the header says nothing."""
    if len(orientation) != 2 or not all(orientation):
        return ""
    row, column = (one[0].upper() for one in orientation)
    if row in "AP" and column in "FH":
        return "By its header the radiograph is a lateral view."
    if (row, column) == ("R", "F"):
        return "By its header the radiograph is stored mirrored."
    if (row, column) != ("L", "F"):
        return "By its header the radiograph is not stored upright."
    return ""
