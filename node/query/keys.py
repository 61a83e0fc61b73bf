"""Where the value of an attribute comes from at each level of a query."""

from __future__ import annotations

from enum import Enum, auto

from pydicom.datadict import tag_for_keyword

from node.query.asked import Key
from storage.header import attributes
from storage.query import Level

ORDER = tuple(Level)


class Source(Enum):
    """From where an attribute is read."""

    INDEX = auto()
    """The headers that the index keeps of the level itself, and of those above it."""
    COMPUTED = auto()
    """Counted, or listed, from what lies below."""
    SAMPLE = auto()
    """The index, of one instance that speaks for those of the series or study."""
    FILE = auto()
    """The file of that instance."""
    BELOW = auto()
    """A key of a level below: matched by what lies there, and not answered."""
    NOWHERE = auto()
    """Not supported: neither matched nor answered."""


PATIENT = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
)
INDEXED = {
    **dict.fromkeys(attributes.INSTANCE, Level.IMAGE),
    **dict.fromkeys(attributes.SERIES, Level.SERIES),
    **dict.fromkeys(attributes.STUDY, Level.STUDY),
    **dict.fromkeys(PATIENT, Level.PATIENT),
}
"""What the index keeps, and of which level it says something."""
COMPUTED = {
    "NumberOfPatientRelatedStudies": Level.PATIENT,
    "NumberOfPatientRelatedSeries": Level.PATIENT,
    "NumberOfPatientRelatedInstances": Level.PATIENT,
    "NumberOfStudyRelatedSeries": Level.STUDY,
    "NumberOfStudyRelatedInstances": Level.STUDY,
    "ModalitiesInStudy": Level.STUDY,
    "SOPClassesInStudy": Level.STUDY,
    "NumberOfSeriesRelatedInstances": Level.SERIES,
    "AvailableTransferSyntaxUID": Level.IMAGE,
}
BELOW = {
    Level.PATIENT: ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
    Level.STUDY: ("SeriesInstanceUID", "SOPInstanceUID", "Modality", "SOPClassUID"),
    Level.SERIES: ("SOPInstanceUID",),
}
"""Of a level below they are matched too, as in a relational query. PS3.4 C.4.1.3.2.2."""
NOT_KEPT = frozenset(
    (
        "StorageMediaFileSetID",
        "StorageMediaFileSetUID",
        "RetrieveURL",
        "RetrieveURI",
        "PixelData",
        "FloatPixelData",
        "DoubleFloatPixelData",
        "WaveformData",
        "EncapsulatedDocument",
        "SpectroscopyData",
    )
)
"""What the node has no value of, and what is too long for an answer."""


def source(key: Key, level: Level) -> Source:
    """Where a key's value comes from."""
    keyword = key.keyword
    if keyword in NOT_KEPT:
        return Source.NOWHERE
    if keyword in COMPUTED:
        return Source.COMPUTED if _is_above(COMPUTED[keyword], level) else Source.NOWHERE
    at = INDEXED.get(keyword)
    if at is None:
        return Source.FILE
    if _is_above(at, level):
        return Source.INDEX
    if keyword in BELOW.get(level, ()):
        return Source.BELOW
    return Source.NOWHERE if level is Level.PATIENT else Source.SAMPLE


def _is_above(one: Level, level: Level) -> bool:
    """Whether a level is another's, or above it."""
    return ORDER.index(one) <= ORDER.index(level)


def indexed_at(level: Level) -> tuple[Key, ...]:
    """All that the index keeps of a level itself, as keys that ask for it."""
    from node.query.asked import named_key

    names = [name for name, at in INDEXED.items() if at is level]
    return tuple(named_key(name) for name in names if tag_for_keyword(name) is not None)
