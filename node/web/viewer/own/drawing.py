"""Runs what draws, a few at a time, so that neither receiving nor the other pages wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fastapi import HTTPException, Request
from fastapi.responses import Response

from node.look.looker import BROKEN
from node.web.dicomweb.streams import in_slot

DRAWING = 2
"""Pictures that are made at one time."""
_GONE = 499


class Drawing:
    """For one event loop. Who has gone before it is his turn is not drawn for."""

    def __init__(self, at_once: int = DRAWING) -> None:
        self._threads = ThreadPoolExecutor(at_once, "look")
        self._turn = asyncio.Semaphore(at_once)

    async def answered(self, request: Request, work: Callable[[], Response]) -> Response:
        """What ``work`` gives.

        Raises
        ------
        HTTPException
            422: a file cannot be read. And what ``work`` raises.
        """
        async with self._turn:
            if await request.is_disconnected():
                return Response(status_code=_GONE)
            try:
                return await in_slot(self._threads, work)
            except BROKEN as error:
                raise HTTPException(422, _sentence(error)) from error


def _sentence(error: BaseException) -> str:
    """Files are not named."""
    return "the file of this image cannot be read" if isinstance(error, OSError) else str(error)
