"""What every Secondary Capture of the node has in common (PS3.3 A.8.1), in colour and for people.

A picture of images is none of a modality's: it is OT, derived, and says whether it can hold what
was burned into the images.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from node.results.modules import provenance
from node.results.modules.acquisition import part_of_body
from node.results.modules.source import Provenance
from node.results.pictures.fonts import font
from node.series.source import Source
from storage.header import values

OWN_MODALITY = "OT"
"""PS3.3 C.7.3.1.1.1: no modality made these; hanging protocols for the originals pass them over."""
_CROSS_SECTIONS = frozenset({"CT", "MR", "PT"})


def begin(source: Source) -> Dataset:
    """A capture of which series, numbers and pixels are the caller's."""
    dataset = Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.Modality = OWN_MODALITY
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = ""
    part_of_body(dataset, source.headers[0])
    burned_in = burned_in_annotation(source)
    if burned_in:
        dataset.BurnedInAnnotation = burned_in
    return dataset


def burned_in_annotation(source: Source) -> str:
    """Burned In Annotation (0028,0301) of a picture of the images; empty where nobody knows.

    It asks for what identifies patient and date, and nothing of that is ever drawn: the images'
    own answer holds. A CT, MR or PET that has a place in space was measured and has none.
    """
    header = source.headers[0]
    given = values.text(header, "BurnedInAnnotation").upper()
    if given in ("YES", "NO"):
        return given
    placed = source.volume is not None and not source.volume.projection
    measured = values.text(header, "Modality") in _CROSS_SECTIONS
    return "NO" if placed and measured else ""


def finish(
    dataset: Dataset, source: Source, provenance_: Provenance, picture: NDArray[np.uint8]
) -> None:
    """Stamp it, and give it its pixels: uint8 RGB."""
    provenance.stamp(dataset, source, provenance_, source.headers[0])
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = picture.shape[:2]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    pixels = np.ascontiguousarray(picture).tobytes()
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


# --- the warning below an image -------------------------------------------------------------------

LEAST_WIDTH = 240
"""Pixels that the warning needs."""
_PAPER, _INK = (0, 0, 0), (255, 200, 80)


def enlargement(columns: int) -> int:
    """How often each pixel of a narrow image is written, that the warning fits below it."""
    return -(-LEAST_WIDTH // columns)


def warned(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """The picture with a line of text below it, which covers nothing of it."""
    factor = enlargement(picture.shape[1])
    whole = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    columns = whole.shape[1]
    size = _fitting(text, columns)
    strip = Image.new("RGB", (columns, size + 8), _PAPER)
    ImageDraw.Draw(strip).text((4, 3), text, _INK, font(size, bold=True))
    return np.vstack([whole, np.asarray(strip)])


@cache
def _fitting(text: str, columns: int) -> int:
    """Letters a fortieth of the image wide, smaller where the line would not fit."""
    size = min(max(columns // 40, 12), 40)
    while size > 6 and font(size, bold=True).getlength(text) > columns - 8:
        size -= 1
    return size
