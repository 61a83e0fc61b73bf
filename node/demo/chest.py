"""Draws the chest: body wall, bones, lungs, airways, heart, great vessels, liver, stomach, table.

The heart, the descending aorta and the stomach lie on the left, the liver on the right, and the
right lung is the larger one: an image that was mirrored or turned on the way does not go unseen.
"""

from __future__ import annotations

import numpy as np

from node.demo.anatomy import (
    AIR_HU,
    BLOOD_HU,
    CORTEX_HU,
    DEPENDENT_HU_PER_MM,
    DISC_HU,
    EMPHYSEMA_HU,
    FAT_HU,
    HILUM,
    LENGTH_MM,
    LIVER_HU,
    LUNG_HU,
    MARROW_HU,
    MUSCLE_HU,
    Box,
    Canvas,
    Column,
    Ellipsoid,
    Mask,
    Point,
    RibCage,
    Solid,
    Tube,
)

SKIN = Column(0, 0, 172, 112)
MUSCLE = Column(0, 0, 160, 102)
PLEURAL_SPACE = Column(0, 0, 138, 82)
LUNGS = {
    "right": Ellipsoid((-75, 0, 5), (58, 76, 125)),
    "left": Ellipsoid((72, 0, 5), (52, 74, 120)),
}
HEART = Ellipsoid((22, -28, -45), (52, 40, 50))
LIVER = Ellipsoid((-65, 0, -125), (80, 74, 55))
STOMACH = Ellipsoid((75, 10, -135), (60, 66, 45))
AORTA = (
    Tube((27, 44, -LENGTH_MM), (27, 44, 60), 11),
    Tube((27, 44, 60), (24, 0, 64), 11),
    Tube((24, 0, 64), (0, -26, 60), 12),
    Tube((0, -26, 60), (5, -26, -10), 13),
)
CARINA: Point = (0, 8, 40)
AIRWAYS = (
    Tube((0, 12, LENGTH_MM), CARINA, 8),
    Tube(CARINA, HILUM["right"], 6.5),
    Tube(CARINA, HILUM["left"], 5.5),
)
WALL_MM = 1.5
EMPHYSEMA_CENTRE: Point = (-80, 5, 75)
VERTEBRA_MM, DISC_MM = 28.0, 6.0

BRANCHES, TWIGS = 9, 3
"""Vessels a lung: branches from the hilum, and twigs from the end of each."""


def draw_chest(canvas: Canvas, gravity: Point, emphysema_mm: float, seed: int) -> dict[str, Mask]:
    """Draws everything and returns the mask of each structure.

    gravity: unit vector to the side on which the patient lies. emphysema_mm: radius of a pocket of
    destroyed lung in the right upper lobe; 0 for none.
    """
    masks = {"table": _draw_table(canvas, gravity)}
    masks["body"] = canvas.mask(SKIN)
    canvas.draw(SKIN, FAT_HU)
    canvas.draw(MUSCLE, MUSCLE_HU)
    masks |= _draw_bones(canvas)
    masks |= _draw_lungs(canvas, gravity)
    _draw_vessels(canvas, masks, seed)
    masks["emphysema"] = _draw_emphysema(canvas, masks["right_lung"], emphysema_mm)
    masks |= _draw_organs(canvas, gravity, masks["bone"] | masks["discs"])
    masks["airways"] = _draw_airways(canvas, masks)
    for lung in ("right_lung", "left_lung"):
        masks[lung] &= ~masks["airways"]
    return masks


def _draw_table(canvas: Canvas, gravity: Point) -> Mask:
    """A carbon plate under the side on which the patient lies."""
    down = int(np.argmax(np.abs(gravity)))
    reach = (SKIN.radius_x, SKIN.radius_y)[down]
    faces = np.sort(np.array([reach + 2, reach + 12]) * np.sign(gravity[down]))
    low, high = np.full(3, -170.0), np.full(3, 170.0)
    low[2], high[2] = -LENGTH_MM, LENGTH_MM
    low[down], high[down] = faces
    table = Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    canvas.draw(table, -650)
    return canvas.mask(table)


def _draw_bones(canvas: Canvas) -> dict[str, Mask]:
    """Bone with its marrow; the discs between the vertebrae are none."""
    bones = (
        RibCage(),
        Box((-16, -100, -60), (16, -90, 110)),  # sternum
        Column(0, 62, 19, 15),
        Column(0, 90, 9, 9),  # spinous processes
    )
    for bone in bones:
        canvas.draw(bone, CORTEX_HU)
    canvas.draw(Box((-13, -98, -57), (13, -92, 107)), MARROW_HU)
    canvas.draw(Column(0, 62, 17, 13), MARROW_HU)
    for bottom in np.arange(-10, 10) * VERTEBRA_MM:
        canvas.draw(Column(0, 62, 19, 15, bottom, bottom + DISC_MM), DISC_HU)
    canvas.draw(Column(0, 82, 8, 6), MUSCLE_HU)  # spinal canal
    discs = np.asarray(canvas.hu == np.float32(DISC_HU), np.bool_)
    return {"bone": np.asarray(canvas.hu > DISC_HU, np.bool_), "discs": discs}


