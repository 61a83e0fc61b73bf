"""Studies in small, for a list of them: what was found first, on its slice.

A list asks for many at once and is asked for by many: each is drawn once, and one after the other,
so that who receives images and who looks at one does not wait for them. While images come fast none
is drawn: what was drawn is shown, and of the others the page asks again when it is renewed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fastapi import HTTPException
from fastapi.responses import Response

from node.look import pictures
from node.look.kept import Kept
from node.look.looker import BROKEN, Looker
from node.web.dicomweb.conditions import entity_tag, headers, unchanged
from node.web.viewer.own import served
from node.web.viewer.own.asked import Asked
from node.web.viewer.own.served import THUMBNAIL_PX, Known
from storage.errors import NotFound

KEPT_BYTES = 16 << 20
"""Of some thousands of studies."""
AGAIN_S = 10
_NOTHING = np.zeros((1, 1, 4), np.uint8)


class StudiesInSmall:
    """All methods may be called from any thread."""

    def __init__(self, looker: Looker, is_rushed: Callable[[], bool]) -> None:
        self._looker = looker
        self._is_rushed = is_rushed
        self._kept: Kept[bytes] = Kept(KEPT_BYTES, lambda one: 100 + len(one))

    def answer(self, study_id: int, known: Known) -> Response:
        """The picture, until the study changes; of one that has none, or cannot be read, one
        through which is seen what lies behind it.

        Raises
        ------
        HTTPException
            404: there is no such study. 503: images come fast, and it is not drawn yet.
        DatabaseUnavailable
        """
        try:
            revision = self._looker.study(study_id).revision
        except NotFound as error:
            raise HTTPException(404, str(error)) from error
        tag = entity_tag("study in small", known.version, str(study_id), str(revision))
        same = unchanged(known.request, tag)
        if same is not None:
            return same
        made = self._kept.get((study_id, revision), lambda: self._in_calm(study_id))
        return Response(made, 200, headers(tag), pictures.MEDIA_TYPES[pictures.WEBP])

    def _in_calm(self, study_id: int) -> bytes:
        if self._is_rushed():
            headers = {"Retry-After": str(AGAIN_S)}
            raise HTTPException(503, "images come: pictures of lists are drawn later", headers)
        return self._drawn(study_id)

    def _drawn(self, study_id: int) -> bytes:
        try:
            return served.drawn(self._looker, study_id, Asked(), pictures.WEBP, THUMBNAIL_PX)
        except (*BROKEN, HTTPException):
            return pictures.written(_NOTHING, pictures.WEBP)
