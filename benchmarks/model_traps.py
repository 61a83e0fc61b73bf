"""What the learned models do with what they were not made for, each in its own job.

    python -m benchmarks.model_traps FOLDER [ANALYZER...]

FOLDER holds ``studies``, ``train/cxr_opacity``, ``train/hippocampus_mr`` and
``train/pneumoniamnist_dev.npz``. For each analyzer, for each kind of image: how many are refused,
how many answered with a caution before the answer, how many without a word.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

from analyzers import registry
from analyzers.contract import Analyzer, NotApplicable
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


class Answer(IntEnum):
    """What came of an image."""

    REFUSED = 0
    DOUBTED = 1
    SILENT = 2


Counts = dict[str, list[int]]
"""By kind of image: how many of each ``Answer``."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=(*FILM_MODELS, *CROP_MODELS))
    parser.add_argument("--each", type=int, default=made_traps.EACH, help="images a kind of trap")
    given = parser.parse_args()
    studies, train = given.folder / "studies", given.folder / "train"
    small = train / "pneumoniamnist_dev.npz"
    for name in given.names:
        if name in FILM_MODELS:
            images = made_traps.films(train / "cxr_opacity", studies, small, given.each)
        else:
            images = made_traps.crops(train / "hippocampus_mr", studies, given.each)
        print("\n".join(table(name, images)), flush=True)


def table(name: str, images: Iterator[Given]) -> Iterator[str]:
    """Rows of Markdown, one a kind, and a line of both sums."""
    analyzer = registry.load(name)("cpu")
    kinds: Counts = defaultdict(lambda: [0, 0, 0])
    sums = {False: [0, 0, 0], True: [0, 0, 0]}
    for one in images:
        answer = answered(name, analyzer, one)
        kinds[one.what][answer] += 1
        sums[one.proper][answer] += 1
    yield f"\n## {name} {analyzer.version}\n"
    yield "| what was given | refused | answered with a caution | answered without a word |"
    yield "|---|---|---|---|"
    for what, counts in kinds.items():
        yield f"| {what} | {' | '.join(str(count) for count in counts)} |"
    traps, proper = sums[False], sums[True]
    yield (
        f"\nTraps refused or doubted: {traps[0] + traps[1]} of {sum(traps)}. Proper ones refused:"
        f" {proper[0]} of {sum(proper)}, doubted {proper[1]}."
    )


def answered(name: str, analyzer: Analyzer, given: Given) -> Answer:
    """What the analyzer itself makes of an image, the choice of series left aside."""
    try:
        findings = analyzer.analyze(given.volume, registry.parameters(name, {}))
    except NotApplicable:
        return Answer.REFUSED
    return Answer.DOUBTED if findings.cautions else Answer.SILENT


if __name__ == "__main__":
    main()
