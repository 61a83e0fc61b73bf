"""Small pictures of previews, made once."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable

from PIL import Image

WIDTH, HEIGHT = 256, 192
"""Twice as many pixels as the page gives them, for fine displays."""
KEPT = 512


class Thumbnails:
    """All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def of(self, key: str, read: Callable[[], bytes]) -> bytes:
        """The thumbnail of a preview by its key. The same key may have other bytes later."""
        picture = read()
        asked = (key, hash(picture))
        with self._lock:
            if asked in self._made:
                self._made.move_to_end(asked)
                return self._made[asked]
        made = _small(picture)
        with self._lock:
            self._made[asked] = made
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        return made


def _small(picture: bytes) -> bytes:
    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB")
    small.thumbnail((WIDTH, HEIGHT))
    written = io.BytesIO()
    small.quantize(64).save(written, "PNG", optimize=True)
    return written.getvalue()
