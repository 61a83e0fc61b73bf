"""How far the numbers of analyzers go apart when the same body is imaged again.

    python -m benchmarks.repeatability FOLDER ANALYZER... [--repeats N] [--series N] [--write]

Every series below the folder that an analyzer accepts is read, sampled anew N times (moved by up to
half a voxel along each axis, between voxels linearly) and given noise as strong as its own (from
the differences of neighbours: Immerkaer, CVIU 1996;64:300). Printed is one table for each analyzer;
``--write`` keeps it in ``analyzers/repeatability.toml``. Structures and marks of one name are told
apart by their place. One that is not found in every repeat is told of, and is no part of the
numbers.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

import analyzers
from analyzers import registry
from analyzers.contract import (
    Analyzer,
    Detection,
    Findings,
    Measurement,
    NotApplicable,
    Segmentation,
    Volume,
)
from analyzers.repeatability import FILE, RATIO_UNITS, WIDTHS, measurements, named
from node.intake.folder import read_folder
from node.results.words.numbers import ucum_in_words
from node.series.geometry import UnsupportedSeries
from node.series.read import read_series

PLACE = Path(analyzers.__file__).parent / FILE
NOISE_OF_LAPLACIAN = 6.0
"""By which the response of the difference operator to noise is wider than the noise."""
MEDIAN_OF_NORMAL = 0.6745
REACH_MM = 10.0
"""How far the middle of a mark may lie from where it was, to be the same one."""

Key = tuple[str, str, str]
"""Structure, name of the number, its unit."""
Table = dict[Key, list[list[float]]]
"""Of each number its repeats, one list a series."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--series", type=int, default=6, help="at most so many")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    for name in given.names:
        found, series = repeated(name, given.folder, given.repeats, given.series)
        below = coefficients(found)
        print(f"## {name} {registry.load(name).version}: {series} series, {given.repeats} repeats")
        for meaning, words in below.items():
            print(f"{meaning}: {words}")
        if given.write and below:
            keep(name, series, given.repeats, below)
    return 0


def repeated(name: str, folder: Path, repeats: int, most: int) -> tuple[Table, int]:
    """The numbers of every repeat, and of how many series."""
    analyzer = registry.load(name)("cpu")
    table: Table = defaultdict(list)
    series = 0
    for where, volume in volumes(name, folder):
        rows = _numbers_of_repeats(analyzer, name, volume, repeats)
        if rows:
            series += 1
            for key, values in rows.items():
                table[key].append(values)
            print(f"{where.name}: {len(rows)} numbers", file=sys.stderr)
        if series == most:
            break
    return table, series


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """A structure or mark of one repeat: its name, the middle of it in mm, and its numbers by
    theirs."""

    name: str
    middle_mm: NDArray[np.float64]
    numbers: tuple[tuple[str, Measurement], ...]


def _numbers_of_repeats(
    analyzer: Analyzer, name: str, volume: Volume, repeats: int
) -> dict[Key, list[float]]:
    rng = np.random.default_rng(7)
    found: list[list[Thing]] = []
    for _ in range(repeats):
        try:
            findings = analyzer.analyze(again(volume, rng), registry.parameters(name, {}))
        except NotApplicable as reason:
            print(f"not applicable: {reason}", file=sys.stderr)
            return {}
        found.append(list(things(findings, np.array(volume.spacing_mm))))
    rows: dict[Key, list[float]] = defaultdict(list)
    for same in followed(found):
        for one in same:
            for meaning, number in one.numbers:
                rows[one.name, meaning, number.unit.value].append(number.value)
    whole = {key: values for key, values in rows.items() if len(values) == repeats}
    for structure, meaning, _ in rows.keys() - whole.keys():
        print(f"{structure} {meaning}: not in every repeat", file=sys.stderr)
    return whole


def followed(found: list[list[Thing]]) -> Iterator[list[Thing]]:
    """Each thing of the first repeat with itself in all others, under a name of its own.

    Of several of one name it is the nearest, at most ``REACH_MM`` away, each of them once.
    """
    names = dict.fromkeys(one.name for one in found[0])
    for name in names:
        rows = [[one for one in repeat if one.name == name] for repeat in found]
        kept = [[one] for one in rows[0]]
        for others in rows[1:]:
            for row, one in _pairs([row[0] for row in kept], others):
                kept[row].append(one)
        whole = [row for row in kept if len(row) == len(found)]
        most = max(len(row) for row in rows)
        if most > len(whole):
            print(f"{name or 'numbers'}: {len(whole)} of {most} in every repeat", file=sys.stderr)
        for number, row in enumerate(whole, start=1):
            own = name if most == 1 else f"{name} {number}"
            yield [replace(one, name=own) for one in row]


def _pairs(first: list[Thing], others: list[Thing]) -> Iterator[tuple[int, Thing]]:
    """Which of the others each is, by its index."""
    if len(first) == len(others) == 1:
        yield 0, others[0]
        return
    away = np.array(
        [[np.linalg.norm(a.middle_mm - b.middle_mm) for b in others] for a in first]
    ).reshape(len(first), len(others))
    for row, column in zip(*linear_sum_assignment(np.minimum(away, REACH_MM)), strict=True):
        if away[row, column] < REACH_MM:
            yield int(row), others[column]


