"""What every DICOMweb service is given, and what a URL's UIDs select."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from starlette.requests import Request

from node.retrieve.kept import KeptFrames
from node.retrieve.opened import OpenFrames, open_frames
from node.retrieve.series_metadata import SeriesMetadata
from node.web.context import WebContext
from node.web.dicomweb.refusing import bad_request, not_found
from storage import holdings
from storage.holdings import Held, Selection

_UID = re.compile(r"[0-9.]{1,64}")
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Room:
    """The node's parts that DICOMweb needs. ``slots``: the threads that answer, a few only, so that
    retrieving never takes those of the pages and of /health; ``drawing``: those that decode."""

    context: WebContext
    slots: Executor
    drawing: Executor
    kept: KeptFrames = field(default_factory=KeptFrames)

    def frames(self, held: Held) -> AbstractContextManager[OpenFrames]:
        """Raises what ``open_frames`` raises."""
        blob = self.context.archive.blob(held)
        # The digest is the data set's: with another head before it, it lies elsewhere in the file.
        known_by = f"{held.sha256} {blob.store.size(blob.key)}"
        return open_frames(self.kept, blob, known_by, held.transfer_syntax_uid)

    @property
    def metadata(self) -> SeriesMetadata:
        """What makes and keeps metadata; without a shelf they are made each time."""
        context = self.context
        return context.metadata or SeriesMetadata(context.database, context.archive)


def selection(request: Request) -> Selection:
    """What the path's ``study``, ``series`` and ``instance`` select.

    Raises
    ------
    HTTPException
        400: one of them is no UID.
    """
    levels = ("study", "series", "instance")
    return chosen_by({name: given for name in levels if (given := request.path_params.get(name))})


def chosen_by(uids: Mapping[str, str]) -> Selection:
    """The same of UIDs by level. Raises HTTPException."""
    for name, uid in uids.items():
        if not _UID.fullmatch(uid):
            raise bad_request(
                f"the {name} in this URL is no UID: digits and full stops, at most 64"
            )
    lists = {name: (uid,) for name, uid in uids.items()}
    return Selection(
        study_uids=lists.get("study", ()),
        series_uids=lists.get("series", ()),
        sop_uids=lists.get("instance", ()),
    )


@dataclass(frozen=True, slots=True)
class Holding:
    """What a URL selects: the first of its instances, and a way to the others.

    It is read in pages, each in a short transaction: none is open while a client reads.
    """

    room: Room
    selected: Selection
    first: tuple[Held, ...]

    @property
    def is_whole(self) -> bool:
        """Whether ``first`` are all."""
        return len(self.first) < _PAGE

    @property
    def only(self) -> Held | None:
        """The instance, where it is one alone."""
        return self.first[0] if len(self.first) == 1 else None

    def __iter__(self) -> Iterator[Held]:
        page: tuple[Held, ...] = self.first
        while page:
            yield from page
            if len(page) < _PAGE:
                return
            page = _page(self.room, self.selected, page[-1].id)


def find(room: Room, selected: Selection) -> Holding:
    """What is held of a selection.

    Raises
    ------
    HTTPException
        404: nothing.
    Overloaded, DatabaseUnavailable
    """
    first = _page(room, selected, 0)
    if not first:
        raise not_found()
    return Holding(room, selected, first)


def _page(room: Room, selected: Selection, after: int) -> tuple[Held, ...]:
    with room.context.database.look() as tx:
        return tuple(holdings.select(tx, selected, after, _PAGE))
