"""People who look at the list of studies: each listens for events and asks for the page again, as
the page's own script does, at most once a second.

    python -m benchmarks.audience PAGE SESSION PEOPLE

Ends with its input, and prints how many pages were read, and the seconds of the slowest.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

AT_MOST_EVERY_S = 1.0
AT_RANDOM_S = 0.3
_BACKGROUND = "Accept: text/html\r\nX-Wetread-Background: 1\r\n"


@dataclass(slots=True)
class Audience:
    """``read``: how many pages, and after how many seconds each had come."""

    port: int
    session: str
    read_s: list[float] = field(default_factory=list)
    listening: int = 0

    async def run(self, people: int) -> None:
        watching = [asyncio.create_task(self._watch()) for _ in range(people)]
        while self.listening < people:
            await asyncio.sleep(0.05)
            for one in watching:
                if one.done():
                    one.result()
        print("here", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for one in watching:
            one.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    async def _watch(self) -> None:
        reader, writer = await self._ask("/events", "Accept: text/event-stream\r\n")
        _check(await reader.readuntil(b"\r\n\r\n"), "/events")
        self.listening += 1
        due = asyncio.Event()
        reading = asyncio.create_task(self._read_when(due))
        try:
            while line := await reader.readline():
                if line.startswith(b"data:"):
                    due.set()
            raise SystemExit("the node has ended the stream of events")
        finally:
            reading.cancel()
            writer.close()

    async def _read_when(self, due: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await due.wait()
            due.clear()
            began = loop.time()
            reader, writer = await self._ask("/", f"{_BACKGROUND}Connection: close\r\n")
            _check(await reader.readuntil(b"\r\n\r\n"), "/")
            await reader.read()
            writer.close()
            self.read_s.append(loop.time() - began)
            rest_s = AT_MOST_EVERY_S - self.read_s[-1] + AT_RANDOM_S * random.random()
            await asyncio.sleep(max(0.0, rest_s))

    async def _ask(
        self, path: str, headers: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nCookie: {self.session}\r\n"
        writer.write(f"{head}{headers}\r\n".encode())
        return reader, writer


def _check(head: bytes, path: str) -> None:
    status = head.split(b" ", 2)[1]
    if status != b"200":
        raise SystemExit(f"{path} was answered with {status.decode()}")


@dataclass(slots=True)
class Seen:
    """What an audience has read when it has gone."""

    pages: int = 0
    slowest_s: float = 0.0


@contextmanager
def looking(page: str, session: str, people: int) -> Iterator[Seen]:
    """So many people, in a process of their own, look at the list meanwhile."""
    command = [sys.executable, "-m", "benchmarks.audience", page, session, str(people)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    seen = Seen()
    try:
        if process.stdout.readline().strip() != "here":
            raise SystemExit("the audience did not come")
        yield seen
    finally:
        said, _ = process.communicate()
        pages, slowest_s = said.split() or ("0", "0")
        seen.pages, seen.slowest_s = int(pages), float(slowest_s)


def main() -> None:
    page, session, people = sys.argv[1:]
    audience = Audience(int(page.rpartition(":")[2]), session)
    asyncio.run(audience.run(int(people)))
    print(len(audience.read_s), max(audience.read_s, default=0.0))


if __name__ == "__main__":
    main()
