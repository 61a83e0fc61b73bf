"""STOW-RS: instances are stored over HTTP (PS3.18 10.5), as durably as by C-STORE."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeVar

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from node.audit.events import Actor, Imported, Transferred
from node.audit.trail import Trail
from node.receive.body_parts import BodyFault, BodyParts, TooMuch
from node.receive.file_reception import Outcome
from node.receive.uploads import SENDER, Closed, Upload, Uploads
from node.retrieve.metadata import ROOT
from node.web.access.roles import Role
from node.web.audited import actor, address_of
from node.web.dicomweb import stored
from node.web.dicomweb.accept import Offer, choose
from node.web.dicomweb.json_body import origin
from node.web.dicomweb.media_types import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    MULTIPART,
    MediaType,
    media_type,
)
from node.web.dicomweb.portions import Portions, Reader, WholeBody
from node.web.dicomweb.refusing import bad_request
from node.web.dicomweb.room import Room, selection
from node.web.dicomweb.services import Service
from node.web.dicomweb.storing import Storing
from storage.errors import StoreUnavailable

log: structlog.stdlib.BoundLogger = structlog.get_logger()

T = TypeVar("T")

AT_ONCE = 32
"""Requests whose body is read at a time; others wait, and their bodies with them."""
FEEDERS = 8
"""Portions of bodies that are read at a time: a slow sender holds no thread."""
SLOWEST_BYTES_S = 1000.0
"""Who sends slower is not waited for much longer than if he sent nothing: a place of ``AT_ONCE`` is
not held for ever by a byte now and then."""
WAIT_S = 20.0
"""How long they do, until they are asked to come again."""
RETRY_AFTER_S = 10
SETTLERS = 8
"""Files of all requests that wait for the disk at a time."""
LARGE_BYTES = 1024 * 1024
MAX_BOUNDARY_LENGTH = 200
"""RFC 2046 allows 70."""

_ANSWERS = (Offer(DICOM_JSON), Offer("application/json"), Offer(DICOM_XML))
_TAKEN = f'{MULTIPART}; type="{DICOM}", or {DICOM} for one instance'


def services(room: Room) -> list[Service]:
    context = room.context
    if context.uploads is None:
        return []
    return StoreService(context.uploads, context.audit, context.title).services()


class StoreService:
    """Answers POST to ``/studies`` and ``/studies/{study}``."""

    def __init__(self, uploads: Uploads, trail: Trail, title: str) -> None:
        self._uploads = uploads
        self._trail = trail
        self._node = Actor(title, is_ae=True)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._feeders = ThreadPoolExecutor(FEEDERS, "stow")
        self._settlers = ThreadPoolExecutor(SETTLERS, "stow-settling")

    def services(self) -> list[Service]:
        return [
            Service("POST", "/studies", "Store instances", self.store, role=Role.OPERATOR),
            Service(
                "POST",
                "/studies/{study}",
                "Store instances of a study",
                self.store,
                role=Role.OPERATOR,
            ),
        ]

    async def store(self, request: Request) -> Response:
        """Store what the body holds.

        Raises
        ------
        HTTPException
        """
        answer_type = choose(request, _ANSWERS).offer.media_type
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise HTTPException(415, "the body has to come without a Content-Encoding")
        content = media_type(request.headers.get("content-type", ""))
        _check(content)
        study = "".join(selection(request).study_uids)
        root = f"{origin(request)}{ROOT}"
        async with self._place():
            if _is_large(request):
                await self._check_room()
            with self._upload(request) as upload:
                storing = Storing(upload, study, self._settlers)
                outcomes = await self._take(request, storing, _reader(content, storing))
        return _answer(outcomes, root, answer_type)

    # --- before the body is read ------------------------------------------------------------------

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._places.acquire()
        except TimeoutError as error:
            raise _not_now("others store at this moment") from error
        try:
            yield
        finally:
            self._places.release()

    async def _check_room(self) -> None:
        try:
            has_room = await self._in_thread(self._uploads.has_room)
        except StoreUnavailable as error:
            raise _not_now("the store is not available") from error
        if not has_room:
            raise _not_now("less disk space is free than storage.min_free_mb asks for")

    @contextmanager
    def _upload(self, request: Request) -> Iterator[Upload]:
        host = request.client.host if request.client else ""
        try:
            with self._uploads.open(host) as upload:
                try:
                    yield upload
                finally:
                    self._tell(request, upload)
        except Closed as error:
            raise _not_now(str(error)) from error

    def _tell(self, request: Request, upload: Upload) -> None:
        """The audit trail: what came, whatever became of the rest."""
        if subjects := upload.brought.subjects():
            sender = actor(request) or Actor(SENDER, address_of(request.scope))
            if "sec-fetch-site" in request.headers:  # a browser: somebody brings files
                self._trail.record(Imported(sender, "a browser", subjects))
            else:
                self._trail.record(Transferred(sender, self._node, subjects))

    # --- while it is read -------------------------------------------------------------------------

    async def _take(self, request: Request, storing: Storing, reader: Reader) -> list[Outcome]:
        portions = Portions(reader, self._feeders)
        try:
            async for chunk in self._chunks(request):
                await portions.add(chunk)
            return await portions.end(storing.finish)
        except BodyFault as error:
            status, reason = 400, str(error)
        except TooMuch as error:
            status, reason = 413, str(error)
        except TimeoutError:
            status, reason = (
                408,
                f"nothing, or hardly anything, came for {self._uploads.silence_s:g} s",
            )
        except ClientDisconnect:
            status, reason = 400, "the sender has gone"
        except BaseException:  # the node stops, or a fault of its own
            await asyncio.shield(self._keep_what_is_whole(portions, storing))
            raise
        kept = await self._keep_what_is_whole(portions, storing)
        log.warning("upload_incomplete", reason=reason, instances=kept)
        raise HTTPException(status, f"{reason}; {kept} instances before that are stored")

    async def _keep_what_is_whole(self, portions: Portions, storing: Storing) -> int:
        """Of a body that ends before its time; how many instances that are."""
        await portions.stop()
        outcomes = await self._in_thread(storing.abandon)
        return sum(one.is_stored for one in outcomes)

    async def _chunks(self, request: Request) -> AsyncIterator[bytes]:
        """Raises TimeoutError, ClientDisconnect."""
        chunks, now = request.stream(), asyncio.get_running_loop().time
        silence_s = left_s = self._uploads.silence_s
        with suppress(StopAsyncIteration):
            while True:
                began = now()
                async with asyncio.timeout(left_s):
                    chunk = await anext(chunks)
                earned_s = len(chunk) / SLOWEST_BYTES_S
                left_s = min(left_s - (now() - began) + earned_s, silence_s)
                yield chunk

    async def _in_thread(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._feeders, step)


def _check(content: MediaType) -> None:
    """Raises HTTPException."""
    if content.name == DICOM:
        return
    if content.name != MULTIPART:
        raise HTTPException(415, f"the body has to be {_TAKEN}")
    if media_type(content.parameters.get("type", DICOM)).name != DICOM:
        raise HTTPException(
            415, f"instances are taken as files: metadata apart from bulk data is not; {_TAKEN}"
        )
    if not 0 < len(content.parameters.get("boundary", "")) <= MAX_BOUNDARY_LENGTH:
        raise bad_request("the Content-Type names no boundary, or one that is too long")


def _is_large(request: Request) -> bool:
    """Whether it pays to ask for room before the body is read."""
    length = request.headers.get("content-length", "")
    return not length.isdecimal() or int(length) > LARGE_BYTES


def _reader(content: MediaType, storing: Storing) -> Reader:
    if content.name == DICOM:
        return WholeBody(storing)
    return BodyParts(content.parameters["boundary"].encode("latin-1", "replace"), storing)


def _answer(outcomes: list[Outcome], root: str, answer_type: str) -> Response:
    if not outcomes:
        raise bad_request("the body holds no instance")
    status = stored.status_of(outcomes)
    headers = {}
    if status != 200:
        headers["Warning"] = f'299 - "{stored.in_words(outcomes)}"'
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    body = stored.encoded(stored.response_module(outcomes, root), answer_type)
    return Response(body, status, headers, answer_type)


def _not_now(reason: str) -> HTTPException:
    return HTTPException(503, f"{reason}: try again", {"Retry-After": str(RETRY_AFTER_S)})
