"""How far an image lies from those that a model learned from, by a few simple numbers of each.

Mahalanobis distance (10.1007/s13171-019-00164-5) with the covariance shrunk after Ledoit and Wolf;
the limit is the 99th percentile of training images that were left out of the fit. A far image is
no proof of a wrong answer, nor a near one of a right one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.contract import NotApplicable, Volume
from analyzers.grid.field import mirrored_values, repeated_values
from analyzers.grid.patient_grid import patient_grid
from analyzers.models import stored_model
from analyzers.models.hippocampus_input import Resampling, normalized, require_crop
from analyzers.radiograph.chest_frame import Image, register, standardised

Features = NDArray[np.float64]

SCALES_PX = (0.0, 1.0, 2.0, 4.0)
PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True, slots=True)
class Kind:
    """The images of some models: name of the stored fit, and whose they are, in words."""

    name: str
    title: str
    features: Callable[[Volume, stored_model.StoredModel], Features]


@dataclass(frozen=True, slots=True)
class Judged:
    """distance: over ``limit``, so that 1 is the limit. title: see ``Kind``."""

    title: str
    distance: float


def judge(volume: Volume) -> Judged | None:
    """The distance from the training images of the models that would read this series.

    None: there is no such model, or the series is not one that it would read.
    """
    kind = RADIOGRAPHS if volume.projection else CROPS
    if not volume.projection and volume.modality != "MR":
        return None
    model = stored_model.load(kind.name)
    try:
        features = kind.features(volume, model)
    except (NotApplicable, ValueError):
        return None
    return Judged(kind.title, distance(features, model) / model.number("limit", "distance"))


def distance(features: Features, model: stored_model.StoredModel) -> float:
    """Mahalanobis distance from the fit."""
    mean = np.asarray(model.arrays["mean"], np.float64)
    whitening = np.asarray(model.arrays["whitening"], np.float64)
    return float(np.linalg.norm((features - mean) @ whitening))


def of_radiograph(volume: Volume, model: stored_model.StoredModel) -> Features:
    """Shades, texture, symmetry and likeness to a mean chest of a standardised radiograph."""
    image = standardised(repeated_values(volume)[0])
    return of_standardised(image, np.asarray(model.arrays["mean_chest"], np.float32))


def of_standardised(image: Image, mean_chest: Image) -> Features:
    """The features of a radiograph that is standardised already."""
    half = image.shape[0] // 4
    centre, whole = image[half:-half, half:-half], image
    mirrored = float(np.corrcoef(whole.ravel(), whole[:, ::-1].ravel())[0, 1])
    upright = float(np.corrcoef(whole.ravel(), whole[::-1].ravel())[0, 1])
    agreement = register(image, mean_chest).agreement
    own = [agreement, mirrored, upright, float(centre.mean() - whole.mean())]
    return np.array([*own, *_shades(image), *_texture(image)])


def of_crop(volume: Volume, model: stored_model.StoredModel) -> Features:
    """Size, shades and texture of an MR crop at 1 mm, as the hippocampus networks see it.

    Raises
    ------
    NotApplicable
        It is no crop that these networks read.
    """
    require_crop(volume)
    grid = patient_grid(volume)
    values = np.nan_to_num(grid.view(mirrored_values(volume)))
    return of_normalized(normalized(Resampling(values.shape, grid.spacing_mm).forward(values)))


def of_normalized(image: NDArray[np.float32]) -> Features:
    """The features of a crop that is normalised already."""
    return np.array([*np.log(image.shape), *_shades(image), *_texture(image)])


RADIOGRAPHS = Kind(
    "opacity_familiarity", "radiographs that the lung opacity models learned from", of_radiograph
)
CROPS = Kind("hippocampus_familiarity", "crops that the hippocampus networks learned from", of_crop)


def _shades(image: NDArray[np.float32]) -> list[float]:
    values = image.astype(np.float64).ravel()
    spread = values.std() + 1e-9
    scaled = (values - values.mean()) / spread
    return [
        float(values.mean()),
        float(spread),
        float((scaled**3).mean()),
        float(np.log((scaled**4).mean())),
        *(float(one) for one in np.percentile(values, PERCENTILES)),
    ]


def _texture(image: NDArray[np.float32]) -> list[float]:
    """Log of the mean slope at each scale, and how the finest slopes spread."""
    found = []
    for sigma in SCALES_PX:
        smooth = _blurred(image, sigma)
        slopes = np.sqrt(sum(np.square(one) for one in np.gradient(smooth)))
        found.append(float(np.log(slopes.mean() + 1e-6)))
        if sigma == SCALES_PX[0]:
            found.append(float(np.log(np.median(slopes) + 1e-6)))
    return found


def _blurred(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    if sigma == 0:
        return image
    if image.ndim == 2:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    return np.asarray(ndimage.gaussian_filter(image, sigma), np.float32)
