"""Which foci of FDG uptake are those of organs, by place and shape alone, and how sure that is.

Sizes are those of adults (ICRP 89) with room for posture and blur; none was fitted to images. An
organ is placed by a landmark that was proved (``pet_body``); without it the organ is not named.
Likely is what has the place, the size and one property that disease rarely has: the brain fills its
head, kidneys are two of a kind, the wall of the heart is hollow, the bladder sits on the parting of
the legs, the liver is even. Everything else that would fit is possible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # the process that plans knows this, and nothing that computes
    from analyzers.segmentation.pet_body import Body
    from analyzers.segmentation.pet_foci import Focus


class Organ(StrEnum):
    """What takes up FDG without disease; its value is the key of its structure."""

    BRAIN = "uptake_brain"
    HEART = "uptake_heart"
    LIVER = "uptake_liver"
    KIDNEY = "uptake_kidney"
    BLADDER = "uptake_bladder"
    BOWEL = "uptake_bowel"


@dataclass(frozen=True, slots=True)
class Named:
    """A focus, by its place in the list, that is taken for an organ's, and by what."""

    focus: int
    organ: Organ
    is_likely: bool
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A focus in mm: z up from the first plane, y and x from the first row and column."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    centre: NDArray[np.float64]
    volume_ml: float
    planes: tuple[int, int]

    @property
    def extent(self) -> NDArray[np.float64]:
        return self.high - self.low

    @property
    def filling(self) -> float:
        """Share of the box round it that it fills."""
        return self.volume_ml * 1000.0 / float(np.prod(self.extent))


def shape_of(focus: Focus, spacing_mm: Sequence[float]) -> Shape:
    step = np.array(spacing_mm)
    first = np.array([part.start for part in focus.window])
    places = np.argwhere(focus.mask) + first
    low, high = places.min(axis=0), places.max(axis=0)
    volume_ml = float(len(places) * np.prod(step)) / 1000.0
    planes = (int(low[0]), int(high[0]))
    return Shape(
        low * step, (high + 1) * step, (places.mean(axis=0) + 0.5) * step, volume_ml, planes
    )


