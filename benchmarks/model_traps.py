"""What the learned models do with what they were not made for, each in its own job.

    python -m benchmarks.model_traps FOLDER [ANALYZER...]

FOLDER holds ``studies``, ``train/cxr_opacity``, ``train/hippocampus_mr`` and
``train/pneumoniamnist_dev.npz``. For each analyzer, for each kind of image: how many are refused,
how many answered with a caution before the answer, how many without a word. ``--write`` puts the
table at the end of the model's card.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from analyzers import borders, registry
from analyzers.anatomy import standing
from analyzers.contract import Analyzer, NotApplicable, Volume
from analyzers.models import stored_model
from benchmarks import made_traps
from benchmarks.made_traps import Given

FILM_MODELS = (
    "opacity_ensemble",
    "opacity_svm",
    "opacity_random_forest",
    "opacity_cnn",
    "opacity_faster_rcnn",
    "multimodal_classifier",
)
CROP_MODELS = ("hippocampus_fpn", "hippocampus_unet", "hippocampus_mask_rcnn")
CHEST_MODELS = ("lung_nodule",)
NUMBERS = re.compile(r"\d+(?:\.\d+)?")

TITLE = "## What it did with what it was not made for"
"""The last heading of a card; what stands below it is written by this program."""


class Answer(IntEnum):
    """What came of an image."""

    REFUSED = 0
    DOUBTED = 1
    SILENT = 2


Counts = dict[str, list[int]]
"""By kind of image: how many of each ``Answer``."""
USUAL = 0.05
"""Of the proper images: a caution that more of them get tells a trap from nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=(*FILM_MODELS, *CROP_MODELS, *CHEST_MODELS))
    parser.add_argument("--each", type=int, default=made_traps.EACH, help="images a kind of trap")
    parser.add_argument("--proper", type=int, help="proper images at most; all, if not said")
    parser.add_argument("--write", action="store_true", help="into the models' cards as well")
    given = parser.parse_args()
    studies, train = given.folder / "studies", given.folder / "train"
    small = train / "pneumoniamnist_dev.npz"

    @cache
    def images(models: tuple[str, ...]) -> list[Given]:
        if models == CHEST_MODELS:
            return some(made_traps.chests(studies), given.proper)
        if models == FILM_MODELS:
            made = made_traps.films(train / "cxr_opacity", studies, small, given.each)
        else:
            made = made_traps.crops(train / "hippocampus_mr", studies, given.each)
        return some(made, given.proper)

    for name in given.names:
        kind = next(one for one in (FILM_MODELS, CROP_MODELS, CHEST_MODELS) if name in one)
        rows = list(table(name, images(kind)))
        print("\n", "\n".join(rows), sep="", flush=True)
        if given.write:
            card = stored_model.SHIPPED / name / "CARD.md"
            card.write_text(entered(card.read_text(encoding="utf-8"), rows), encoding="utf-8")


def entered(card: str, rows: Iterable[str]) -> str:
    """A card that ends with these rows, in the place of earlier ones."""
    return "\n".join([card.partition(f"\n{TITLE}")[0].rstrip(), "", *rows, ""])


def some(made: Iterable[Given], proper: int | None) -> list[Given]:
    """All traps, and so many proper images, spread over all of them."""
    kept = list(made)
    fit = [one for one in kept if one.proper]
    step = len(fit) / min(proper or len(fit), len(fit))
    chosen = [fit[int(place)] for place in np.arange(0, len(fit), step)]
    return [*chosen, *(one for one in kept if not one.proper)]


def table(name: str, images: Iterable[Given]) -> Iterator[str]:
    """Rows of Markdown, one a kind, and a line of both sums.

    A trap counts as doubted where a caution is said that hardly any proper image was given.
    """
    analyzer = registry.load(name)("cpu")
    kinds: Counts = defaultdict(lambda: [0, 0, 0])
    sums = {False: [0, 0, 0], True: [0, 0, 0]}
    told: Counter[str] = Counter()
    for one in images:
        answer, said = answered(name, analyzer, one)
        if one.proper:
            told.update(said)
        elif said and all(told[caution] > USUAL * sum(sums[True]) for caution in said):
            answer = Answer.SILENT
        kinds[one.what][answer] += 1
        sums[one.proper][answer] += 1
    yield f"{TITLE} ({name} {analyzer.version})"
    yield ""
    yield "| what was given | refused | answered with a caution | answered without a word |"
    yield "|---|---|---|---|"
    for what, counts in kinds.items():
        yield f"| {what} | {' | '.join(str(count) for count in counts)} |"
    traps, proper = sums[False], sums[True]
    yield ""
    yield (
        f"Traps refused or doubted: {_share(traps[0] + traps[1], sum(traps))}. Proper ones refused:"
        f" {_share(proper[0], sum(proper))}, doubted {proper[1]}."
    )


def _share(count: int, of: int) -> str:
    """With its exact 95 % interval; several images may be of one patient."""
    if not of:
        return "0 of 0"
    low, high = binomtest(count, of).proportion_ci()
    return f"{count} of {of} (95 % {low:.3f}–{high:.3f})"


def answered(name: str, analyzer: Analyzer, given: Given) -> tuple[Answer, frozenset[str]]:
    """What comes of an image in a job of its own, and the cautions said, their numbers left out."""
    volume = given.volume
    try:
        _require(analyzer, volume)
        findings = analyzer.analyze(volume, registry.parameters(name, {}))
    except NotApplicable:
        return Answer.REFUSED, frozenset()
    said = standing.told(borders.told(findings, volume), volume).cautions
    return Answer.DOUBTED if said else Answer.SILENT, frozenset(NUMBERS.sub("", it) for it in said)


def _require(analyzer: Analyzer, volume: Volume) -> None:
    """Raises NotApplicable where the header says what the input contract refuses."""
    unmet = analyzer.inputs.refusals(volume.facts) if volume.facts else ()
    if unmet:
        raise NotApplicable(unmet[0])
    analyzer.inputs.require_age(volume)


if __name__ == "__main__":
    main()
