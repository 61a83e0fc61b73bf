"""Mixed load for long: memory, descriptors and disk must stay flat, and nothing must be lost.

New studies, studies sent again, phantoms that are analyzed and delivered, readers of the page, and
a flood of connections that ask for nothing, all at once, with retention at work. A sample is
taken every ten seconds; at the end the last quarter is compared with the second.

    python -m benchmarks.soak --minutes 60
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import socket
import statistics
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.modality import Modality
from node.demo.ct_files import CtSeries
from node.demo.peers import Archive, NodeProcess
from node.demo.phantom import ChestPhantom
from node.dimse.errors import PeerUnavailable
from node.dimse.scu.sender import Peer, send
from node.observe import logs
from storage import events, outbox
from storage.database import open_database
from storage.records import DeliveryState

SAMPLE_S = 10.0
IMAGES = 40
PIXEL_BYTES = 36_000
IMAGES_A_SECOND = 40
ANALYZED_EVERY_S = 20.0
CONNECTS_A_SECOND = 20
QUOTA_GB = 0.3


@dataclass(frozen=True, slots=True)
class Sample:
    """The node's processes together, and its folder."""

    at_s: float
    resident_mb: float
    descriptors: int
    threads: int
    disk_mb: float


@dataclass
class Tally:
    """What was done, and what went wrong."""

    sent: int = 0
    again: int = 0
    studies_analyzed: int = 0
    pages: int = 0
    slowest_page_s: float = 0.0
    slowest_store_s: float = 0.0
    connects: int = 0
    faults: list[str] = field(default_factory=list)


def main() -> None:
    options = _options()
    logs.configure(None, "error")
    folder = Path(tempfile.mkdtemp(prefix="wetread-soak-"))
    archive = Archive(folder / "pacs")
    (folder / "node").mkdir()
    tally, stop = Tally(), threading.Event()
    with NodeProcess(folder / "node", _config(archive.port)) as node:
        loads: list[Callable[[], None]] = [
            lambda: _push(node.port, tally, stop),
            lambda: _analyze(node.port, folder / "phantoms", tally, stop),
            lambda: _read_pages(node.page.rstrip("/"), tally, stop),
            lambda: _flood(node.port, tally, stop),
        ]
        threads = [threading.Thread(target=load, daemon=True) for load in loads]
        for thread in threads:
            thread.start()
        samples = _watch(node.pid, folder / "node", options.minutes * 60)
        stop.set()
        for thread in threads:
            thread.join(60)
        _wait_until_sent(folder / "node")
    archive.stop()
    _tell(samples, tally, folder / "node")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    return parser.parse_args()


def _config(pacs: int) -> str:
    return (
        '[node]\ndata_dir = "var"\nlog_level = "warning"\n[dimse]\nport = 0\n[http]\nport = 0\n'
        f"[retention]\nimages_gb = {QUOTA_GB}\nresults_gb = 0.05\nevents_days = 0.005\n"
        '[completion]\nquiet_period_s = 2\n[workers]\ndevice = "cpu"\n'
        '[[destinations]]\nname = "pacs"\nae_title = "DEMOPACS"\nhost = "127.0.0.1"\n'
        f"port = {pacs}\n"
        '[[rules]]\nname = "phantoms"\nwhen = { PatientID = "PHANTOM" }\n'
        'analyzers = ["gaussian_filter", "lung_segmentation"]\ndestinations = ["pacs"]\n'
    )


# --- the loads ------------------------------------------------------------------------------------


def _push(port: int, tally: Tally, stop: threading.Event) -> None:
    """Study after study; every second one is sent twice."""
    for number in itertools.count():
        study = f"2.25.{time.time_ns()}"
        for repeat in range(1 + number % 2):
            try:
                with Modality(port) as modality:
                    for image in range(IMAGES):
                        if stop.wait(1 / IMAGES_A_SECOND):
                            return
                        began = time.monotonic()
                        modality.store(f"{study}.{image}", study, PIXEL_BYTES)
                        took = time.monotonic() - began
                        tally.slowest_store_s = max(tally.slowest_store_s, took)
                        tally.sent += repeat == 0
                        tally.again += repeat
            except (OSError, SystemExit) as error:
                tally.faults.append(f"store: {error}")
                stop.wait(1)


def _analyze(port: int, folder: Path, tally: Tally, stop: threading.Event) -> None:
    """A phantom that rules fire on, each with UIDs of its own."""
    peer = Peer("node", "WETREAD", "127.0.0.1", port, "SOAK")
    for number in itertools.count():
        phantom = ChestPhantom(
            shape=(40, 64, 64),
            spacing_mm=(7.5, 6.0, 6.0),
            series=CtSeries(study=f"{time.time_ns()}"),
        )
        paths = phantom.write(folder / str(number % 2))
        with suppress(PeerUnavailable):
            send(paths, peer, lambda index, result: None)
            tally.studies_analyzed += 1
        if stop.wait(ANALYZED_EVERY_S):
            return


