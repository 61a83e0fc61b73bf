"""Writes multipart/related bodies (RFC 2387, PS3.18 8.6.1.2.2), part by part."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from node.web.dicomweb.media_types import MULTIPART
from node.web.dicomweb.streams import Pieces


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its media type with parameters, where it can be had alone, and its bytes."""

    content_type: str
    pieces: Iterable[bytes]
    location: str = ""


def boundary_of(tag: str) -> str:
    """What stands between parts: nothing that a part could hold. The same for the same entity tag,
    so that the whole body is; by chance where there is none."""
    return hashlib.sha256(tag.encode()).hexdigest()[:32] if tag else secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Multipart:
    """A body of parts of one media type."""

    media_type: str
    parts: Iterable[Part]
    boundary: str

    @property
    def content_type(self) -> str:
        return f'{MULTIPART}; type="{self.media_type}"; boundary={self.boundary}'

    def pieces(self) -> Pieces:
        """The whole body, the closing boundary included."""
        for part in self.parts:
            yield self._head(part)
            yield from part.pieces
            yield b"\r\n"
        yield self._tail()

    def length(self, sizes: Iterable[tuple[str, int]]) -> int:
        """Bytes of a body whose parts have these media types and sizes, and name no place."""
        heads: dict[str, int] = {}
        total = len(self._tail())
        for content_type, size in sizes:
            if content_type not in heads:
                heads[content_type] = len(self._head(Part(content_type, ())))
            total += heads[content_type] + size + 2
        return total

    def _tail(self) -> bytes:
        return f"--{self.boundary}--\r\n".encode()

    def _head(self, part: Part) -> bytes:
        return "".join(self._lines(part)).encode()

    def _lines(self, part: Part) -> Iterator[str]:
        yield f"--{self.boundary}\r\nContent-Type: {part.content_type}\r\n"
        if part.location:
            yield f"Content-Location: {part.location}\r\n"
        yield "\r\n"
