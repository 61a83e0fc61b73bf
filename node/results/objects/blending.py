"""A companion in colour over the source, as a Blending Softcopy Presentation State (PS3.3 A.33.4).

What lies above is the derived series on the grid of the source, so no viewer has to resample. The
pixels stay as they are: opacity and shades can be changed while looking.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import ImageCms
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import BlendingSoftcopyPresentationStateStorage

from analyzers.contract import Blending, Findings, Shades
from node.results import uids
from node.results.errors import FindingsContradictImages
from node.results.modules import planes
from node.results.modules.source import Provenance
from node.results.objects import presentation
from node.results.series_numbers import SeriesPlace
from node.results.words import sentences
from node.series.source import Source

LABEL = "BLENDING"
_CHANNELS = (("Red", 0x1101, 0x1201), ("Green", 0x1102, 0x1202), ("Blue", 0x1103, 0x1203))


def build(
    source: Source,
    item: Blending,
    above: Sequence[Dataset],
    provenance_: Provenance,
    place: SeriesPlace,
) -> Dataset:
    """The presentation state, ready to be written; ``above`` are the headers of the images on top.

    Raises ``FindingsContradictImages`` for a palette or an opacity that breaks the contract.
    """
    _check(item, above)
    dataset = Dataset()
    dataset.SOPClassUID = BlendingSoftcopyPresentationStateStorage
    dataset.SOPInstanceUID = uids.object_uid(provenance_.key, "blending", place.index)
    dataset.SeriesInstanceUID = uids.object_uid(provenance_.key, "blending-series", place.index)
    dataset.SeriesNumber = place.series_number
    dataset.InstanceNumber = 1
    dataset.ContentLabel = LABEL
    presentation.describe(dataset, source, provenance_, item.title)
    dataset.BlendingSequence = Items([_under(source, item), _above(above, item)])
    dataset.RelativeOpacity = float(item.opacity)
    _add_palette(dataset, item)
    presentation.stamp(dataset, source, provenance_)
    return dataset


def those_held(source: Source, findings: Findings, language: str) -> Findings:
    """The findings; without blendings, which the report then says, where no state can hold them.

    A state has one rescale for the images below, and theirs may change from slice to slice.
    """
    kept = tuple(item for item in findings.items if not isinstance(item, Blending))
    if len(kept) == len(findings.items) or presentation.has_one_rescale(source):
        return findings
    return Findings(kept, (*findings.remarks, sentences.NO_BLENDING(language)))


def _check(item: Blending, above: Sequence[Dataset]) -> None:
    if item.palette.shape != (256, 3) or item.palette.dtype != np.uint8:
        raise FindingsContradictImages("the palette is not uint8 (256, 3)")
    if item.palette.max(axis=0).min() < 128:  # dciodvfy: less than 8 bits are used
        raise FindingsContradictImages("a channel of the palette has no value above 127")
    if not 0 <= item.opacity <= 1:
        raise FindingsContradictImages("the opacity is not between 0 and 1")
    if not above:
        raise FindingsContradictImages("there is no derived image of the role that is blended")


def _under(source: Source, item: Blending) -> Dataset:
    lower = _shown(source.headers, item.under)
    lower.BlendingPosition = "UNDERLYING"
    presentation.add_rescale(lower, source)
    return lower


def _above(headers: Sequence[Dataset], item: Blending) -> Dataset:
    upper = _shown(headers, item.above)
    upper.BlendingPosition = "SUPERIMPOSED"
    upper.RescaleIntercept = headers[0].get("RescaleIntercept", "0")
    upper.RescaleSlope = headers[0].get("RescaleSlope", "1")
    upper.RescaleType = headers[0].get("RescaleType") or "US"
    return upper


def _shown(headers: Sequence[Dataset], shades: Shades) -> Dataset:
    """The images of one layer and their window, in values after rescale."""
    series = Dataset()
    series.SeriesInstanceUID = headers[0].SeriesInstanceUID
    series.ReferencedImageSequence = Items([planes.instance_reference(one) for one in headers])
    layer = Dataset()
    layer.StudyInstanceUID = headers[0].StudyInstanceUID
    layer.ReferencedSeriesSequence = Items([series])
    layer.SoftcopyVOILUTSequence = Items([presentation.window(shades)])
    return layer


def _add_palette(dataset: Dataset, item: Blending) -> None:
    """PS3.3 C.7.9: 256 entries of 8 bits each."""
    for channel, (_, descriptor, data) in enumerate(_CHANNELS):
        dataset.add(DataElement((0x0028, descriptor), "US", [256, 0, 8]))
        table = np.ascontiguousarray(item.palette[:, channel]).tobytes()
        dataset.add(DataElement((0x0028, data), "OW", table))
    dataset.ICCProfile = _srgb()


@cache
def _srgb() -> bytes:
    """The sRGB profile, dated to its own beginning: a profile made now would differ every time."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[24:36] = np.array([1999, 1, 1, 0, 0, 0], ">u2").tobytes()
    return bytes(made) + b"\0" * (len(made) % 2)
