"""What the softcopy presentation states of a series share, and those that hold a window alone.

A Grayscale Softcopy Presentation State (PS3.3 A.33.1) shows the images it refers to in a window.
"""

from __future__ import annotations

import re

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from analyzers.contract import Shades, WindowPreset
from node.results import uids
from node.results.errors import DerivedUnsupported, FindingsContradictImages
from node.results.modules import origin, planes, provenance, subject
from node.results.modules.acquisition import part_of_body
from node.results.modules.source import Provenance
from node.results.series_numbers import SeriesPlace
from node.series.source import Source


def has_one_rescale(source: Source) -> bool:
    """Whether all slices have the same rescale: a presentation state holds one for the series."""
    volume = origin.volume_of(source)
    return bool(np.ptp(volume.slope) == 0 and np.ptp(volume.intercept) == 0)


def build(
    source: Source, item: WindowPreset, provenance_: Provenance, place: SeriesPlace
) -> Dataset:
    """The state of one preset, ready to be written.

    Raises ``FindingsContradictImages`` where the darkest shade is not below the brightest, and
    ``DerivedUnsupported`` where the images have more than one rescale.
    """
    if not has_one_rescale(source):
        raise DerivedUnsupported(
            "the rescale changes from slice to slice: a preset holds one for the series"
        )
    if not item.shades.low < item.shades.high:
        raise FindingsContradictImages("the darkest shade is not below the brightest")
    dataset = Dataset()
    dataset.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    dataset.SOPInstanceUID = uids.object_uid(provenance_.key, "window", place.index)
    dataset.SeriesInstanceUID = uids.object_uid(provenance_.key, "window-series")
    dataset.SeriesNumber = place.series_number
    dataset.InstanceNumber = place.index + 1
    dataset.ContentLabel = _label(item.title)
    describe(dataset, source, provenance_, item.title)
    dataset.SeriesDescription = provenance.series_title(provenance_)
    dataset.ReferencedSeriesSequence = Items([series(source)])
    if "ModalityLUTSequence" not in source.headers[0]:
        add_rescale(dataset, source)
    dataset.SoftcopyVOILUTSequence = Items([window(item.shades)])
    dataset.PresentationLUTShape = "INVERSE" if is_negative(source) else "IDENTITY"
    stamp(dataset, source, provenance_)
    return dataset


def _label(title: str) -> str:
    """Content Label (VR CS): capitals, digits and underscores."""
    return re.sub(r"[^A-Z0-9]+", "_", subject.in_ascii(title).upper()).strip("_")[:16]


def describe(dataset: Dataset, source: Source, provenance_: Provenance, title: str) -> None:
    """Presentation Series, State Identification and Displayed Area (PS3.3 C.11.9, C.11.10, C.10.4).

    The label, numbers and identifiers are the caller's.
    """
    dataset.Modality = "PR"
    named = provenance.text(title)
    dataset.SeriesDescription = provenance.series_title(provenance_, named)
    part_of_body(dataset, source.headers[0])
    dataset.ContentDescription = named
    dataset.ContentCreatorName = ""
    dataset.DisplayedAreaSelectionSequence = Items([_whole_image(source)])


def stamp(dataset: Dataset, source: Source, provenance_: Provenance) -> None:
    """As every object; a state has a date of creation instead of one of content."""
    provenance.stamp(dataset, source, provenance_)
    dataset.PresentationCreationDate = dataset.pop("ContentDate").value
    dataset.PresentationCreationTime = dataset.pop("ContentTime").value


def add_rescale(dataset: Dataset, source: Source) -> None:
    """The source's rescale (PS3.3 C.11.1): without one in the state, stored values are shown."""
    volume = origin.volume_of(source)
    dataset.RescaleIntercept = planes.decimal(float(volume.intercept[0]))
    dataset.RescaleSlope = planes.decimal(float(volume.slope[0]))
    dataset.RescaleType = "HU" if volume.modality == "CT" else "US"


def is_negative(source: Source) -> bool:
    """Whether low values are bright; the rescale of a radiograph has turned them over already."""
    volume = origin.volume_of(source)
    given = source.headers[0].get("PhotometricInterpretation")
    return given == "MONOCHROME1" and not volume.projection


def window(shades: Shades) -> Dataset:
    """An item of Softcopy VOI LUT Sequence (PS3.3 C.11.8), in values after rescale."""
    item = Dataset()
    item.WindowCenter = planes.decimal((shades.low + shades.high) / 2)
    item.WindowWidth = planes.decimal(shades.high - shades.low)
    item.VOILUTFunction = "LINEAR_EXACT"
    return item


def series(source: Source) -> Dataset:
    """An item that refers to all images of the source (PS3.3 C.11.11)."""
    item = Dataset()
    item.SeriesInstanceUID = source.headers[0].SeriesInstanceUID
    item.ReferencedImageSequence = Items([planes.instance_reference(h) for h in source.headers])
    return item


def _whole_image(source: Source) -> Dataset:
    _, rows, columns = origin.volume_of(source).shape
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [columns, rows]
    area.PresentationSizeMode = "SCALE TO FIT"
    here = planes.plane(source, 0)
    if here is None:
        area.PresentationPixelAspectRatio = [1, 1]
    else:
        area.PresentationPixelSpacing = [planes.decimal(value) for value in here.spacing]
    return area
