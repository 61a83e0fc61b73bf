"""A request's body, passed on in portions to a thread that reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

from node.receive.body_parts import BodyFault, PartSink, TooMuch

T = TypeVar("T")

PORTION_BYTES = 64 * 1024
"""So much is worth a thread's while."""
MOST_BYTES = 256 * 1024
"""So much is gathered at most."""


class Reader(Protocol):
    """What reads a body; it may wait for the disk, and raise what is wrong with the body."""

    def feed(self, data: bytes) -> None:
        """More of the body."""

    def finish(self) -> None:
        """It is over."""


class WholeBody:
    """Reads a body that is one part."""

    def __init__(self, sink: PartSink) -> None:
        self._sink = sink
        self._has_begun = False

    def feed(self, data: bytes) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._sink.begin_part({})
        self._sink.part_data(memoryview(data))

    def finish(self) -> None:
        if self._has_begun:
            self._sink.end_part()


class Portions:
    """Gathers the next portion while a thread reads the last; never more than that.

    What reading raises comes out of the next call.
    """

    def __init__(self, reader: Reader, threads: Executor) -> None:
        self._reader = reader
        self._threads = threads
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._running: asyncio.Future[None] | None = None
        self._is_broken = False

    async def add(self, chunk: bytes) -> None:
        """More of the body."""
        self._gathered.append(chunk)
        self._gathered_bytes += len(chunk)
        if self._gathered_bytes < PORTION_BYTES:
            return
        is_idle = self._running is None or self._running.done()
        if is_idle or self._gathered_bytes >= MOST_BYTES:
            await self._until_read()
            self._start(partial(self._read, self._taken()))

    async def end(self, then: Callable[[], T]) -> T:
        """The body is over: read what is left of it, then do this in the same thread."""
        await self._until_read()
        given: list[T] = []

        def read_and_do() -> None:
            self._read(data)
            self._reader.finish()
            given.append(then())

        data = self._taken()
        self._start(read_and_do)
        await self._until_read()
        return given[0]

    async def stop(self) -> None:
        """The body ends before its time: what came of it is read when this returns."""
        while not self._is_broken and (self._running is not None or self._gathered):
            if self._running is None:
                self._start(partial(self._read, self._taken()))
            with suppress(BodyFault, TooMuch):  # of a body that nobody wants any more
                await self._until_read()

    def _taken(self) -> bytes:
        data = b"".join(self._gathered)
        self._gathered, self._gathered_bytes = [], 0
        return data

    def _start(self, step: Callable[[], None]) -> None:
        self._running = asyncio.get_running_loop().run_in_executor(self._threads, step)

    def _read(self, data: bytes) -> None:
        if data:
            self._reader.feed(data)

    async def _until_read(self) -> None:
        """Where the one who waits is cancelled, the thread reads on, and is still known."""
        running = self._running
        if running is None:
            return
        await asyncio.wait([running])
        self._running = None
        self._is_broken = running.exception() is not None
        running.result()
