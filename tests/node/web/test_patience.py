"""Whoever asks slowly is not waited for without end, and keeps nobody else from being answered."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from node.web.patience import Impatient, PromptBodies
from tests.node.web.sites import Site

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
@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow:"])
def test_a_head_that_does_not_come_is_not_waited_for(site: Site, said: bytes) -> None:
    assert _all_that_comes(site, said) == b""


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


def _asked(path: str, pieces: list[bytes], body_s: float) -> list[Message]:
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
    assert _asked("/jobs/1/retry", [b"tok"], 0.1)[0]["status"] == 408


def test_a_body_that_comes_is_read_whole() -> None:
    answer = _asked("/jobs/1/retry", [b"tok", b"end"], 30)
    assert (answer[0]["status"], answer[1]["body"]) == (200, b"tokend")


def test_what_is_stored_has_its_own_limit() -> None:
    assert _asked("/dicom-web/studies", [b"a", b"end"], 0)[0]["status"] == 200
