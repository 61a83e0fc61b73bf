"""How often organs and lesions of drawn whole bodies are named, as a Markdown table.

Bodies are those of the tests: adults of several statures, arms up and down, hearts that take up
glucose and hearts that do not, with eleven lesions and without. No patient is among them.

    python -m benchmarks.pet_organs [COUNT]
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import Segment, Segmentation
from analyzers.segmentation.pet_report import LIKELY
from analyzers.segmentation.pet_tumour import PetTumour, PetTumourParameters
from tests.analyzers.segmentation.whole_bodies import WholeBody, whole_body

FIRST_SEED = 200
"""Bodies of the tests and those looked at while the rules were made have lower ones."""
SEEN = 0.05
"""Share of an organ that is in any segment, for it to count."""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    named: Counter[tuple[str, str]] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        body = whole_body(seed, lesions=seed % 4 != 0, arms_up=seed % 2 == 0, heart=seed % 3 != 0)
        for what, name in _names(body):
            named[what, name] += 1
    print("| drawn | named | times |\n|---|---|---|")
    for (what, name), times in sorted(named.items()):
        print(f"| {what} | {name} | {times} |")


def _names(body: WholeBody) -> list[tuple[str, str]]:
    findings = PetTumour("cpu").analyze(body.volume(), PetTumourParameters())
    (whole,) = [item for item in findings.items if isinstance(item, Segmentation)]
    segments = {one.number: one for one in whole.segments}
    drawn = [("lesion", mask) for mask in body.lesions.values()]
    drawn += [(name, mask) for name, mask in body.organs.items()]
    return [(what, _name(whole.labels, mask, segments)) for what, mask in drawn]


def _name(labels: NDArray[Any], mask: NDArray[np.bool_], segments: dict[int, Segment]) -> str:
    over = np.bincount(labels[mask], minlength=2)[1:]
    if over.sum() < SEEN * mask.sum():
        return "no segment"
    segment = segments[int(over.argmax()) + 1]
    if not segment.classifications:
        return "focus"
    sure = any(one.answer == LIKELY for one in segment.classifications)
    return f"{segment.structure.removeprefix('uptake_')}, {'likely' if sure else 'possible'}"


if __name__ == "__main__":
    main()
