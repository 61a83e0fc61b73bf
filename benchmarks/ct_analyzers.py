"""CPU seconds and memory of the analyzers of CT, then (an earlier commit) and now, in turn.

    python -m benchmarks.ct_analyzers FOLDER [ANALYZER...] [--commit 5d2b375] [--rounds 3] [--all]

Every CT of twenty slices or more below the folder is given to each analyzer, each time in a process
of its own (``benchmarks.analysis``); with ``--all`` to every one that takes it, filters too. Memory
is the most that was held above what was held before, over the size of the stored volume. Whether
the findings are the same, arrays and all, is in the last column: what has changed its answer on
purpose differs from 5d2b375; name a commit to compare with another.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from analyzers import registry
from analyzers.contract import Volume
from benchmarks.analysis import kept
from benchmarks.earlier import EARLIER, Side, sides
from benchmarks.repeatability import volumes

NAMES = (
    "lung_segmentation",
    "lung_nodule",
    "calcium_score",
    "airway_segmentation",
    "body_composition",
    "bone_segmentation",
    "quality",
)
FEWEST_SLICES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--commit", default=EARLIER)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="every analyzer that takes the series")
    given = parser.parse_args()
    both = sides(given.commit)
    print("| images | analyzer | CPU s then | now | ratio | memory then | now | findings |")
    print("|---|---|---|---|---|---|---|---|")
    for number, (_, volume) in enumerate(volumes("bone_segmentation", given.folder), 1):
        if volume.shape[0] < FEWEST_SLICES:
            continue
        with tempfile.TemporaryDirectory() as place:
            kept(volume, Path(place))
            for name in _takers(volume) if given.all else given.names:
                size = "×".join(map(str, volume.shape))
                print(f"| {number}: {size} | {_row(name, place, both, given.rounds)} |", flush=True)


def _takers(volume: Volume) -> list[str]:
    facts = volume.facts
    assert facts is not None
    return [one for one in registry.names() if not registry.info(one).inputs.refusals(facts)]


def _row(name: str, place: str, both: tuple[Side, Side], rounds: int) -> str:
    found: tuple[list[dict[str, Any]], ...] = ([], [])
    for _ in range(rounds):
        for side, told in zip(both, found, strict=True):
            told.append(json.loads(side.run("benchmarks.analysis", name, place).output))
    cpu_s, memory = (
        [statistics.median(one[key] for one in told) for told in found]
        for key in ("cpu_s", "memory_share")
    )
    same = "same" if len({one["digest"] for told in found for one in told}) == 1 else "other"
    return (
        f"{name} | {cpu_s[0]:.2f} | {cpu_s[1]:.2f} | {cpu_s[0] / cpu_s[1]:.2f} "
        f"| {memory[0]:.2f} | {memory[1]:.2f} | {same}"
    )


if __name__ == "__main__":
    main()
