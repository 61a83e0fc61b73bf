"""How well known rigid movements are found again, beside SimpleITK, as a Markdown table.

    python -m benchmarks.fusion FOLDER [--method fusion] [--movements 10]

FOLDER holds the test studies. "Drawn" pairs are one series and itself, resampled on a turned grid
of other spacing, with noise (for "inverted", with another contrast): where it belongs is known.
"Real" pairs are two series of a patient; the headers say where they belong, but a patient moves:
the first error is against the headers, the second against where the registration of the unmoved
pair ends. Errors are means over a lattice in the smaller series; each pair is moved by the same
random turns of up to 15° and shifts of up to 30 mm, with a frame of reference in common; with
"apart" by 250 mm more, without one. "decided" asks what the analyzer does with what was found, of
one movement of 1.7 mm and 0.5° as well: whether the series was moved or kept, and in doubt; how far
it then lies off the truth (of real pairs, the headers); how far it would lie from where the unmoved
pair ends, had it been moved.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from analyzers.contract import Volume
from analyzers.fusion.evidence import Evidence, evidence
from analyzers.fusion.registration import register
from analyzers.fusion.resampling import resampled
from analyzers.fusion.rigid import Matrix, corners, moved, rigid
from analyzers.fusion.scan import Scan, reduced, scan
from analyzers.fusion.verdict import Verdict, verdict
from node.series.read import read_series

TURN_DEG, SHIFT_MM, APART_MM = 15.0, 30.0, 250.0
LOST_MM = 5.0
PEER_MM = 2.0
"""SimpleITK is given block means of this size: on the full chest CT a run takes minutes."""
HEADER = (
    "| pair | method | moved by mm | against truth or headers, median (max) mm "
    "| against the unmoved pair, median (max) mm | lost | s |\n|---|---|---|---|---|---|---|"
)
SLIGHT_DEG, SLIGHT_MM = 0.5, 1.7
DECIDED = (
    "| pair | unmoved: would move by, doubt; decision; TRE mm | moved by mm | decision; TRE mm; "
    "would be off mm; uncertainty mm |\n|---|---|---|---|"
)
Method = Callable[[Scan, Scan, bool], Matrix]


@dataclass(frozen=True)
class Pair:
    """Two series, and the points by which errors are judged."""

    name: str
    fixed: Scan
    moving: Scan
    modalities: tuple[str, str]

    def lattice(self) -> Matrix:
        smaller = min(self.fixed, self.moving, key=lambda one: one.volume_mm3)
        box = corners(smaller.shape, smaller.affine)
        steps = np.stack(np.meshgrid(*[np.linspace(0.1, 0.9, 5)] * 3, indexing="ij"), -1)
        first, axes = box[0], np.stack([box[4], box[2], box[1]]) - box[0]
        return first + steps.reshape(-1, 3) @ axes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--movements", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    methods = ("fusion", "apart", "SimpleITK", "decided")
    parser.add_argument("--method", choices=methods, default="fusion")
    given = parser.parse_args()
    torch.set_num_threads(1)
    decides = given.method == "decided"
    print(DECIDED if decides else HEADER)
    for pair in pairs(given.folder, given.device):
        said = decided if decides else partial(row, name=given.method)
        print(said(pair, count=given.movements), flush=True)


# --- pairs ----------------------------------------------------------------------------------------


def pairs(folder: Path, device: str) -> Iterator[Pair]:
    chest = series(folder / "ct_lidc_idri_0314")
    yield pair("drawn: chest CT, itself", chest, drawn(chest, 40.0), device)
    head = series(folder / "mr_head_pddl")
    top = float(np.percentile(head.values(), 99.5))
    yield pair("drawn: head MR T1, itself", head, drawn(head, 0.03 * top), device)
    other = drawn(inverted(head, top), 0.03 * top)
    yield pair("drawn: head MR T1, inverted", head, other, device)
    for case in ("001", "002", "003", "025"):
        ct = series(folder / f"petctmr_STS_{case}/CT/image")
        for name, place in (("PET", "PET/image"), ("MR T1", "MR_T1/image")):
            moving = series(folder / f"petctmr_STS_{case}/{place}")
            yield pair(f"real: CT, {name}, sarcoma {case}", ct, moving, device)
    for visit in ("SCAN_001", "SCAN_002"):
        both = [
            series(folder / f"longitudinal_cmbcrc_06489/{visit}/{one}") for one in ("t2", "adc")
        ]
        yield pair(f"real: MR T2, ADC, abdomen {visit[-1]}", *both, device)


def series(folder: Path) -> Volume:
    volume = read_series(sorted(path for path in folder.rglob("*.dcm"))).volume
    if volume is None:
        raise ValueError(f"{folder} holds no volume")
    return volume


def pair(name: str, fixed: Volume, moving: Volume, device: str) -> Pair:
    modalities = fixed.modality, moving.modality
    return Pair(name, scan(fixed, device), scan(moving, device), modalities)


def drawn(volume: Volume, noise: float) -> Volume:
    """The series on a grid of 2 × 2 × 3 mm, turned by 7°, with noise."""
    centre = corners(volume.shape, volume.affine).mean(axis=0)
    spacing = np.array([3.0, 2.0, 2.0])
    extent = np.array(volume.shape) * volume.spacing_mm
    shape = np.maximum(extent * 0.95 / spacing, 4).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = volume.affine[:3, :3] / volume.spacing_mm * spacing
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    affine = rigid(np.array([4.0, -3.0, 5.0]), np.zeros(3), centre) @ affine
    grid = replace(
        volume,
        stored=np.zeros(shape, np.int16),
        affine=affine,
        slope=np.ones(shape[0]),
        intercept=np.zeros(shape[0]),
    )
    values, _ = resampled(volume, grid, np.eye(4), "cpu")
    values += np.random.default_rng(2).normal(0, noise, values.shape)
    return replace(grid, stored=values.astype(np.float32))


def inverted(volume: Volume, top: float) -> Volume:
    """Another contrast: what is darker than the background limit stays, the rest is reversed."""
    values = volume.values(np.float32)
    changed = np.where(values < 0.08 * top, values, top * (1.1 - np.sqrt(values.clip(0) / top)))
    ones = np.ones(volume.shape[0])
    return replace(volume, stored=changed.astype(np.float32), slope=ones, intercept=0 * ones)


# --- measurement ----------------------------------------------------------------------------------


def row(pair: Pair, name: str, count: int) -> str:
    """One line of the table."""
    method: Method = simpleitk if name == "SimpleITK" else own
    same_frame = name != "apart"
    points = pair.lattice()
    at_rest = method(pair.fixed, pair.moving, True)
    before, true, steady, seconds = [], [], [], []
    for movement in movements(count, points.mean(axis=0), 0.0 if same_frame else APART_MM):
        elsewhere = Scan(pair.moving.image, movement @ pair.moving.affine)
        started = time.perf_counter()
        found = method(pair.fixed, elsewhere, same_frame) @ movement
        seconds.append(time.perf_counter() - started)
        before.append(distance_mm(movement, np.eye(4), points))
        true.append(distance_mm(found, np.eye(4), points))
        steady.append(distance_mm(found, at_rest, points))
    lost = sum(error > LOST_MM for error in steady)
    return (
        f"| {pair.name} | {name} | {np.median(before):.0f} | {said(true)} "
        f"| {said(steady)} | {lost} of {count} | {np.median(seconds):.1f} |"
    )


def decided(pair: Pair, count: int) -> str:
    """What the analyzer decides within a common frame of reference, unmoved and moved.

    The errors are against the truth, for real pairs against their headers; those of the movement
    measured, taken or not, against the unmoved pair's.
    """
    points = pair.lattice()
    told, judged, error, at_rest = _decision(pair, np.eye(4), points)
    moved_by, after = [], []
    middle = points.mean(axis=0)
    slight = rigid(np.array([SLIGHT_DEG, 0.0, 0.0]), np.array([0.0, 0.0, SLIGHT_MM]), middle)
    for movement in (*movements(count, middle, 0.0), slight):
        _, one, away, found = _decision(pair, movement, points)
        moved_by.append(f"{distance_mm(movement, np.eye(4), points):.0f}")
        off = distance_mm(found, at_rest, points)
        after.append(f"{_word(one)}; {away:.1f}; {off:.1f}; {one.uncertain_mm:.1f}")
    return (
        f"| {pair.name} | {told.moved_mm:.1f}, {told.doubt_mm:.1f}; {_word(judged)}; {error:.1f} "
        f"| {' / '.join(moved_by)} | {' / '.join(after)} |"
    )


def _word(judged: Verdict) -> str:
    in_doubt = ", in doubt" if judged.sentences[0].startswith("In doubt") else ""
    return ("moved" if judged.accepted else "kept") + in_doubt


def _decision(
    pair: Pair, movement: Matrix, points: Matrix
) -> tuple[Evidence, Verdict, float, Matrix]:
    """The evidence and the verdict, how far the second series then lies off, and where it would lie
    had it been moved."""
    scans = pair.fixed, Scan(pair.moving.image, movement @ pair.moving.affine)
    found = register(*scans, same_frame=True)
    told = evidence(*scans, found, same_frame=True)
    judged = verdict(pair.modalities, found.before, found.after, told, always=False)
    measured = found.matrix @ movement
    ends = measured if judged.accepted else movement
    return told, judged, distance_mm(ends, np.eye(4), points), measured


def movements(count: int, centre: Matrix, apart_mm: float) -> Iterator[Matrix]:
    rng = np.random.default_rng(7)
    for _ in range(count):
        turn, shift, away = (direction(rng) for _ in range(3))
        turn *= rng.uniform(0, TURN_DEG)
        yield rigid(turn, shift * rng.uniform(0, SHIFT_MM) + away * apart_mm, centre)


def direction(rng: np.random.Generator) -> NDArray[np.float64]:
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def distance_mm(one: Matrix, other: Matrix, points: Matrix) -> float:
    return float(np.linalg.norm(moved(one, points) - moved(other, points), axis=1).mean())


def said(errors: list[float]) -> str:
    return f"{np.median(errors):.2f} ({max(errors):.2f})"


# --- methods --------------------------------------------------------------------------------------


def own(fixed: Scan, moving: Scan, same_frame: bool) -> Matrix:
    return register(fixed, moving, same_frame=same_frame).matrix


def simpleitk(fixed: Scan, moving: Scan, same_frame: bool) -> Matrix:
    """Mattes mutual information, three levels, regular steps, from the headers' place."""
    import SimpleITK as sitk  # noqa: N813 - its users' name for it

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentagePerLevel([0.3, 0.1, 0.05], 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-3, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    start = sitk.Euler3DTransform()
    start.SetCenter(fixed.centre_mm().tolist())
    method.SetInitialTransform(start)
    method.Execute(*(itk_image(reduced(one, PEER_MM)) for one in (fixed, moving)))
    there = np.eye(4)
    there[:3, :3] = np.array(start.GetMatrix()).reshape(3, 3)
    centre, shift = np.array(start.GetCenter()), np.array(start.GetTranslation())
    there[:3, 3] = centre + shift - there[:3, :3] @ centre
    return np.linalg.inv(there)


def itk_image(of: Scan) -> object:
    import SimpleITK as sitk  # noqa: N813 - its users' name for it

    image = sitk.GetImageFromArray(of.image.cpu().numpy())
    axes = of.affine[:3, [2, 1, 0]]
    spacing = np.linalg.norm(axes, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((axes / spacing).ravel().tolist())
    image.SetOrigin(of.affine[:3, 3].tolist())
    return image


if __name__ == "__main__":
    main()
