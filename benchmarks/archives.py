"""The archives that are compared: this node, Orthanc with its DICOMweb plugin, DCMTK's dcmqrscp."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from benchmarks import receivers
from benchmarks.many import Study, Template
from benchmarks.receivers import end, free_port, until_open

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "wetread-bench"
RECEIVER = "BENCHSCP"
"""Whom C-MOVE sends to, on :data:`RECEIVER_PORT`: both stand in the settings of each side."""
RECEIVER_PORT = free_port()
_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_NODE = f"""
[completion]
quiet_period_s = 2
[[peers]]
ae_title = "{RECEIVER}"
host = "127.0.0.1"
port = {RECEIVER_PORT}
"""
_QRSCP = """
NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 32
HostTable BEGIN
bench = ({receiver}, 127.0.0.1, {receiver_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QRSCP {folder} RW (100000, 1024gb) ANY
AETable END
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """A running side. ``web`` is the root of its DICOMweb; empty where it has none."""

    name: str
    ae_title: str
    port: int
    pid: int
    web: str = ""
    page: str = ""
    settle: Callable[[int], float] = lambda count: 0.0


@contextmanager
def wetread(folder: Path, name: str = "Wetread") -> Iterator[Archive]:
    """The real node with its defaults."""
    with receivers.wetread(folder, name, _NODE) as side:
        web = f"{side.page}/dicom-web"
        yield Archive(name, "WETREAD", side.port, side.pid, web, side.page, side.settle)


@contextmanager
def orthanc(folder: Path, fast: bool = False) -> Iterator[Archive]:
    """Orthanc as it comes, with what a query or retrieve needs allowed. ``fast``: to fill it."""
    folder.mkdir(parents=True, exist_ok=True)
    port, http = free_port(), free_port()
    settings = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "Name": "bench",
        "DicomPort": port,
        "HttpPort": http,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"bench": [RECEIVER, "127.0.0.1", RECEIVER_PORT]},
        "Plugins": [] if fast or not _PLUGIN.exists() else [str(_PLUGIN)],
        "SyncStorageArea": not fast,
    }
    config = folder.with_suffix(".json")
    config.write_text(json.dumps(settings))
    with _running(["Orthanc", str(config)], port) as pid:
        page = f"http://127.0.0.1:{http}"
        yield Archive("Orthanc", "ORTHANC", port, pid, f"{page}/dicom-web", page)


@contextmanager
def dcmqrscp(folder: Path) -> Iterator[Archive]:
    """DCMTK's archive: a process for each association, an index in one file."""
    store = folder / "store"
    store.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = folder / "dcmqrscp.cfg"
    config.write_text(
        _QRSCP.format(port=port, receiver=RECEIVER, receiver_port=RECEIVER_PORT, folder=store)
    )
    with _running(["dcmqrscp", "-c", str(config), "+xe"], port) as pid:
        yield Archive("dcmqrscp", "QRSCP", port, pid)


@contextmanager
def _running(command: list[str], port: int) -> Iterator[int]:
    """Without Nagle's algorithm, which DCMTK has on unless it is told."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TCP_NODELAY": "1"},
    )
    try:
        until_open(port, process)
        yield process.pid
    finally:
        end(process)


def filled_orthanc(studies: int) -> Path:
    """A folder of Orthanc with so many small studies, filled once and kept in the cache."""
    folder = CACHE / f"orthanc-{studies}"
    done = folder.with_suffix(".done")
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        print(f"filling Orthanc with {studies} studies, once, in {folder}", flush=True)
        started = time.perf_counter()
        with orthanc(folder, fast=True) as side, ThreadPoolExecutor(2) as pool:
            list(pool.map(_upload, [side.page] * 2, [range(n, studies, 2) for n in range(2)]))
        done.write_text(f"{time.perf_counter() - started:.0f} s\n")
    return folder


def _upload(page: str, numbers: range) -> None:
    template = Template()
    connection = HTTPConnection(page.removeprefix("http://"), timeout=120)
    for number in numbers:
        connection.request("POST", "/instances", template.file(Study(number)))
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"Orthanc answered an upload with {answer.status}")
    connection.close()
