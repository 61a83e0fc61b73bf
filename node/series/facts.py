"""What the index knows of a series: enough to ask an analyzer's input contract, no file is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from analyzers.contract import Plane, SeriesFacts
from node.series.frames import PROJECTIONS
from node.series.geometry import distinct, nearest_plane
from storage.header.attributes import instance_values, series_values
from storage.records import Header, StoredSeries

NO_AGENT = frozenset({"NO", "NONE", "N", "N/A", "NA", "NIL", "WITHOUT", "W/O", "UNENHANCED"})
"""What people write into Contrast/Bolus Agent where there was none."""
_OF_IMAGES = (
    *("ImageType", "Rows", "NumberOfFrames", "SliceThickness"),
    *("ImagePositionPatient", "ImageOrientationPatient", "ViewPosition"),
)
"""What is asked of each image."""


def facts(series: StoredSeries) -> SeriesFacts:
    """What is known of a series from its indexed headers alone."""
    headers = [one.header for one in series.instances]
    return replace(_facts(series.header, headers or [series.header]), instances=len(headers))


def facts_of(headers: Sequence[Dataset]) -> SeriesFacts:
    """The same from the headers of the images themselves."""
    return _facts(series_values(headers[0]), [instance_values(one, _OF_IMAGES) for one in headers])


def _facts(series: Header, headers: Sequence[Header]) -> SeriesFacts:
    plane = _plane(headers)
    positions = [position for header in headers for position in _positions(header)]
    thicknesses = [value for header in headers for value in _numbers(header, "SliceThickness")]
    return SeriesFacts(
        modality=_text(series, "Modality"),
        instances=len(headers),
        slices=_slices(series, headers),
        plane=plane,
        spacing_mm=_spacing_mm(headers, positions) if plane else None,
        thickness_mm=median(thicknesses) if thicknesses else None,
        contrast=_contrast(series),
        image_type=_image_type(headers),
        body_part=_text(series, "BodyPartExamined"),
        description=_text(series, "SeriesDescription"),
        view=(_text(headers[0], "ViewPosition") or _text(series, "ViewPosition")).upper(),
    )


def _slices(series: Header, headers: Sequence[Header]) -> int:
    """Frames that have a place; of an image without one its frames, so that whoever reads it says
    by name what is wrong with it. Radiographs have none, and are the one slice of a volume."""
    if _text(series, "Modality") in PROJECTIONS and not any(map(_positions, headers)):
        return len(headers)
    return sum(len(_positions(header)) or _frames(header) for header in headers)


def _frames(header: Header) -> int:
    if "Rows" not in header:
        return 0
    number = _numbers(header, "NumberOfFrames")
    return max(int(number[0]), 1) if number else 1


def _plane(headers: Sequence[Header]) -> Plane | None:
    """The plane that all images share."""
    planes = {nearest_plane(cosines) for cosines in _orientations(headers)}
    return planes.pop() if len(planes) == 1 else None


def _orientations(headers: Sequence[Header]) -> list[tuple[float, ...]]:
    found = (_numbers(header, "ImageOrientationPatient") for header in headers)
    return [cosines for cosines in found if len(cosines) == 6]


def _positions(header: Header) -> list[tuple[float, ...]]:
    """Of a multi-frame image the positions of its frames, else the image's own."""
    listed = header.get("FramePositions") or [header.get("ImagePositionPatient")]
    places = (_floats(place) for place in listed)
    return [place for place in places if len(place) == 3]


def _spacing_mm(headers: Sequence[Header], positions: Sequence[tuple[float, ...]]) -> float | None:
    """Median distance between neighbouring positions along the normal."""
    cosines = _orientations(headers)[0]
    normal = np.cross(cosines[:3], cosines[3:])
    depths = distinct(np.array(positions).reshape(-1, 3) @ normal)
    return round(float(np.median(np.diff(depths))), 4) if len(depths) > 1 else None


def _contrast(header: Header) -> bool | None:
    """True or False only where the header says so.

    An absent Contrast/Bolus module means that none was given or that nobody filled it in, an empty
    agent (type 2) that it is not known: both leave the question open (PS3.3 C.7.6.4).
    """
    agent = _text(header, "ContrastBolusAgent").upper()
    if agent:
        return agent not in NO_AGENT
    return True if header.get("ContrastBolusAgentSequence") else None


def _image_type(headers: Sequence[Header]) -> tuple[str, ...]:
    """The Image Type that most images have."""
    kinds = Counter(_texts(header.get("ImageType")) for header in headers)
    return kinds.most_common(1)[0][0]


# --- values as the index keeps them ---------------------------------------------------------------


def _text(header: Header, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value).strip()


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split("\\")) if value else ()
    return tuple(str(part) for part in value or ())


def _numbers(header: Header, keyword: str) -> tuple[float, ...]:
    return _floats(header.get(keyword))


def _floats(value: Any) -> tuple[float, ...]:
    """The numbers in a value; none where one of them is not finite or no number."""
    parts = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    try:
        numbers = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        return ()
    return numbers if np.isfinite(numbers).all() else ()