def named(suv: NDArray[np.float32], foci: Sequence[Focus], body: Body) -> list[Named]:
    """What can be named; each focus once, the surest rule first."""
    shapes = [shape_of(one, body.spacing_mm) for one in foci]
    scene = Scene(suv, foci, shapes, body)
    found: dict[int, Named] = {}
    for rule in RULES:
        for one in rule(scene):
            found.setdefault(one.focus, one)
    return [found[number] for number in sorted(found)]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What the rules look at."""

    suv: NDArray[np.float32]
    foci: Sequence[Focus]
    shapes: Sequence[Shape]
    body: Body

    def aside(self, shape: Shape) -> float:
        """How far to the left of the midline, in mm."""
        middle = (self.body.midline(*shape.planes) + 0.5) * self.body.spacing_mm[2]
        return float(shape.centre[2] - middle)

    def depth(self, shape: Shape) -> float:
        """From 0 at the front to 1 at the back of the body at its height."""
        front, back = self.body.depths(*shape.planes)
        return float((shape.centre[1] / self.body.spacing_mm[1] - front) / max(back - front, 1.0))

    def above(self, shape: Shape, plane: int) -> float:
        """How far its centre lies above a plane, in mm."""
        return float(shape.centre[0] - plane * self.body.spacing_mm[0])

    def among(self, fits: Callable[[Shape], bool]) -> list[int]:
        return [number for number, one in enumerate(self.shapes) if fits(one)]


# --- brain ----------------------------------------------------------------------------------------


BRAIN_ML = (600.0, 2200.0)
BRAIN_MM = (90.0, 210.0)
BRAIN_FILLS = 0.4
"""Of the area of the head in the middle planes of the brain, which blur makes larger."""
HEAD_CM2 = 420.0
"""No head is larger, with hair and arms apart."""
SCALP_MM = 60.0
"""So near above the brain the body ends."""
GROWN_MM = 12.0
"""From the core that is left of a brain to its border."""
ENDS = 0.1
"""Share of the columns over the brain that may still hold body there: a tilted head."""


def brain(scene: Scene) -> list[Named]:
    """One large focus, or the parts of one, that fills the topmost end of the body."""
    joined = np.zeros(scene.suv.shape, bool)
    for one in scene.foci:
        joined[one.window] |= one.mask
    found = _head_filled(joined, scene.body)
    if found is None:
        return []
    return [
        Named(number, Organ.BRAIN, True, "it fills the head")
        for number, one in enumerate(scene.foci)
        if found[one.window][one.mask].mean() >= 0.5
    ]


def _head_filled(joined: NDArray[np.bool_], body: Body) -> NDArray[np.bool_] | None:
    from scipy import ndimage

    from analyzers.grid.balls import erode

    labels, _ = ndimage.label(erode(joined, 8.0, body.spacing_mm))
    voxel_ml = float(np.prod(body.spacing_mm)) / 1000.0
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        extent = [(p.stop - p.start) * s + 16 for p, s in zip(box, body.spacing_mm, strict=True)]
        if not all(BRAIN_MM[0] <= one <= BRAIN_MM[1] for one in extent):
            continue
        grown = _grown(labels == number, box, body)
        part = grown & joined
        volume_ml = float(np.count_nonzero(part)) * voxel_ml
        if BRAIN_ML[0] <= volume_ml <= BRAIN_ML[1] and _is_head(part, body):
            return grown
    return None


def _grown(core: NDArray[np.bool_], box: tuple[slice, ...], body: Body) -> NDArray[np.bool_]:
    """What is at most ``GROWN_MM`` from a core that lies in a box: farther off nothing is held."""
    from scipy import ndimage

    near = tuple(
        slice(max(part.start - reach, 0), part.stop + reach)
        for part, reach in (
            (part, int(GROWN_MM / step) + 1)
            for part, step in zip(box, body.spacing_mm, strict=True)
        )
    )
    grown = np.zeros(core.shape, bool)
    grown[near] = ndimage.distance_transform_edt(~core[near], sampling=body.spacing_mm) <= GROWN_MM
    return grown


def _is_head(part: NDArray[np.bool_], body: Body) -> bool:
    """Whether it fills the body's upper end, which is seen from side to side."""
    planes = np.flatnonzero(part.any(axis=(1, 2)))
    middle = slice(int(np.percentile(planes, 25)), int(np.percentile(planes, 75)) + 1)
    outline = _round(part, body, middle)
    filled = int(np.count_nonzero(part[middle])) / max(int(np.count_nonzero(outline)), 1)
    pixel_cm2 = body.spacing_mm[1] * body.spacing_mm[2] / 100.0
    area = float(np.count_nonzero(outline)) / len(outline) * pixel_cm2
    edges = outline[:, [0, -1]].any() or outline[:, :, [0, -1]].any()
    above = body.outline[int(planes[-1]) + max(1, round(SCALP_MM / body.spacing_mm[0])) :]
    columns = part.any(axis=0)
    ends = above.size == 0 or bool(above[0, columns].mean() <= ENDS)
    return bool(filled >= BRAIN_FILLS and area <= HEAD_CM2 and not edges and ends)


def _round(part: NDArray[np.bool_], body: Body, planes: slice) -> NDArray[np.bool_]:
    """The outline of the body round it, without arms that lie beside."""
    from scipy import ndimage

    kept = []
    for outline, seen in zip(body.outline[planes], part[planes], strict=True):
        labels, _ = ndimage.label(outline)
        touched = np.unique(labels[seen])
        kept.append(np.isin(labels, touched[touched > 0]))
    return np.stack(kept)


# --- trunk ----------------------------------------------------------------------------------------


