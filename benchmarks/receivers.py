"""The receivers that are compared: this node, Orthanc, DCMTK's storescp, stock pynetdicom."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks import earlier

START_S = 180
STILL_S = 60
"""For so long no image is indexed before a node is given up that has not indexed all."""

_STOCK = """
import sys
from pathlib import Path
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification
folder = Path(sys.argv[2])
def store(event):
    uid = event.request.AffectedSOPInstanceUID
    with open(folder / (uid + ".dcm"), "wb") as file:
        file.write(event.encoded_dataset())
    return 0x0000
ae = AE()
ae.maximum_pdu_size = 131072
ae.supported_contexts = AllStoragePresentationContexts
ae.add_supported_context(Verification)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, store)])
"""


@dataclass(frozen=True, slots=True)
class Side:
    """A running receiver."""

    name: str
    port: int
    pid: int
    settle: Callable[[int], float]
    """Waits until so many more instances are indexed; gives for how many seconds it had to."""
    page: str = ""
    """Where the node's pages are, without a slash at the end."""

    def cpu_s(self) -> float:
        """Seconds of CPU that it has taken until now, with its children."""
        return cpu_s(self.pid)


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has taken until now, with its children."""
    return _ticks(pid) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """Of a process, of those that it waited for, and of those that it has now."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        words = [word for task in tasks for word in (task / "children").read_text().split()]
    except FileNotFoundError:  # it has just ended: its parent counts it
        return 0
    return sum(map(int, fields[11:15])) + sum(_ticks(int(word)) for word in words)


@contextmanager
def wetread(
    folder: Path,
    name: str = "Wetread",
    settings: str = "",
    dimse: str = "",
    checkout: earlier.Side | None = None,
) -> Iterator[Side]:
    """The real node, of another ``checkout`` if one is given: receiver, index, status page,
    workers, no rules."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.toml"
    config.write_text(
        '[node]\ndata_dir = "node"\nlog_level = "warning"\n'
        '[http]\nport = 0\n[workers]\ndevice = "cpu"\n'
        f"{settings}\n[dimse]\nport = 0\n{dimse}\n"
    )
    with (folder / "node.log").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "node", "serve", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=checkout.folder if checkout else None,
            env=checkout.environment() if checkout else None,
        )
    try:
        port, page = _ports(process, folder / "node.log")
        yield Side(name, port, process.pid, _Index(page).settle, page)
    finally:
        end(process)


def _ports(process: subprocess.Popen[str], errors: Path) -> tuple[int, str]:
    for line in process.stdout or ():
        found = re.search(r"receives on \S+:(\d+), status page (\S+)", line)
        if found:
            return int(found[1]), found[2].rstrip("/")
    raise SystemExit(f"the node did not start:\n{errors.read_text()[-2000:]}")


class _Index:
    """What a node's index has, by its own count. A sender may well call refused images sent."""

    def __init__(self, page: str) -> None:
        self._page = page
        self._wanted = 0

    def settle(self, count: int) -> float:
        started = grown = time.perf_counter()
        self._wanted += count
        before = 0
        while (indexed := self._indexed()) < self._wanted:
            now = time.perf_counter()
            if indexed > before:
                before, grown = indexed, now
            if now - grown > STILL_S:
                raise SystemExit(f"{indexed} instances are indexed, {self._wanted} were sent")
            time.sleep(0.002)
        return time.perf_counter() - started

    def _indexed(self) -> int:
        with urllib.request.urlopen(f"{self._page}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found = re.search(r"^wetread_indexed_total (\S+)", text, re.MULTILINE)
        return int(float(found[1])) if found else 0


@contextmanager
def orthanc(folder: Path, nagle: bool = False) -> Iterator[Side]:
    """Orthanc with its defaults: SQLite index, files synced."""
    folder.mkdir(parents=True)
    port, http = free_port(), free_port()
    config = {"StorageDirectory": str(folder), "IndexDirectory": str(folder), "DicomPort": port}
    config |= {"HttpPort": http, "Name": "bench"}
    (folder / "orthanc.json").write_text(json.dumps(config))
    with _process("Orthanc", ["Orthanc", str(folder / "orthanc.json")], port, nagle) as side:
        yield side


@contextmanager
def storescp(folder: Path, nagle: bool = False) -> Iterator[Side]:
    """DCMTK's storescp: no index, no sync; a process for each association."""
    folder.mkdir(parents=True)
    port = free_port()
    command = ["storescp", "--fork", "-od", str(folder), "--max-pdu", "131072", str(port)]
    with _process("storescp", command, port, nagle) as side:
        yield side


@contextmanager
def stock(folder: Path) -> Iterator[Side]:
    """pynetdicom as it comes, with a handler that writes the file: no index, no sync."""
    folder.mkdir(parents=True)
    port = free_port()
    command = [sys.executable, "-c", _STOCK, str(port), str(folder)]
    with _process("stock pynetdicom", command, port, nagle=False) as side:
        yield side


@contextmanager
def _process(name: str, command: list[str], port: int, nagle: bool) -> Iterator[Side]:
    """``nagle``: as DCMTK, which Orthanc receives with, does by default; else without."""
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    if not nagle:
        environment["TCP_NODELAY"] = "1"
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        until_open(port, process)
        yield Side(name, port, process.pid, lambda count: 0.0)
    finally:
        end(process)


def end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise SystemExit(f"{process.args!r} did not start")
