"""Answers with bytes: of one file, a part of it, or put together; none of them for HEAD."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.frames import Span
from node.web.dicomweb.conditions import headers, part_of
from node.web.dicomweb.room import Room
from node.web.dicomweb.streams import Streamed, file_pieces
from storage.files.blobs import Blob


def streamed(
    room: Room,
    request: Request,
    pieces: Iterable[bytes],
    head: Mapping[str, str],
    status: int = 200,
) -> Response:
    """The pieces as they are read; for HEAD none is."""
    if request.method != "HEAD":
        return Streamed(pieces, room.slots, status, head)
    answer = Response(None, status, dict(head))
    if "Content-Length" not in head:
        del answer.headers["content-length"]
    return answer


@dataclass(frozen=True, slots=True)
class Range:
    """Which bytes of a single part are sent, and what is said of them."""

    status: int
    span: Span
    head: dict[str, str]


def range_of(request: Request, length: int, content_type: str, tag: str) -> Range:
    """The range that is asked for of ``length`` bytes, or all of them.

    Raises
    ------
    HTTPException
        416: there is no such range.
    """
    part = part_of(request, length, tag)
    span = part or Span(0, length)
    head = {
        **headers(tag),
        "Content-Type": content_type,
        "Content-Length": str(span.length),
        "Accept-Ranges": "bytes",
    }
    if part is None:
        return Range(200, span, head)
    head["Content-Range"] = f"bytes {span.offset}-{span.offset + span.length - 1}/{length}"
    return Range(206, span, head)


def single_part(room: Room, request: Request, blob: Blob, content_type: str, tag: str) -> Response:
    """A file, or the range of it that is asked for.

    Raises
    ------
    HTTPException
        416: there is no such range.
    FileNotFoundError, OSError
    """
    asked = range_of(request, blob.store.size(blob.key), content_type, tag)
    pieces = file_pieces(blob, *asked.span)
    return streamed(room, request, pieces, asked.head, asked.status)
