"""How ``wetread train`` and ``wetread evaluate`` reach opacity_faster_rcnn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analyzers.detection.training import opacity
from analyzers.detection.training.opacity_fit import EPOCHS
from analyzers.models import stored_model
from analyzers.models.trainables import Run, Tell, refuse
from analyzers.models.training.own_set import kept
from analyzers.radiograph.training import opacity_data


class OpacityBoxes:
    """Learns from a folder with ``labels.csv`` and ``images/``."""

    def train(self, name: str, data: Path, run: Run, tell: Tell) -> Path:
        refuse(name, run, stop=True)
        return opacity.train(
            name,
            data,
            run.out,
            opacity.SEED if run.seed is None else run.seed,
            run.checkpoints,
            tell,
            EPOCHS if run.epochs is None else run.epochs,
            run.device,
        )

    def evaluate(self, name: str, data: Path, models: Path | None, run: Run) -> Sequence[str]:
        stored = stored_model.load(name, models or stored_model.SHIPPED)
        if stored.learnt_from(opacity_data.digest(data)):
            return kept(stored, "average_precision", "Average precision at IoU 0.4", name)
        found, prior = opacity.evaluate(name, data, models or stored_model.SHIPPED)
        return (
            "Average precision at IoU 0.4 (95 % interval over patients)",
            f"{name:20} {found}",
            f"{'mean boxes':20} {prior}",
        )
