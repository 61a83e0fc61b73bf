"""Compressed pixels that were decoded before: taken from the shelf, or put there ahead of a job.

Of the same stored bytes, by the same decoder, the same values: what lies on the shelf is what
``node.series.pixels`` gave. Uncompressed images are read as fast from their own files, and are not
kept a second time.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from node.series.frames import frame_count
from node.series.geometry import UnsupportedSeries
from node.series.pixels import (
    ImageFile,
    Target,
    decoder_of,
    is_image,
    pixel_format,
    read_header,
    read_pixels,
    transfer_syntax,
)
from storage.files.blobs import Blob
from storage.files.decoded_shelf import DecodedShelf, MadeOf
from storage.files.seal import seal_of
from storage.header import values

RULES = "1"
"""Raised when ``node.series.pixels`` comes to other values of the same stream."""
LARGEST_BYTES = 1 << 28
"""Of one image, decoded: larger ones are left to the job."""


@dataclass(slots=True)
class Shelf:
    """A job's way to decoded pixels, with the count of what it found."""

    kept: DecodedShelf | None = None
    hits: int = 0
    misses: int = 0

    def read(self, image: ImageFile, targets: Sequence[Target]) -> str:
        """``read_pixels``, of compressed images from the shelf where they lie there.

        Raises
        ------
        UndecodablePixels, OSError
        """
        made_of = _made_of(image) if self.kept else None
        if self.kept is None or made_of is None:
            return read_pixels(image, targets)
        frames = sorted(targets, key=lambda one: one.frame)
        is_all = [one.frame for one in frames] == list(range(frame_count(image.header)))
        if is_all and self.kept.take(made_of, [one.array.data.cast("B") for one in frames]):
            self.hits += 1
            return made_of.decoder.partition("; ")[0]
        self.misses += 1
        return read_pixels(image, targets)


def keep(source: Blob, shelf: DecodedShelf) -> int:
    """Decode an image and put it on the shelf; gives how many bytes that took, 0 where there is
    nothing to be kept.

    Raises
    ------
    OSError
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = read_header(source)
            made_of = _made_of(image)
            if made_of is None or shelf.has(made_of) or not is_image(image.header):
                return 0
            form, frames = pixel_format(image.header), frame_count(image.header)
            if form.frame_bytes * frames > LARGEST_BYTES:
                return 0
            array = np.empty((frames, form.rows, form.columns), form.dtype)
            read_pixels(image, [Target(number, array[number]) for number in range(frames)])
        except UnsupportedSeries:
            return 0  # the job that wants it says by name what is wrong
    size = shelf.keep(made_of, [array.data.cast("B")])
    if not source.exists():  # deleted meanwhile, and perhaps before the shelf had this
        shelf.drop(made_of)
        return 0
    return size


def _made_of(image: ImageFile) -> MadeOf | None:
    """None of images that are not compressed, or whose file bears no seal of its own."""
    header, syntax = image.header, transfer_syntax(image.header)
    sealed = seal_of(header.preamble or b"")
    uid = values.text(header, "SOPInstanceUID")
    bits = header.get("BitsStored")
    if not syntax.is_encapsulated or sealed is None or not isinstance(bits, int):
        return None
    study = values.text(header, "StudyInstanceUID")
    if not uid or sealed.sop_instance_uid != uid or not study:
        return None
    decoder = f"{decoder_of(syntax, bits)}; {RULES}"
    return MadeOf(study, uid, sealed.sha256, syntax, decoder)