HEART_ABOVE_MM = (-25.0, 120.0)
"""Its centre, from the liver's upper end."""
HEART_ASIDE_MM = (-20.0, 100.0)
HEART_ML = (40.0, 500.0)
HEART_MM = (45.0, 140.0)
HOLLOW = 0.85
"""Of the mean of its wall, at most, in the cavity."""


def heart(scene: Scene) -> list[Named]:
    """A large focus in front, left of the middle, on the diaphragm; hollow: likely."""
    liver = scene.body.liver
    if liver is None:
        return []
    fits = scene.among(
        lambda one: (
            HEART_ML[0] <= one.volume_ml <= HEART_ML[1]
            and HEART_ABOVE_MM[0] <= scene.above(one, liver.top) <= HEART_ABOVE_MM[1]
            and HEART_ASIDE_MM[0] <= scene.aside(one) <= HEART_ASIDE_MM[1]
            and scene.depth(one) <= 0.55
            and bool(np.all((one.extent >= HEART_MM[0]) & (one.extent <= HEART_MM[1])))
        )
    )
    if len(fits) == 1 and _hollow(scene, fits[0]):
        return [Named(fits[0], Organ.HEART, True, "hollow, on the left")]
    why = "in front on the left, on the diaphragm"
    return [Named(number, Organ.HEART, False, why) for number in fits]


def _hollow(scene: Scene, number: int) -> bool:
    """Whether its middle takes up less than its wall."""
    from scipy import ndimage

    focus, step = scene.foci[number], scene.body.spacing_mm
    filled = ndimage.binary_fill_holes(focus.mask)
    depth = ndimage.distance_transform_edt(np.pad(filled, 1), sampling=step)[1:-1, 1:-1, 1:-1]
    values = scene.suv[focus.window]
    inner, wall = filled & (depth >= 0.75 * depth.max()), focus.mask & (depth < 0.5 * depth.max())
    return bool(wall.any() and values[inner].mean() <= HOLLOW * values[wall].mean())


KIDNEY_BELOW_MM = (40.0, 240.0)
"""Its centre, below the liver's upper end."""
KIDNEY_ASIDE_MM = (30.0, 110.0)
KIDNEY_ML = (8.0, 400.0)
"""The least where a hot renal pelvis alone lies above the cut."""
KIDNEY_MM = 55.0
"""At least so long from end to end; healthy ones 90 to 130."""
ALIKE_MM = (55.0, 40.0)
"""Two kidneys lie so far apart in height and in distance from the middle, at most."""


def kidneys(scene: Scene) -> list[Named]:
    """Long foci at the back on both sides of the spine; two of a kind: likely."""
    liver = scene.body.liver
    if liver is None:
        return []
    fits = scene.among(
        lambda one: (
            KIDNEY_BELOW_MM[0] <= -scene.above(one, liver.top) <= KIDNEY_BELOW_MM[1]
            and KIDNEY_ASIDE_MM[0] <= abs(scene.aside(one)) <= KIDNEY_ASIDE_MM[1]
            and KIDNEY_ML[0] <= one.volume_ml <= KIDNEY_ML[1]
            and one.extent[0] >= KIDNEY_MM
            and scene.depth(one) >= 0.5
        )
    )
    pairs = [(a, b) for a in fits for b in fits if a < b and _alike(scene, a, b)]
    paired = set(pairs[0]) if len(pairs) == 1 else set()
    why = {
        True: "one of two of a kind beside the spine",
        False: "long, at the back beside the spine",
    }
    return [Named(n, Organ.KIDNEY, n in paired, why[n in paired]) for n in fits]


def _alike(scene: Scene, first: int, second: int) -> bool:
    a, b = scene.shapes[first], scene.shapes[second]
    left, right = scene.aside(a), scene.aside(b)
    return bool(
        left * right < 0
        and abs(a.centre[0] - b.centre[0]) <= ALIKE_MM[0]
        and abs(abs(left) - abs(right)) <= ALIKE_MM[1]
    )


