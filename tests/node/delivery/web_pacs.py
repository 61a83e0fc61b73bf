"""A PACS that is stored into over the web, and that misbehaves: alone, or before a real one."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import httpx
from pydicom import dcmread
from pydicom.dataset import Dataset

JSON = "application/dicom+json"


@dataclass(frozen=True)
class Fault:
    """What happens to one request to store."""

    status: int = 0
    """Answered at once, with ``body`` and ``headers``; nothing is stored."""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: str = ""
    """"request": the connection ends in the middle of it; "answer": all is stored, and it ends in
    the middle of the answer; "stored": all is stored, and it ends before the answer."""
    mute: int = 0
    """All is stored, and this is the status of an answer without a body."""


@dataclass
class WebPacs:
    upstream: str = ""
    """Where everything is passed on to, if not kept here."""
    faults: deque[Fault] = field(default_factory=deque)
    """Of the next requests to store, in their order."""
    failures: dict[str, int] = field(default_factory=dict)
    """The Failure Reason by SOP class; 0 gives none, -1 has the request refused without a word."""
    warnings: dict[str, int] = field(default_factory=dict)
    answers_queries: bool = True
    says_xml: bool = False
    tokens: set[str] | None = None
    """Those that let in; None: everybody is let in."""
    token_answers: deque[tuple[int, object]] = field(default_factory=deque)
    """What the authorization server says, in order; then it says 503."""
    ssl_context: ssl.SSLContext | None = None
    stored: dict[str, list[bytes]] = field(default_factory=dict)
    """By SOP instance UID, each time that it came."""
    requests: list[list[str]] = field(default_factory=list)
    """The SOP instance UIDs of each request that was read whole."""
    headers: list[Message] = field(default_factory=list)
    """Of the requests to store."""
    asked_tokens: list[tuple[str, str]] = field(default_factory=list)
    """(authorization, body) of each request for a token."""
    queries: list[str] = field(default_factory=list)
    on_stored: Callable[[], object] = lambda: None
    """Called when a request is stored and not yet answered."""
    port: int = 0

    @property
    def url(self) -> str:
        scheme = "https" if self.ssl_context else "http"
        return f"{scheme}://localhost:{self.port}/dicom-web"

    @property
    def token_url(self) -> str:
        return self.url.replace("/dicom-web", "/oauth2/token")

    def times(self) -> list[int]:
        """How often each instance came."""
        return sorted(len(one) for one in self.stored.values())


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *given: object) -> None:
        return

    @property
    def pacs(self) -> WebPacs:
        return self.server.pacs

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        self.pacs.queries.append(asked.path)
        if not self._is_let_in():
            self._answer(401)
        elif not self.pacs.answers_queries:
            self._answer(501)
        elif self.pacs.upstream:
            url = f"{self.pacs.upstream}{self.path.removeprefix('/dicom-web')}"
            answer = httpx.get(url, headers={"Accept": JSON})
            self._answer(answer.status_code, answer.content, JSON)
        else:
            wanted = parse_qs(asked.query).get("SOPInstanceUID")
            offset = int(parse_qs(asked.query)["offset"][0])
            found = [uid for uid in self.pacs.stored if wanted is None or uid in wanted]
            rows = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in found[offset:]]
            self._answer(200, json.dumps(rows).encode(), JSON)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if self.path == "/oauth2/token":
            said = self.rfile.read(length).decode()
            self.pacs.asked_tokens.append((self.headers.get("Authorization", ""), said))
            status, told = (
                self.pacs.token_answers.popleft() if self.pacs.token_answers else (503, "")
            )
            self._answer(status, json.dumps(told).encode(), "application/json")
            return
        self.pacs.headers.append(self.headers)
        fault = self.pacs.faults.popleft() if self.pacs.faults else Fault()
        if fault.cut == "request":
            self.rfile.read(length // 2)
            self._cut()
            return
        body = self.rfile.read(length)
        if not self._is_let_in():
            self._answer(401)
        elif fault.status:
            self._answer(fault.status, fault.body, "", fault.headers)
        else:
            self._store(body, fault)

    def _store(self, body: bytes, fault: Fault) -> None:
        parts = [dcmread(BytesIO(one)) for one in _parts(body, self.headers["Content-Type"])]
        self.pacs.requests.append([str(one.SOPInstanceUID) for one in parts])
        if self.pacs.upstream:
            kept = {key: self.headers[key] for key in ("Content-Type", "Accept")}
            answer = httpx.post(f"{self.pacs.upstream}/studies", content=body, headers=kept)
            status, told = answer.status_code, answer.content
        else:
            files = _parts(body, self.headers["Content-Type"])
            status, told = self._kept(list(zip(parts, files, strict=True)))
        self.pacs.on_stored()
        if fault.cut == "stored":
            self._cut()
        elif fault.mute:
            self._answer(fault.mute)
        elif fault.cut == "answer":
            self._head(status, len(told), JSON)
            self.wfile.write(told[: len(told) // 2])
            self._cut()
        else:
            self._answer(status, told, "application/dicom+xml" if self.pacs.says_xml else JSON)

    def _kept(self, parts: list[tuple[Dataset, bytes]]) -> tuple[int, bytes]:
        referenced, failed = [], []
        refusals = self.pacs.failures
        if any(refusals.get(one.SOPClassUID) == -1 for one, _ in parts):
            return 400, b"no"
        for one, file in parts:
            uid, sop_class = str(one.SOPInstanceUID), str(one.SOPClassUID)
            item = {"00081150": _element("UI", sop_class), "00081155": _element("UI", uid)}
            if sop_class in refusals:
                reason = refusals[sop_class]
                failed.append(item | ({"00081197": _element("US", reason)} if reason else {}))
                continue
            self.pacs.stored.setdefault(uid, []).append(file)
            warning = self.pacs.warnings.get(sop_class)
            referenced.append(item | ({"00081196": _element("US", warning)} if warning else {}))
        answer = {"00081198": _sequence(failed), "00081199": _sequence(referenced)}
        status = 200 if not failed else 202 if referenced else 409
        if self.pacs.says_xml:
            return status, as_xml(answer)
        return status, json.dumps(answer).encode()

    def _is_let_in(self) -> bool:
        shown = self.headers.get("Authorization", "")
        return self.pacs.tokens is None or shown.removeprefix("Bearer ") in self.pacs.tokens

    def _cut(self) -> None:
        """So that the other side meets a reset, and no orderly end."""
        self.wfile.flush()
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.shutdown(socket.SHUT_RD)
        self.close_connection = True

    def _head(
        self, status: int, length: int, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _answer(
        self, status: int, body: bytes = b"", kind: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self._head(status, len(body), kind, headers)
        self.wfile.write(body)


def _parts(body: bytes, content_type: str) -> list[bytes]:
    header = Message()
    header["Content-Type"] = content_type
    boundary = f"--{header.get_boundary()}".encode()
    parts = body.split(boundary)[1:-1]
    return [one.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for one in parts]


def _element(vr: str, value: object) -> dict[str, object]:
    return {"vr": vr, "Value": [value]}


def _sequence(items: list[dict[str, object]]) -> dict[str, object]:
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}


def as_xml(answer: dict[str, dict[str, object]]) -> bytes:
    """The Native DICOM Model of an answer."""

    def attribute(tag: str, element: dict[str, object], inner: str) -> str:
        return f'<DicomAttribute tag="{tag}" vr="{element["vr"]}">{inner}</DicomAttribute>'

    def values(element: dict[str, object]) -> str:
        inside = ""
        found = element.get("Value", [])
        assert isinstance(found, list)
        for number, one in enumerate(found, 1):
            if isinstance(one, dict):
                inner = "".join(attribute(tag, each, values(each)) for tag, each in one.items())
                inside += f'<Item number="{number}">{inner}</Item>'
            else:
                inside += f'<Value number="{number}">{one}</Value>'
        return inside

    inner = "".join(attribute(tag, one, values(one)) for tag, one in answer.items())
    space = 'xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"'
    return f'<?xml version="1.0"?><NativeDicomModel {space}>{inner}</NativeDicomModel>'.encode()


class _Server(ThreadingHTTPServer):
    pacs: WebPacs
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that end early are what is tested."""


@contextmanager
def running_web_pacs(port: int = 0, **faults: object) -> Iterator[WebPacs]:
    pacs = WebPacs(**faults)  # type: ignore[arg-type]
    server = _Server(("127.0.0.1", port), _Handler)
    server.pacs = pacs
    if pacs.ssl_context is not None:
        server.socket = pacs.ssl_context.wrap_socket(server.socket, server_side=True)
    pacs.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield pacs
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
