"""Whether what a source gives is what was asked for: one that does not know a key gives everything.

Pure. Values are compared as C-FIND matches them (PS3.4 C.2.2.2), as far as a wish can name them.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.datadict import dictionary_VR

from node.fetch.source import SourceFault
from node.query.matching import matches
from storage.fetches import Wanted

_LIST = "\\"


def described(wanted: Wanted) -> dict[str, str]:
    """A wish as matching keys of the STUDY level, by keyword; empty ones match all."""
    return {
        "StudyInstanceUID": _LIST.join(wanted.study_uids),
        "PatientID": wanted.patient_id,
        "AccessionNumber": wanted.accession_number,
        "StudyDate": wanted.study_date,
        "ModalitiesInStudy": wanted.modality,
    }


def is_wanted(series_uid: str, modality: str, wanted: Wanted) -> bool:
    """Whether a series of a study that matches is to come."""
    if wanted.series_uids and series_uid not in wanted.series_uids:
        return False
    return not wanted.modality or modality.upper() == wanted.modality.upper()


CHECKED = ("StudyInstanceUID", "PatientID", "AccessionNumber", "StudyDate")
"""The modality is looked at series by series."""


def agrees(source: str, keys: Mapping[str, str], match: Mapping[str, str]) -> bool:
    """Whether a match has the values that were asked for.

    Raises
    ------
    SourceFault
        It leaves out a key that was asked for: whether it matched by it is not known.
    """
    for keyword in CHECKED:
        wanted, value = keys.get(keyword, ""), match.get(keyword)
        if not wanted:
            continue
        if not value:
            raise SourceFault(f"{source} does not look for studies by {keyword}")
        if not _fits(keyword, wanted, value.strip()):
            return False
    return True


def _fits(keyword: str, wanted: str, value: str) -> bool:
    """Letters of either case: some archives compare them so."""
    values = (
        wanted.casefold().split(_LIST) if keyword == "StudyInstanceUID" else [wanted.casefold()]
    )
    return matches(dictionary_VR(keyword), values, [value.casefold()])
