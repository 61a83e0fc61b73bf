"""Clients that fetch and send, the same ones for every side: DCMTK's tools, plain HTTP."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from benchmarks.archives import RECEIVER, RECEIVER_PORT, Archive
from benchmarks.receivers import end, until_open

JSON = "application/dicom+json"
INSTANCES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
_PIECE = 1 << 20
_BOUNDARY = "wetread-bench"


class Browser:
    """One connection that is kept open."""

    def __init__(self, web: str) -> None:
        parts = urlsplit(web)
        self._root = parts.path
        self._connection = HTTPConnection(parts.netloc, timeout=300)

    def get(self, path: str, accept: str, **query: str) -> bytes:
        return b"".join(self.pieces(path, accept, **query))

    def size(self, path: str, accept: str) -> int:
        """Fetch and forget; gives how many bytes the answer had."""
        return sum(len(piece) for piece in self.pieces(path, accept))

    def pieces(self, path: str, accept: str, **query: str) -> Iterator[bytes]:
        url = f"{self._root}/{path}" + (f"?{urlencode(query, safe='*,')}" if query else "")
        answer = self._asked(url, accept)
        while piece := answer.read(_PIECE):
            yield piece

    def _asked(self, url: str, accept: str) -> HTTPResponse:
        """Once more over a new connection where a server has closed one that lay idle meanwhile."""
        try:
            self._connection.request("GET", url, headers={"Accept": accept})
            return self._answered(url)
        except (RemoteDisconnected, ConnectionError):
            self._connection.close()
        self._connection.request("GET", url, headers={"Accept": accept})
        return self._answered(url)

    def store(self, files: list[Path]) -> None:
        """STOW-RS, all files in one request."""
        kind = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
        length = sum(len(piece) for piece in _parts(files))
        headers = {"Content-Type": kind, "Accept": JSON, "Content-Length": str(length)}
        url = f"{self._root}/studies"
        self._connection.request("POST", url, body=_parts(files), headers=headers)
        self._answered(url).read()

    def close(self) -> None:
        self._connection.close()

    def _answered(self, url: str) -> HTTPResponse:
        answer = self._connection.getresponse()
        if answer.status not in (200, 206):
            raise SystemExit(f"{url} was answered with {answer.status}: {answer.read(500)!r}")
        return answer


def _parts(files: list[Path]) -> Iterator[bytes]:
    for file in files:
        yield f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        yield file.read_bytes()
        yield b"\r\n"
    yield f"--{_BOUNDARY}--\r\n".encode()


def get_frames(web: str, paths: list[str], connections: int) -> int:
    """Fetch the first frame of each instance, one by one, over so many connections; bytes."""

    def fetch(some: list[str]) -> int:
        browser = Browser(web)
        size = sum(browser.size(f"{path}/frames/1", FRAMES) for path in some)
        browser.close()
        return size

    with ThreadPoolExecutor(connections) as pool:
        return sum(pool.map(fetch, [paths[number::connections] for number in range(connections)]))


def get(side: Archive, study: str) -> None:
    """C-GET of a study; what comes is thrown away."""
    _dcmtk("getscu", side, study, "--ignore")


def move(side: Archive, study: str) -> None:
    """C-MOVE of a study to a :func:`receiver`: a movescu that receives itself waits a second."""
    _dcmtk("movescu", side, study, "--no-port", "-aem", RECEIVER)


@contextmanager
def receiver() -> Iterator[None]:
    """DCMTK's storescp, which throws away what comes."""
    command = ["/usr/bin/storescp", "--ignore", "-aet", RECEIVER, "-pdu", "131072"]
    process = subprocess.Popen([*command, str(RECEIVER_PORT)], env=_environment())
    try:
        until_open(RECEIVER_PORT, process)
        yield
    finally:
        end(process)


def _dcmtk(tool: str, side: Archive, study: str, *more: str) -> None:
    address = ["-aet", RECEIVER, "-aec", side.ae_title, "127.0.0.1", str(side.port)]
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]
    command = [f"/usr/bin/{tool}", "-S", "-v", "-pdu", "131072", *more, *keys, *address]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env=_environment(), check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{tool} from {side.name} ended with {done.returncode}:\n{done.stderr}")


def send(side: Archive, folder: Path, count: int) -> None:
    """C-STORE of a folder, and the wait until it is indexed."""
    address = ["-aec", side.ae_title, "127.0.0.1", str(side.port), "+sd", str(folder)]
    subprocess.run(["/usr/bin/dcmsend", *address], check=True, env=_environment())
    side.settle(count)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _environment() -> dict[str, str]:
    return os.environ | {"TCP_NODELAY": "1"}
