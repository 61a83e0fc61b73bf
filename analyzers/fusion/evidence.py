"""Whether a movement is worth believing: measures that could contradict mutual information.

The movement is measured again by edges, which look at nothing that mutual information looks at,
and by mutual information of either half of what both series show, which lie alike only if the
patient moved as one rigid body. How far these lie from each other is what is not known of the
movement. With ``doubt`` for that distance, a movement of twice the doubt or more cannot lead
further from the truth than the headers were, so long as the truth lies within the doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from analyzers.fusion import registration
from analyzers.fusion.gradients import Edges
from analyzers.fusion.registration import Alignment, Measure, PyramidLevel, Task, climb
from analyzers.fusion.scan import Scan

MATERIAL_GAIN = 0.05
"""Relative gain of mutual information that counts as one."""
STEP_MM, MOST_STEPS = 2.5, 8
"""Shifts that are tried, to learn how far mutual information does not change by that gain."""
LEAST_POINTS = 200
"""In each half: with fewer no half is measured by itself."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Mean distances over the points that both series show.

    moved_mm: from the headers to what mutual information found. edges_mm, halves_mm: from there to
    where the edges, and either half alone, put the second series; no halves where they are too
    small. edges_agree: they run more alike at the place found than at the headers' place.
    unseen_mm: so far the second series may be shifted along an axis of the patient while mutual
    information stays within 5 % of what it was where it is highest: no such movement can be told.
    """

    moved_mm: float
    turned_deg: float
    edges_mm: float
    halves_mm: tuple[float, ...]
    edges_agree: bool
    unseen_mm: float

    @property
    def doubt_mm(self) -> float:
        """The largest distance of another measure."""
        return max(self.edges_mm, *self.halves_mm)


def evidence(fixed: Scan, moving: Scan, found: Alignment, *, same_frame: bool) -> Evidence:
    """What other measures say of a movement that mutual information found."""
    levels = registration.LEVELS[-2:]
    tasks = [Task(fixed, moving, level, same_frame) for level in levels]
    last, pose = tasks[-1], found.pose
    shown = _shown(last, pose)
    edges = [Edges(task) for task in tasks]
    by_edges = _climbed(edges, levels, pose)
    turn = pose[:3].norm() / last.reach_mm
    return Evidence(
        moved_mm=_distance_mm(last, last.unmoved, pose, shown),
        turned_deg=float(torch.rad2deg(turn)),
        edges_mm=_distance_mm(last, by_edges, pose, shown),
        halves_mm=_by_halves(tasks, levels, pose),
        edges_agree=edges[-1].score(pose) >= edges[-1].score(last.unmoved),
        unseen_mm=_unseen_mm(last, pose),
    )


def _unseen_mm(task: Task, pose: torch.Tensor) -> float:
    """Of the six directions along the patient's axes, the one in which most is not seen."""
    enough = task.mutual(pose) / (1 + MATERIAL_GAIN)
    ways = torch.eye(6, dtype=pose.dtype, device=pose.device)[3:]
    return STEP_MM * max(_steps_within(task, pose, way, enough) for way in (*ways, *-ways))


def _steps_within(task: Task, pose: torch.Tensor, way: torch.Tensor, enough: float) -> int:
    for step in range(1, MOST_STEPS + 1):
        if task.mutual(pose + step * STEP_MM * way) < enough:
            return step - 1
    return MOST_STEPS


def _climbed(
    measures: Sequence[Measure], levels: tuple[PyramidLevel, ...], start: torch.Tensor
) -> torch.Tensor:
    for measure, level in zip(measures, levels, strict=True):
        start = climb(measure, start, level.steps)
    return start


def _by_halves(
    tasks: list[Task], levels: tuple[PyramidLevel, ...], pose: torch.Tensor
) -> tuple[float, ...]:
    """Each half of what both show, cut across its longest axis, by itself."""
    middle, axis = _longest(tasks[-1], pose)
    distances = []
    for side in (1, -1):
        parts = [task.within(side * ((task.places - middle) @ axis) > 0) for task in tasks]
        shown = _shown(parts[-1], pose)
        if int(shown.sum()) < LEAST_POINTS:
            return ()
        alone = _climbed(parts, levels, pose)
        distances.append(_distance_mm(parts[-1], alone, pose, shown))
    return tuple(distances)


def _longest(task: Task, pose: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The middle of what both series show, and the direction in which it is longest."""
    places = task.places[_shown(task, pose)]
    middle = places.mean(dim=0)
    _, axes = torch.linalg.eigh(torch.cov((places - middle).T))
    return middle, axes[:, -1]


def _shown(task: Task, pose: torch.Tensor) -> torch.Tensor:
    """Which of the points lie in both series."""
    with torch.no_grad():
        return task.sampled(pose)[1] > 0


def _distance_mm(task: Task, one: torch.Tensor, other: torch.Tensor, shown: torch.Tensor) -> float:
    change = task.matrix(one) - task.matrix(other)
    way = task.places[shown] @ change[:3, :3].T + change[:3, 3]
    return float(way.norm(dim=1).mean())
