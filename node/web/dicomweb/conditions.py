"""What a client has already, and which part of it it wants (RFC 9110 13, 14)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.frames import Span

PRIVATE = "private, no-cache"
"""Kept by whoever asked, and asked for again before it is shown: images can be replaced."""
_RANGE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*")


def entity_tag(*parts: str) -> str:
    """A strong validator: the same for the same bytes."""
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f'"{digest[:32]}"'


def headers(tag: str) -> dict[str, str]:
    """What says how an answer may be kept. What is accepted decides about its form."""
    kept = {"Cache-Control": PRIVATE, "Vary": "Accept, Accept-Encoding"}
    return {**kept, "ETag": tag} if tag else kept


def unchanged(request: Request, tag: str) -> Response | None:
    """304 where the client has it already."""
    return Response(None, 304, headers(tag)) if is_known(request, tag) else None


def is_known(request: Request, tag: str) -> bool:
    """Whether the client has what this tag stands for; what has none it never has."""
    known = request.headers.get("if-none-match", "")
    return bool(tag) and (known.strip() == "*" or tag in _tags(known))


def _tags(text: str) -> Iterable[str]:
    return (one.strip().removeprefix("W/") for one in text.split(","))


def part_of(request: Request, size: int, tag: str) -> Span | None:
    """The range that is asked for; None where it is the whole, or several, or of older bytes.

    Raises
    ------
    HTTPException
        416: there is nothing.
    """
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or not any(found.groups()):
        return None
    if request.headers.get("if-range", tag) != tag:
        return None
    first, last = found.groups()
    if first:
        start, end = int(first), min(int(last or size), size - 1)
        if last and int(last) < start:
            return None
    else:
        start, end = max(0, size - int(last)), size - 1
    if start >= size or end < start:
        raise HTTPException(
            416, f"there are {size} bytes", headers={"Content-Range": f"bytes */{size}"}
        )
    return Span(start, end - start + 1)
