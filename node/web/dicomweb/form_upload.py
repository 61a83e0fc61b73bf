"""Files that a browser sends by a form (RFC 7578), stored as by STOW-RS: the same stream, the same
reception, an outcome each.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from node.receive.body_parts import BodyParts
from node.receive.file_reception import Outcome
from node.web.dicomweb.form_files import FormFiles, Unpacking
from node.web.dicomweb.media_types import media_type
from node.web.dicomweb.stow import MAX_BOUNDARY_LENGTH, StoreService

FORM = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Sent:
    """A file of a form, by the name that it came under, and what became of it."""

    name: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Taken:
    """What a form brought."""

    sent: tuple[Sent, ...]
    """In their order; a file in an archive has the name of that before its own."""
    passed_over: tuple[str, ...]
    """Files in archives that are no DICOM files, or directories of a medium (DICOMDIR)."""

    @property
    def stored(self) -> int:
        return sum(one.outcome.is_stored for one in self.sent)


class FormUpload(StoreService):
    """Stores the files of a form."""

    async def take(self, request: Request, unpacking: Unpacking) -> Taken:
        """Every file of the form, and of archives in it, with what became of it; ``unpacking``
        tells meanwhile how far that is.

        Raises
        ------
        HTTPException
        """
        boundary = _boundary(request)
        async with self._place():
            await self._check_room()
            with self._upload(request) as upload:
                files = FormFiles(upload, self._settlers, unpacking)
                outcomes = await self._take(request, files, BodyParts(boundary, files))
        sent = (Sent(name, one) for name, one in zip(files.names, outcomes, strict=True))
        return Taken(tuple(sent), tuple(files.passed_over))


def _boundary(request: Request) -> bytes:
    content = media_type(request.headers.get("content-type", ""))
    boundary = content.parameters.get("boundary", "")
    if content.name != FORM or not 0 < len(boundary) <= MAX_BOUNDARY_LENGTH:
        raise HTTPException(415, f"files come as {FORM}")
    return boundary.encode("latin-1", "replace")
