"""Numbers, times and identifiers as the page writes them for people."""

from __future__ import annotations

import math
import re
import socket
from datetime import UTC, datetime
from typing import Any

from node.config.rules import ExistsCondition, MatchesCondition, RangeCondition
from node.results.words.numbers import on_screen
from storage.reading_state import ReadingState
from storage.records import FindingRow, Header, JobState

MINUS = "−"
EVERYWHERE = {"", "0.0.0.0", "::"}
UNREADABLE = "[not readable]"
"""In the place of characters that do not decode by the character set that was declared."""
KINDS = {"dimse": "", "stow": " (STOW-RS)", "folder": " (folder)"}
"""What stands after the name of a destination of each kind."""
SILENT = {
    "dimse": "has not answered",
    "stow": "has not answered",
    "folder": "could not be written to",
}
TRIED = {"dimse": "asked", "stow": "asked", "folder": "tried"}
STATES = {
    "pending": "Waiting",
    "running": "Running",
    "done": "Done",
    "failed": "Failed",
    "not_applicable": "Not applicable",
    "cancelled": "Cancelled",
    "sending": "Sending",
}
"""What states are called."""
_UNDECODED = re.compile("[\ufffd\ud800-\udfff]+")
_STEPS = ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h"))


READING = {
    ReadingState.RECEIVING: "receiving",
    ReadingState.RECEIVED: "received",
    ReadingState.WAITING: "waiting",
    ReadingState.RUNNING: "being analyzed",
    ReadingState.FAILED: "failed",
    ReadingState.FINDING: "finding",
    ReadingState.NOTHING: "nothing found",
    ReadingState.NOT_APPLICABLE: "not applicable",
    ReadingState.READ: "read",
}
"""How far the reading of a study is."""


JOB = {
    JobState.PENDING: "waiting",
    JobState.RUNNING: "running",
    JobState.DONE: "done",
    JobState.FAILED: "failed",
    JobState.NOT_APPLICABLE: "not applicable",
    JobState.CANCELLED: "cancelled",
}


def count(number: int, one: str, many: str) -> str:
    """1 job, 2 jobs, 12 345 jobs."""
    return f"{number:,} {one if number == 1 else many}".replace(",", "\u202f")


def size(number: int) -> str:
    """Bytes in one unit: 9 kB, 1.4 MB."""
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{math.ceil(number / 1e3)} kB"


def percent(value: float) -> str:
    """A share in per cent."""
    return f"{value:.3g}\u202f%"


def number(finding: FindingRow) -> str:
    """A value with as many digits as a reader can use; the text where there is no value."""
    if finding.value is None:
        return finding.text
    if not math.isfinite(finding.value):
        return "not a number"
    if abs(finding.value) >= 99.95:
        text = f"{finding.value:,.0f}".replace(",", " ")
    else:
        text = f"{finding.value:.3g}"
    return text.replace("-", MINUS)


def unit(ucum: str) -> str:
    """A unit as people write it: HU, mL, SUV."""
    return on_screen(ucum)


def span(seconds: float) -> str:
    """A length of time in one unit: 9 s, 4 min, 3 h, 2 days."""
    seconds = max(0.0, seconds)
    for limit, size, word in _STEPS:
        if seconds < limit:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds / 86_400:.0f} days"


def duration(seconds: float) -> str:
    """How long something took; tenths where they matter."""
    return f"{seconds:.1f} s" if seconds < 10 else span(seconds)


def ago(moment: datetime, now: datetime) -> str:
    return f"{span((now - moment).total_seconds())} ago"


def until(moment: datetime | None, now: datetime) -> str:
    if moment is None or moment <= now:
        return "now"
    return f"in {span((moment - now).total_seconds())}"


def next_try(moment: datetime | None, now: datetime) -> str:
    """When what waits is tried again; what is due is in a queue, not under way."""
    if moment is None or moment <= now:
        return "due, next in turn"
    return f"next try in {span((moment - now).total_seconds())}"


def exact(moment: datetime) -> str:
    """To the second, with its zone: for the tooltip of a coarse time."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def masked(patient_id: str) -> str:
    """The last two characters of a patient ID: enough to tell two apart, no more."""
    if not patient_id:
        return "no ID"
    return "…" + patient_id[-2:] if len(patient_id) > 4 else "…"


def person_name(header: Header) -> str:
    """PatientName (VR PN) as it is read: family name first, then the given ones; all its groups."""
    groups = str(header.get("PatientName") or "").split("=")
    said = [
        ", ".join(filter(None, (part.strip() for part in one.split("^")[:2]))) for one in groups
    ]
    return " ".join(filter(None, said)) or "no name"


def study_title(header: Header) -> str:
    """StudyDescription, or in words that there is none that can be read."""
    text = str(header.get("StudyDescription") or "Study without description")
    return text if readable(text) == text else "Study description not readable"


def study_date(header: Header) -> str:
    """StudyDate (VR DA) as ISO 8601; empty when it is missing or no date."""
    text = str(header.get("StudyDate", ""))
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdigit() else ""


def reachable_host(host: str) -> str:
    """What to type at a modality: the address listened on, or this machine's name for all."""
    return socket.gethostname() if host in EVERYWHERE else host


def readable(text: str) -> str:
    """A text that may quote an image, with a word in the place of what does not decode."""
    return text if _is_decoded(text) else _UNDECODED.sub(UNREADABLE, text)


def _is_decoded(text: str) -> bool:
    """Whether every character of it is one; a page is asked this each time it is read."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return "\ufffd" not in text


def missing(said: str) -> str:
    """What a study lacked when a person wanted it analyzed; see ``NewJob.missing``."""
    some, _, of = said.partition("/")
    if not of:
        return (
            "Analyzed before the study was complete; nobody has announced how many images it has."
        )
    return f"Analyzed before the study was complete: {some} of {of} announced images were missing."


def condition(value: Any) -> str:
    """A condition of a rule on an attribute."""
    if isinstance(value, list):
        return f"one of {', '.join(map(str, value))}"
    if isinstance(value, MatchesCondition):
        return f"matched by {value.matches}"
    if isinstance(value, ExistsCondition):
        return "present" if value.exists else "missing"
    if isinstance(value, RangeCondition):
        bounds = (("from", value.min), ("to", value.max))
        return " ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
    return str(value)
