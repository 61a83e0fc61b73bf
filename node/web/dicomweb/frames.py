"""WADO-RS: single frames, in any order (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.frames import NoSuchFrame, StoredFrames
from node.retrieve.kept import KeptFrames
from node.retrieve.media_types import OCTET_STREAM, frame_type
from node.retrieve.stored import frame_pieces
from node.web.dicomweb.accept import Chosen, Offer, choose
from node.web.dicomweb.conditions import entity_tag, headers, unchanged
from node.web.dicomweb.multipart import Multipart, Part, boundary_of
from node.web.dicomweb.refusing import bad_request
from node.web.dicomweb.room import Room, find, selection
from node.web.dicomweb.services import Service
from node.web.dicomweb.single import streamed
from storage.blobs import Blob

MOST_FRAMES = 100_000
"""In one request."""
_UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


def services(room: Room) -> list[Service]:
    path = "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}"
    return [Service("GET", path, "Retrieve Frames", _Frames(room).answer)]


class _Frames:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._kept = KeptFrames()

    def answer(self, request: Request) -> Response:
        """The frames that the URL lists, in its order."""
        numbers = _numbers(request.path_params["frames"])
        held = find(self._room, selection(request)).first[0]
        chosen = choose(request, _offers(held.transfer_syntax_uid, len(numbers)))
        tag = entity_tag(str(chosen), held.sha256, *map(str, numbers))
        if (same := unchanged(request, tag)) is not None:
            return same
        blob = self._room.context.archive.blob(held)
        stored = self._kept.of(blob, held.sha256, held.transfer_syntax_uid)
        _check(stored, numbers)
        parts = _parts(request, blob, stored, numbers, chosen)
        return self._sent(request, chosen, parts, tag)

    def _sent(self, request: Request, chosen: Chosen, parts: Iterator[Part], tag: str) -> Response:
        if chosen.offer.multipart:
            body = Multipart(chosen.offer.media_type, parts, boundary_of(tag))
            pieces, content_type = body.pieces(), body.content_type
        else:
            pieces = (piece for part in parts for piece in part.pieces)
            content_type = _content_type(chosen)
        return streamed(self._room, request, pieces, {**headers(tag), "Content-Type": content_type})


def _numbers(text: str) -> list[int]:
    numbers = text.split(",")
    if not all(one.isascii() and one.isdigit() and len(one) < 10 for one in numbers):
        raise bad_request("frames are numbers from 1, with commas between them")
    if len(numbers) > MOST_FRAMES:
        raise bad_request(f"at most {MOST_FRAMES} frames are asked for at once")
    return [int(one) for one in numbers]


def _check(stored: StoredFrames, numbers: list[int]) -> None:
    wrong = next((one for one in numbers if not 1 <= one <= stored.form.frames), None)
    if wrong is not None:
        raise NoSuchFrame(f"there is no frame {wrong}: the instance has {stored.form.frames}")


def _offers(transfer_syntax_uid: str, count: int) -> list[Offer]:
    media_type, stored = frame_type(transfer_syntax_uid), transfer_syntax_uid
    if media_type == OCTET_STREAM:
        forms = [Offer(OCTET_STREAM, syntaxes=_UNCOMPRESSED, stored=ExplicitVRLittleEndian)]
    else:
        forms = [
            Offer(media_type, syntaxes=(stored,), stored=stored),
            Offer(OCTET_STREAM, syntaxes=(stored,), stored=stored),
        ]
    parts = [replace(one, multipart=True) for one in forms]
    return [*parts, *forms] if count == 1 else parts


def _content_type(chosen: Chosen) -> str:
    return f"{chosen.offer.media_type}; transfer-syntax={chosen.transfer_syntax}"


def _parts(
    request: Request, blob: Blob, stored: StoredFrames, numbers: list[int], chosen: Chosen
) -> Iterator[Part]:
    """Read from one open file, which is closed behind the last."""
    above = request.url.path.rpartition("/")[0]
    with blob.open("rb") as file:
        for number in numbers:
            pieces = frame_pieces(file, stored, number)
            yield Part(_content_type(chosen), pieces, f"{above}/{number}")
