"""A million PDUs that were tampered with: the node lives, others are served, memory stays flat."""

from __future__ import annotations

import os
import queue
import re
import socket
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.node.dimse.mutations import script
from tests.node.dimse.raw_peer import AC, ECHO, Context, RawPeer, associate_rq, image
from tests.node_process import Node

ATTACKERS = 4
SETTINGS = """
[storage]
min_free_mb = 0
"""
WATCH = """
import os, sys

def _watch(event, arguments, folder=os.environ["WATCHED_FOLDER"], report=os.environ["WATCH_FILE"]):
    if event == "open":
        path, mode, flags = arguments
        if not isinstance(path, (str, bytes)) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        paths = [path]
    elif event in ("os.link", "os.rename", "os.symlink"):
        paths = arguments[:2]
    elif event == "os.mkdir":
        paths = arguments[:1]
    else:
        return
    for path in paths:
        path = os.path.abspath(os.fsdecode(path))
        own = (folder, report, "/proc/self/oom_score_adj")  # the last by workers
        is_device = path.startswith("/dev/") and not path.startswith("/dev/shm/")
        if path.startswith(folder + os.sep) or is_device or path in own:
            continue
        descriptor = os.open(report, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{event} {path}\\n".encode())
        os.close(descriptor)

sys.addaudithook(_watch)
"""
"""Loaded by the node's interpreter at its start: writes down what is written elsewhere."""

MOULD = re.compile(rf"(open|os\.mkdir) {tempfile.gettempdir()}/(pymp-)?[a-z0-9_]{{8}}")
"""The folder of the socket over which workers are made, and whether one can be made at all."""


@dataclass
class Tally:
    """What came of a run."""

    pdus: int = 0
    connections: int = 0
    served: int = 0
    knocks: int = 0
    visits: int = 0
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    memory_kb: list[int] = field(default_factory=list)


def memory_kb(node: Node) -> int:
    """Resident memory of the node's own process."""
    assert node.process is not None
    text = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def attack(port: int, seed: int) -> int:
    """One connection's script; gives the number of mutated PDUs that went out."""
    one = script(seed)
    with RawPeer(port, timeout_s=30) as peer:
        try:
            peer.send(one.pdus[0])
            if not one.is_sound_request or peer.read()[0] == AC:
                peer.send(b"".join(one.pdus[1:]))
            peer.socket.shutdown(socket.SHUT_WR)
            while peer.socket.recv(65_536):
                pass
        except OSError:
            pass  # it had enough
    return one.mutated


def attacker(port: int, seeds: queue.SimpleQueue[int], tally: Tally, wanted: int) -> None:
    while tally.pdus < wanted:
        try:
            sent = attack(port, seeds.get())
        except Exception as error:  # noqa: BLE001 - the report must tell
            tally.faults.append(f"attack: {type(error).__name__}: {error}")
            if len(tally.faults) > 20:
                return
            continue
        tally.pdus += sent
        tally.connections += 1


def bystander(port: int, tally: Tally, stop: threading.Event) -> None:
    """A modality whose one long association stores an image and asks C-ECHO, again and again."""
    try:
        with RawPeer(port, timeout_s=30) as peer:
            peer.associate(associate_rq([Context(1), Context(3, ECHO)], calling=b"CT1"))
            while not stop.wait(0.2):
                uid = f"1.3.{tally.served}".encode()
                started = time.monotonic()
                answers = (peer.store(image(uid, b"1.3"), uid), peer.echo(3))
                tally.slowest_s = max(tally.slowest_s, time.monotonic() - started)
                if answers != (0, 0):
                    tally.faults.append(f"bystander: {answers}")
                tally.served += 1
    except Exception as error:  # noqa: BLE001 - the report must tell
        tally.faults.append(f"bystander: {type(error).__name__}: {error}")


