"""What PS3.4 says must be found.

The matcher here is plain and slow, written from PS3.4 C.2.2.2 alone, and shares nothing with the
node: it tells which side of a difference the standard is on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from tests.interoperability.queries import Asked

_NAMES = ("PatientName", "ReferringPhysicianName")
_DATES, _TIMES = ("StudyDate", "PatientBirthDate"), ("StudyTime",)
_NUMBERS = ("SeriesNumber", "InstanceNumber")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


def expected(asked: Asked, images: Sequence[Dataset]) -> frozenset[str]:
    """Unique keys of the entities that match. Images carry the modalities of their study."""
    return frozenset(
        str(one.get(asked.unique))
        for one in images
        if all(_matches(one, keyword, value) for keyword, value in asked.keys.items())
    )


def _matches(image: Dataset, keyword: str, value: str | list[str]) -> bool:
    """One of the values asked is one of the values held."""
    several = value if isinstance(value, list) else [value]
    held = image.get(keyword)
    stored = [str(one) for one in held] if isinstance(held, MultiValue) else [str(held or "")]
    return any(_is_one(keyword, one, text) for one in several for text in stored)


def _is_one(keyword: str, asked: str, held: str) -> bool:
    if asked in ("", "*"):
        return True
    if keyword in _DATES or keyword in _TIMES:
        return _in_range(asked, held)
    if keyword in _NUMBERS or keyword == "Rows":
        return held != "" and int(asked) == int(held)
    if keyword in _UIDS:
        return asked == held
    if keyword in _NAMES:
        asked, held = _plain_name(asked), _plain_name(held)
        return any(_like(asked, held + "^" * more) for more in range(5))
    return _like(asked.strip(), held.strip())


def _like(asked: str, held: str) -> bool:
    pattern = re.escape(asked).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, held, re.DOTALL) is not None


def _plain_name(name: str) -> str:
    """Without the empty components at its end, which may be left out. PS3.5 6.2.1.1."""
    return name.casefold().rstrip("=").rstrip("^ ")


def _in_range(asked: str, held: str) -> bool:
    """Closed or half open; a time of less precision stands for all that it begins."""
    if asked == "-":
        return True
    if "-" not in asked:
        return held == asked
    first, last = asked.split("-")
    return held != "" and first <= held and (not last or held <= last or held.startswith(last))
