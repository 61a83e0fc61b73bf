"""``wetread train`` and ``wetread evaluate``. Torch is loaded only when one of them runs."""

from __future__ import annotations

import sys
from pathlib import Path

TRAINABLE = ("hippocampus_unet",)


def train(
    name: str, folder: Path, out: Path, *, epochs: int | None, stop: int, seed: int | None
) -> int:
    """Train a model, with a bar; goes on from its checkpoint when it was cut off. Exit status."""
    if not _known(name):
        return 2
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    from analyzers.devices import resolve
    from analyzers.models.training import hippocampus

    options = hippocampus.Options(
        out=out,
        checkpoint=out / name / "checkpoint.safetensors",
        seed=hippocampus.SEED if seed is None else seed,
        epochs=hippocampus.EPOCHS if epochs is None else epochs,
        stop=stop,
        device=resolve("auto"),
    )
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining()
    with Progress(*columns) as bar:
        task = bar.add_task(name, total=options.epochs)

        def show(done: int, total: int, loss: float) -> None:
            bar.update(task, completed=done, total=total, description=f"{name}, loss {loss:.3f}")

        try:
            home = hippocampus.train(name, folder, options, show)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
    if not stop or stop >= options.epochs:
        options.checkpoint.unlink(missing_ok=True)
    print(f"Stored in {home}; the figures are in {home / 'CARD.md'}.")
    return 0


def evaluate(name: str, folder: Path, models: Path | None) -> int:
    """Print mean Dice with 95 % interval, the trivial baseline beside it. Exit status."""
    if not _known(name):
        return 2
    from analyzers.classification import weights
    from analyzers.devices import resolve
    from analyzers.models.training.hippocampus_data import UnreadableSet
    from analyzers.models.training.hippocampus_evaluation import STRUCTURES
    from analyzers.models.training.hippocampus_evaluation import evaluate as judged

    try:
        found = judged(name, folder, models or weights.SHIPPED, resolve("auto"))
    except (UnreadableSet, weights.BrokenModel) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Mean Dice (95 % interval) of {len(found.network.dice)} held-out crops")
    for part in STRUCTURES:
        print(
            f"{part:10} {found.network.interval(part)}   mean shape {found.baseline.interval(part)}"
        )
    return 0


def _known(name: str) -> bool:
    if name in TRAINABLE:
        return True
    print(f"{name!r} cannot be trained; there are: {', '.join(TRAINABLE)}", file=sys.stderr)
    return False