def knocker(port: int, tally: Tally, stop: threading.Event) -> None:
    """A port scan, a health check, and connections that are silent or half asked."""
    silent: deque[socket.socket] = deque(maxlen=200)
    while not stop.wait(0.005):
        tally.knocks += 1
        with suppress(OSError):  # one too many
            one = socket.create_connection(("127.0.0.1", port), 10)
            one.sendall(
                (b"", associate_rq()[:50], b"GET / HTTP/1.1\r\n\r\n", b"")[tally.knocks % 4]
            )
            if tally.knocks % 4:
                one.close()
                continue
            if len(silent) == silent.maxlen:
                silent[0].close()
            silent.append(one)
    for one in silent:
        one.close()


def visitor(port: int, tally: Tally, stop: threading.Event) -> None:
    """A modality at another address, which opens an association for every image."""
    while not stop.wait(0.1):
        uid = f"1.4.{tally.visits}".encode()
        try:
            with RawPeer(port, timeout_s=30, source="127.0.0.2") as peer:
                peer.associate(associate_rq(calling=b"CT2"))
                assert peer.store(image(uid, b"1.4"), uid) == 0
        except Exception as error:  # noqa: BLE001 - the report must tell
            tally.faults.append(f"visitor: {type(error).__name__}: {error}")
        tally.visits += 1


def run(folder: Path, wanted: int, every_s: float = 5.0) -> tuple[Tally, Node]:
    """Attack a node process until so many mutated PDUs were sent."""
    hook, report = folder / "hook", folder / "written-elsewhere"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(WATCH)
    environment = {
        "PYTHONPATH": str(hook),
        "WATCHED_FOLDER": str(folder / "node"),
        "WATCH_FILE": str(report),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    node = Node(folder / "node", SETTINGS, environment=environment, is_alone=True)
    tally, stop = Tally(), threading.Event()
    node.start()
    try:
        seeds: queue.SimpleQueue[int] = queue.SimpleQueue()
        for seed in range(wanted):
            seeds.put(seed)
        threads = [
            threading.Thread(target=attacker, args=(node.port, seeds, tally, wanted), daemon=True)
            for _ in range(ATTACKERS)
        ]
        others = [
            threading.Thread(target=other, args=(node.port, tally, stop))
            for other in (bystander, knocker, visitor)
        ]
        for thread in threads + others:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(every_s)
            tally.memory_kb.append(memory_kb(node))
            print(f"{tally.pdus} PDUs, {tally.connections} connections, {tally.memory_kb[-1]} kB")
        stop.set()
        for thread in others:
            thread.join()
        assert node.process is not None and node.process.poll() is None, "the node has ended"
        assert node.get("/health").status_code == 200, node.get("/health").text
        written = report.read_text().splitlines() if report.exists() else []
        elsewhere = [line for line in written if not MOULD.fullmatch(line)]
        tally.faults += [f"written elsewhere: {line}" for line in sorted(set(elsewhere))]
    finally:
        node.kill()
    return tally, node


def check(tally: Tally, node: Node, wanted: int) -> None:
    """The promises, and the figures for whoever reads the output."""
    first, last = tally.memory_kb[0], tally.memory_kb[-1]
    print(
        f"{tally.pdus} mutated PDUs over {tally.connections} connections; memory {first} kB, then"
        f" {last} kB, at most {max(tally.memory_kb)} kB; {tally.served} rounds of another"
        f" association, the slowest {tally.slowest_s:.2f} s; {tally.visits} visits from another"
        f" address, beside {tally.knocks} connections that never asked"
    )
    assert tally.faults == []
    assert tally.pdus >= wanted
    assert tally.served > 0 and tally.visits > 0 and tally.knocks > 0
    log = node.log()
    assert "association_fault" not in log
    assert "receive_fault" not in log


@pytest.mark.timeout(100)
def test_mutated_pdus_hurt_only_those_who_send_them(tmp_path: Path) -> None:
    tally, node = run(tmp_path, wanted=4000, every_s=0.5)
    check(tally, node, 4000)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_million_mutated_pdus_hurt_only_those_who_send_them(tmp_path: Path) -> None:
    wanted = int(os.environ.get("MUTATED_PDUS", "1000000"))
    tally, node = run(tmp_path, wanted, every_s=10)
    check(tally, node, wanted)
    settled = tally.memory_kb[len(tally.memory_kb) // 5]  # caches, pools, the database's pages
    assert tally.memory_kb[-1] < 1.15 * settled + 20_000
