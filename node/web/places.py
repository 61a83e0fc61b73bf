"""A place in the list of studies, as URLs carry it: the microsecond of the last image, and a row.

Paging goes by it, so that studies that come meanwhile shift nothing, and far pages cost no more.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from storage.records import StudyPlace

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = re.compile(r"([0-9]{1,18})x([0-9]{1,18})")


def written(place: StudyPlace) -> str:
    """The place as a value in a query: digits, x, digits."""
    return f"{(place.last_received_at - _EPOCH) // timedelta(microseconds=1)}x{place.id}"


def read(text: str) -> StudyPlace:
    """The place that a URL names.

    Raises
    ------
    ValueError
        It names none.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("is no place in the list of studies")
    try:
        at = _EPOCH + timedelta(microseconds=int(found[1]))
    except OverflowError as error:
        raise ValueError("is a place after the end of time") from error
    return StudyPlace(at, int(found[2]))
