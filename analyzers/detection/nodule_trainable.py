"""lung_nodule as a model that ``wetread train`` knows.

It learns from a folder with chest CT series. Nodules that the patients really have are told by
files ``*_readers.json`` beside the images: readers' contours, x and y in pixels, z in mm.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analyzers.anatomy.little_lung import LITTLE_ML
from analyzers.anatomy.lung_masks import lung_masks
from analyzers.contract import Volume
from analyzers.detection import nodule_model
from analyzers.detection.lung_nodule import LungNodule
from analyzers.detection.nodule_card import card
from analyzers.detection.nodule_training import KnownNodule, evaluate, train
from analyzers.grid.patient_grid import hounsfield, patient_grid
from analyzers.models.trainables import CannotTrain, FoundVolume, Run, Tell, refuse

COARSEST_MM = LungNodule.inputs.max_spacing_mm or float("inf")
SEED = 20
EVALUATION_SEED = 21


class Nodules:
    """Keeps ``Trainable``."""

    def train(self, name: str, data: Path, run: Run, tell: Tell) -> Path:
        refuse(name, run, stop=True, epochs=True)
        found = _volumes(data, run)
        seed = SEED if run.seed is None else run.seed

        def progress(done: int, total: int) -> None:
            tell(done, total, 0.0)

        volumes = [one.volume for one in found]
        model, evaluation = train(volumes, [known(one) for one in found], seed, progress)
        home = run.out / name
        home.mkdir(parents=True, exist_ok=True)
        (home / "model.toml").write_text(nodule_model.dump(model), encoding="utf-8")
        (home / "CARD.md").write_text(card(model, evaluation, len(found)), encoding="utf-8")
        return home

    def evaluate(self, name: str, data: Path, models: Path | None, run: Run) -> Sequence[str]:
        found = _volumes(data, run)
        model = nodule_model.load(models or nodule_model.SHIPPED)
        reached = evaluate(
            model, [one.volume for one in found], [known(one) for one in found], EVALUATION_SEED
        )
        return [
            f"{reached.nodules} nodules drawn into {len(found)} CT series",
            f"sensitivity (95 % interval over nodules) {reached.interval} "
            f"at {reached.marks_a_study:.1f} false marks a study",
            f"diameter alone, at as many false marks   {reached.trivial}",
            *(
                f"{one.name}: {one.false_marks} false marks, {one.real_found} real nodules marked"
                for one in reached.strains
            ),
            "The shipped model was trained on the lungs of its own set: judge it on other series.",
        ]


def known(found: FoundVolume) -> tuple[KnownNodule, ...]:
    """The middle of each contoured nodule, in patient mm."""
    nodules = []
    heights = found.volume.affine[2, 3] + np.arange(found.volume.shape[0]) * float(
        found.volume.affine[2, 0]
    )
    for path in sorted(found.folder.glob("*_readers.json")):
        for annotation in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
            points = [
                (int(np.argmin(np.abs(heights - contour["z"]))), y, x, 1)
                for contour in annotation["contours"]
                for x, y in contour["xy"]
            ]
            middle = found.volume.affine @ np.mean(points, axis=0)
            nodules.append(KnownNodule((float(middle[0]), float(middle[1]), float(middle[2]))))
    return tuple(nodules)


def _volumes(data: Path, run: Run) -> Sequence[FoundVolume]:
    """Those in which the analyzer would look for nodules."""
    found = run.volumes(data)
    if not found:
        raise CannotTrain(f"{data} holds no CT series that is a volume")
    fit = [one for one in found if _shows_lungs(one.volume)]
    if not fit:
        raise CannotTrain(
            f"{data} holds no chest CT with slices of at most {COARSEST_MM:g} mm and "
            f"{LITTLE_ML:.0f} mL of lung; {len(found)} other CT series were looked at"
        )
    return fit


def _shows_lungs(volume: Volume) -> bool:
    grid = patient_grid(volume)
    if max(grid.spacing_mm) > COARSEST_MM or len(volume.stored) < LungNodule.inputs.min_slices:
        return False
    lungs = lung_masks(hounsfield(volume, grid), grid.spacing_mm)
    return float((lungs > 0).sum()) * volume.voxel_ml >= LITTLE_ML
