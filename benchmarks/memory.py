"""Memory of every analyzer over what it is given: many slices, few, PET, pairs, a radiograph.

    python -m benchmarks.memory FOLDER [ANALYZER...] [--only TEXT] [--commit NAME] [--rounds 1]

FOLDER holds the public studies. Each analyzer that takes a case gets it in a process of its own
(``benchmarks.analysis``); with ``--commit`` that commit's in turn with this one's, and the last
column says whether the findings are the same, arrays and all. Memory is the most that was held
above what was held before, over the size of the stored images of all series given, and in MB.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from analyzers import registry
from analyzers.contract import Volume
from benchmarks.analysis import kept
from benchmarks.earlier import HERE, Side, checkout
from benchmarks.fusion import drawn, series
from node.series.read import read_series

FEW = (3, 12, 24)
FINER = 5
"""The PET at hand are cut to a limb: so many voxels are drawn between two along each axis, to the
size of a whole body's."""


@dataclass(frozen=True, slots=True)
class Case:
    """A series, with its companions."""

    name: str
    volume: Volume

    @property
    def takers(self) -> tuple[str, ...]:
        """The analyzers that take it; of those of a pair, only where there is one, and no other."""
        facts = self.volume.facts
        assert facts is not None
        roles = set(self.volume.companions)
        return tuple(
            one.name
            for one in map(registry.info, registry.names())
            if not one.inputs.refusals(facts) and bool(roles) == bool(one.companions)
            if not roles or roles & set(one.companions)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--commit", help="measured in turn with this checkout")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    sides = [Side("now", HERE)]
    if given.commit:
        sides.insert(0, Side("then", checkout(given.commit)))
    heads = [f"{side.name}: {what}" for side in sides for what in ("CPU s", "memory", "MB")]
    print(f"| images | MB | analyzer | {' | '.join(heads)} | findings |")
    print("|" + "---|" * (len(heads) + 4))
    for case in cases(given.folder, given.only):
        with tempfile.TemporaryDirectory() as place:
            kept(case.volume, Path(place))
            for name in case.takers:
                if not given.names or name in given.names:
                    print(row(case, name, place, sides, given.rounds), flush=True)


def row(case: Case, name: str, place: str, sides: list[Side], rounds: int) -> str:
    """One line of the table."""
    found: list[list[dict[str, Any]]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, told in zip(sides, found, strict=True):
            told.append(json.loads(side.run("benchmarks.analysis", name, place).output))
    cells = [
        f"{statistics.median(one[key] for one in told):.2f}"
        for told in found
        for key in ("cpu_s", "memory_share", "memory_mb")
    ]
    digests = {one["digest"] for told in found for one in told}
    same = ("same" if len(digests) == 1 else "other") if len(sides) * rounds > 1 else ""
    refused = " (refused)" if found[-1][0]["found"].startswith("refused") else ""
    images = (case.volume, *case.volume.companions.values())
    size = ", ".join("×".join(map(str, one.shape)) for one in images)
    stored_mb = sum(one.stored.nbytes for one in images) / 1e6
    words = (f"{case.name}: {size}", f"{stored_mb:.1f}", f"{name}{refused}", *cells, same)
    return f"| {' | '.join(words)} |"


# --- cases ----------------------------------------------------------------------------------------


def cases(folder: Path, only: str) -> Iterator[Case]:
    """Those whose name holds a text."""
    for name, made in _CASES.items():
        if only in name:
            yield Case(name, made(folder))


def few(volume: Volume, count: int) -> Volume:
    """The middle slices."""
    first = (volume.shape[0] - count) // 2
    place = slice(first, first + count)
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 0] * first
    facts = volume.facts
    return replace(
        volume,
        stored=volume.stored[place].copy(),
        slope=volume.slope[place],
        intercept=volume.intercept[place],
        affine=affine,
        valid=None if volume.valid is None else volume.valid[place].copy(),
        facts=facts and replace(facts, slices=count),
    )


def finer(volume: Volume) -> Volume:
    """Drawn between the voxels, with noise of one stored unit."""
    values = ndimage.zoom(volume.stored.astype(np.float32), FINER, order=1)
    values += np.random.default_rng(1).normal(0, 1, values.shape).astype(np.float32)
    stored = np.rint(values, out=values).clip(0 if volume.modality == "PT" else None, 32767)
    affine = volume.affine.copy()
    affine[:3, :3] *= np.array(volume.shape) / values.shape
    source = np.arange(len(stored)) * volume.shape[0] // len(stored)
    facts = volume.facts
    return replace(
        volume,
        stored=stored.astype(np.int16),
        affine=affine,
        slope=volume.slope[source],
        intercept=volume.intercept[source],
        facts=facts
        and replace(facts, slices=len(stored), spacing_mm=float(np.linalg.norm(affine[:3, 0]))),
    )


def _chest(folder: Path) -> Volume:
    return series(folder / "ct_lidc_idri_0314")


def _visit(folder: Path, kind: str) -> Volume:
    return series(folder / "longitudinal_cmbcrc_06489/SCAN_001" / kind)


def _limb(folder: Path, kind: str) -> Volume:
    return series(folder / "petctmr_STS_001" / kind / "image")


def _radiograph(folder: Path) -> Volume:
    volume = read_series([folder / "pydicom_data_store/RG3_J2KR.dcm"]).volume
    assert volume is not None
    return volume


def _with(volume: Volume, **companions: Volume) -> Volume:
    return replace(volume, companions=companions)


def _coarser(volume: Volume) -> Volume:
    made = drawn(volume, 10.0)
    ones = np.ones(len(made.stored))
    stored = np.rint(made.stored).astype(np.int16)
    return replace(made, stored=stored, slope=ones, intercept=0 * ones)


_CASES = {
    "chest CT": _chest,
    **{
        f"{count} slices of it": lambda folder, count=count: few(_chest(folder), count)
        for count in FEW
    },
    "CT with padding": lambda folder: series(folder / "ct_crlm_1004"),
    "MR of the abdomen": lambda folder: _visit(folder, "t2"),
    "MR of the head": lambda folder: series(folder / "mr_head_pddl"),
    "PET, made finer": lambda folder: finer(_limb(folder, "PET")),
    "CT and PET, both made finer": lambda folder: _with(
        few(finer(_limb(folder, "CT")), 100), pet=finer(_limb(folder, "PET"))
    ),
    "chest CT and it turned, 2×2×3 mm": lambda folder: _with(
        _chest(folder), ct=_coarser(_chest(folder))
    ),
    "radiograph": _radiograph,
    "MR T2 and ADC": lambda folder: _with(_visit(folder, "t2"), mr=_visit(folder, "adc")),
}


if __name__ == "__main__":
    main()
