"""Finds the rigid transform by which one series comes to lie on another.

Normalized mutual information of points drawn once from the fixed grid, off its nodes so that
interpolation favours no position; from coarse to fine; L-BFGS on three angles and three shifts. The
same code runs on the CPU and on CUDA; there is no chance in it but a fixed seed.
"""

from __future__ import annotations

import itertools
from copy import copy
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from analyzers.contract import reached
from analyzers.fusion.mutual_information import Information, information, memberships
from analyzers.fusion.rigid import Matrix
from analyzers.fusion.scan import Scan, at, reduced

SEED = 20260101
LEAST_OF_HEADERS, LEAST_OF_POSSIBLE = 0.75, 0.5
"""Poses with less than this share of the overlap that the headers of a common frame of reference
give, or that is possible, are not looked at: little overlap can look alike by chance."""
TURN_DEG = 12.0
STEP_MM = 24.0
"""Starting points lie one turn or step of this size about each axis, and at the middle."""
STARTS = 6
"""How many of the best starting points are followed."""
PENALTY = 1e-4
"""Of normalized mutual information for each mm away from the headers in a common frame."""
DISTINCT_MM = 15.0
"""Poses nearer to each other than this count as one."""


@dataclass(frozen=True, slots=True)
class PyramidLevel:
    """One step from coarse to fine; the best poses, ``kept`` of them, go on to the next."""

    spacing_mm: float
    points: int
    steps: int
    kept: int


LEVELS = (
    PyramidLevel(12.0, 12_000, 15, 3),
    PyramidLevel(6.0, 30_000, 20, 1),
    PyramidLevel(3.0, 60_000, 20, 1),
)


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """matrix: patient LPS mm of the moving series → of the fixed one.

    before, after: mutual information (nats) at the finest level, as the headers say and after
    registration. overlap: share of the smaller series that lies in both, after registration.
    pose: the same movement as the search says it.
    """

    matrix: Matrix
    before: float
    after: float
    overlap: float
    pose: torch.Tensor


def register(fixed: Scan, moving: Scan, *, same_frame: bool) -> Alignment:
    """Register ``moving`` to ``fixed``.

    same_frame: the headers use one frame of reference: they are where the search starts. Otherwise
    it starts with the middles and the centres of mass one above the other as well.
    """
    task = Task(fixed, moving, LEVELS[0], same_frame)
    poses = _starts(task, same_frame)
    for done, level in enumerate(LEVELS, 1):
        task = Task(fixed, moving, level, same_frame)
        climbed = [_better(task, pose, climb(task, pose, level.steps)) for pose in poses]
        poses = _best(task, climbed, level.kept)
        reached(done, len(LEVELS))
    return _alignment(task, poses[0])


def measure(fixed: Scan, moving: Scan) -> Alignment:
    """What the headers say, unmoved, with its mutual information and overlap."""
    task = Task(fixed, moving, LEVELS[-1], same_frame=True)
    return _alignment(task, task.unmoved)


def _alignment(task: Task, pose: torch.Tensor) -> Alignment:
    return Alignment(
        matrix=np.linalg.inv(task.matrix(pose).cpu().numpy()),
        before=task.mutual(task.unmoved),
        after=task.mutual(pose),
        overlap=task.overlap(pose),
        pose=pose,
    )


