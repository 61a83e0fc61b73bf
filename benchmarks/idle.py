"""What the node costs while nothing happens, and what its start costs: an earlier commit, and now.

Each side starts in turn, with a folder of its own that has been started on once, every installed
analyzer in its rules. Seconds and CPU to the line that says it listens, seconds to the first answer
over the web; then, when it calls itself well, memory and CPU of the main process with and without
associations that nobody speaks on.

    python -m benchmarks.idle --commit 5d2b375 --rounds 3
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from benchmarks.earlier import EARLIER, Side, sides

ASSOCIATIONS = 50
WELL_S = 120
END_S = 60
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one start: the main process alone, but for ``all_mb``."""

    ready_s: float
    ready_cpu_s: float
    answers_s: float
    resident_mb: float
    proportional_mb: float
    all_mb: float
    idle_percent: float
    associated_percent: float


COLUMNS = (
    ("ready", "s"),
    ("its CPU", "s"),
    ("first answer", "s"),
    ("RSS", "MB"),
    ("PSS", "MB"),
    ("PSS of all", "MB"),
    ("idle", "% of a core"),
    (f"{ASSOCIATIONS} idle associations", "% of a core"),
)


@dataclass(frozen=True, slots=True)
class Started:
    """A node that listens."""

    pid: int
    port: int
    page: str
    ready_s: float
    ready_cpu_s: float
    answers_s: float


def main() -> None:
    options = _options()
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="wetread-idle-") as made:
        both = sides(options.commit)
        for side in both:
            _prepare(side, Path(made) / side.name)
        for _ in range(options.rounds):
            for side in both:
                cost = _cost(side, Path(made) / side.name, options.watch_s)
                costs.setdefault(side.name, []).append(cost)
                print(f"{side.name:5} {_line(cost)}", flush=True)
    print(_table(costs))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commit", default=EARLIER, help="the earlier side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--watch-s", type=float, default=30.0, help="how long CPU is counted")
    return parser.parse_args()


def _prepare(side: Side, folder: Path) -> None:
    """Settings with all analyzers in one rule; a first start makes database and bytecode."""
    folder.mkdir()
    asked = [sys.executable, "-c", "from analyzers import registry; print(registry.names())"]
    said = subprocess.run(
        asked, env=_environment(side), cwd=side.folder, capture_output=True, text=True, check=True
    )
    names = ", ".join(f'"{name}"' for name in re.findall(r"\w+", said.stdout))
    (folder / "config.toml").write_text(
        "[dimse]\nport = 0\nmax_associations_per_peer = 0\n[http]\nport = 0\n"
        '[workers]\ndevice = "cpu"\n'
        '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 9\n'
        f'[[rules]]\nname = "all"\nanalyzers = [{names}]\ndestinations = ["pacs"]\n'
    )
    with _node(side, folder):
        pass


def _cost(side: Side, folder: Path, watch_s: float) -> Cost:
    with _node(side, folder) as node:
        _until_well(node)
        idle = _share(node.pid, watch_s)
        with _associations(node.port, ASSOCIATIONS):
            associated = _share(node.pid, watch_s)
            memory = _memory_mb(node.pid, "Rss"), _memory_mb(node.pid, "Pss")
            everything = sum(_memory_mb(pid, "Pss") for pid in _tree(node.pid))
        times = node.ready_s, node.ready_cpu_s, node.answers_s
        return Cost(*times, *memory, everything, idle, associated)


def _environment(side: Side) -> dict[str, str]:
    """As where it is installed: bytecode is kept."""
    return {k: v for k, v in side.environment().items() if k != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def _node(side: Side, folder: Path) -> Iterator[Started]:
    command = [sys.executable, "-m", "node", "serve", "--config", str(folder / "config.toml")]
    with (folder / "node.log").open("a") as errors:
        began = time.monotonic()
        process = subprocess.Popen(
            command, env=_environment(side), cwd=side.folder, stdout=subprocess.PIPE, stderr=errors,
            text=True,
        )  # fmt: skip
    try:
        yield _listens(process, began)
    finally:
        process.terminate()
        process.wait(END_S)
        if process.stdout is not None:
            process.stdout.close()


def _listens(process: subprocess.Popen[str], began: float) -> Started:
    for line in process.stdout or ():
        found = re.search(r"receives on \S+:(\d+), status page (\S+)", line)
        if found:
            ready = time.monotonic() - began, _cpu_s(process.pid)
            with suppress(urllib.error.HTTPError):  # not well yet: it answers
                urllib.request.urlopen(f"{found[2]}health", timeout=WELL_S).close()
            answers_s = time.monotonic() - began
            return Started(process.pid, int(found[1]), found[2], *ready, answers_s)
    raise SystemExit("the node did not start")


def _until_well(node: Started) -> None:
    """Until its workers have loaded what they compute with."""
    until = time.monotonic() + WELL_S
    while time.monotonic() < until:
        with (
            suppress(urllib.error.URLError),
            urllib.request.urlopen(f"{node.page}health", timeout=30) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.5)
    raise SystemExit("the node does not become well")


def _share(pid: int, watch_s: float) -> float:
    """Percent of a core that a process takes."""
    cpu_s, began = _cpu_s(pid), time.monotonic()
    time.sleep(watch_s)
    return (_cpu_s(pid) - cpu_s) / (time.monotonic() - began) * 100


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory_mb(pid: int, kind: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{kind}:")), 0.0)


def _tree(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        children += [int(one) for one in task.read_text().split()]
    return [pid, *(one for child in children for one in _tree(child))]


@contextmanager
def _associations(port: int, count: int) -> Iterator[None]:
    """Accepted, then silent."""
    with ExitStack() as open_ones:
        for _ in range(count):
            one = open_ones.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            one.sendall(_request())
            if one.recv(1) != b"\x02":
                raise SystemExit("an association was not accepted")
        yield


def _request() -> bytes:
    """A-ASSOCIATE-RQ for Verification in Implicit VR Little Endian (PS3.8 9.3.2)."""
    syntaxes = _item(0x30, b"1.2.840.10008.1.1") + _item(0x40, b"1.2.840.10008.1.2")
    user = _item(0x51, (16384).to_bytes(4, "big")) + _item(0x52, b"1.2.826.0.1.3680043.10.1")
    items = _item(0x10, b"1.2.840.10008.3.1.1.1") + _item(0x20, b"\x01\0\0\0" + syntaxes)
    body = b"\0\1\0\0" + b"WETREAD".ljust(16) + b"IDLE".ljust(16) + bytes(32) + items
    body += _item(0x50, user)
    return b"\x01\0" + len(body).to_bytes(4, "big") + body


def _item(kind: int, content: bytes) -> bytes:
    return bytes((kind, 0)) + len(content).to_bytes(2, "big") + content


def _line(cost: Cost) -> str:
    return "  ".join(f"{value:10.2f}" for value in astuple(cost))


def _table(costs: dict[str, list[Cost]]) -> str:
    """Medians, a row a side."""
    head = " | ".join(f"{name}, {unit}" for name, unit in COLUMNS)
    lines = [f"| | {head} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for side, found in costs.items():
        medians = [statistics.median(column) for column in zip(*map(astuple, found), strict=True)]
        lines.append(f"| {side} | " + " | ".join(f"{one:.2f}" for one in medians) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
