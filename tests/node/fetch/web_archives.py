"""A web archive whose faults are switched: QIDO-RS and WADO-RS over a list of data sets."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

from pydicom import dcmwrite
from pydicom.dataset import Dataset

_LEVELS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass
class WebArchive:
    held: list[Dataset]
    says_204: bool = False
    """Where nothing is found, as before 2020."""
    ignores_offset: bool = False
    page: int = 1000
    authorization: str = ""
    """What has to be said; everybody else gets 401."""
    cuts_after: int = -1
    """So many files of a body come, then the connection breaks."""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """By the beginning of a path: what is said instead."""
    ssl_context: ssl.SSLContext | None = None
    paths: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        scheme = "https" if self.ssl_context else "http"
        return f"{scheme}://localhost:{self.port}/dicom-web"

    def matches(self, path: str, query: dict[str, list[str]]) -> list[Dataset]:
        """One data set of each entity that the last part of a path names."""
        parts = path.strip("/").split("/")
        keys = {**query, **{k: [v] for k, v in zip(_LEVELS, parts[1::2], strict=False)}}
        unique = {"studies": _LEVELS[0], "series": _LEVELS[1], "instances": _LEVELS[2]}[
            parts[(len(parts) - 1) // 2 * 2]
        ]
        found: dict[str, Dataset] = {}
        for one in self.held:
            if all(
                str(one.get(key, "")) in values or key in ("limit", "offset", "includefield")
                for key, values in keys.items()
            ):
                found.setdefault(str(one[unique].value), one)
        return list(found.values())


def file_of(dataset: Dataset) -> bytes:
    out = BytesIO()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *given: object) -> None:
        return

    def do_GET(self) -> None:
        archive = self.server.archive
        asked = urlsplit(self.path)
        path = asked.path.removeprefix("/dicom-web")
        archive.paths.append(path)
        said = [answer for start, answer in archive.answers.items() if path.startswith(start)]
        if archive.authorization and self.headers["Authorization"] != archive.authorization:
            self._answer(401, b"", "text/plain")
        elif said:
            self._answer(*said[0], "application/json")
        elif "dicom+json" in self.headers["Accept"]:
            self._query(archive, path, parse_qs(asked.query))
        else:
            self._files(archive, path)

    def _query(self, archive: WebArchive, path: str, query: dict[str, list[str]]) -> None:
        offset = 0 if archive.ignores_offset else int(query["offset"][0])
        found = archive.matches(path, query)[offset : offset + archive.page]
        if not found and archive.says_204:
            self._answer(204, b"", "")
            return
        keep = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
        keep += ("PatientID", "AccessionNumber", "StudyDate", "Modality")
        rows = [
            {f"{element.tag:08X}": {"vr": element.VR, "Value": [str(element.value)]}
             for element in one if element.keyword in keep}
            for one in found
        ]  # fmt: skip
        self._answer(200, json.dumps(rows).encode(), "application/dicom+json")

    def _files(self, archive: WebArchive, path: str) -> None:
        parts = path.strip("/").split("/")
        keys = dict(zip(_LEVELS, parts[1::2], strict=False))
        chosen = [
            one for one in archive.held if all(str(one[k].value) == v for k, v in keys.items())
        ]
        body = b""
        for number, one in enumerate(chosen):
            if number == archive.cuts_after:
                break
            body += b"--x\r\nContent-Type: application/dicom\r\n\r\n" + file_of(one) + b"\r\n"
        whole = len(body) + (1000 if 0 <= archive.cuts_after < len(chosen) else 0)
        body += b"--x\r\n" if whole > len(body) else b"--x--\r\n"
        self.send_response(200)
        self.send_header("Content-Type", "multipart/related; type=application/dicom; boundary=x")
        self.send_header("Content-Length", str(max(whole, len(body))))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = whole > len(body)

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    archive: WebArchive
    daemon_threads = True


@contextmanager
def running_web_archive(held: Sequence[Dataset], **faults: object) -> Iterator[WebArchive]:
    archive = WebArchive(list(held), **faults)  # type: ignore[arg-type]
    server = _Server(("127.0.0.1", 0), _Handler)
    server.archive = archive
    if archive.ssl_context is not None:
        server.socket = archive.ssl_context.wrap_socket(server.socket, server_side=True)
    archive.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
