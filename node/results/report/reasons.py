"""Why there is no result, in sentences fit for a report: for a radiologist, and without a patient.

No reason holds a traceback, a path or a value that names the patient.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom.dataset import Dataset

from node.results.words import phrases, sentences
from node.series.source import Source
from storage.header import values

MAX_REASON = 300
"""Characters of a reason; what is longer was not written for a reader."""

_PATH = re.compile(r"(?:[A-Za-z]:)?[\\/](?:[\w.\-]+[\\/])+[\w.\-]*")
_WHERE = re.compile(r"\s*(?:Traceback \(most recent call last\)|File \"|\bat line \d).*", re.DOTALL)


def texts(source: Source, reasons: Sequence[str], language: str) -> list[str]:
    """The reasons, one line each; that none was given where nothing of them is left."""
    said = [_reason(source.headers[0], reason, language) for reason in reasons]
    return [text for text in said if text] or [sentences.NO_REASON(language)]


def _reason(header: Dataset, reason: str, language: str) -> str:
    lines = _WHERE.sub("", reason).strip().splitlines()
    text = phrases.shown(lines[0].strip(), language) if lines else ""
    text = _PATH.sub(sentences.PATH_REMOVED(language), text)
    for value in _identifying(header):
        text = re.sub(re.escape(value), sentences.REMOVED(language), text, flags=re.IGNORECASE)
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 1].rstrip()}…"


def _identifying(header: Dataset) -> list[str]:
    """Values of the header that name the patient or the visit, longest first."""
    found = {
        values.text(header, keyword)
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber")
    }
    found |= {part for name in found for part in re.split(r"[\^=]", name)}
    return sorted((value for value in found if len(value) > 2), key=len, reverse=True)
