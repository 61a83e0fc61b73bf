"""Which part of the list of studies an address asks for, and the addresses of other parts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated
from urllib.parse import urlencode

from fastapi import HTTPException, Query

from node.web import places
from storage.reading_state import ReadingState
from storage.records import StudyPlace
from storage.study_list import Order, Place, Wanted

_DATED = re.compile(r"([0-9a-f]{0,40})d([0-9]{1,18})")

Key = Annotated[str, Query(max_length=40, pattern=r"^[A-Za-z0-9_-]*$")]
Day = Annotated[str, Query(max_length=10)]
Word = Annotated[str, Query(max_length=64)]
PlaceOf = Annotated[str, Query(max_length=64)]


@dataclass(frozen=True, slots=True)
class Search:
    """What an address asks for. ``key``: of the words that were typed (``Searches``)."""

    key: str = ""
    first: str = ""
    """A day, YYYY-MM-DD; so is ``last``."""
    last: str = ""
    modality: str = ""
    finding: str = ""
    state: ReadingState | None = None
    problems: bool = False
    sort: Order = Order.RECEIVED
    before: Place | None = None
    after: Place | None = None

    def wanted(self, words: str) -> Wanted:
        """As the list is narrowed by it."""
        return Wanted(
            words=words,
            finding=self.finding,
            first_date=self.first.replace("-", ""),
            last_date=self.last.replace("-", ""),
            modality=self.modality,
            state=self.state,
            is_troubled=self.problems,
        )

    @property
    def narrows(self) -> bool:
        """Whether not all studies are asked for."""
        return self != Search(sort=self.sort, before=self.before, after=self.after)

    def query(self) -> str:
        """As the query of an address."""
        parts = {
            "search": self.key,
            "from": self.first,
            "to": self.last,
            "modality": self.modality,
            "finding": self.finding,
            "state": self.state.value if self.state else "",
            "problems": "true" if self.problems else "",
            "sort": "" if self.sort is Order.RECEIVED else self.sort.value,
            "before": _written(self.sort, self.before),
            "after": _written(self.sort, self.after),
        }
        return urlencode({name: value for name, value in parts.items() if value})

    def older(self, than: Place) -> str:
        """The query for what stands below a place."""
        return replace(self, before=than, after=None).query()

    def newer(self, than: Place) -> str:
        """The query for what stands above a place."""
        return replace(self, before=None, after=than).query()


def read(
    search: Key = "",
    first: Annotated[str, Query(alias="from", max_length=10)] = "",
    to: Day = "",
    modality: Annotated[str, Query(max_length=16)] = "",
    finding: Word = "",
    state: Annotated[str, Query(max_length=16)] = "",
    problems: bool = False,
    sort: Order = Order.RECEIVED,
    before: PlaceOf = "",
    after: PlaceOf = "",
) -> Search:
    """What an address asks for.

    Raises
    ------
    HTTPException
    """
    return Search(
        key=search,
        first=_day("from", first),
        last=_day("to", to),
        modality=modality,
        finding=finding,
        state=_state(state),
        problems=problems,
        sort=sort,
        before=_place("before", before, sort),
        after=_place("after", after, sort),
    )


def _day(name: str, text: str) -> str:
    """A day as forms send it; empty for none."""
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError as error:
        raise HTTPException(422, f"query.{name}: is no day, YYYY-MM-DD") from error


def _state(text: str) -> ReadingState | None:
    try:
        return ReadingState(text) if text else None
    except ValueError as error:
        raise HTTPException(422, "query.state: is no state of a study") from error


def _written(order: Order, place: Place | None) -> str:
    if place is None:
        return ""
    if order is Order.RECEIVED:
        return places.written(StudyPlace(place.value, place.id))
    return f"{str(place.value)[:20].encode().hex()}d{place.id}"


def _place(name: str, text: str, order: Order) -> Place | None:
    if not text:
        return None
    try:
        if order is Order.RECEIVED:
            found = places.read(text)
            return Place(found.last_received_at, found.id)
        return _dated(text)
    except ValueError as error:
        raise HTTPException(422, f"query.{name}: {error}") from error


def _dated(text: str) -> Place:
    found = _DATED.fullmatch(text)
    if found is None:
        raise ValueError("is no place in the list of studies by date")
    try:
        return Place(bytes.fromhex(found[1]).decode(), int(found[2]))
    except ValueError as error:
        raise ValueError("is no place in the list of studies by date") from error
