"""``wetread train`` and ``wetread evaluate``. Torch is loaded only when one of them runs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from node.commands import judging
from node.errors import NodeError

if TYPE_CHECKING:
    from analyzers.models.trainables import FoundVolume


class LearnersMissing(NodeError):
    """scikit-learn, which only training needs, is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "training needs scikit-learn, which the plain install leaves out: install wetread with"
            " its extra, as wetread[train]"
        )


def _require_learners() -> None:
    if find_spec("sklearn") is None:
        raise LearnersMissing


def train(
    name: str, data: Path, out: Path, *, epochs: int | None, stop: int, seed: int | None
) -> int:
    """Train a model, with a bar; goes on from its checkpoints when it was cut off. Exit status."""
    _require_learners()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    from analyzers.contract import AnalyzerError
    from analyzers.devices import resolve
    from analyzers.models.trainables import Run, trainable

    run = Run(
        out=out,
        checkpoints=out / name / "checkpoints",
        volumes=ct_volumes,
        seed=seed,
        epochs=epochs,
        stop=stop,
        device=resolve("auto"),
    )
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining()
    with Progress(*columns) as bar:
        task = bar.add_task(name, total=None)

        def show(done: int, total: int, loss: float) -> None:
            said = f"{name}, loss {loss:.3f}" if loss else name
            bar.update(task, completed=done, total=total, description=said)

        try:
            home = trainable(name).train(name, data, run, show)
        except (ValueError, OSError, AnalyzerError) as error:
            print(error, file=sys.stderr)
            return 2
    if not stop or (epochs is not None and stop >= epochs):
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    print(f"Stored in {home}; the figures are in {home / 'CARD.md'}.")
    return 0


def evaluate(name: str, data: Path, models: Path | None) -> int:
    """Print the figures of a stored model with their intervals, trivial answers beside, or those of
    a method by rules, or of everything. Exit status."""
    if name == judging.ALL:
        return judging.judge_all(data, models)
    if name in judging.JUDGES:
        return judging.judge(name, data)
    if name not in judging.names():
        print(
            f"{name!r} cannot be judged; there are: {', '.join(judging.names())}", file=sys.stderr
        )
        return 2
    _require_learners()
    from analyzers.contract import AnalyzerError
    from analyzers.devices import resolve
    from analyzers.models.trainables import Run, trainable

    run = Run(models or data, data, ct_volumes, device=resolve("auto"))
    try:
        lines = trainable(name).evaluate(name, data, models, run)
    except (ValueError, OSError, AnalyzerError) as error:
        print(error, file=sys.stderr)
        return 2
    print(*lines, sep="\n")
    return 0


def ct_volumes(folder: Path) -> Sequence[FoundVolume]:
    """The CT series below a folder that are volumes on a regular grid."""
    from analyzers.models.trainables import FoundVolume
    from node.intake.folder import read_folder
    from node.series.geometry import UnsupportedSeries
    from node.series.read import read_series

    found = []
    for series in read_folder(folder).series:
        paths = [Path(instance.key) for instance in series.instances]
        if series.header.get("Modality") != "CT":
            continue
        try:
            volume = read_series(paths).volume
        except UnsupportedSeries as error:
            print(f"{paths[0].parent}: {error}", file=sys.stderr)
        else:
            if volume is not None:
                found.append(FoundVolume(volume, paths[0].parent))
    return found