def things(findings: Findings, spacing_mm: NDArray[np.float64]) -> Iterator[Thing]:
    """Structures and marks with their places; the numbers of the whole under no name."""
    for item in findings.items:
        if isinstance(item, Segmentation):
            for segment in item.segments:
                middle = _middle(item.mask(segment)) * spacing_mm
                yield Thing(
                    segment.structure or segment.label, middle, _named(segment.measurements)
                )
        elif isinstance(item, Detection):
            middle = (np.array(item.first) + np.array(item.last)) / 2 * spacing_mm
            yield Thing(item.kind.meaning, middle, _named(item.measurements))
    of_whole = {id(one) for one in findings.items}
    rest = tuple(row for row in measurements(findings) if id(row[1]) in of_whole)
    if rest:
        yield Thing("", np.zeros(3), rest)


def _named(numbers: tuple[Measurement, ...]) -> tuple[tuple[str, Measurement], ...]:
    return tuple((named(one), one) for one in numbers)


def _middle(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """In voxels; 0 where there is none."""
    for window in ndimage.find_objects(mask.astype(np.uint8)):
        inside = np.argwhere(mask[window]).mean(axis=0)
        return np.asarray(inside + [part.start for part in window])
    return np.zeros(3)


def again(volume: Volume, rng: np.random.Generator) -> Volume:
    """The same body, sampled between the voxels, with more noise.

    What lies outside what was measured stays outside it.
    """
    values = volume.values(np.float32)
    shift = [rng.uniform(-0.5, 0.5) if size > 1 else 0.0 for size in values.shape]
    moved = ndimage.shift(values, shift, order=1, mode="nearest")
    moved += rng.normal(0.0, noise_of(values, volume.valid), values.shape).astype(np.float32)
    if np.issubdtype(volume.stored.dtype, np.integer):
        moved = np.round(moved)
    slices = values.shape[0]
    return replace(volume, stored=moved, slope=np.ones(slices), intercept=np.zeros(slices))


def noise_of(values: NDArray[np.float32], valid: NDArray[np.bool_] | None) -> float:
    """Standard deviation of the noise, in the unit of the values; blank parts are left out."""
    plane = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.stack([ndimage.convolve(one, plane) for one in values])
    counts = response != 0 if valid is None else (response != 0) & valid
    if not counts.any():
        return 0.0
    return float(np.median(np.abs(response[counts])) / MEDIAN_OF_NORMAL / NOISE_OF_LAPLACIAN)


def coefficients(table: Table) -> dict[str, str]:
    """The repeatability coefficient of each number, in words: over all structures and series."""
    spreads: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (_, meaning, unit), rows in table.items():
        for values in rows:
            spread, middle = float(np.std(values, ddof=1)), float(np.mean(values))
            if not np.isfinite([spread, middle]).all():
                continue
            if unit in RATIO_UNITS and middle > 0:
                spreads[meaning, "%"].append(100.0 * spread / middle)
            elif unit not in RATIO_UNITS:
                spreads[meaning, shown(unit)].append(spread)
    return {
        name: f"{_of(found)} {unit}".rstrip() for (name, unit), found in sorted(spreads.items())
    }


def _of(spreads: list[float]) -> str:
    coefficient = WIDTHS * float(np.sqrt(np.mean(np.square(spreads))))
    return f"{float(f'{coefficient:.2g}'):g}"


def shown(unit: str) -> str:
    """A UCUM unit as people write it; percentages differ by points."""
    return "points" if unit == "%" else ucum_in_words(unit)


def volumes(name: str, folder: Path) -> Iterator[tuple[Path, Volume]]:
    """The series below a folder that an analyzer accepts."""
    inputs = registry.info(name).inputs
    for series in read_folder(folder).series:
        paths = [Path(instance.key) for instance in series.instances]
        if series.header.get("Modality") not in inputs.modalities:
            continue
        try:
            volume = read_series(paths).volume
        except (UnsupportedSeries, OSError):
            continue
        if volume is not None and volume.facts is not None and not inputs.refusals(volume.facts):
            yield paths[0].parent, volume


def keep(name: str, series: int, repeats: int, below: dict[str, str]) -> None:
    """Write one analyzer's numbers into the table, those of the others as they are."""
    table = tomllib.loads(PLACE.read_text("utf-8")) if PLACE.exists() else {}
    version = registry.load(name).version
    table[name] = {"version": version, "series": series, "repeats": repeats, "below": below}
    PLACE.write_text("\n".join(_lines(table)), "utf-8")


def _lines(table: dict[str, dict[str, object]]) -> Iterator[str]:
    yield "# Measured by benchmarks.repeatability; what it says: repeatability.py beside it."
    for name, row in sorted(table.items()):
        yield f"\n[{name}]"
        yield f'version = "{row["version"]}"'
        yield f"series = {row['series']}\nrepeats = {row['repeats']}\n\n[{name}.below]"
        below = row["below"]
        assert isinstance(below, dict)
        yield from (f'"{meaning}" = "{words}"' for meaning, words in sorted(below.items()))
    yield ""


if __name__ == "__main__":
    sys.exit(main())
