"""WADO-RS: studies, series and instances, whole (PS3.18 10.4.1.1.1 to 10.4.1.1.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.transcode import DECODED
from node.web.access.roles import Role
from node.web.dicomweb import packing, zipped
from node.web.dicomweb.accept import AS_STORED, Chosen, Offer, choose
from node.web.dicomweb.conditions import entity_tag, headers, unchanged
from node.web.dicomweb.media_types import DICOM
from node.web.dicomweb.multipart import Multipart, Part, boundary_of
from node.web.dicomweb.room import Holding, Room, find, selection
from node.web.dicomweb.services import Service
from node.web.dicomweb.single import single_part, streamed
from node.web.dicomweb.streams import Pieces, file_pieces
from node.web.dicomweb.whole import is_stored_so, whole_instance
from storage.holdings import Held


def services(room: Room) -> list[Service]:
    wado = _Wado(room)
    series = "/studies/{study}/series/{series}"
    return [
        Service("GET", path, f"Retrieve {name}", wado.instances, role=Role.VIEWER)
        for path, name in (
            ("/studies/{study}", "Study"),
            (series, "Series"),
            (f"{series}/instances/{{instance}}", "Instance"),
        )
    ]


class _Wado:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._drawing = replace(room, slots=room.drawing)

    def instances(self, request: Request) -> Response:
        """All instances of what the URL names, in the form that is accepted."""
        holding = find(self._room, selection(request))
        chosen = choose(request, _offers(holding))
        syntax = chosen.transfer_syntax
        is_plain = all(is_stored_so(one, syntax) for one in holding.first)
        is_packed = is_plain and holding.is_whole and packing.pays(request, holding.first)
        tag = _tag(holding, chosen, is_packed)
        if (same := unchanged(request, tag)) is not None:
            return same
        head = headers(tag)
        if chosen.offer.media_type == DICOM and not chosen.offer.multipart:
            return alone(self._room, request, holding.first[0], syntax, tag)
        if chosen.offer.media_type == zipped.MEDIA_TYPE:
            pieces = zipped.zipped(self._files(holding, syntax))
            head["Content-Type"] = zipped.MEDIA_TYPE
        else:
            body = Multipart(DICOM, self._parts(holding, syntax), boundary_of(tag))
            pieces, head["Content-Type"] = body.pieces(), body.content_type
            if is_plain and holding.is_whole:
                head["Content-Length"] = str(body.length(self._sizes(holding)))
            if is_packed:
                pieces = packing.packed_file(pieces, head)
        room = self._room if is_plain else self._drawing
        return streamed(room, request, pieces, head)

    def _parts(self, holding: Holding, syntax: str) -> Iterator[Part]:
        for held in holding:
            with whole_instance(self._room, held, syntax) as whole:
                yield Part(_content_type(whole.transfer_syntax_uid), whole.pieces)

    def _sizes(self, holding: Holding) -> Iterator[tuple[str, int]]:
        """Of the files as they lie there: the head of one may be longer than the index says, where
        the same data set came twice."""
        for held in holding.first:
            blob = self._room.context.archive.blob(held)
            yield _content_type(held.transfer_syntax_uid), blob.store.size(blob.key)

    def _files(self, holding: Holding, syntax: str) -> Iterator[Pieces]:
        for held in holding:
            with whole_instance(self._room, held, syntax) as whole:
                yield whole.pieces


def alone(room: Room, request: Request, held: Held, syntax: str, tag: str) -> Response:
    """One instance as a single part; by ranges where it is stored so, or packed.

    Raises
    ------
    HTTPException, NotEncodable, FileNotFoundError, OSError
    """
    if is_stored_so(held, syntax):
        blob = room.context.archive.blob(held)
        content_type = _content_type(held.transfer_syntax_uid)
        if not packing.pays(request, [held]):
            return single_part(room, request, blob, content_type, tag)
        head = {**headers(tag), "Content-Type": content_type}
        return streamed(room, request, packing.packed_file(file_pieces(blob), head), head)
    head = {**headers(tag), "Content-Type": _content_type(syntax)}
    return streamed(room, request, _recoded(room, held, syntax), head)


def _recoded(room: Room, held: Held, syntax: str) -> Pieces:
    with whole_instance(room, held, syntax, strictly=True) as whole:
        yield from whole.pieces


def _offers(holding: Holding) -> list[Offer]:
    """What all are stored in, and what everything can be decompressed to: that is the default."""
    stored = {one.transfer_syntax_uid for one in holding.first}
    common = stored if len(stored) == 1 and holding.is_whole else set()
    syntaxes = tuple(dict.fromkeys((*DECODED, *common)))
    parts = Offer(DICOM, multipart=True, syntaxes=syntaxes)
    packed = Offer(zipped.MEDIA_TYPE, syntaxes=(AS_STORED, *syntaxes))
    return [parts, replace(parts, multipart=False), packed] if holding.only else [parts, packed]


def _content_type(syntax: str) -> str:
    return f"{DICOM}; transfer-syntax={syntax}"


def _tag(holding: Holding, chosen: Chosen, is_packed: bool) -> str:
    """Of as many as were looked up at once: to tell it of more would cost as much as to send.

    The same data set behind another head is another file: its size tells.
    """
    if not holding.is_whole:
        return ""
    form = f"{chosen} packed" if is_packed else str(chosen)
    return entity_tag(form, *(f"{one.sha256} {one.size_bytes}" for one in holding.first))
