"""A real node that is told hostile text on every way in: no line of its log, no message of its
trail is anything but its own."""

from __future__ import annotations

import json
import re
import socket
import struct
from pathlib import Path
from xml.etree.ElementTree import fromstring

import httpx
import pydicom.config
import pytest

from node.dimse.scu.sender import Peer, send
from tests.hostile import FORGED, HOSTILE, found_in
from tests.instances import make_dataset, write_instance
from tests.node.web.access.houses import PAGE
from tests.node_process import Node

TITLES = (
    b"\n2026-03-01T12:0",
    b"\r\x1b[2K<85>1 a\x85\x00",
    b"A\x00\nB\x9b31m\xff",
    b"\xe2\x80\xaeCT1",
)
"""Of 16 bytes at most, as calling and as called AE title."""
NAME = "a\n<85>1 \x1b[2k\u2028b\u202ec\x85d"
"""At the login, which knows names in small letters only."""


def associate(calling: bytes, called: bytes) -> bytes:
    """An A-ASSOCIATE-RQ for C-ECHO (PS3.8 9.3.2)."""

    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(content)) + content

    syntax = item(0x30, b"1.2.840.10008.1.1") + item(0x40, b"1.2.840.10008.1.2")
    items = (
        item(0x10, b"1.2.840.10008.3.1.1.1")
        + item(0x20, b"\x01\x00\x00\x00" + syntax)
        + item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"))
    )
    head = b"\x00\x01\x00\x00" + called.ljust(16) + calling.ljust(16) + bytes(32)
    return struct.pack(">BxI", 1, len(head + items)) + head + items


def say(port: int, text: bytes) -> bytes:
    """What is answered first; nothing, where the other side ends the connection."""
    with socket.create_connection(("127.0.0.1", port), 60) as line:
        line.sendall(text)
        try:
            return line.recv(4096)
        except ConnectionError:
            return b""


def test_no_line_of_log_or_trail_is_anothers(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as repository:
        repository.bind(("127.0.0.1", 0))
        repository.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        port = repository.getsockname()[1]
        node = Node(
            tmp_path,
            '[audit.file]\npath = "trail/audit.log"\n'
            f'[[audit.syslog]]\nname = "r"\nhost = "127.0.0.1"\nport = {port}\ntransport = "udp"\n',
            environment={"WETREAD_HTTP__LOGIN": "true"},
        )
        request.addfinalizer(node.kill)
        node.start()
        for title in TITLES:
            assert say(node.port, associate(title, b"WETREAD"))
            assert say(node.port, associate(b"CT1", title))
        with pydicom.config.disable_value_validation():
            texts = dict.fromkeys(
                ("PatientName", "PatientID", "AccessionNumber", "StudyDescription"), HOSTILE
            )
            made = make_dataset(1, SpecificCharacterSet="ISO_IR 192", **texts)
            path = write_instance(tmp_path / "a.dcm", made)
        peer = Peer("node", "WETREAD", "127.0.0.1", node.port, "CT1")
        send([path], peer, lambda index, result: None)
        base = f"http://127.0.0.1:{node.http_port}"
        for name in (HOSTILE, FORGED, NAME):
            form = {"name": name, "password": name, "next": f"/{name}"}
            httpx.post(f"{base}/login", data=form, headers=PAGE, timeout=60)
            httpx.get(
                f"{base}/dicom-web/studies", params={name: name}, auth=(name, name), timeout=60
            )
        for line in (f"GET /{FORGED}%0a%0d{FORGED} HTTP/1.1", "GET / HTTP/1.1\r\nX: \x1b[31m"):
            say(node.http_port, f"{line}\r\nHost: localhost\r\n\r\n".encode())
        trail = tmp_path / "trail" / "audit.log"
        assert node.stop() == 0
        lines = trail.read_text("utf-8").splitlines()
        datagrams = [repository.recv(65536).decode() for _ in lines]

    assert found_in(trail.read_text("utf-8")) == []
    assert datagrams == lines
    numbers = [int(re.findall(r'sequenceId="(\d+)"', one)[0]) for one in lines]
    assert numbers == list(range(1, len(lines) + 1))
    told = [fromstring(one.partition("\ufeff")[2]) for one in lines]
    users = {one.get("UserID") for root in told for one in root.iter("ActiveParticipant")}
    assert {NAME.replace("\x1b", "\ufffd"), FORGED.lower()} <= users
    console = node.log()
    assert found_in(console) == []
    assert all(re.match(r"20\d\d-.*Z \[|    ", one) for one in console.splitlines() if one)
    (log,) = (node.var / "logs").glob("wetread.log")
    assert found_in(log.read_text("utf-8")) == []
    assert all(json.loads(one)["event"] for one in log.read_text("utf-8").splitlines())
