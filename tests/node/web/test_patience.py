"""Whoever asks slowly is not waited for without end, and keeps nobody else from being answered."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from node.web import patience
from node.web.app import create_app
from node.web.patience import Impatient, PromptBodies
from node.web.server import WebServer
from tests.node.web.sites import Site
from tests.waiting import until

STYLE = b"GET /static/wetread.css HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Impatient, "head_s", 0.3)


def _all_that_comes(site: Site, said: bytes) -> bytes:
    """What is answered until the connection ends; it ends, or the test does not."""
    found = b""
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=60) as slow:
        slow.sendall(said)
        with suppress(ConnectionError):
            while piece := slow.recv(65536):
                found += piece
    return found


@pytest.mark.usefixtures("short")
def test_a_connection_on_which_nothing_comes_is_closed(site: Site) -> None:
    assert _all_that_comes(site, b"") == b""


@pytest.mark.usefixtures("short")
def test_a_head_that_does_not_come_to_its_end_is_answered_408(site: Site) -> None:
    answer = _all_that_comes(site, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow:")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not come to its end in time" in answer


def _drip(port: int, head: bytes, piece: bytes = b"a") -> bytes:
    """What is answered to a request that comes a byte at a time and never ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as slow:
        slow.sendall(head)
        while not select.select([slow], [], [], 0.01)[0]:
            slow.sendall(piece)
        with suppress(ConnectionError):
            return slow.recv(65536)
    return b""


@pytest.mark.usefixtures("short")
def test_a_head_that_comes_a_byte_at_a_time_is_answered_408(site: Site) -> None:
    answer = _drip(site.server.port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.usefixtures("short")
def test_a_body_that_nobody_reads_holds_no_connection(site: Site) -> None:
    head = b"GET /static/wetread.svg HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=60) as slow:
        slow.sendall(head)
        assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(OSError):
            while True:
                slow.sendall(b"a")
                select.select([], [], [], 0.01)


def test_a_form_that_comes_a_byte_at_a_time_is_answered_408(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "BODY_S", 0.3)
    with _room_for(site, 100) as port:
        head = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n"
        answer = _drip(port, head)
        assert answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 404 "))


# --- many of them ---------------------------------------------------------------------------------


@contextmanager
def _room_for(site: Site, most: int) -> Iterator[int]:
    """A node with so many connections at once; gives its port."""
    assert site.context is not None
    server = WebServer(lambda: create_app(site.context), "127.0.0.1", 0, most_connections=most)
    server.start()
    yield server.port
    server.stop()


def _asked(port: int, path: str = "/static/wetread.css") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=60)
    made.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return made


def _is_served(port: int) -> bool:
    with _asked(port) as made:
        return made.recv(65536).startswith(b"HTTP/1.1 200 ")


HALVES = (
    b"",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow:",
    b"POST /jobs/1/retry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\na",
)


@pytest.mark.parametrize("said", HALVES)
def test_who_waits_longest_gives_way_to_who_comes(site: Site, said: bytes) -> None:
    with ExitStack() as stack, _room_for(site, 5) as port:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
            for _ in range(20)
        ]
        for one in idle:
            with suppress(ConnectionError):
                one.sendall(said)
        for _ in range(3):
            with _asked(port) as another:
                assert another.recv(65536).startswith(b"HTTP/1.1 200 ")
        with suppress(ConnectionError):
            answer = idle[0].recv(65536)
            assert answer == b"" or (b" 503 " in answer and b"http.max_connections" in answer)


def test_where_all_are_being_answered_who_comes_is_told_so(site: Site) -> None:
    with ExitStack() as stack, _room_for(site, 5) as port:
        pages = [stack.enter_context(_asked(port, "/events")) for _ in range(5)]
        for one in pages:
            assert one.recv(65536).startswith(b"HTTP/1.1 200 ")
        for _ in range(3):
            with _asked(port) as another:
                answer = another.recv(65536)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"http.max_connections" in answer and b"Retry-After" in answer
        pages[0].close()
        until(lambda: _is_served(port))


@pytest.mark.usefixtures("short")
def test_a_second_head_on_a_connection_is_not_waited_for_either(site: Site) -> None:
    assert _all_that_comes(site, STYLE + b"GET / HTT").startswith(b"HTTP/1.1 200")


def test_connections_that_say_nothing_keep_nobody_from_being_answered(site: Site) -> None:
    silent = [socket.create_connection(("127.0.0.1", site.server.port)) for _ in range(100)]
    for one in silent:
        one.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nn")
    assert site.client.get("/static/wetread.css").status_code == 200
    for one in silent:
        one.close()


async def _reads_all(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await Response(body)(scope, receive, send)


def _told(path: str, pieces: list[bytes], body_s: float) -> list[Message]:
    """What is answered to a body of which the last piece does not come."""

    async def ask() -> list[Message]:
        sent: list[Message] = []
        coming = list(pieces)

        async def receive() -> Message:
            if not coming:
                await asyncio.Event().wait()
            piece = coming.pop(0)
            return {"type": "http.request", "body": piece, "more_body": piece != b"end"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "headers": []}
        app = PromptBodies(_reads_all, ("/dicom-web",), body_s)
        await asyncio.wait_for(app(scope, receive, send), 30)
        return sent

    return asyncio.run(ask())


def test_a_body_that_does_not_come_is_answered_with_408() -> None:
    assert _told("/jobs/1/retry", [b"tok"], 0.1)[0]["status"] == 408


def test_a_body_that_comes_is_read_whole() -> None:
    answer = _told("/jobs/1/retry", [b"tok", b"end"], 30)
    assert (answer[0]["status"], answer[1]["body"]) == (200, b"tokend")


def test_what_is_stored_has_its_own_limit() -> None:
    assert _told("/dicom-web/studies", [b"a", b"end"], 0)[0]["status"] == 200
