"""The thread that serves."""

from __future__ import annotations

import socket
from contextlib import suppress

import httpx
import pytest
from fastapi import FastAPI

from node.web.heads import MAX_HEAD_BYTES
from node.web.server import CannotServe, WebServer


def _app() -> FastAPI:
    app = FastAPI()
    app.get("/hello")(lambda: "hello")
    return app


def test_it_answers_once_started_and_no_more_once_stopped() -> None:
    server = WebServer(_app(), "127.0.0.1", 0)
    server.start()
    address = f"http://127.0.0.1:{server.port}/hello"
    answer = httpx.get(address)
    assert answer.json() == "hello"
    assert "server" not in answer.headers
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_the_port_is_free_again_after_stop() -> None:
    first = WebServer(_app(), "127.0.0.1", 0)
    first.start()
    httpx.get(f"http://127.0.0.1:{first.port}/hello")
    first.stop()
    second = WebServer(_app(), "127.0.0.1", first.port)
    second.start()
    assert httpx.get(f"http://127.0.0.1:{second.port}/hello").status_code == 200
    second.stop()


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_a_named_error(host: str) -> None:
    with pytest.raises(CannotServe, match=rf"http\.port 0 on {host} cannot be had"):
        WebServer(_app(), host, 0).start()


def test_it_serves_on_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = WebServer(_app(), "::1", 0)
    server.start()
    assert httpx.get(f"http://[::1]:{server.port}/hello").json() == "hello"
    server.stop()


def test_an_answers_body_does_not_wait_for_its_head_to_be_acknowledged() -> None:
    server = WebServer(_app(), "127.0.0.1", 0)
    server.start()
    listening = server._socket  # what is accepted inherits its options
    assert listening is not None
    assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    server.stop()


@pytest.mark.parametrize(
    "endless", [b"GET /hello HTTP/1.1\r\nX-A: ", b"GET /", b"GET /hello HTTP/1.1\r\n"]
)
def test_a_head_without_an_end_is_refused(endless: bytes) -> None:
    server = WebServer(_app(), "127.0.0.1", 0)
    server.start()
    more = b"X-B: c\r\n" if endless.endswith(b"\r\n") else b"a" * 8
    try:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(endless)
            with suppress(ConnectionError):
                for _ in range(100):
                    client.sendall(more * 1024)
            with suppress(ConnectionResetError):
                assert client.recv(64).startswith(b"HTTP/1.1 400")
    finally:
        server.stop()


def test_a_body_may_be_longer_than_a_head_and_another_request_follow_it() -> None:
    server = WebServer(_app(), "127.0.0.1", 0)
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
            for _ in range(3):
                sent = client.request("GET", "/hello", content=bytes(MAX_HEAD_BYTES * 3))
                assert sent.json() == "hello"
            assert client.get("/hello", headers={"X-A": "a" * 60_000}).json() == "hello"
    finally:
        server.stop()
