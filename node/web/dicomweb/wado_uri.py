"""WADO-URI: one object by the query of a URL (PS3.18 9), for programs older than WADO-RS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.frames import NoPixels
from node.retrieve.rendered import GIF, JPEG, PNG, View, Viewport, encoded, picture
from node.retrieve.transcode import syntaxes_of
from node.web.access.roles import Role
from node.web.dicomweb import packing
from node.web.dicomweb.accept import Chosen, Offer, choose_of
from node.web.dicomweb.conditions import entity_tag, headers, unchanged
from node.web.dicomweb.media_types import DICOM
from node.web.dicomweb.refusing import bad_request
from node.web.dicomweb.room import Room, chosen_by, find
from node.web.dicomweb.services import Service
from node.web.dicomweb.single import streamed
from node.web.dicomweb.viewing import MOST_PIXELS_A_SIDE, quality_of, warnings, window_of
from node.web.dicomweb.wado import alone
from storage.holdings import Held

PATH = "/wado"


def services(room: Room) -> list[Service]:
    return [Service("GET", PATH, "WADO-URI", _WadoUri(room).answer, draws=True, role=Role.VIEWER)]


class _WadoUri:
    def __init__(self, room: Room) -> None:
        self._room = replace(room, slots=room.drawing)

    def answer(self, request: Request) -> Response:
        """The object, as a file or as a picture."""
        asked = request.query_params
        if asked.get("requestType", "").upper() != "WADO":
            raise bad_request("requestType is WADO")
        if asked.get("anonymize"):
            raise bad_request("this node does not de-identify: leave anonymize out")
        uids = {name: asked.get(f"{key}UID", "") for name, key in _KEYS.items()}
        held = find(self._room, chosen_by(uids)).first[0]
        chosen = choose_of(asked.get("contentType") or self._usual(held), _offers(request, held))
        form = f"{chosen} packed" if packing.pays(request, [held]) else str(chosen)
        tag = entity_tag(form, str(request.url.query), held.sha256)
        if (same := unchanged(request, tag)) is not None:
            return same
        if chosen.offer.media_type == DICOM:
            return alone(self._room, request, held, chosen.transfer_syntax, tag)
        return self._drawn(request, held, chosen, tag)

    def _usual(self, held: Held) -> str:
        """Of images a picture, of others the file (PS3.18 9.1.2.1.2)."""
        try:
            with self._room.frames(held):
                return JPEG
        except NoPixels:
            return DICOM

    def _drawn(self, request: Request, held: Held, chosen: Chosen, tag: str) -> Response:
        media_type = chosen.offer.media_type
        pieces = self._picture(held, _Asked.of(request), media_type)
        head = {**headers(tag), **warnings(request), "Content-Type": media_type}
        return streamed(self._room, request, pieces, head)

    def _picture(self, held: Held, asked: _Asked, media_type: str) -> Iterator[bytes]:
        with self._room.frames(held) as opened:
            form = opened.frames.form
            view = replace(asked.view, viewport=asked.viewport(form.columns, form.rows))
            yield encoded(picture(opened, asked.frame, view), media_type, view.quality)


_KEYS = {"study": "study", "series": "series", "instance": "object"}


def _offers(request: Request, held: Held) -> list[Offer]:
    """A picture first; the file as it is stored, unless another transfer syntax is named."""
    named = request.query_params.get("transferSyntax", "")
    syntaxes = syntaxes_of(held.transfer_syntax_uid)
    if named in syntaxes:
        syntaxes = (named,)
    elif named:
        raise bad_request(f"transferSyntax is one of {', '.join(syntaxes)}")
    return [Offer(JPEG), Offer(PNG), Offer(GIF), Offer(DICOM, syntaxes=syntaxes)]


@dataclass(frozen=True, slots=True)
class _Asked:
    """How a picture is to be (PS3.18 9.1.2.2)."""

    view: View
    frame: int
    columns: int | None
    rows: int | None
    region: tuple[float, float, float, float]

    @staticmethod
    def of(request: Request) -> _Asked:
        """Raises HTTPException: 400 for what makes no sense."""
        asked = request.query_params
        center, width = asked.get("windowCenter"), asked.get("windowWidth")
        if (center is None) is not (width is None):
            raise bad_request("windowCenter and windowWidth come together")
        window = window_of(f"{center},{width}") if center is not None else None
        return _Asked(
            View(window, quality=quality_of(asked.get("imageQuality"))),
            _whole(asked.get("frameNumber"), "frameNumber") or 1,
            _whole(asked.get("columns"), "columns"),
            _whole(asked.get("rows"), "rows"),
            _region(asked.get("region")),
        )

    def viewport(self, columns: int, rows: int) -> Viewport | None:
        """The size and the part of an image of so many columns and rows."""
        left, top, right, bottom = self.region
        if self.columns is None and self.rows is None:
            if self.region == _EVERYTHING:
                return None
            size = max(1, round((right - left) * columns)), max(1, round((bottom - top) * rows))
        else:
            size = self.columns or MOST_PIXELS_A_SIDE, self.rows or MOST_PIXELS_A_SIDE
        part = (right - left) * columns, (bottom - top) * rows
        return Viewport(*size, left * columns, top * rows, *part)


_EVERYTHING = (0.0, 0.0, 1.0, 1.0)


def _whole(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    is_whole = text.isascii() and text.isdigit() and len(text) < 10
    most = MOST_PIXELS_A_SIDE if name != "frameNumber" else 10**9
    if not is_whole or not 1 <= int(text) <= most:
        raise bad_request(f"{name} is a whole number from 1 to {most}")
    return int(text)


def _region(text: str | None) -> tuple[float, float, float, float]:
    if text is None:
        return _EVERYTHING
    try:
        left, top, right, bottom = (float(one) for one in text.split(","))
    except ValueError:
        left = top = right = bottom = 0.0
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise bad_request("region is left,top,right,bottom in shares of the image, from 0 to 1")
    return left, top, right, bottom
