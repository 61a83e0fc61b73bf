"""Files that a browser sends by a form (RFC 7578), stored as by STOW-RS: the same stream, the same
reception, an outcome each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from node.receive.body_parts import BodyParts
from node.receive.file_reception import Outcome
from node.receive.uploads import Upload
from node.web.dicomweb.media_types import media_type
from node.web.dicomweb.storing import Storing
from node.web.dicomweb.stow import MAX_BOUNDARY_LENGTH, StoreService

FORM = "multipart/form-data"
_FILE_NAME = re.compile(r'filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Sent:
    """A file of a form, by the name that the browser gave it, and what became of it."""

    name: str
    outcome: Outcome


class _Files(Storing):
    """Takes the parts that are files, whatever type a browser guesses; passes over other fields."""

    def __init__(self, upload: Upload, settlers: Executor) -> None:
        super().__init__(upload, "", settlers)
        self.names: list[str] = []

    def begin_part(self, headers: Mapping[str, str]) -> None:
        found = _FILE_NAME.search(headers.get("content-disposition", ""))
        if found is None or not found[1]:  # another field, or no file was chosen
            self._settle_beside()
            return
        super().begin_part({})
        self.names.append(found[1][-_LONGEST_NAME:])

    def end_part(self) -> None:
        if self._coming is not None:
            super().end_part()


class FormUpload(StoreService):
    """Stores the files of a form."""

    async def take(self, request: Request) -> list[Sent]:
        """Every file of the form with what became of it, in their order.

        Raises
        ------
        HTTPException
        """
        boundary = _boundary(request)
        async with self._place():
            await self._check_room()
            with self._upload(request) as upload:
                files = _Files(upload, self._settlers)
                outcomes = await self._take(request, files, BodyParts(boundary, files))
        return [Sent(name, one) for name, one in zip(files.names, outcomes, strict=True)]


def _boundary(request: Request) -> bytes:
    content = media_type(request.headers.get("content-type", ""))
    boundary = content.parameters.get("boundary", "")
    if content.name != FORM or not 0 < len(boundary) <= MAX_BOUNDARY_LENGTH:
        raise HTTPException(415, f"files come as {FORM}")
    return boundary.encode("latin-1", "replace")
