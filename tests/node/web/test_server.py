"""The thread that serves."""

from __future__ import annotations

import gc
import resource
import socket

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from node.web.server import CannotServe, WebServer, provide_files

MUCH = 64 << 20
"""Bytes, more than the buffers of a connection take."""


def _app() -> FastAPI:
    app = FastAPI()
    app.get("/hello")(lambda: "hello")
    return app


def test_it_answers_once_started_and_no_more_once_stopped() -> None:
    server = WebServer(_app, "127.0.0.1", 0)
    server.start()
    address = f"http://127.0.0.1:{server.port}/hello"
    answer = httpx.get(address, timeout=60)
    assert answer.json() == "hello"
    assert "server" not in answer.headers
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, timeout=60)


def test_the_port_is_free_again_after_stop() -> None:
    first = WebServer(_app, "127.0.0.1", 0)
    first.start()
    httpx.get(f"http://127.0.0.1:{first.port}/hello", timeout=60)
    first.stop()
    second = WebServer(_app, "127.0.0.1", first.port)
    second.start()
    assert httpx.get(f"http://127.0.0.1:{second.port}/hello", timeout=60).status_code == 200
    second.stop()


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_who_does_not_take_his_answer_is_cut_off_when_it_stops() -> None:
    """Else the connection stays open until the garbage collector finds it."""
    app = _app()
    app.get("/much")(lambda: PlainTextResponse(b"x" * MUCH))
    server = WebServer(lambda: app, "127.0.0.1", 0)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), 60) as idler:
        idler.sendall(b"GET /much HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert idler.recv(1) == b"H"
        server.stop()
        taken = 1
        while part := idler.recv(1 << 20):
            taken += len(part)
    assert taken < MUCH
    gc.collect()


@pytest.mark.parametrize(
    ("given", "asked"),
    [((1024, 4096), (1524, 4096)), ((4000, 4096), (4096, 4096)), ((1024, -1), (1524, -1))],
)
def test_connections_take_none_of_the_files_of_others(
    monkeypatch: pytest.MonkeyPatch, given: tuple[int, int], asked: tuple[int, int]
) -> None:
    seen = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: given)
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: seen.append(limits))
    provide_files(500)
    assert seen == [asked]


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_a_named_error(host: str) -> None:
    with pytest.raises(CannotServe, match=rf"http\.port 0 on {host} cannot be had"):
        WebServer(_app, host, 0).start()


def test_it_serves_on_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = WebServer(_app, "::1", 0)
    server.start()
    assert httpx.get(f"http://[::1]:{server.port}/hello", timeout=60).json() == "hello"
    server.stop()


def test_an_answers_body_does_not_wait_for_its_head_to_be_acknowledged() -> None:
    server = WebServer(_app, "127.0.0.1", 0)
    server.start()
    listening = server._socket  # what is accepted inherits its options
    assert listening is not None
    assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    server.stop()
