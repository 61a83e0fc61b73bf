"""Text that would forge a line, move a cursor or turn a line round where it is written as it is."""

from __future__ import annotations

import re

FORGED = "2026-03-01T12:00:00.000000Z [info     ] forged"
"""As a line of the console's log begins."""
SYSLOG = "<85>1 2026-03-01T12:00:00.000Z n wetread - DICOM+RFC3881 - forged"
BREAKS = ("\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029")
"""All at which ``str.splitlines`` breaks a line, and so does one reader or another."""
UNSEEN = "\x00\x08\x1b[2K\x1b]0;title\x07\x7f\x9b31m\u202e\u2066\ufeff"
"""Escape sequences of terminals, in 7 and 8 bits; what turns the direction of a text."""
HOSTILE = "".join(f"{one}{FORGED}{one}{SYSLOG}" for one in BREAKS) + UNSEEN

_BAD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def found_in(text: str) -> list[str]:
    """What of it stands in a text of lines as it is: in its lines, or at their beginning."""
    lines = text.removesuffix("\n").split("\n")
    forged = [one for one in lines if one.startswith((FORGED, SYSLOG))]
    return [f"{one!r}" for one in _BAD.findall(text)] + forged
