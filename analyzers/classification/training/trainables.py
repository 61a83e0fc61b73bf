"""The classifiers as models that ``wetread train`` knows; each keeps ``Trainable``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analyzers.classification.training import medmnist, multimodal, opacity
from analyzers.classification.training.multimodal_fit import STEPS
from analyzers.classification.training.opacity_cnn_fit import EPOCHS
from analyzers.models import stored_model
from analyzers.models.trainables import Run, Tell, refuse

SEEN = "The shipped model saw all patients of its own training set: judge it on another one."


class Opacity:
    """opacity_svm, opacity_random_forest, opacity_cnn, opacity_ensemble."""

    def train(self, name: str, data: Path, run: Run, tell: Tell) -> Path:
        refuse(name, run, stop=True, epochs=name != "opacity_cnn")
        return opacity.train(
            name,
            data,
            run.out,
            seed=opacity.SEED if run.seed is None else run.seed,
            checkpoints=run.checkpoints,
            epochs=EPOCHS if run.epochs is None else run.epochs,
            tell=tell,
        )

    def evaluate(self, name: str, data: Path, models: Path | None, run: Run) -> Sequence[str]:
        found = opacity.evaluate(name, data, models or stored_model.SHIPPED)
        return [f"AUC (95 % interval over patients) {found}", *_beside(data), SEEN]


class SmallImages:
    """pneumoniamnist, breastmnist."""

    def train(self, name: str, data: Path, run: Run, tell: Tell) -> Path:
        refuse(name, run, stop=True)
        return medmnist.train(
            name,
            data,
            run.out,
            seed=medmnist.SEED if run.seed is None else run.seed,
            epochs=run.epochs,
            checkpoints=run.checkpoints,
            tell=tell,
        )

    def evaluate(self, name: str, data: Path, models: Path | None, run: Run) -> Sequence[str]:
        found = medmnist.evaluate(name, data, models or stored_model.SHIPPED)
        return [
            f"{found.part}, {found.images} images",
            f"AUC (95 % interval over images) {found.auc}",
            f"mean brightness alone         {found.brightness}",
        ]


class Multimodal:
    """multimodal_classifier; its epochs are steps over all cases."""

    def train(self, name: str, data: Path, run: Run, tell: Tell) -> Path:
        refuse(name, run, stop=True)
        return multimodal.train(
            data,
            run.out,
            seed=multimodal.SEED if run.seed is None else run.seed,
            steps=STEPS if run.epochs is None else run.epochs,
            tell=tell,
        )

    def evaluate(self, name: str, data: Path, models: Path | None, run: Run) -> Sequence[str]:
        found = multimodal.evaluate(data, models or stored_model.SHIPPED)
        return [f"AUC (95 % interval over patients) {found}", *_beside(data), SEEN]


def _beside(data: Path) -> list[str]:
    return [f"{name} {value}" for name, value in opacity.trivial(data).items()]
