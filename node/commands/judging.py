"""``wetread evaluate`` of methods without a model, and of everything that can be judged.

What judges a method by rules is a program of its own in ``benchmarks``, of a checkout of the
source; here stand its name and the part of a collection of test data that it needs. Each runs as a
process of its own: one that fails ends no other.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from analyzers.models.trainables import TRAINABLES

ALL = "all"
STUDIES = "studies"
RADIOGRAPHS = "train/cxr_opacity"


@dataclass(frozen=True, slots=True)
class Judge:
    """A program that judges a method: ``python -m module DATA arguments``."""

    module: str
    needs_data: bool = True
    arguments: tuple[str, ...] = ()

    def command(self, data: Path) -> list[str]:
        given = [str(data)] if self.needs_data else []
        return [sys.executable, "-m", self.module, *given, *self.arguments]

    @property
    def is_here(self) -> bool:
        try:
            return find_spec(self.module) is not None
        except ModuleNotFoundError:
            return False


_TRAPS = "benchmarks.ct_traps"
_REPEATED = "benchmarks.repeatability"

JUDGES: Mapping[str, Judge] = {
    "pet_tumour": Judge("benchmarks.pet_tumour"),
    "pet_organs": Judge("benchmarks.pet_organs", needs_data=False),
    "fusion": Judge("benchmarks.fusion"),
    "lung_segmentation": Judge(_TRAPS, arguments=("lung_segmentation",)),
    "calcium_score": Judge(_TRAPS, arguments=("calcium_score",)),
    "body_composition": Judge(_TRAPS, arguments=("body_composition",)),
    "bone_segmentation": Judge(_TRAPS, arguments=("bone_segmentation",)),
    "airway_segmentation": Judge(_REPEATED, arguments=("airway_segmentation",)),
}
"""Name of a method by rules → what judges it; all of them read DICOM studies."""

SETS: Mapping[str, str] = {
    **dict.fromkeys(
        ("hippocampus_unet", "hippocampus_fpn", "hippocampus_mask_rcnn"), "train/hippocampus_mr"
    ),
    **dict.fromkeys(
        ("opacity_svm", "opacity_random_forest", "opacity_cnn", "opacity_ensemble"), RADIOGRAPHS
    ),
    **dict.fromkeys(
        ("multimodal_classifier", "opacity_faster_rcnn", "radiograph_fitness"), RADIOGRAPHS
    ),
    "pneumoniamnist": "train/pneumoniamnist_dev.npz",
    "breastmnist": "train/breastmnist_dev.npz",
    **dict.fromkeys(("lung_nodule", *JUDGES), STUDIES),
}
"""Name → its part of a collection, as ``wetread evaluate all`` looks for it."""


def judge(name: str, data: Path) -> int:
    """Run what judges a method by rules. Exit status; 2: it cannot be run here."""
    one = JUDGES[name]
    if not one.is_here:
        print(
            f"{name} is judged by {one.module}, which comes with the source and not with the "
            "package: run this in a checkout of the source",
            file=sys.stderr,
        )
        return 2
    return 1 if subprocess.run(one.command(data), check=False).returncode else 0


def judge_all(data: Path, models: Path | None) -> int:
    """Judge everything that a collection has data for, one after the other.

    Exit status; 1: one failed, 2: nothing could be judged. What is missing is said.
    """
    done, failed = 0, []
    for name in (*TRAINABLES, *JUDGES):
        needed = data / SETS[name]
        if not needed.exists() and not (name in JUDGES and not JUDGES[name].needs_data):
            print(f"\n# {name}: not judged, {SETS[name]} is missing in the collection", flush=True)
            continue
        print(f"\n# {name}", flush=True)
        if subprocess.run(_again(name, needed, models), check=False).returncode:
            failed.append(name)
        done += 1
    if failed:
        print(f"\nNot judged, the messages stand above: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0 if done else 2


def _again(name: str, needed: Path, models: Path | None) -> Sequence[str]:
    """The command that judges one."""
    if name in JUDGES and not JUDGES[name].needs_data:
        needed = needed.parent
    given = ["--data", str(needed), *(["--models", str(models)] if models else [])]
    return [sys.executable, "-m", "node", "evaluate", name, *given]


def names() -> tuple[str, ...]:
    """Whatever can be judged by name."""
    return (*TRAINABLES, *JUDGES, ALL)
