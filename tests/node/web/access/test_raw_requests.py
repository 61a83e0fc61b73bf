"""Requests as no client makes them, on every route that takes a name."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from node.web.access.routes import NamedRoute, named
from node.web.app import create_app
from node.web.server import WebServer
from tests.node.web.sites import Site

OUTSIDE = "the content of a file outside"
WAYS = (
    "..%2f..%2fsecret.txt",
    "%2e%2e/%2e%2e/secret.txt",
    "..%5c..%5csecret.txt",
    "..\\..\\secret.txt",
    "%2e%2e%2f%2e%2e%2fsecret.txt",
    "%252e%252e%252fsecret.txt",
    "..%00%2fsecret.txt",
    "%2fetc%2fpasswd",
    "file:%2f%2f%2fetc%2fpasswd",
)
MARKS = (OUTSIDE.encode(), b"root:x:0:0")


def said(port: int, *lines: str) -> bytes:
    """All that is answered to a head, sent as it stands."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as asking:
        asking.sendall("\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1"))
        with suppress(ConnectionError):
            while piece := asking.recv(65536):
                found += piece
    return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@contextmanager
def _named(site: Site, hosts: tuple[str, ...]) -> Iterator[int]:
    """A node that is asked by these names alone; gives its port."""
    assert site.context is not None
    server = WebServer(
        lambda: create_app(replace(site.context, allowed_hosts=hosts)), "127.0.0.1", 0
    )
    server.start()
    yield server.port
    server.stop()


def _routes(site: Site) -> list[NamedRoute]:
    assert site.context is not None
    return named(create_app(site.context))


def _targets(routes: list[NamedRoute], way: str) -> Iterator[str]:
    """Every path with a name in it, with the way in the place of each, and behind it."""
    for path in sorted({one.path for one in routes if one.method in ("GET", "*")}):
        names = re.findall(r"\{[^}]+\}", path)
        for name in names:
            filled = path.replace(name, way)
            yield re.sub(r"\{[^}]+\}", "1", filled)
        if not names and path != "/events":
            yield f"{path.rstrip('/')}/{way}"


@pytest.mark.parametrize("way", WAYS)
def test_no_name_in_a_path_leads_out(site: Site, way: str) -> None:
    root = site.results.blobs.root  # type: ignore[attr-defined]
    for folder in (root, root.parent, root.parent.parent):
        (folder / "secret.txt").parent.mkdir(exist_ok=True)
    (root.parent / "secret.txt").write_text(OUTSIDE)
    asked = list(_targets(_routes(site), way))
    assert len(asked) > 60
    for target in asked:
        answer = said(site.server.port, f"GET {target} HTTP/1.1", "Host: localhost")
        assert not any(mark in answer for mark in MARKS), target
        assert 400 <= status(answer) < 500, (target, answer[:60])


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/",
        "http://localhost/../../secret.txt",
        "//evil.example/",
        "/\\evil.example",
        "http://evil.example:80/login",
        "/%0d%0aSet-Cookie:%20a=b",
        "*",
        "evil.example:443",
    ],
)
def test_a_target_in_another_form_leads_nobody_elsewhere(site: Site, target: str) -> None:
    (site.results.blobs.root.parent / "secret.txt").write_text(OUTSIDE)  # type: ignore[attr-defined]
    for path in (target, target.replace(" ", "%20")):
        answer = said(site.server.port, f"GET {path} HTTP/1.1", "Host: localhost")
        head = answer.partition(b"\r\n\r\n")[0].lower()
        assert OUTSIDE.encode() not in answer
        assert b"\r\nset-cookie: a=b" not in head
        assert not re.search(rb"\r\nlocation:[^\r]*evil", head), head
        assert status(answer) < 500


@pytest.mark.parametrize("raw", ["/\x00", "/studies/1\x00", "/a\x0bb", "/\x7f", "/ HTTP/1.1 x"])
def test_characters_that_no_target_has_are_refused(site: Site, raw: str) -> None:
    answer = said(site.server.port, f"GET {raw} HTTP/1.1", "Host: localhost")
    assert status(answer) in (400, 404), answer[:80]


FOREIGN = (
    ("Host: evil.example",),
    ("Host: evil.example:{port}",),
    ("Host: localhost.evil.example:{port}",),
    ("Host: 127.0.0.1.evil.example",),
    ("Host: localhost@evil.example",),
    ("Host: localhost", "Host: evil.example"),
    ("Host: evil.example", "Host: localhost"),
    ("Host: localhost, evil.example",),
    ("Host: localhost\tevil.example",),
    ("Host: ",),
    (),
)
OWN = "127.0.0.1", "localhost"


@pytest.mark.parametrize("hosts", FOREIGN)
def test_a_node_that_is_asked_by_a_foreign_name_gives_nothing_on_any_route(
    site: Site, hosts: tuple[str, ...]
) -> None:
    with _named(site, OWN) as port:
        lines = [one.format(port=port) for one in hosts]
        asked = 0
        for one in _routes(site):
            path = re.sub(r"\{[^}]+\}", "1", one.path)
            method = "GET" if one.method == "*" else one.method
            answer = said(port, f"{method} {path} HTTP/1.1", *lines)
            assert status(answer) == 400, (one, answer[:80])
            asked += 1
        assert asked > 60
        assert status(said(port, "GET /alarms HTTP/1.1", "Host: localhost")) == 200


def test_a_foreign_name_in_the_target_counts_no_more_than_in_the_head(site: Site) -> None:
    with _named(site, OWN) as port:
        for path in ("/", "/alarms", "/api/studies", "/dicom-web/studies"):
            for asked in ("evil.example", f"evil.example:{port}"):
                for host in ("evil.example", "localhost"):
                    target = f"GET http://{asked}{path} HTTP/1.1"
                    answer = said(port, target, f"Host: {host}")
                    assert 400 <= status(answer) < 500, (target, host)


@pytest.mark.parametrize(
    "line",
    [
        "X-A: b\r\n C: d",
        "X\x00: b",
        "X-A: b\x00c",
        "Content-Length: -1",
        "Content-Length: 1\r\nContent-Length: 2",
        "Transfer-Encoding: gzip, chunked",
        "Cookie: a=\x01",
    ],
)
def test_odd_heads_are_refused_or_read_as_one_and_are_no_fault(site: Site, line: str) -> None:
    answer = said(site.server.port, "GET /alarms HTTP/1.1", "Host: localhost", line)
    assert status(answer) < 500
    assert answer.count(b"HTTP/1.1 ") == 1