class Task:
    """The two series at one level. A pose is (turn about x, y, z; shift along x, y, z), all in mm:
    a turn is measured at the reach of the fixed series from its middle."""

    def __init__(self, fixed: Scan, moving: Scan, level: PyramidLevel, same_frame: bool) -> None:
        self.fixed, self.moving = (
            reduced(fixed, level.spacing_mm),
            reduced(moving, level.spacing_mm),
        )
        self.possible = min(1.0, self.moving.volume_mm3 / self.fixed.volume_mm3)
        device = self.fixed.image.device
        self.centre = torch.from_numpy(self.fixed.centre_mm()).to(device)
        self.reach_mm = float(np.cbrt(self.fixed.volume_mm3)) / 2
        self._to_index = torch.from_numpy(np.linalg.inv(self.moving.affine)).to(device)
        self.index = _points(self.fixed.shape, level.points).to(device)
        values, _ = at(self.fixed.image, self.index)
        affine = torch.from_numpy(self.fixed.affine).to(device)
        self.places = self.index @ affine[:3, :3].T + affine[:3, 3]
        self._fixed = memberships(values)
        self.unmoved = torch.zeros(6, dtype=torch.float64, device=device)
        at_first = self.share(self.unmoved)
        self.penalty = PENALTY if same_frame else 0.0
        self.least = (
            LEAST_OF_HEADERS * at_first if same_frame else LEAST_OF_POSSIBLE * self.possible
        )

    def told(self, pose: torch.Tensor) -> Information:
        values, weight = self.sampled(pose)
        return information(self._fixed, values, weight.to(values.dtype))

    def measured(self, pose: torch.Tensor) -> torch.Tensor:
        """What is climbed, with a gradient."""
        return self.told(pose).normalized

    def mutual(self, pose: torch.Tensor) -> float:
        """In nats; 0 where the series do not overlap."""
        with torch.no_grad():
            return float(self.told(pose).mutual) if self.share(pose) > 0 else 0.0

    def score(self, pose: torch.Tensor) -> float:
        """Normalized mutual information; 0 where the series hardly overlap."""
        with torch.no_grad():
            values, weight = self.sampled(pose)
            if float(weight.mean()) < self.least:
                return 0.0
            return float(information(self._fixed, values, weight.to(values.dtype)).normalized)

    def preference(self, pose: torch.Tensor) -> float:
        """The score, less what the movement costs."""
        return self.score(pose) - self.penalty * float(pose.norm())

    def share(self, pose: torch.Tensor) -> float:
        """Of the fixed series that lies in the moving one."""
        with torch.no_grad():
            return float(self.sampled(pose)[1].mean())

    def overlap(self, pose: torch.Tensor) -> float:
        """Share of the smaller series that lies in both."""
        return min(1.0, self.share(pose) / self.possible)

    def matrix(self, pose: torch.Tensor) -> torch.Tensor:
        """Fixed patient mm → moving patient mm."""
        turn, shift = pose[:3] / self.reach_mm, pose[3:]
        zero = torch.zeros_like(turn[0])
        rows = [zero, -turn[2], turn[1], turn[2], zero, -turn[0], -turn[1], turn[0], zero]
        rotation = torch.linalg.matrix_exp(torch.stack(rows).reshape(3, 3))
        offset = self.centre + shift - rotation @ self.centre
        top = torch.cat([rotation, offset[:, None]], dim=1)
        last = torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=top.dtype, device=top.device)
        return torch.cat([top, last])

    def onto(self, pose: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Where the points lie in the moving series, as indices; and the pose as a matrix."""
        matrix = self.matrix(pose)
        to_index = self._to_index @ matrix
        return self.places @ to_index[:3, :3].T + to_index[:3, 3], matrix

    def sampled(self, pose: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The moving series at the points, and how much of each lies in it."""
        return at(self.moving.image, self.onto(pose)[0])

    def within(self, chosen: torch.Tensor) -> Task:
        """The same with some of the points."""
        part = copy(self)
        part.index, part.places = self.index[chosen], self.places[chosen]
        part._fixed = self._fixed[chosen]
        return part


def _points(shape: tuple[int, int, int], count: int) -> torch.Tensor:
    """Places spread over a grid, one at random in each of ``count`` or fewer equal boxes."""
    scale = min(1.0, (count / float(np.prod(shape))) ** (1 / 3))
    boxes = [max(1, int(size * scale)) for size in shape]
    corner = torch.cartesian_prod(*[torch.arange(n, dtype=torch.float64) for n in boxes])
    chance = torch.from_numpy(np.random.default_rng(SEED).random(corner.shape))
    size, parts = torch.tensor(shape, dtype=torch.float64), torch.tensor(boxes)
    return (corner + chance) * (size - 1) / parts


def _starts(task: Task, same_frame: bool) -> list[torch.Tensor]:
    """The best starting points; the headers' own place is always one."""
    device = task.centre.device
    shifts = [np.zeros(3)]
    if not same_frame:
        shifts.append(task.moving.centre_mm() - task.fixed.centre_mm())
        shifts.append(task.moving.centre_of_mass_mm() - task.fixed.centre_of_mass_mm())
    turn_mm = np.deg2rad(TURN_DEG) * task.reach_mm
    star = np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    found = [
        torch.from_numpy(np.concatenate([turn * turn_mm, shift + step * STEP_MM])).to(device)
        for shift, turn, step in itertools.product(shifts, star, star)
    ]
    return [found[0], *_best(task, found, STARTS)]


def _best(task: Task, poses: list[torch.Tensor], count: int) -> list[torch.Tensor]:
    """The poses of highest score that are distinct, best first.

    In a common frame of reference a movement costs: of poses that are as good, the nearer one.
    """
    chosen: list[torch.Tensor] = []
    for pose in sorted(poses, key=task.preference, reverse=True):
        if len(chosen) < count and all(_apart(pose, other) for other in chosen):
            chosen.append(pose)
    return chosen


def _better(task: Task, start: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    return found if task.score(found) >= task.score(start) else start


def _apart(one: torch.Tensor, other: torch.Tensor) -> bool:
    return float((one - other).norm()) >= DISTINCT_MM


class Measure(Protocol):
    """How well two series lie on each other; higher is better."""

    def measured(self, pose: torch.Tensor) -> torch.Tensor:
        """With a gradient."""
        ...


def climb(measure: Measure, start: torch.Tensor, steps: int) -> torch.Tensor:
    """The pose where a measure is highest near a start."""
    pose = start.clone().requires_grad_(True)
    search = torch.optim.LBFGS(
        [pose], lr=1.0, max_iter=steps, line_search_fn="strong_wolfe", tolerance_change=1e-6
    )

    def cost() -> torch.Tensor:
        search.zero_grad()
        loss = -SHARPNESS * measure.measured(pose)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation for it
        return loss

    search.step(cost)  # type: ignore[no-untyped-call]  # nor for this
    return pose.detach()


SHARPNESS = 1000.0
"""Brings the slope of the measures, about 0.001 a mm, to the order of 1 for L-BFGS's first step."""
