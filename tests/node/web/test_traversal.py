"""No address leads out of what is served."""

from __future__ import annotations

import socket

from tests.node.web.sites import Site

BASES = ("/static/", "/static/vendor/../../", "/previews/1/", "/studies/", "/", "/viewer/")
OUTSIDE = "the content of a file outside"
WAYS = (
    "../secret.txt",
    "..%2fsecret.txt",
    "%2e%2e/secret.txt",
    "..%5csecret.txt",
    "....//secret.txt",
    "%252e%252e%252fsecret.txt",
    "..%00/secret.txt",
    "%c0%ae%c0%ae/secret.txt",
)


def _raw(site: Site, path: str) -> bytes:
    """Asked as it stands: clients would tidy it up."""
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=60) as asking:
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        asking.sendall(head.encode())
        found = b""
        while piece := asking.recv(65536):
            found += piece
    return found


def test_no_way_leads_out_of_a_folder(site: Site) -> None:
    assert site.context is not None
    outside = site.results.blobs.root.parent / "secret.txt"  # type: ignore[attr-defined]
    outside.write_text(OUTSIDE)
    for path in (base + way for base in BASES for way in WAYS):
        answer = _raw(site, path)
        assert OUTSIDE.encode() not in answer, path
        assert not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 5")), path


def test_a_uid_is_never_a_way(site: Site) -> None:
    for uid in ("..", "../..", "1.2/../../3", "1.2%2f3", "%2e%2e", "1.2.3\x00"):
        for below in ("", "/metadata", "/series/1.2/instances/1.3/frames/1", "/rendered"):
            answer = _raw(site, f"/dicom-web/studies/{uid}{below}")
            assert answer[9:12] in (b"400", b"404", b"405"), (uid, below)