def liver(scene: Scene) -> list[Named]:
    """What lies in the liver and takes up as much as its even part; likely: nowhere so much that
    PERCIST would measure it."""
    found = scene.body.liver
    if found is None:
        return []
    even = found.reference.mean + 3 * found.reference.deviation
    rows = []
    for number, one in enumerate(scene.foci):
        inside = np.count_nonzero(found.core[one.window] & one.mask)
        values = scene.suv[one.window][one.mask]
        most = 0.5 * min(np.count_nonzero(found.core), np.count_nonzero(one.mask))
        if inside >= most and float(np.median(values)) <= even:
            is_likely = float(values.max()) <= found.reference.threshold
            rows.append(Named(number, Organ.LIVER, is_likely, "as much as the even liver"))
    return rows


BLADDER_ABOVE_MM = (0.0, 190.0)
"""Its centre, above the parting of the legs: higher where it is full, or the thighs touch."""
MOST_BESIDE = 0.2
"""Urine below the bladder holds less than this share of its activity; what holds more may be the
bladder itself."""
BLADDER_ASIDE_MM = 30.0
BLADDER_ML = (10.0, 900.0)
BLADDER_MM = 30.0
EVEN, BLUR_MM = 0.15, 8.0
"""Standard deviation over mean, deeper than the blur of a scanner reaches."""


def bladder(scene: Scene) -> list[Named]:
    """The most active focus in the middle, above the parting of the legs."""
    parting = scene.body.parting
    if parting is None:
        return []
    fits = scene.among(
        lambda one: (
            BLADDER_ABOVE_MM[0] <= scene.above(one, parting) <= BLADDER_ABOVE_MM[1]
            and abs(scene.aside(one)) <= BLADDER_ASIDE_MM
            and BLADDER_ML[0] <= one.volume_ml <= BLADDER_ML[1]
            and 0.2 <= scene.depth(one) <= 0.65
        )
    )
    if not fits:
        return []
    activity = [scene.suv[scene.foci[n].window][scene.foci[n].mask].sum() for n in fits]
    first = fits[int(np.argmax(activity))]
    others = sum(activity) - max(activity)
    is_likely = others <= MOST_BESIDE * max(activity) and _is_liquid(scene, first)
    return [Named(first, Organ.BLADDER, is_likely, "in the middle above the parting of the legs")]


def _is_liquid(scene: Scene, number: int) -> bool:
    """Whether it is wide and even inside, as urine is; tumours seldom are."""
    from scipy import ndimage

    focus, step = scene.foci[number], scene.body.spacing_mm
    depth = ndimage.distance_transform_edt(np.pad(focus.mask, 1), sampling=step)[1:-1, 1:-1, 1:-1]
    inner = scene.suv[focus.window][focus.mask & (depth > BLUR_MM)]
    wide = float(scene.shapes[number].extent.min()) >= BLADDER_MM
    return wide and inner.size > 0 and float(inner.std()) <= EVEN * float(inner.mean())


BOWEL_MM = 80.0
BOWEL_FILLS = 0.3
BOWEL_BELOW_MM = (60.0, 420.0)
"""Its centre, below the liver's upper end."""


def bowel(scene: Scene) -> list[Named]:
    """Long and winding, or a straight tube, in the belly: never more than possible."""
    liver = scene.body.liver
    if liver is None:
        return []
    fits = scene.among(
        lambda one: (
            BOWEL_BELOW_MM[0] <= -scene.above(one, liver.top) <= BOWEL_BELOW_MM[1]
            and one.extent.max() >= BOWEL_MM
            and (one.filling <= BOWEL_FILLS or one.extent.max() >= 2.2 * np.median(one.extent))
            and scene.depth(one) <= 0.6
        )
    )
    return [Named(number, Organ.BOWEL, False, "long and winding in the belly") for number in fits]


RULES = (brain, liver, kidneys, heart, bladder, bowel)