def _draw_lungs(canvas: Canvas, gravity: Point) -> dict[str, Mask]:
    x, y, z = canvas.coordinates(tuple(slice(0, n) for n in canvas.shape))
    depth = x * gravity[0] + y * gravity[1] + z * gravity[2]
    parenchyma = np.broadcast_to(LUNG_HU + DEPENDENT_HU_PER_MM * depth, canvas.shape)
    outside = ~canvas.mask(PLEURAL_SPACE)
    for solid in (HEART, LIVER, STOMACH, *AORTA):
        outside |= canvas.mask(solid)
    masks = {}
    for side, solid in LUNGS.items():
        masks[f"{side}_lung"] = canvas.mask(solid) & ~outside
        np.copyto(canvas.hu, parenchyma, where=masks[f"{side}_lung"])
    return masks


def _draw_vessels(canvas: Canvas, masks: dict[str, Mask], seed: int) -> None:
    """Vessels that fan out from each hilum; they count as lung."""
    rng = np.random.default_rng(seed)
    for side, lung in LUNGS.items():
        hilum = np.array(HILUM[side])
        for _ in range(BRANCHES):
            end = np.array(lung.centre) + _direction(rng) * np.array(lung.radii) * 0.55
            _draw_vessel(canvas, hilum, end, 3.2, masks[f"{side}_lung"])
            for _ in range(TWIGS):
                tip = end + _direction(rng) * np.array(lung.radii) * 0.35
                _draw_vessel(canvas, end, tip, 1.8, masks[f"{side}_lung"])


def _direction(rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    vector = rng.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))


def _draw_vessel(
    canvas: Canvas,
    start: np.ndarray[tuple[int], np.dtype[np.float64]],
    end: np.ndarray[tuple[int], np.dtype[np.float64]],
    radius: float,
    lung: Mask,
) -> None:
    tube = Tube((start[0], start[1], start[2]), (end[0], end[1], end[2]), radius)
    canvas.draw(tube, BLOOD_HU, within=lung)


def _draw_emphysema(canvas: Canvas, lung: Mask, radius_mm: float) -> Mask:
    if radius_mm <= 0:
        return np.zeros(canvas.shape, np.bool_)
    pocket = canvas.mask(Ellipsoid(EMPHYSEMA_CENTRE, (radius_mm,) * 3)) & lung
    np.copyto(canvas.hu, np.float32(EMPHYSEMA_HU), where=pocket)
    return pocket


def _draw_organs(canvas: Canvas, gravity: Point, spine: Mask) -> dict[str, Mask]:
    inside = canvas.mask(PLEURAL_SPACE) & ~spine
    organs: dict[str, tuple[Solid, ...]] = {
        "stomach": (STOMACH,),
        "liver": (LIVER,),
        "heart": (HEART,),
        "aorta": AORTA,
    }
    values = {"stomach": 20.0, "liver": LIVER_HU, "heart": BLOOD_HU, "aorta": BLOOD_HU}
    masks = {name: np.zeros(canvas.shape, np.bool_) for name in organs}
    for name, solids in organs.items():
        for solid in solids:
            here = canvas.mask(solid) & inside
            for other in masks.values():
                other &= ~here
            masks[name] |= here
            np.copyto(canvas.hu, np.float32(values[name]), where=here)
    # Gas rises to the side that lies above.
    gas = (72 - 30 * gravity[0], 10 - 30 * gravity[1], -125.0)
    canvas.draw(Ellipsoid(gas, (22, 20, 13)), AIR_HU, within=masks["stomach"])
    return masks


def _draw_airways(canvas: Canvas, masks: dict[str, Mask]) -> Mask:
    """Walls only outside the lungs: inside, air runs on into the parenchyma."""
    mediastinum = ~(masks["right_lung"] | masks["left_lung"])
    lumen = np.zeros(canvas.shape, np.bool_)
    for tube in AIRWAYS:
        wall = Tube(tube.start, tube.end, tube.radius + WALL_MM)
        canvas.draw(wall, MUSCLE_HU, within=mediastinum)
        lumen |= canvas.mask(tube)
    np.copyto(canvas.hu, np.float32(AIR_HU), where=lumen)
    for name in ("heart", "aorta", "bone"):
        masks[name] &= ~lumen
    return lumen
