"""Nothing in an object identifies anybody that its images do not name.

Patient, study and requests are copied; a value that the images have not can only be another
person's, or one that was taken out of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from node.results.gate import inherited, sound
from node.results.modules.subject import OPTIONAL_OF_SUBJECT, REQUIRED_OF_SUBJECT
from node.series.source import Source
from storage.header import values

_PATIENT = 0x0010
_OF_REQUESTS = (
    *(
        "AdmissionID",
        "RequestedProcedureID",
        "ScheduledProcedureStepID",
        "PerformedProcedureStepID",
    ),
    *("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"),
    *("RequestingService", "PatientTransportArrangements", "CurrentPatientLocation"),
)
_OWN = frozenset({"DeidentificationMethod"})
"""Said by the node where the images do not say it."""
_IDENTIFYING = frozenset(
    tag_for_keyword(word)
    for word in (*REQUIRED_OF_SUBJECT, *OPTIONAL_OF_SUBJECT, *_OF_REQUESTS)
    if word not in _OWN
)
_ELSEWHERE = frozenset(
    tag_for_keyword(word) for word in ("StudyInstanceUID", "StudyDate", "StudyTime")
)
"""Below the top level also those of other studies, which are referred to."""


def foreign(dataset: Dataset, source: Source) -> list[str]:
    """The identifying attributes, at any depth, that say what no image of the source says."""
    reasons = []
    headers = [header for one in (source, *source.companions.values()) for header in one.headers]
    for element, is_below in _elements(dataset):
        if element.is_empty or (is_below and element.tag in _ELSEWHERE):
            continue
        first = values.element(source.headers[0], element.keyword) if element.keyword else None
        if first is not None and _agrees(element, first):
            continue
        name = element.keyword or str(element.tag)
        if not is_below and element.tag in _OF_SUBJECT:
            if not any(_agrees(element, one) for one in _given(headers, element.keyword)):
                reasons.append(f"{name} is not that of the images")
        elif not any(_agrees(element, one) for one in inherited.anywhere(headers, element.tag)):
            reasons.append(f"{name} is identifying, and not that of the images")
    return list(dict.fromkeys(reasons))


_OF_SUBJECT = frozenset(tag_for_keyword(word) for word in REQUIRED_OF_SUBJECT)


def _given(headers: Sequence[Dataset], keyword: str) -> Iterator[DataElement]:
    found = (values.element(header, keyword) for header in headers)
    return (element for element in found if element is not None)


def _elements(dataset: Dataset, is_below: bool = False) -> Iterator[tuple[DataElement, bool]]:
    for tag in dataset.keys():  # noqa: SIM118 - a data set iterates over elements, and reads all
        vr = _vr(dataset, tag)
        if vr == "SQ":
            yield from _SEEN.unless(sound.of_element(dataset, tag, ()), _of_items(dataset, tag))
        elif _is_identifying(tag, vr):
            yield dataset[tag], is_below


def _of_items(dataset: Dataset, tag: BaseTag) -> Iterator[tuple[DataElement, bool]]:
    for item in dataset[tag].value or ():
        yield from _SEEN.unless(sound.of_item(item, ()), _elements(item, True))


_SEEN = sound.Seen()
"""Sequences and items that hold nothing identifying."""


def _vr(dataset: Dataset, tag: BaseTag) -> str:
    raw = dataset.get_item(tag, keep_deferred=True)
    if isinstance(raw, RawDataElement) and (raw.VR or "UN") == "UN":
        return str(dataset[tag].VR)
    return str(raw.VR)


def _is_identifying(tag: BaseTag, vr: str) -> bool:
    return keyword_for_tag(tag) not in _OWN and (
        vr == "PN" or tag.group == _PATIENT or tag in _IDENTIFYING
    )


def _agrees(ours: DataElement, theirs: DataElement) -> bool:
    """Whether they say the same; of what is not ASCII, which may be spelled with other bytes, only
    that it is there."""
    if inherited.same(ours, theirs):
        return True
    return _in_ascii(ours) == _in_ascii(theirs) != _whole(ours)


def _in_ascii(element: DataElement) -> str:
    return "".join(one for one in _whole(element) if one.isascii() and one != "?")


def _whole(element: DataElement) -> str:
    value = element.value
    parts: Sequence[object] = [value] if element.VM < 2 else list(value)
    texts = (one.decode("latin-1") if isinstance(one, bytes) else str(one) for one in parts)
    return "\\".join(text.strip(" \0") for text in texts)
