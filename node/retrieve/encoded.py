"""A data set as it goes out: bytes of a file, whatever they lie in."""

from __future__ import annotations

from io import BufferedIOBase
from typing import NamedTuple


class Encoded(NamedTuple):
    """An encoded data set: so many bytes of a file, from where it stands."""

    file: BufferedIOBase
    length: int
