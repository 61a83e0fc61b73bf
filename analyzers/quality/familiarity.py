"""What the models that would read a series say of it: their own check, not another one.

Only of what they were made for by its header: a child, a lateral view or another part of the body
is no fault of an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analyzers.contract import NotApplicable, Volume
from analyzers.models import stored_model
from analyzers.models.hippocampus_crop import crop_of
from analyzers.models.hippocampus_input import require_crop
from analyzers.radiograph import fitness
from analyzers.radiograph.opacity import INPUTS, framed_chest

CHEST_MODEL = "opacity_ensemble"
"""Whose mean chest is taken; that of the others is the same."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Of an image that the models were made for. models: whose check it is, in words.

    refusal: why they give no answer; empty: they do. likeness: correlation with the mean of the
    images that they learned from; None: refused.
    """

    models: str
    refusal: str = ""
    cautions: tuple[str, ...] = ()
    likeness: float | None = None


def judge(volume: Volume) -> Judged | None:
    """What the check of the models says. None: no model would be given this series."""
    if volume.projection:
        return _judged("models of lung opacity", volume, _require_chest, _chest)
    if volume.modality == "MR":
        return _judged("networks of the hippocampus", volume, require_crop, _crop)
    return None


def _judged(
    models: str,
    volume: Volume,
    require: Callable[[Volume], None],
    check: Callable[[str, Volume], Judged],
) -> Judged | None:
    try:
        require(volume)
    except NotApplicable:
        return None
    try:
        return check(models, volume)
    except NotApplicable as refusal:
        return Judged(models, str(refusal))


def _require_chest(volume: Volume) -> None:
    fitness.require_kind(volume, INPUTS)


def _chest(models: str, volume: Volume) -> Judged:
    mean = np.asarray(stored_model.load(CHEST_MODEL).arrays["mean_chest"], np.float32)
    chest = framed_chest(volume, mean)
    return Judged(models, "", chest.cautions, chest.frame.agreement)


def _crop(models: str, volume: Volume) -> Judged:
    crop = crop_of(volume)
    return Judged(models, "", crop.cautions, crop.likeness)
