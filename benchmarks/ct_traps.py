"""What the analyzers of CT by rules do with what they were not made for.

    python -m benchmarks.ct_traps FOLDER [ANALYZER...]

Every CT below the folder is given to each analyzer as it is and altered: cut in two, upside down,
back to front, left for right, with edges enhanced, with noise. Printed is a table for each series:
the numbers of the structures, or why there are none, and what is said of it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers import borders, registry
from analyzers.anatomy import standing
from analyzers.contract import Findings, NotApplicable, Segmentation, Volume
from benchmarks.repeatability import volumes

NAMES = ("lung_segmentation", "calcium_score", "body_composition", "bone_segmentation")
NOISE_HU, ENHANCED, WIDTH_PX = 60.0, 1.5, 1.5
Change = Callable[[Volume], Volume]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=NAMES)
    given = parser.parse_args()
    for number, (_, volume) in enumerate(volumes("lung_segmentation", given.folder), 1):
        print(f"\n## {titled(number, volume)}\n")
        print(
            f"| images | {' | '.join(given.names)} |\n|---|{'---|' * len(given.names)}", flush=True
        )
        for title, change in CHANGES.items():
            altered = change(volume)
            said = [_said(name, altered) for name in given.names]
            print(f"| {title} | {' | '.join(said)} |", flush=True)


def titled(number: int, volume: Volume) -> str:
    """By what series are told apart that says nothing of a person: folders may bear names."""
    (slices, rows, columns), (apart, _, wide) = volume.shape, volume.spacing_mm
    return (
        f"CT {number}: {slices} slices of {apart:.3g} mm, {rows}×{columns} pixels of {wide:.2g} mm"
    )


def _said(name: str, volume: Volume) -> str:
    analyzer = registry.load(name)("cpu")
    start = time.process_time()
    try:
        findings = analyzer.analyze(volume, registry.parameters(name, {}))
    except NotApplicable as reason:
        return f"refused: {reason}"
    seconds = time.process_time() - start
    findings = standing.told(borders.told(findings, volume), volume)
    return "; ".join((*findings.cautions, *_numbers(findings), f"{seconds:.1f} s"))


def _numbers(findings: Findings) -> Iterator[str]:
    for item in findings.items:
        for segment in item.segments if isinstance(item, Segmentation) else ():
            cut = any(one.answer == borders.CUT for one in segment.classifications)
            for one in segment.measurements[:1]:
                unit = "" if one.unit.value == "1" else f" {one.unit.meaning}"
                yield f"{segment.label} {one.value:.4g}{unit}{' (cut)' if cut else ''}"


# --- alterations ----------------------------------------------------------------------------------


def _part(volume: Volume, first: int, last: int) -> Volume:
    """Some of the slices; the affine keeps its place, which no analyzer here looks at."""
    planes = slice(first, last)
    valid = None if volume.valid is None else volume.valid[planes]
    return replace(
        volume,
        stored=volume.stored[planes],
        slope=volume.slope[planes],
        intercept=volume.intercept[planes],
        valid=valid,
    )


def _flipped(volume: Volume, axis: int) -> Volume:
    valid = None if volume.valid is None else np.ascontiguousarray(np.flip(volume.valid, axis))
    return replace(volume, stored=np.ascontiguousarray(np.flip(volume.stored, axis)), valid=valid)


def _of_values(volume: Volume, values: NDArray[np.float32]) -> Volume:
    whole = np.clip(np.rint(values), -1500, 8000).astype(np.int16)
    facts = None if volume.facts is None else replace(volume.facts, kernel=())
    count = len(whole)
    return replace(
        volume, stored=whole, slope=np.ones(count), intercept=np.zeros(count), facts=facts
    )


def _enhanced(volume: Volume) -> Volume:
    values = volume.values()
    for plane in values:
        plane += ENHANCED * (plane - cv2.GaussianBlur(plane, (0, 0), WIDTH_PX))
    return _of_values(volume, values)


def _smoothed(volume: Volume) -> Volume:
    values = volume.values()
    for plane in values:
        plane[:] = cv2.GaussianBlur(plane, (0, 0), 1.0)
    return _of_values(volume, values)


def _loud(volume: Volume) -> Volume:
    values = volume.values()
    values += np.random.default_rng(3).normal(0, NOISE_HU, values.shape).astype(np.float32)
    return _of_values(volume, values)


CHANGES: dict[str, Change] = {
    "as they are": lambda volume: volume,
    "first half of the slices": lambda volume: _part(volume, 0, len(volume.stored) // 2),
    "second half": lambda volume: _part(volume, len(volume.stored) // 2, len(volume.stored)),
    "upside down": lambda volume: _flipped(volume, 0),
    "back to front": lambda volume: _flipped(volume, 1),
    "left for right": lambda volume: _flipped(volume, 2),
    "smoothed (1 pixel)": _smoothed,
    "edges enhanced": _enhanced,
    "noise of 60 HU": _loud,
}


if __name__ == "__main__":
    main()
