"""Answers with bytes: of one file, a part of it, or put together; none of them for HEAD."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.frames import Span
from node.web.dicomweb.conditions import headers, part_of
from node.web.dicomweb.room import Room
from node.web.dicomweb.streams import Pieces, Streamed, file_pieces
from storage.blobs import Blob


def streamed(
    room: Room, request: Request, pieces: Pieces, head: Mapping[str, str], status: int = 200
) -> Response:
    """The pieces as they are read; for HEAD none is."""
    if request.method != "HEAD":
        return Streamed(pieces, room.slots, status, head)
    answer = Response(None, status, dict(head))
    if "Content-Length" not in head:
        del answer.headers["content-length"]
    return answer


def single_part(
    room: Room,
    request: Request,
    blob: Blob,
    content_type: str,
    tag: str,
    within: Span | None = None,
) -> Response:
    """The bytes of a file, or those ``within`` it; of these the range that is asked for.

    Raises
    ------
    HTTPException
        416: there is no such range.
    FileNotFoundError, OSError
    """
    whole = within or Span(0, blob.store.size(blob.key))
    part = part_of(request, whole.length, tag)
    asked = part or Span(0, whole.length)
    head = {
        **headers(tag),
        "Content-Type": content_type,
        "Content-Length": str(asked.length),
        "Accept-Ranges": "bytes",
    }
    status = 200
    if part is not None:
        status = 206
        last = asked.offset + asked.length - 1
        head["Content-Range"] = f"bytes {asked.offset}-{last}/{whole.length}"
    pieces = file_pieces(blob, whole.offset + asked.offset, asked.length)
    return streamed(room, request, pieces, head, status)
