"""Second differences of a plane, in which noise is left and nothing that is smooth.

Immerkær, Computer Vision and Image Understanding 1996;64:300, DOI 10.1006/cviu.1996.0060.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
SPREAD = 6.0
"""Standard deviation of the second differences of noise whose own is 1."""


def second_differences(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of a plane ``(rows, columns)``, in its unit and shape."""
    import cv2

    return np.asarray(cv2.filter2D(plane, -1, _KERNEL), np.float32)
