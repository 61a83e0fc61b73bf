"""What every Secondary Capture of the node has in common (PS3.3 A.8.1), in colour and for people.

A picture of images is none of a modality's: it is OT, derived, and says whether it can hold what
was burned into the images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from node.results.modules import provenance
from node.results.modules.acquisition import part_of_body
from node.results.modules.source import Provenance
from node.series.source import Source
from storage import values

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
    provenance.stamp(dataset, source, provenance_)
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
