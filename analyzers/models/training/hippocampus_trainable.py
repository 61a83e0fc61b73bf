"""The hippocampus networks as models that ``wetread train`` knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analyzers.models import stored_model
from analyzers.models.trainables import Run, Tell
from analyzers.models.training import hippocampus
from analyzers.models.training.hippocampus_evaluation import STRUCTURES, evaluate


class Hippocampus:
    """Keeps ``Trainable``."""

    def train(self, name: str, data: Path, run: Run, tell: Tell) -> Path:
        run.checkpoints.mkdir(parents=True, exist_ok=True)
        options = hippocampus.Options(
            out=run.out,
            checkpoint=run.checkpoints / "checkpoint.safetensors",
            seed=hippocampus.SEED if run.seed is None else run.seed,
            epochs=run.epochs,
            stop=run.stop,
            device=run.device,
        )
        return hippocampus.train(name, data, options, tell)

    def evaluate(self, name: str, data: Path, models: Path | None, run: Run) -> Sequence[str]:
        found = evaluate(name, data, models or stored_model.SHIPPED, run.device)
        rows = [
            f"{part:10} {found.network.interval(part)}   mean shape {found.baseline.interval(part)}"
            for part in STRUCTURES
        ]
        rows.append(f"volume of the whole: {found.network.agreement()}")
        held = len(found.network.dice)
        if found.slices is not None:
            rows.append(f"average precision of the masks in single slices {found.slices}")
        return [f"Mean Dice (95 % interval) of {held} held-out crops", *rows]
