"""WADO-RS: studies, series and instances as they are stored (PS3.18 10.4.1.1.1 to 10.4.1.1.3)."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response

from node.web.dicomweb import zipped
from node.web.dicomweb.accept import Chosen, Offer, choose
from node.web.dicomweb.conditions import entity_tag, headers, unchanged
from node.web.dicomweb.multipart import Multipart, Part, boundary_of
from node.web.dicomweb.room import Holding, Room, find, selection
from node.web.dicomweb.services import Service
from node.web.dicomweb.single import single_part, streamed
from node.web.dicomweb.streams import Pieces, file_pieces
from storage.holdings import Held

DICOM = "application/dicom"


def services(room: Room) -> list[Service]:
    wado = _Wado(room)
    return [
        Service("GET", "/studies/{study}", "Retrieve Study", wado.instances),
        Service("GET", "/studies/{study}/series/{series}", "Retrieve Series", wado.instances),
        Service(
            "GET",
            "/studies/{study}/series/{series}/instances/{instance}",
            "Retrieve Instance",
            wado.instances,
        ),
    ]


class _Wado:
    def __init__(self, room: Room) -> None:
        self._room = room

    def instances(self, request: Request) -> Response:
        """All instances of what the URL names, in the form that is accepted."""
        holding = find(self._room, selection(request))
        chosen = choose(request, _offers(holding))
        tag = _tag(holding, chosen)
        if (same := unchanged(request, tag)) is not None:
            return same
        only = holding.only
        if only is not None and not chosen.offer.multipart and chosen.offer.media_type == DICOM:
            return self._alone(request, only, tag)
        return self._together(request, holding, chosen, tag)

    def _alone(self, request: Request, held: Held, tag: str) -> Response:
        blob = self._room.context.archive.blob(held)
        content_type = _dicom(held)
        return single_part(self._room, request, blob, content_type, tag)

    def _together(self, request: Request, holding: Holding, chosen: Chosen, tag: str) -> Response:
        if chosen.offer.media_type == zipped.MEDIA_TYPE:
            pieces = zipped.zipped(self._pieces(one) for one in holding)
            content_type = zipped.MEDIA_TYPE
        else:
            body = Multipart(DICOM, self._parts(holding), boundary_of(tag))
            pieces, content_type = body.pieces(), body.content_type
        return streamed(self._room, request, pieces, {**headers(tag), "Content-Type": content_type})

    def _parts(self, holding: Holding) -> Iterator[Part]:
        for held in holding:
            yield Part(_dicom(held), self._pieces(held))

    def _pieces(self, held: Held) -> Pieces:
        return file_pieces(self._room.context.archive.blob(held))


def _offers(holding: Holding) -> list[Offer]:
    stored = tuple(dict.fromkeys(one.transfer_syntax_uid for one in holding.first))
    offers = [Offer(DICOM, multipart=True, syntaxes=stored), Offer(zipped.MEDIA_TYPE)]
    alone = Offer(DICOM, syntaxes=stored)
    return [offers[0], alone, offers[1]] if holding.only else offers


def _dicom(held: Held) -> str:
    return f"{DICOM}; transfer-syntax={held.transfer_syntax_uid}"


def _tag(holding: Holding, chosen: Chosen) -> str:
    """Of a few instances: to tell it of many would cost as much as to send them."""
    if not holding.is_whole:
        return ""
    return entity_tag(str(chosen), *(one.sha256 for one in holding.first))
