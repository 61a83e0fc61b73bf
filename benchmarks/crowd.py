"""Many who retrieve at once, each a process; what that does to the node's memory and its page."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.archives import RECEIVER, Archive
from benchmarks.transfers import INSTANCES

_CLIENTS = 10
_EVERY_S = 0.05
_PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Crowd:
    """Half by WADO-RS, half by C-GET, all the same study; a few studies each."""

    side: Archive
    study: str

    def run(self, rounds: int) -> tuple[float, float]:
        """How much the node grew at most, in MB; the 95th percentile of ``/health``, in ms."""
        self._until_well()
        self._fetched(1)
        idle = _resident_mb(self.side.pid)
        peak, waits = idle, []
        for _ in range(rounds):
            clients = self._fetched(_CLIENTS, wait=False)
            while any(client.poll() is None for client in clients):
                peak = max(peak, _resident_mb(self.side.pid))
                waits.append(self._health_ms())
                time.sleep(_EVERY_S)
            _check(clients)
        return peak - idle, sorted(waits)[int(len(waits) * 0.95)]

    def _fetched(self, count: int, wait: bool = True) -> list[subprocess.Popen[bytes]]:
        clients = [self._start(self._commands()[number % 2]) for number in range(count)]
        if wait:
            _check(clients)
        return clients

    def _commands(self) -> tuple[list[str], list[str]]:
        side = self.side
        url = f"{side.web}/studies/{self.study}"
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={self.study}"]
        address = ["-aet", RECEIVER, "-aec", side.ae_title, "127.0.0.1", str(side.port)]
        return (
            ["curl", "-sf", "-o", "/dev/null", "-H", f"Accept: {INSTANCES}", url],
            ["/usr/bin/getscu", "-S", "-pdu", "131072", "--ignore", *keys, *address],
        )

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _until_well(self) -> None:
        """A node that has just started waits for its first workers before it calls itself well."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._health() != 200:
            if time.monotonic() > deadline:
                raise SystemExit("the node does not become well")
            time.sleep(_EVERY_S)

    def _health_ms(self) -> float:
        started = time.perf_counter()
        status = self._health()
        spent_ms = (time.perf_counter() - started) * 1000
        if status != 200:
            print(f"/health answered {status} while many retrieved", flush=True)
        return spent_ms

    def _health(self) -> int:
        connection = HTTPConnection(self.side.page.removeprefix("http://"), timeout=60)
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status


def _check(clients: list[subprocess.Popen[bytes]]) -> None:
    failed = [client.args for client in clients if client.wait() != 0]
    if failed:
        raise SystemExit(f"clients failed: {failed}")


def _resident_mb(pid: int) -> float:
    """Of a process and all below it: resident pages that are no file's."""
    return sum(_anonymous_kb(one) for one in _tree(pid)) / 1024


def _tree(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        children += [int(one) for one in task.read_text().split()]
    return [pid, *(one for child in children for one in _tree(child))]


def _anonymous_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)
