"""Where the CPU of receiving an instance goes, beside the least that any receiver must do.

The node runs in this process, and ``dcmsend`` sends it images over one association, or several.
Given are microseconds of CPU an instance, by thread; then, in a run of its own, what the functions
of a receiving thread take, as far as the profiler, which itself costs, can tell; and the CPU of a
floor: a receiver that reads PDUs, writes, hashes, syncs and names a file, and answers, and does
nothing else (no header, no index, no checks). Processes to be compared run in turn, with
``--commit`` at an earlier commit too: CPU alone, as a disk is never quiet.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import os
import pstats
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.earlier import sides
from benchmarks.fresh_images import Images

LANE = "receiving"
FLOOR = "floor"


def _send(port: int, folders: list[Path]) -> None:
    environment = {**os.environ, "TCP_NODELAY": "1"}
    senders = [
        subprocess.Popen(
            ["dcmsend", "127.0.0.1", str(port), "+sd", str(one)],
            stdout=subprocess.DEVNULL,
            env=environment,
        )
        for one in folders
    ]
    if any(sender.wait() for sender in senders):
        raise SystemExit("not everything was taken")


# --- the node -------------------------------------------------------------------------------------


class Watched:
    """CPU of the threads that have a name, also of those that have ended."""

    def __init__(self, profiled: bool) -> None:
        self.cpu_s: dict[str, float] = {}
        self.profile: cProfile.Profile | None = None
        """Of the lane that took most."""
        self._most_s = 0.0
        self._profiled = profiled
        self._live: dict[int, tuple[str, int]] = {}
        self._lock = threading.Lock()

    def follow(self) -> None:
        """Threads that begin from now on."""
        from node.dimse.association.lane import InstanceLane

        begin = threading.Thread.run
        reactor = InstanceLane.run_reactor
        watched = self

        def run(thread: threading.Thread) -> None:
            if isinstance(thread, InstanceLane):  # counted below
                begin(thread)
                return
            name = thread.name
            clock = time.pthread_getcpuclockid(threading.get_ident())
            with watched._lock:
                watched._live[threading.get_ident()] = (name, clock)
            try:
                begin(thread)
            finally:
                watched._count(threading.get_ident())

        def run_reactor(lane: Any) -> None:
            began = time.thread_time()
            profile = cProfile.Profile(time.thread_time)
            try:
                if watched._profiled:
                    profile.runcall(reactor, lane)
                else:
                    reactor(lane)
            finally:
                taken_s = time.thread_time() - began
                with watched._lock:
                    watched.cpu_s[LANE] = watched.cpu_s.get(LANE, 0.0) + taken_s
                    if taken_s > watched._most_s:
                        watched._most_s, watched.profile = taken_s, profile

        threading.Thread.run = run  # type: ignore[method-assign]
        InstanceLane.run_reactor = run_reactor  # type: ignore[method-assign]

    def _count(self, ident: int) -> None:
        with self._lock:
            name, clock = self._live.pop(ident)
            self.cpu_s[name] = self.cpu_s.get(name, 0.0) + time.clock_gettime(clock)

    def now(self) -> dict[str, float]:
        """Seconds until now, by name."""
        with self._lock:
            found = dict(self.cpu_s)
            for name, clock in self._live.values():
                found[name] = found.get(name, 0.0) + time.clock_gettime(clock)
        return found


def measure_node(folder: Path, count: int, associations: int, rows: int, profiled: bool) -> None:
    """Print what threads take of an instance, in microseconds; profiled: functions too."""
    from node.app import Node
    from node.config.load import load
    from node.observe import logs

    config = folder / "config.toml"
    config.write_text(
        '[node]\ndata_dir = "node"\nlog_level = "warning"\n[http]\nport = 0\n'
        '[workers]\ndevice = "cpu"\n[dimse]\nport = 0\n'
    )
    settings = load(config)
    logs.configure(settings.logs_dir, "warning")
    watched = Watched(profiled)
    watched.follow()
    node = Node(settings)
    node.start()
    images = [
        Images(folder / f"images{one}", count // associations, rows) for one in range(associations)
    ]
    _send(node.server.port, [one.fresh() for one in images])
    folders = [one.fresh() for one in images]
    while node.server.associations():
        time.sleep(0.05)
    time.sleep(2)
    watched._most_s = 0.0
    whole, before = time.process_time(), watched.now()
    _send(node.server.port, folders)
    while node.server.associations():
        time.sleep(0.05)
    time.sleep(1)
    after = watched.now()
    print(f"process {(time.process_time() - whole) / count * 1e6:.1f}")
    for name, cpu_s in after.items():
        print(f"{name.replace(' ', '_')} {(cpu_s - before.get(name, 0.0)) / count * 1e6:.1f}")
    if profiled and watched.profile is not None:
        pstats.Stats(watched.profile).sort_stats("tottime").print_stats(45)
    sys.stdout.flush()
    node.stop()
    os._exit(0)


# --- the floor ------------------------------------------------------------------------------------


def measure_floor(folder: Path, count: int, associations: int, rows: int) -> None:
    """Print what an instance costs a receiver that does the least."""
    listening = socket.create_server(("127.0.0.1", 0))
    taken = [0.0]

    def serve(connection: socket.socket) -> None:
        began = time.thread_time()
        Floor(connection, folder).serve()
        taken[0] += time.thread_time() - began

    images = [
        Images(folder / f"images{one}", count // associations, rows) for one in range(associations)
    ]
    folders = [one.fresh() for one in images]
    sending = threading.Thread(target=_send, args=(listening.getsockname()[1], folders))
    sending.start()
    serving = []
    for _ in folders:
        connection, _address = listening.accept()
        serving.append(threading.Thread(target=serve, args=(connection,)))
        serving[-1].start()
    for one in (sending, *serving):
        one.join()
    print(f"{FLOOR} {taken[0] / count * 1e6:.1f}")


class Floor:
    """One association, from its request to its release."""

    def __init__(self, connection: socket.socket, folder: Path) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._folder = folder
        self._buffer = memoryview(bytearray(1 << 20))
        self._number = 0

    def serve(self) -> None:
        """PDU after PDU."""
        command, data = bytearray(), bytearray()
        while True:
            kind, body = self._pdu()
            if kind == 0x01:
                self._connection.sendall(_accepted(bytes(body)))
                continue
            if kind != 0x04:
                self._connection.sendall(b"\x06\0\0\0\0\x04\0\0\0\0")
                self._connection.close()
                return
            at = 0
            while at < len(body):
                length, context, control = struct.unpack_from(">LBB", body, at)
                part = body[at + 6 : at + 4 + length]
                at += 4 + length
                if control & 1:
                    command += part
                    continue
                data += part
                if control & 2:
                    self._keep(data)
                    self._answer(context, bytes(command))
                    command, data = bytearray(), bytearray()

    def _pdu(self) -> tuple[int, memoryview]:
        self._read(self._buffer[:6])
        kind, length = struct.unpack_from(">BxL", self._buffer)
        self._read(self._buffer[:length])
        return kind, self._buffer[:length]

    def _read(self, view: memoryview) -> None:
        while len(view):
            got = self._connection.recv_into(view, len(view), socket.MSG_WAITALL)
            if not got:
                raise SystemExit("the sender is gone")
            view = view[got:]

    def _keep(self, data: bytearray) -> None:
        hashlib.sha256(data).digest()
        self._number += 1
        part = f"{self._folder}/{id(self)}-{self._number}"
        file = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC)
        os.write(file, data)
        os.fdatasync(file)
        os.link(part, f"{part}.dcm")
        os.close(file)

    def _answer(self, context: int, command: bytes) -> None:
        """By elements of the request: class, message, instance."""
        found, at = {}, 0
        while at < len(command):
            _, element, length = struct.unpack_from("<HHL", command, at)
            found[element] = command[at + 8 : at + 8 + length]
            at += 8 + length
        body = b"".join(
            struct.pack("<HHL", 0, element, len(value)) + value
            for element, value in (
                (0x0002, found[0x0002]),
                (0x0100, b"\x01\x80"),
                (0x0120, found[0x0110]),
                (0x0800, b"\x01\x01"),
                (0x0900, b"\0\0"),
                (0x1000, found[0x1000]),
            )
        )
        body = struct.pack("<HHLL", 0, 0, 4, len(body)) + body
        head = struct.pack(">BxLLBB", 4, len(body) + 6, len(body) + 2, context, 3)
        self._connection.sendall(head + body)


def _accepted(request: bytes) -> bytes:
    """An A-ASSOCIATE-AC that takes the first syntax of every context. PS3.8 9.3.3."""
    items, at = [_item(0x10, b"1.2.840.10008.3.1.1.1")], 68
    while at < len(request):
        kind, length = struct.unpack_from(">BxH", request, at)
        item = request[at + 4 : at + 4 + length]
        if kind == 0x20:
            syntax = 4 + 4 + struct.unpack_from(">H", item, 6)[0]
            size = 4 + struct.unpack_from(">H", item, syntax + 2)[0]
            items.append(_item(0x21, item[:1] + b"\0\0\0" + item[syntax : syntax + size]))
        at += 4 + length
    user = _item(0x51, (131072).to_bytes(4, "big")) + _item(0x52, b"1.2.826.0.1.3680043.10.1")
    body = request[:68] + b"".join(items) + _item(0x50, user)
    return b"\x02\0" + len(body).to_bytes(4, "big") + body


def _item(kind: int, content: bytes) -> bytes:
    return bytes((kind, 0)) + len(content).to_bytes(2, "big") + content


# --- all of it ------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", choices=("node", "profile", FLOOR))
    parser.add_argument("--commit", default="HEAD", help="the earlier side")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--associations", type=int, default=1)
    parser.add_argument("--rows", type=int, default=128, help="of an image: 128 is 36 kB")
    options = parser.parse_args()
    if options.measure is None:
        _compare(options)
        return
    with tempfile.TemporaryDirectory(prefix="wetread-cost-") as made:
        given = Path(made), options.count, options.associations, options.rows
        if options.measure == FLOOR:
            measure_floor(*given)
        else:
            measure_node(*given, profiled=options.measure == "profile")


def _compare(options: argparse.Namespace) -> None:
    """Medians by thread, a column a side, and the floor."""
    found: dict[str, dict[str, list[float]]] = {}
    words = ["--count", options.count, "--associations", options.associations]
    words += ["--rows", options.rows]
    then, now = sides(options.commit)
    for _ in range(options.runs):
        for side in (then, now):
            _note(
                found,
                side.name,
                side.run("benchmarks.receiving_cost", "--measure", "node", *words).output,
            )
        _note(found, "now", now.run("benchmarks.receiving_cost", "--measure", FLOOR, *words).output)
    print("| µs of CPU an instance | then | now |\n|---|---|---|")
    for name, values in found.items():
        medians = {side: statistics.median(one) for side, one in values.items()}
        if max(medians.values()) >= 1:
            print(f"| {name} | {medians.get('then', 0):.0f} | {medians.get('now', 0):.0f} |")
    print(now.run("benchmarks.receiving_cost", "--measure", "profile", *words).output)


def _note(found: dict[str, dict[str, list[float]]], side: str, output: str) -> None:
    for line in output.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, {}).setdefault(side, []).append(float(value))


if __name__ == "__main__":
    main()
