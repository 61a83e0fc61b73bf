"""What people cost the node, and it them: logins, and many who look while modalities send.

    python -m benchmarks.people [--quick] [--runs N] [--json FILE]

The node is the real one, with login on. Wrong passwords come from another address of this machine,
a thousand a minute. While 50 people look at the list of studies, each told by events and reading
the page anew as its script does, 4 modalities send; in turn, they send while nobody looks. A rate
counts until the last instance is in the index.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from benchmarks import receivers
from benchmarks.audience import Seen, looking
from benchmarks.comparison import OURS, Goal, Table
from benchmarks.modality import Modality
from benchmarks.receivers import Side

NAME = "ann"
STRANGER = "127.0.0.2"
WRONG_A_MINUTE = 1000
MODALITIES = 4
NOBODY = "nobody looks"
_PASSWORD = secrets.token_urlsafe(12)
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_numbers = iter(range(1, 1_000_000_000))


@dataclass(frozen=True, slots=True)
class Plan:
    logins: int
    people: int
    runs: int
    instances: int
    """Of each modality in a run."""
    instance_bytes: int


FULL = Plan(logins=25, people=50, runs=5, instances=500, instance_bytes=512 * 1024)
QUICK = Plan(logins=3, people=5, runs=1, instances=20, instance_bytes=32 * 1024)


@dataclass(frozen=True, slots=True)
class Login:
    """What became of a login: its status, its cookies, and the seconds that it took."""

    status: int
    session: str
    took_s: float


def log_in(side: Side, password: str, host: str = "127.0.0.1", name: str = NAME) -> Login:
    """From an address of this machine."""
    address = side.page.removeprefix("http://")
    connection = HTTPConnection(address, timeout=60, source_address=(host, 0))
    body = urlencode({"name": name, "password": password, "next": "/"})
    began = time.perf_counter()
    connection.request("POST", "/login", body, _FORM | {"Origin": side.page})
    answer = connection.getresponse()
    answer.read()
    took_s = time.perf_counter() - began
    connection.close()
    given = answer.headers.get_all("Set-Cookie") or []
    session = "; ".join(one.partition(";")[0] for one in given)
    return Login(answer.status, session, took_s)


@contextmanager
def node(folder: Path) -> Iterator[Side]:
    """The real node, with one user."""
    os.environ["WETREAD_HTTP__LOGIN"] = "true"
    with receivers.wetread(folder, OURS) as side:
        command = [sys.executable, "-m", "node", "user", "add", NAME, "--role", "viewer"]
        config = ["--config", str(folder / "config.toml")]
        subprocess.run([*command, *config], input=f"{_PASSWORD}\n", text=True, check=True)
        yield side


@dataclass(slots=True)
class Strangers:
    """They try names and passwords, so many a minute, until they are stopped."""

    side: Side
    answers: dict[int, int] = field(default_factory=dict)
    """How many, by status."""
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def trying(self) -> Iterator[None]:
        with ThreadPoolExecutor(16) as pool:
            clock = threading.Thread(target=self._send_on, args=(pool,))
            clock.start()
            try:
                yield
            finally:
                self._is_over.set()
                clock.join()

    def _send_on(self, pool: ThreadPoolExecutor) -> None:
        while not self._is_over.wait(60 / WRONG_A_MINUTE):
            pool.submit(self._try)

    def _try(self) -> None:
        name = NAME if next(_numbers) % 2 else secrets.token_hex(4)
        status = log_in(self.side, secrets.token_hex(8), STRANGER, name).status
        self.answers[status] = self.answers.get(status, 0) + 1


def measure_logins(side: Side, table: Table, plan: Plan) -> None:
    alone = [_right(side) for _ in range(plan.logins)]
    table.add("login", "ms", {OURS: alone}, Goal(at_most=400))
    strangers = Strangers(side)
    with strangers.trying():
        time.sleep(3)  # until the first are made to wait
        beside = [_right(side) for _ in range(plan.logins)]
    case = f"login beside {WRONG_A_MINUTE} wrong ones a minute"
    table.add(case, "ms", {OURS: beside, "alone": alone}, Goal("alone", 0.5))
    print(f"wrong logins by status: {strangers.answers}", flush=True)


def _right(side: Side) -> float:
    """Milliseconds."""
    made = log_in(side, _PASSWORD)
    if made.status != 303:
        raise SystemExit(f"a right password was answered with {made.status}")
    return made.took_s * 1000


def measure_receiving(side: Side, table: Table, plan: Plan) -> None:
    session = log_in(side, _PASSWORD).session
    _send(side, plan)  # the node has received before
    found: dict[str, list[float]] = {OURS: [], NOBODY: []}
    for run in range(plan.runs):  # now one first, now the other: the index grows
        for who in (NOBODY, OURS) if run % 2 else (OURS, NOBODY):
            found[who].append(_timed(side, plan, session if who == OURS else None))
    case = f"{plan.people} people look while {MODALITIES} modalities send"
    table.add(f"{case}: an instance", "ms", found, Goal(NOBODY, 0.95))


def _timed(side: Side, plan: Plan, session: str | None) -> float:
    """Milliseconds an instance; with a session while people look."""
    audience = looking(side.page, session, plan.people) if session else nullcontext(Seen())
    with audience as seen:
        began = time.perf_counter()
        _send(side, plan)
        took_s = time.perf_counter() - began
    print(f"{took_s:.2f} s; pages read {seen.pages}, slowest {seen.slowest_s:.2f} s", flush=True)
    return took_s * 1000 / (plan.instances * MODALITIES)


def _send(side: Side, plan: Plan) -> None:
    threads = [
        threading.Thread(target=_one_modality, args=(side.port, plan)) for _ in range(MODALITIES)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    side.settle(plan.instances * MODALITIES)


def _one_modality(port: int, plan: Plan) -> None:
    study = f"2.25.71{next(_numbers):06d}"
    with Modality(port) as modality:
        for number in range(plan.instances):
            modality.store(f"{study}.2.{number + 1}", study, plan.instance_bytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of all: no figures")
    parser.add_argument("--runs", type=int, help="how often modalities send, beside people and not")
    parser.add_argument("--json", type=Path, help="where the table is also written")
    parser.add_argument("--folder", type=Path, help="where the files lie while it runs")
    given = parser.parse_args()
    plan, table = (QUICK if given.quick else FULL), Table()
    plan = replace(plan, runs=given.runs or plan.runs)
    with (
        tempfile.TemporaryDirectory(prefix="wetread-bench-", dir=given.folder) as folder,
        node(Path(folder) / "wetread") as side,
    ):
        measure_logins(side, table, plan)
        measure_receiving(side, table, plan)
    print(f"\n{table.text()}")
    if given.json:
        table.save(given.json)


if __name__ == "__main__":
    main()
