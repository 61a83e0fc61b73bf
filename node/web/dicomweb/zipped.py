"""Writes instances as one ZIP archive while it is sent; they are stored, not compressed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable

from node.web.dicomweb.streams import Pieces

MEDIA_TYPE = "application/zip"


class _Taken(io.RawIOBase):
    """Keeps what was written until somebody takes it: cannot be sought in."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # zipfile writes bytes
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


def zipped(files: Iterable[Iterable[bytes]]) -> Pieces:
    """Files under numbers: names would carry UIDs to wherever the archive is unpacked."""
    sink = _Taken()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for number, pieces in enumerate(files, start=1):
            entry = zipfile.ZipInfo(f"{number:08}.dcm")
            with archive.open(entry, "w", force_zip64=True) as member:
                for piece in pieces:
                    member.write(piece)
                    yield sink.take()
        # the list of what is within follows when the archive is closed
    yield sink.take()
