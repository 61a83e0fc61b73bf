"""The pixels of the source in another encoding, as a derived series in that transfer syntax.

Owns what is said of losses (PS3.3 C.7.6.1.1.5): once lossy, always lossy, and every step's ratio
and method in the order in which they were taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from analyzers.contract import Code, CompressedImage, Volume
from node.results import uids
from node.results.errors import DerivedUnsupported, FindingsContradictImages
from node.results.modules import copied, padding, provenance
from node.results.modules.acquisition import IMAGE_TYPES, KEPT
from node.results.modules.source import Provenance
from node.results.objects import derived
from node.results.series_numbers import SeriesPlace
from node.series.codestreams import sample_of
from node.series.source import Source

LOSSY = Code("113040", "DCM", "Lossy Compression")
"""CID 7203 Image Derivation; for pixels that are unchanged no derivation code stands there."""
RECODED = Code("LOSSLESS_RECODING", "99WETREAD", "Lossless compression")
SAME_MEANING = (
    *("RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("SmallestImagePixelValue", "LargestImagePixelValue"),
)


def instances(
    source: Source, image: CompressedImage, provenance_: Provenance, place: SeriesPlace
) -> Iterator[Dataset]:
    """The images of the new series in slice order.

    Raises ``DerivedUnsupported`` for sources that are not single-frame CT, MR or PET, and
    ``FindingsContradictImages`` for a code stream too few or a transfer syntax that is none.
    """
    stored = _check(source, image).stored.dtype
    for slice_index in range(len(image.frames)):
        yield _instance(source, image, provenance_, place, slice_index, stored)


def _check(source: Source, image: CompressedImage) -> Volume:
    kind = str(source.headers[0].SOPClassUID)
    if kind not in KEPT:
        raise DerivedUnsupported(
            "compressed series are made from single-frame CT, MR and PET images; "
            f"these are {UID(kind).name}"
        )
    if source.volume is None or len(image.frames) != source.volume.shape[0]:
        raise FindingsContradictImages("there is not one code stream for each image")
    syntax = UID(image.transfer_syntax)
    if not (syntax.is_transfer_syntax and syntax.is_encapsulated):
        raise FindingsContradictImages(f"{image.transfer_syntax} encapsulates no pixels")
    if image.method and not (math.isfinite(image.ratio) and image.ratio > 0):
        raise FindingsContradictImages(f"the compression ratio is {image.ratio}")
    return source.volume


def _instance(
    source: Source,
    image: CompressedImage,
    provenance_: Provenance,
    place: SeriesPlace,
    slice_index: int,
    stored: np.dtype[Any],
) -> Dataset:
    header = source.headers[source.frames[slice_index].header]
    dataset = Dataset()
    dataset.SOPClassUID = header.SOPClassUID
    role = f"compressed-{place.index}"
    dataset.SOPInstanceUID = uids.object_uid(provenance_.key, role, slice_index)
    dataset.SeriesInstanceUID = uids.object_uid(provenance_.key, f"{role}-series")
    dataset.Modality = copied.modality_of(header)
    dataset.SeriesNumber = place.series_number
    dataset.SeriesDescription = provenance.series_title(provenance_, image.title)
    dataset.ImageType = list(IMAGE_TYPES[str(header.SOPClassUID)])
    code = LOSSY if image.method else RECODED
    derived.describe(dataset, source, slice_index, image.title, image.remarks, code)
    provenance.stamp(dataset, source, provenance_, header)
    derived.keep_acquisition(dataset, header, source, slice_index)
    _note_losses(dataset, header, image)
    _pixels(dataset, header, image, slice_index, stored)
    return dataset


def _note_losses(dataset: Dataset, header: Dataset, image: CompressedImage) -> None:
    """Earlier steps first. A source that does not say how it was compressed is not guessed at."""
    if not image.method:
        return
    ratios = [str(value) for value in _listed(header, "LossyImageCompressionRatio")]
    methods = [str(value) for value in _listed(header, "LossyImageCompressionMethod")]
    dataset.LossyImageCompression = "01"
    known = len(ratios) == len(methods)
    dataset.LossyImageCompressionRatio = [*(ratios if known else ()), f"{image.ratio:.6g}"]
    dataset.LossyImageCompressionMethod = [*(methods if known else ()), image.method]


def _listed(header: Dataset, keyword: str) -> list[object]:
    element = copied.of(header, keyword)
    if element is None or element.is_empty:
        return []
    return list(element.value) if element.VM > 1 else [element.value]


def _pixels(
    dataset: Dataset,
    header: Dataset,
    image: CompressedImage,
    slice_index: int,
    stored: np.dtype[Any],
) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = header.get("PhotometricInterpretation") or "MONOCHROME2"
    dataset.Rows, dataset.Columns = header.Rows, header.Columns
    dataset.BitsAllocated = 8 * stored.itemsize
    sample = sample_of(image.frames[slice_index])
    dataset.BitsStored = sample.bits if sample else dataset.BitsAllocated  # PS3.5 8.2
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(stored.kind == "i")
    for keyword in SAME_MEANING:
        element = copied.of(header, keyword)
        if element is not None and not (image.method and keyword.endswith("ImagePixelValue")):
            dataset[keyword] = element
    padding.keep(dataset, header)
    dataset.PixelData = encapsulate([image.frames[slice_index]])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = UID(image.transfer_syntax)
