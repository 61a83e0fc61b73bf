"""WADO-RS: values that are too long for metadata (PS3.18 10.4.1.1.5).

Their URLs are those that the metadata name: the instance's, ``bulkdata``, and the tags that lead to
the value. Compressed pixels come as their frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.bulkdata import OpenValue, TagPath, open_value, within
from node.retrieve.frames import Span
from node.retrieve.media_types import OCTET_STREAM, frame_type
from node.retrieve.stored import span_pieces
from node.web.access.roles import Role
from node.web.dicomweb.accept import Offer, choose
from node.web.dicomweb.conditions import entity_tag, headers, unchanged
from node.web.dicomweb.frames import frames_answer
from node.web.dicomweb.multipart import Multipart, Part, boundary_of
from node.web.dicomweb.room import Room, find, selection
from node.web.dicomweb.services import Service
from node.web.dicomweb.single import range_of, streamed
from storage.holdings import Held

_PIXEL_DATA = 0x7FE00010
_OFFERS = (Offer(OCTET_STREAM), Offer(OCTET_STREAM, multipart=True))


def services(room: Room) -> list[Service]:
    path = "/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path:path}"
    return [Service("GET", path, "Retrieve Bulk Data", _BulkData(room).answer, role=Role.VIEWER)]


class _BulkData:
    def __init__(self, room: Room) -> None:
        self._room = room

    def answer(self, request: Request) -> Response:
        """The value that the URL leads to."""
        path = TagPath.of(request.path_params["path"])
        held = find(self._room, selection(request)).first[0]
        is_pixels = path == TagPath((), _PIXEL_DATA)
        if is_pixels and frame_type(held.transfer_syntax_uid) != OCTET_STREAM:
            return self._frames(request, held)
        return self._value(request, held, path)

    def _frames(self, request: Request, held: Held) -> Response:
        with self._room.frames(held) as opened:
            count = opened.frames.form.frames
        above = request.url.path.rpartition("/bulkdata/")[0] + "/frames"
        return frames_answer(self._room, request, held, list(range(1, count + 1)), above)

    def _value(self, request: Request, held: Held, path: TagPath) -> Response:
        chosen = choose(request, _OFFERS)
        tag = entity_tag(str(chosen), request.path_params["path"], held.sha256)
        if (same := unchanged(request, tag)) is not None:
            return same
        if chosen.offer.multipart:
            part = Part(OCTET_STREAM, self._pieces(held, path), request.url.path)
            body = Multipart(OCTET_STREAM, [part], boundary_of(tag))
            head = {**headers(tag), "Content-Type": body.content_type}
            return streamed(self._room, request, body.pieces(), head)
        with self._open(held, path) as value:
            length = value.length
        asked = range_of(request, length, OCTET_STREAM, tag)
        pieces = self._pieces(held, path, asked.span)
        return streamed(self._room, request, pieces, asked.head, asked.status)

    def _open(self, held: Held, path: TagPath) -> AbstractContextManager[OpenValue]:
        source = self._room.context.archive.blob(held)
        return open_value(source, held.transfer_syntax_uid, path)

    def _pieces(self, held: Held, path: TagPath, part: Span | None = None) -> Iterator[bytes]:
        with self._open(held, path) as value:
            for span in value.spans if part is None else within(value.spans, part):
                yield from span_pieces(value.file, span)
