"""Whether images are of one patient. Compares what headers say of who was examined; knows no more.

A value that is not given contradicts none, but for Patient ID: an image without may be anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

IDENTITY = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex",
)  # fmt: skip


def disagreements(said: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """The attributes of ``IDENTITY`` on which headers disagree; none where they are one patient's.

    Case, padding and empty components of a name make no difference.
    """
    headers = list(said)
    return tuple(word for word in IDENTITY if len(_different(word, headers)) > 1)


def _different(word: str, headers: Iterable[Mapping[str, object]]) -> set[str]:
    found = {_plain(word, header.get(word)) for header in headers}
    return found if word == "PatientID" else found - {""}


def _plain(word: str, value: object) -> str:
    text = "" if value is None else str(value).strip(" \0").casefold()
    if word == "PatientBirthDate":
        return text.replace(".", "")
    if word == "PatientName":  # the alphabetic spelling; PS3.5 6.2.1
        return re.sub(r"[\s^,]+", " ", text.partition("=")[0]).strip()
    return text
