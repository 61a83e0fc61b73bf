"""What the opacity classifiers share: the radiograph they accept and the answer they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analyzers import codes
from analyzers.contract import (
    Classification,
    Code,
    InputContract,
    Limits,
    NotApplicable,
    ParametricMap,
    Volume,
)
from analyzers.models.learners import Calibration
from analyzers.radiograph import concepts

if TYPE_CHECKING:
    from analyzers.models.stored_model import StoredModel
    from analyzers.radiograph.chest_frame import ChestFrame, Image


ADULT_YEARS = 18
INPUTS = InputContract(
    modalities=frozenset({"CR", "DX"}),
    derived=True,
    views=frozenset({"AP", "PA"}),
    youngest_years=ADULT_YEARS,
)
FITNESS_MODEL = "models/weights/radiograph_fitness/model.toml"
"""What every one of these models asks of an image first (``fitness``)."""
LIMITS = Limits(time_s=120.0, memory_mb=4096)
LEAST_AGREEMENT, SURE_AGREEMENT = 0.5, 0.55
"""Of 181 chest radiographs that models learned from, each placed anew twice, two cannot be framed,
and one in a hundred agrees less than 0.59 with the mean chest."""
REASONS = 3
ADDED = "What each place adds to the score for opacity"


@dataclass(frozen=True, slots=True, eq=False)
class FramedChest:
    """A radiograph standardised, its frame, and the image laid in it (240×240, 0–1).

    cautions: why what is said of it should not be relied on; mostly none.
    """

    image: Image
    frame: ChestFrame
    framed: Image
    cautions: tuple[str, ...] = ()


def framed_chest(volume: Volume, mean: NDArray[np.generic]) -> FramedChest:
    """The radiograph of a volume laid on the mean chest.

    Raises
    ------
    NotApplicable
        It is no single projection image, holds no contrast, or is not fit to be judged
        (``fitness``): of a child, of another view or part, or no upright frontal chest.
    """
    from analyzers.radiograph import fitness
    from analyzers.radiograph.chest_frame import register

    if not volume.projection or volume.shape[0] != 1:
        raise NotApplicable("Lung opacity is judged on a single radiograph; this is none.")
    fitness.require_header(volume, INPUTS)
    image = _standardised(volume)
    doubts = fitness.require_upright(image)
    frame = register(image, np.asarray(mean, np.float32))
    if frame.agreement < LEAST_AGREEMENT:
        raise NotApplicable(fitness.NO_CHEST)
    if frame.agreement < SURE_AGREEMENT:
        doubts = (fitness.UNSURE,)
    framed = frame.lay(image)
    return FramedChest(image, frame, framed, (*doubts, *fitness.cautions(image, framed)))


def _standardised(volume: Volume) -> Image:
    from analyzers.grid.field import repeated_values
    from analyzers.radiograph.chest_frame import standardised

    values = repeated_values(volume)[0]
    if not np.isfinite(values).all() or np.ptp(values) == 0:
        raise NotApplicable("The radiograph holds no contrast.")
    try:
        return standardised(values)
    except ValueError as error:
        raise NotApplicable(f"The radiograph is too small: {error}.") from error


def calibration_of(model: StoredModel) -> Calibration:
    """Platt's sigmoid from the model's facts."""
    section = "calibration"
    return Calibration(model.number(section, "slope"), model.number(section, "offset"))


def verdict(model: StoredModel, probability: float, reasons: tuple[str, ...]) -> Classification:
    """Present from the model's threshold on, else absent; the probability is that of presence."""
    point = model.operating_point()
    return Classification(
        question=concepts.LUNG_OPACITY,
        answer=concepts.PRESENT if probability >= point.threshold else concepts.ABSENT,
        probability=probability,
        operating_point=point,
        reasons=reasons,
    )


def on_frame(chart: NDArray[np.floating], field: slice) -> NDArray[np.float32]:
    """A chart of a square field of the frame ``(n, n)``, laid on the frame; 0 beyond the field."""
    import cv2

    from analyzers.radiograph.chest_frame import SIZE

    side = field.stop - field.start
    framed = np.zeros((SIZE, SIZE), np.float32)
    framed[field, field] = cv2.resize(chart, (side, side), interpolation=cv2.INTER_LINEAR)
    return framed


def evidence(
    chest: FramedChest,
    volume: Volume,
    framed: NDArray[np.float32],
    title: str,
    quantity: Code = concepts.OPACITY_EVIDENCE,
) -> ParametricMap:
    """A chart of the frame ``(240, 240)``, back on the radiograph it was made from."""
    from analyzers.radiograph.chest_frame import unsquared

    rows, columns = volume.shape[1:]
    lifted = unsquared(chest.frame.lift(framed), (rows, columns))[None]
    if volume.valid is not None:
        lifted = np.where(volume.valid, lifted, 0)
    return ParametricMap(
        values=np.ascontiguousarray(lifted, np.float32),
        title=title,
        quantity=quantity,
        unit=codes.NO_UNIT,
    )


def in_words(weights: dict[str, float]) -> tuple[str, ...]:
    """The heaviest contributions, each with the side it speaks for."""
    heaviest = sorted(weights.items(), key=lambda item: -abs(item[1]))[:REASONS]
    return tuple(
        f"{name}: {'for' if weight > 0 else 'against'} opacity ({weight:+.2f})"
        for name, weight in heaviest
        if weight != 0
    )


def summed(values: NDArray[np.float64], names: NDArray[np.str_]) -> dict[str, float]:
    """The sum of the values that share a name."""
    unique, index = np.unique(names, return_inverse=True)
    total = np.bincount(index, values, minlength=len(unique))
    return {str(name): float(value) for name, value in zip(unique, total, strict=True)}
