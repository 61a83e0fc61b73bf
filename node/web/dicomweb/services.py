"""A service of DICOMweb as a route: which method of which resource, and what answers.

What answers is a function: a plain one runs in a thread of a pool of its own, for it may wait for
the disk; a coroutine function runs in the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from node.web.dicomweb.refusing import refusals

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


def as_routes(services: Iterable[Service], slots: Executor) -> list[Route]:
    """One route to a path, which knows all its methods."""
    by_path: dict[str, dict[str, Answer]] = {}
    for one in services:
        by_path.setdefault(one.path, {})[one.method] = one.answer
    return [Route(path, _Resource(answers, slots)) for path, answers in by_path.items()]


class _Resource:
    """Answers by method; 405 tells which there are (RFC 9110 15.5.6)."""

    def __init__(self, answers: Mapping[str, Answer], slots: Executor) -> None:
        self._answers = {**answers, **({"HEAD": answers["GET"]} if "GET" in answers else {})}
        self._slots = slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer = self._answers.get(request.method)
        if answer is None:
            allowed = ", ".join(sorted(self._answers))
            sentence = f"this resource knows {allowed}"
            raise HTTPException(405, sentence, headers={"Allow": allowed})
        with refusals():
            response = await self._answered(answer, request)
        await response(scope, receive, send)

    async def _answered(self, answer: Answer, request: Request) -> Response:
        if asyncio.iscoroutinefunction(answer):
            in_loop = cast(Callable[[Request], Awaitable[Response]], answer)
            return await in_loop(request)
        in_thread = cast(Callable[[Request], Response], answer)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._slots, in_thread, request)
