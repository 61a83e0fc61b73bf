"""A service of DICOMweb as a route: which method of which resource, and what answers.

What answers is a function: a plain one runs in a thread of a pool of its own, for it may wait for
the disk; a coroutine function runs in the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from node.web.access.roles import Need, admit, admit_to_images
from node.web.dicomweb.refusing import refusals
from node.web.dicomweb.room import Room
from node.web.dicomweb.streams import in_slot

Answer = Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Service:
    """One line of the conformance statement.

    path: as in PS3.18, below ``/dicom-web``, with ``{study}``, ``{series}``, ``{instance}`` …
    """

    method: str
    path: str
    name: str
    answer: Answer
    draws: bool = False
    """Whether pixels are decoded for it: such take none of the threads that only read."""
    role: Need = field(kw_only=True)
    """Who may ask for it."""


def as_routes(services: Iterable[Service], room: Room) -> list[Route]:
    """One route to a path, which knows all its methods."""
    by_path: dict[str, dict[str, Service]] = {}
    for one in services:
        by_path.setdefault(one.path, {})[one.method] = one
    return [Route(path, _Resource(known, room)) for path, known in by_path.items()]


class _Resource:
    """Answers by method; 405 tells which there are (RFC 9110 15.5.6)."""

    def __init__(self, known: Mapping[str, Service], room: Room) -> None:
        self._known = {**known, **({"HEAD": known["GET"]} if "GET" in known else {})}
        self.needs = {method: service.role for method, service in self._known.items()}
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        service = self._known.get(request.method)
        if service is None:
            allowed = ", ".join(sorted(self._known))
            if request.method == "OPTIONS":
                await Response(None, 204, {"Allow": allowed})(scope, receive, send)
                return
            sentence = f"this resource knows {allowed}"
            raise HTTPException(405, sentence, headers={"Allow": allowed})
        await admit(request, service.role)
        admit_to_images(request)
        with refusals():
            response = await self._answered(service, request)
        await response(scope, receive, send)

    async def _answered(self, service: Service, request: Request) -> Response:
        if asyncio.iscoroutinefunction(service.answer):
            in_loop = cast(Callable[[Request], Awaitable[Response]], service.answer)
            return await in_loop(request)
        in_thread = cast(Callable[[Request], Response], service.answer)
        slots = self._room.drawing if service.draws else self._room.slots
        return await in_slot(slots, self._caught_up, in_thread, request)

    def _caught_up(self, answer: Callable[[Request], Response], request: Request) -> Response:
        """Whoever was told that an instance is stored finds it."""
        self._room.context.catch_up(request.path_params.get("study", ""))
        return answer(request)
