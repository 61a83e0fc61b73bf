"""The requests that an object answers, as its images name them.

Documents have a sequence of their own for it (PS3.3 C.17.2); all else has that of the images.
"""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from node.results.modules import copied
from storage.header import values
from storage.header.guarded import undecoded

_DOCUMENTS = "1.2.840.10008.5.1.4.1.1.88."
"""What the UIDs of all SR and Key Object classes begin with (PS3.4 B.5)."""
_NAMED = (
    "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
)


def stamp(dataset: Dataset, header: Dataset) -> None:
    """Name the requests of an image in what was made from it; nothing where it names none."""
    if str(dataset.SOPClassUID).startswith(_DOCUMENTS):
        _refer(dataset, header)
        return
    element = copied.of(header, "RequestAttributesSequence")
    items = [] if element is None else [item for item in element.value or () if len(item)]
    if items:
        dataset.RequestAttributesSequence = Items(items)


def _refer(document: Dataset, header: Dataset) -> None:
    """Referenced Request Sequence: an item a request; for an accession number alone one too."""
    requests = values.items(header, "RequestAttributesSequence")
    if not requests and not _text(header, "AccessionNumber"):
        return
    document.ReferencedRequestSequence = Items(
        _reference(request, header) for request in requests or (header,)
    )


def _reference(request: Dataset, header: Dataset) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = header.StudyInstanceUID
    item.ReferencedStudySequence = []
    codes = copied.of(request, "RequestedProcedureCodeSequence")
    item.RequestedProcedureCodeSequence = [] if codes is None else list(codes.value or ())
    for keyword in _NAMED:
        given = (_text(holder, keyword) for holder in (request, header))
        setattr(item, keyword, next((text for text in given if text), ""))
    return item


def _text(holder: Dataset, keyword: str) -> str:
    """As it is, also where it is too long; empty where it does not decode."""
    text = values.text(holder, keyword)
    return "" if undecoded(text) is not None else text