def _read_pages(page: str, tally: Tally, stop: threading.Event) -> None:
    while not stop.wait(0.5):
        for path in ("/", "/alarms", "/api/studies?limit=100", "/metrics", "/health"):
            began = time.monotonic()
            try:
                with urllib.request.urlopen(f"{page}{path}", timeout=30) as answer:
                    answer.read()
            except urllib.error.HTTPError as error:
                tally.faults.append(f"{path}: {error.code}")
            except OSError as error:
                tally.faults.append(f"{path}: {type(error).__name__}")
            tally.pages += 1
            tally.slowest_page_s = max(tally.slowest_page_s, time.monotonic() - began)


def _flood(port: int, tally: Tally, stop: threading.Event) -> None:
    """Port scans and health checks: closed at once, left half open, or with rubbish."""
    chance, left_open = random.Random(1), []
    while not stop.wait(1 / CONNECTS_A_SECOND):
        with suppress(OSError):
            made = socket.create_connection(
                ("127.0.0.1", port), timeout=5, source_address=("127.0.0.2", 0)
            )
            tally.connects += 1
            kind = chance.random()
            if kind < 0.2:
                made.sendall(chance.randbytes(40))
            if kind < 0.9:
                made.close()
            else:
                left_open.append(made)
        while len(left_open) > 20:
            left_open.pop(0).close()
    for one in left_open:
        one.close()


# --- what is watched ------------------------------------------------------------------------------


def _watch(pid: int, folder: Path, seconds: float) -> list[Sample]:
    began, samples = time.monotonic(), []
    while (at_s := time.monotonic() - began) < seconds:
        pids = _family(pid)
        samples.append(
            Sample(
                at_s,
                sum(_status(one, "VmRSS") for one in pids) / 1024,
                sum(_count(Path(f"/proc/{one}/fd")) for one in pids),
                sum(_status(one, "Threads") for one in pids),
                _size(folder) / 1e6,
            )
        )
        print(
            f"{at_s / 60:5.1f} min  {samples[-1].resident_mb:7.0f} MB  "
            f"{samples[-1].descriptors:5d} descriptors  {samples[-1].threads:4d} threads  "
            f"{samples[-1].disk_mb:7.0f} MB on disk",
            flush=True,
        )
        time.sleep(SAMPLE_S)
    return samples


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
    return found


def _status(pid: int, name: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    return 0


def _count(folder: Path) -> int:
    with suppress(OSError):
        return sum(1 for _ in folder.iterdir())
    return 0


def _size(folder: Path) -> int:
    size, seen = 0, set()
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                status = (Path(root) / name).stat()
                if status.st_ino not in seen:
                    seen.add(status.st_ino)
                    size += status.st_size
    return size


def _wait_until_sent(folder: Path) -> None:
    database = open_database(f"sqlite:///{folder / 'var' / 'wetread.db'}")
    deadline = time.monotonic() + 300
    open_ones = (DeliveryState.PENDING, DeliveryState.SENDING)
    try:
        while time.monotonic() < deadline:
            with database.read() as tx:
                if not any(outbox.list_deliveries(tx, state=state) for state in open_ones):
                    return
            time.sleep(1)
    finally:
        database.close()


def _tell(samples: list[Sample], tally: Tally, folder: Path) -> None:
    quarter = max(1, len(samples) // 4)
    before, after = samples[quarter : 2 * quarter], samples[-quarter:]
    for name in ("resident_mb", "descriptors", "threads", "disk_mb"):
        first = statistics.median(getattr(one, name) for one in before)
        last = statistics.median(getattr(one, name) for one in after)
        print(f"{name}: {first:.0f} in the second quarter, {last:.0f} in the last")
    database = open_database(f"sqlite:///{folder / 'var' / 'wetread.db'}")
    with database.read() as tx:
        alarms = events.open_alarms(tx)
    database.close()
    print(
        f"{tally.sent} images sent, {tally.again} again, {tally.studies_analyzed} studies analyzed,"
        f" {tally.connects} idle connections, {tally.pages} pages; slowest store"
        f" {tally.slowest_store_s:.2f} s, slowest page {tally.slowest_page_s:.2f} s;"
        f" {len(tally.faults)} faults, {len(alarms)} alarms"
    )
    for text in dict.fromkeys([*tally.faults, *(alarm.reason for alarm in alarms)]):
        print(f"  {text}")


if __name__ == "__main__":
    main()
