"""``wetread evaluate`` of methods without a model, and of everything that can be judged.

What judges a method by rules is a program of its own in ``benchmarks``, of a checkout of the
source; here stand its name and the part of a collection of test data that it needs. Each runs as a
process of its own: one that fails ends no other.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from analyzers.models import stored_model
from analyzers.models.trainables import TRAINABLES

ALL = "all"
JUDGED = "judged"
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
    "model_traps": Judge("benchmarks.model_traps"),
}
"""Name of a method by rules → what judges it; all but the last read DICOM studies."""

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
    "model_traps": "",
}
"""Name → its part of a collection, as ``wetread evaluate all`` looks for it."""


_FIGURE = re.compile(r"\d+\.\d{3} \(\d+\.\d{3}–\d+\.\d{3}\)")


def beside_card(name: str, lines: Sequence[str]) -> str:
    """How many of the figures with an interval that were found stand in the shipped card as well;
    "" where there are none."""
    found = _FIGURE.findall("\n".join(lines))
    try:
        card = (stored_model.SHIPPED / name / "CARD.md").read_text(encoding="utf-8")
    except OSError:
        return ""
    alike = sum(one in card for one in found)
    return f"{alike} of {len(found)} figures stand in the card" if found else ""


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

    Exit status; 1: one failed, 2: nothing could be judged. A table at the end says what was judged
    and what is missing.
    """
    outcomes: dict[str, str] = {}
    rows = []
    every = (*TRAINABLES, *JUDGES)
    for number, name in enumerate(every, start=1):
        needed, card = data / SETS[name], ""
        started = time.monotonic()
        if not needed.exists() and not (name in JUDGES and not JUDGES[name].needs_data):
            outcomes[name] = f"not judged, {SETS[name]} is missing in the collection"
            print(f"\n# {name}: {outcomes[name]}", flush=True)
        else:
            print(f"\n# {name} ({number} of {len(every)})", flush=True)
            ended, said = _told(_again(name, needed, models))
            outcomes[name] = f"failed ({ended}), the message stands above" if ended else JUDGED
            card = "" if models else beside_card(name, said)
            print(f"{name}: {outcomes[name]}; {time.monotonic() - started:.0f} s", flush=True)
        rows.append(f"| {name} | {outcomes[name]} | {card} | {time.monotonic() - started:.0f} |")
    print("\n| method | outcome | card | s |\n|---|---|---|---|", *rows, sep="\n", flush=True)
    return _status(list(outcomes.values()))


def _told(command: Sequence[str]) -> tuple[int, list[str]]:
    """Run a command whose output goes on to this one's at once. Exit status, lines of output."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as running:
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return running.returncode, lines


def _status(outcomes: Sequence[str]) -> int:
    if any(one.startswith("failed") for one in outcomes):
        return 1
    return 0 if JUDGED in outcomes else 2


def _again(name: str, needed: Path, models: Path | None) -> Sequence[str]:
    """The command that judges one."""
    if name in JUDGES and not JUDGES[name].needs_data:
        needed = needed.parent
    given = ["--data", str(needed), *(["--models", str(models)] if models else [])]
    return [sys.executable, "-m", "node", "evaluate", name, *given]


def names() -> tuple[str, ...]:
    """Whatever can be judged by name."""
    return (*TRAINABLES, *JUDGES, ALL)
