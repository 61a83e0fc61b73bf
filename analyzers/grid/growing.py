"""Region growing face to face on a grid, of a growing set of voxels: each is looked at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]
NEVER = 255


class Growing:
    """A region of a grid that spreads to its neighbours of up to a level.

    ``levels`` has three axes; ``NEVER`` is never entered. What is reached stays reached.
    """

    def __init__(self, levels: NDArray[np.uint8], seed: Mask) -> None:
        self._shape = levels.shape
        around = np.full([size + 2 for size in levels.shape], NEVER, np.uint8)
        around[1:-1, 1:-1, 1:-1] = levels
        self._levels = around.reshape(-1)
        self._steps = [sign * step for step in self._strides() for sign in (1, -1)]
        self.places = self._of(seed)
        self._levels[self.places] = NEVER

    def spread(self, level: int, most: float = np.inf) -> Places | None:
        """Enter all that is joined to the region through voxels of at most this level.

        Gives the places entered; None, and the region stays as it was, where they are more than
        ``most``.
        """
        entered: list[Places] = []
        count, front = 0, self.places
        while front.size:
            front = self._entered(front, level)
            entered.append(front)
            count += front.size
            if count > most:
                return None
        found = np.concatenate(entered) if entered else self.places[:0]
        self.places = np.concatenate([self.places, found])
        return found

    def mask(self) -> Mask:
        """The region on the grid."""
        return self.mask_of(self.places)

    def mask_of(self, places: Places) -> Mask:
        """Some of its places on the grid."""
        around = np.zeros(self._levels.shape, bool)
        around[places] = True
        inner: Mask = around.reshape([size + 2 for size in self._shape])[1:-1, 1:-1, 1:-1]
        return inner

    def _entered(self, front: Places, level: int) -> Places:
        new = []
        for step in self._steps:
            beside = front + step
            beside = beside[self._levels[beside] <= level]
            self._levels[beside] = NEVER
            new.append(beside)
        return np.concatenate(new)

    def _strides(self) -> tuple[int, int, int]:
        _, rows, columns = (size + 2 for size in self._shape)
        return rows * columns, columns, 1

    def _of(self, mask: Mask) -> Places:
        z, y, x = np.unravel_index(np.flatnonzero(mask), mask.shape)
        plane, row, column = self._strides()
        return (z + 1) * plane + (y + 1) * row + (x + 1) * column
