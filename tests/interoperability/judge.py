"""Whether what a client told is what the node holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom

from tests.interoperability.clients import Told
from tests.interoperability.target import Target

SERVICES = ("find", "get", "move", "qido", "wado", "uri", "metadata", "frames", "rendered", "stow")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one service: what was done, or what was wrong."""

    is_right: bool
    text: str


def judged(service: str, told: Told, there: Target) -> Verdict:
    """Compare all that was told; the first thing that is wrong counts."""
    if "error" in told:
        return Verdict(False, str(told["error"]))
    done = []
    for what, value in told.items():
        wrong = _CHECKS[what](value, there)
        if wrong:
            return Verdict(False, f"{what}: {wrong}")
        done.append(_SAID[what].format(len(value) if isinstance(value, list) else value))
    return Verdict(True, ", ".join(one for one in done if one))


def _same(expected: Callable[[Target], tuple[str, ...]]) -> Callable[[list[str], Target], str]:
    def check(value: list[str], there: Target) -> str:
        wanted = expected(there)
        if sorted(value) == sorted(wanted):
            return ""
        missing, more = len(set(wanted) - set(value)), len(set(value) - set(wanted))
        return f"{len(value)} of {len(wanted)}, {missing} missing, {more} that are none"

    return check


def _unaltered(folder: str, there: Target) -> str:
    """Images that were written to a folder have every element as it was sent."""
    checked = 0
    for file in Path(folder).iterdir():
        image = pydicom.dcmread(file)
        source = there.sources.get(str(image.SOPInstanceUID))
        if source is not None:
            checked += 1
            if image != pydicom.dcmread(source):
                return "an image has other elements than were sent"
    return "" if checked == len(there.images) else f"{checked} images, not {len(there.images)}"


def _stored(value: list[str], there: Target) -> str:
    sent = [str(pydicom.dcmread(file).SOPInstanceUID) for file in there.files]
    return "" if sorted(sent) == sorted(value) else f"{len(value)} of {len(sent)}"


_CHECKS = {
    "studies": _same(lambda there: (there.study,)),
    "series": _same(lambda there: there.series),
    "instances": _same(lambda there: there.instances),
    "images": _same(lambda there: there.images),
    "folder": _unaltered,
    "stored": _stored,
    "frame": lambda value, there: "" if value == there.frame_sha256 else "other pixels",
    "bytes": lambda value, there: "" if value > 500 else f"{value} bytes",
    "note": lambda value, there: "",
}
_SAID = {
    "studies": "{} study",
    "series": "{} series",
    "instances": "{} instances",
    "images": "{} images",
    "folder": "unaltered",
    "stored": "{} instances stored",
    "frame": "pixels as sent",
    "bytes": "a picture",
    "note": "{}",
}
