"""Takes out of a log line what may identify a patient, whoever logs it.

Works by name (``patient_id``, ``accession``, ``StudyDescription``), by form (UIDs, ``Doe^Jane``)
and by type (data sets), in nested values too. It is the last line of defence, not a licence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

REDACTED = "redacted"

_PERSONAL_KEY = re.compile(
    r"patient|person|birth|accession|physician|operator|address|phone|insurance|mrn|^dob$|^sex$"
    r"|description|comment|institution|study_?date|study_?time|dataset|data_set|header",
    re.IGNORECASE,
)
_UID_KEY = re.compile(r"uids?$", re.IGNORECASE)
_UID = re.compile(r"(?<![\d])(?<!\d\.)(?:2\.25\.\d+|[0-2](?:\.\d+){4,})")
"""PS3.5 chapter 9. Five components or more: IP addresses and versions have fewer."""
_NAME = re.compile(r"[^\W\d_][\w.'’-]*(?:\^+[\w.'’ -]*)+(?<!['’ ])")
"""VR PN: components with carets between."""


def study_digest(uid: str) -> str:
    """A short stand-in for a UID: the same in every line, and no way back."""
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


def redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: what may identify a patient goes, UIDs become digests."""
    for key, value in list(event.items()):
        if not key.startswith("_"):  # structlog's own
            event[key] = _clean(key, value)
    if event.get("logger") == "py.warnings":
        event["event"] = _without_message(str(event.get("event", "")))
    return event


def redacted(text: str) -> str:
    """A text that may quote a header – an exception's – without UIDs and names."""
    return _clean_text("", text)


def _clean(key: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return REDACTED if _PERSONAL_KEY.search(key) and value is not None else value
    if _PERSONAL_KEY.search(key):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(inner): _clean(str(inner), one) for inner, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(key, one) for one in value]
    if type(value).__module__.partition(".")[0] == "pydicom" and not isinstance(value, str):
        return REDACTED  # data sets and elements
    return _clean_text(key, str(value))


def _clean_text(key: str, text: str) -> str:
    if _UID_KEY.search(key):
        return f"uid:{study_digest(text)}"
    text = _UID.sub(lambda found: f"uid:{study_digest(found[0])}", text)
    return _NAME.sub("[name]", text)


def _without_message(warning: str) -> str:
    """Where a Python warning came from and its kind: pydicom's messages quote values of headers."""
    found = re.match(r".*?:\d+: \w+", warning)
    return found[0] if found else "a warning"
