"""WADO-RS: single frames, in any order (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.frames import check_number
from node.retrieve.media_types import OCTET_STREAM, frame_type
from node.web.access.roles import Role
from node.web.dicomweb.accept import Chosen, Offer, choose
from node.web.dicomweb.conditions import entity_tag, headers, unchanged
from node.web.dicomweb.frame_list import frame_numbers
from node.web.dicomweb.multipart import Multipart, Part, boundary_of
from node.web.dicomweb.recent import Recent
from node.web.dicomweb.room import Room, find, selection
from node.web.dicomweb.services import Service
from node.web.dicomweb.single import streamed
from storage.holdings import Held, Selection

_UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
"""For pixels they are the same bytes."""


def services(room: Room) -> list[Service]:
    path = "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}"
    return [Service("GET", path, "Retrieve Frames", _Frames(room).answer, role=Role.VIEWER)]


class _Frames:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._recent = Recent(room.context.archive)

    def answer(self, request: Request) -> Response:
        """The frames that the URL lists, in its order."""
        numbers = frame_numbers(request)
        held = self._held(selection(request))
        above = request.url.path.rpartition("/")[0]
        return frames_answer(self._room, request, held, numbers, above)

    def _held(self, selected: Selection) -> Held:
        held = self._recent.get(selected)
        if held is None:
            held = find(self._room, selected).first[0]
            self._recent.keep(selected, held)
        return held


def frames_answer(
    room: Room, request: Request, held: Held, numbers: list[int], above: str
) -> Response:
    """Some frames of an instance in the form that is accepted. ``above``: where each can be had.

    Raises
    ------
    HTTPException, NoPixels, NoSuchFrame, UnreadablePixels, UnreadableInstance, OSError
    """
    chosen = choose(request, _offers(held.transfer_syntax_uid, len(numbers)))
    tag = entity_tag(str(chosen), held.sha256, *map(str, numbers))
    if (same := unchanged(request, tag)) is not None:
        return same
    if request.method == "HEAD":
        _check(room, held, numbers)
    parts = _parts(room, held, numbers, chosen, above)
    pieces: Iterable[bytes] = (piece for part in parts for piece in part.pieces)
    content_type = _content_type(chosen)
    if chosen.offer.multipart:
        body = Multipart(chosen.offer.media_type, parts, boundary_of(tag))
        pieces, content_type = body.pieces(), body.content_type
    return streamed(room, request, pieces, {**headers(tag), "Content-Type": content_type})


def _check(room: Room, held: Held, numbers: list[int]) -> None:
    with room.frames(held) as opened:
        for number in numbers:
            check_number(opened.frames.form, number)


def _offers(transfer_syntax_uid: str, count: int) -> list[Offer]:
    """As stored first: what is compressed is best sent so."""
    media_type, stored = frame_type(transfer_syntax_uid), transfer_syntax_uid
    if media_type == OCTET_STREAM:
        forms = [Offer(OCTET_STREAM, syntaxes=_UNCOMPRESSED, stored=_UNCOMPRESSED[0])]
    else:
        forms = [
            Offer(media_type, syntaxes=(stored,), stored=stored),
            Offer(OCTET_STREAM, syntaxes=(*_UNCOMPRESSED, stored), stored=stored),
        ]
    parts = [replace(one, multipart=True) for one in forms]
    return [*parts, *forms] if count == 1 else parts


def _content_type(chosen: Chosen) -> str:
    return f"{chosen.offer.media_type}; transfer-syntax={chosen.transfer_syntax}"


def _parts(
    room: Room, held: Held, numbers: list[int], chosen: Chosen, above: str
) -> Iterator[Part]:
    """Read from one open file, which is closed behind the last."""
    with room.frames(held) as opened:
        for number in numbers:
            check_number(opened.frames.form, number)
        read = opened.native if chosen.transfer_syntax in _UNCOMPRESSED else opened.stored
        for number in numbers:
            yield Part(_content_type(chosen), read(number), f"{above}/{number}")
