"""An object whose findings are shapes: regions of a report, annotations, structures' outlines."""

from __future__ import annotations

from collections.abc import Sequence

from node.look.canvas import Canvas, Style
from node.look.over.port import Legend
from node.look.over.shapes import Shape
from node.look.stack import Slice, Stack
from storage.holdings import Held

_WHOLE = 0.9
"""From this share of the image on, a shape says where a number of the whole image was taken."""


class Marks:
    """Shapes with their legend."""

    def __init__(
        self, held: Held, legend: Legend, shapes: Sequence[Shape], abnormal: bool = False
    ) -> None:
        self._held = held
        self.abnormal = abnormal
        self.legend = legend
        self._shapes = tuple(shapes)
        self._rgb = {one.number: one.rgb for one in legend.entries}

    @property
    def size_bytes(self) -> int:
        return 2048 + sum(one.points.nbytes + 256 for one in self._shapes)

    def draw(self, canvas: Canvas, stack: Stack, shown: Slice, style: Style) -> None:
        for shape in self._shapes:
            is_left_out = (self._held.id, shape.entry) in style.without
            if not is_left_out and shape.lies_on(shown):
                shape.draw(canvas, shown, self._rgb.get(shape.entry, (255, 210, 60)))

    def best(self, stack: Stack) -> int | None:
        """The slice of the first finding's largest shape that is no frame round the image."""
        whole: int | None = None
        for entry in self.legend.entries:
            found: list[tuple[float, float, int]] = []
            for shape in (one for one in self._shapes if one.entry == entry.number):
                for index in self._slices(stack, shape):
                    shown = stack.slices[index]
                    area = shape.area(shown)
                    if area < _WHOLE * shown.rows * shown.columns:
                        found.append((area, stack.counted(index), index))
                    whole = index if whole is None else whole
            if found:
                return _middle_of_largest(found)
        return whole

    @staticmethod
    def _slices(stack: Stack, shape: Shape) -> list[int]:
        if shape.sop_instance_uid and not shape.is_in_space and len(shape.frames) == 1:
            index = stack.index_of(shape.sop_instance_uid, min(shape.frames))
            return [] if index is None else [index]
        return [index for index, one in enumerate(stack.slices) if shape.lies_on(one)]


def _middle_of_largest(found: Sequence[tuple[float, float, int]]) -> int:
    """A box is as large on each slice that it crosses: the middle one of them, as reports count."""
    largest = max(area for area, _, _ in found)
    slices = sorted((at, index) for area, at, index in found if area >= largest - 1e-6)
    return slices[(len(slices) - 1) // 2][1]
