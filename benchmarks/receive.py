"""How fast instances are received, beside Orthanc, DCMTK's storescp and stock pynetdicom.

A side is this node at an earlier commit (``benchmarks.earlier``), too. All sides run in turn on the
same disk and get the same files from the same sender. Given are medians and the ratios of medians,
and the CPU of one instance; a side's rate counts until its last answer, and the node's until the
last instance is in its index. Senders with Nagle's algorithm on stall at the peers for minutes:
there, fewer instances are sent.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import earlier
from benchmarks.fresh_images import Images
from benchmarks.modality import Modality
from benchmarks.receivers import Side, orthanc, stock, storescp, wetread

THEN = "Wetread, then"
UNSYNCED = "Wetread, sync = false"
TWO = "Wetread, processes = 2"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done. ``quick`` is for a look, not for figures."""

    runs: int
    small: int
    large: int
    nagle: int
    echoes: int
    object_mb: int
    rows: int


FULL = Plan(runs=5, small=1000, large=400, nagle=100, echoes=2000, object_mb=1024, rows=1_000_000)
QUICK = Plan(runs=1, small=300, large=60, nagle=20, echoes=300, object_mb=16, rows=50_000)


@dataclass(slots=True)
class Table:
    """Rates by work and side; printed as Markdown."""

    rows: list[str] = field(default_factory=list)

    def add(
        self,
        work: str,
        unit: str,
        values: dict[str, list[float]],
        more: str = "",
        costs: dict[str, list[float]] | None = None,
    ) -> None:
        """One row a side, with the ratio of the node to it. All values: the more, the better.

        ``costs``: seconds of CPU for one, by side.
        """
        ours = statistics.median(values["Wetread"])
        others = [statistics.median(values[one]) for one in (UNSYNCED, TWO) if one in values]
        for side, figures in values.items():
            middle = statistics.median(figures)
            spread = f"{min(figures):.4g} – {max(figures):.4g}"
            ratio = f"{ours / middle:.2f}"
            other = " | ".join(f"{one / middle:.2f}" for one in others) or "|"
            cpu_us = 1e6 * statistics.median((costs or {}).get(side, [0.0]))
            said = (f"CPU {cpu_us:.0f} µs" if cpu_us else "", more if side == "Wetread" else "")
            note = "; ".join(one for one in said if one)
            row = (
                f"| {work} | {side} | {middle:.4g} {unit} | {spread} | {ratio} | {other} | {note} |"
            )
            self.rows.append(row)
            print(row, flush=True)

    def text(self) -> str:
        ratios = "Wetread ÷ side | unsynced ÷ side | two processes ÷ side"
        head = f"| work | side | median | range | {ratios} | |"
        return "\n".join([head, "|---|---|---|---|---|---|---|---|", *self.rows])


# --- works ----------------------------------------------------------------------------------------


class Bench:
    """One run of everything that was asked for."""

    def __init__(self, folder: Path, plan: Plan, table: Table) -> None:
        self._folder = folder
        self._plan = plan
        self._table = table

    def works(self) -> dict[str, Callable[[], None]]:
        return {
            "small": self.small,
            "large": self.large,
            "resend": self.resend,
            "four": self.four,
            "nagle": self.nagle,
            "echo": self.echo,
            "memory": self.memory,
            "growth": self.growth,
        }

    def small(self) -> None:
        count = self._plan.small
        images = Images(self._folder / "small", count, 128)
        self._store(f"{count} × 36 kB", images, count, "small-sides")

    def large(self) -> None:
        count = self._plan.large
        images = Images(self._folder / "large", count, 512)
        self._store(f"{count} × 0.5 MB", images, count, "large-sides")

    def resend(self) -> None:
        """Studies that the node has already, beside those that are new to it."""
        for count, rows, size in (
            (self._plan.small, 128, "36 kB"),
            (self._plan.large, 512, "0.5 MB"),
        ):
            images = Images(self._folder / f"resend{rows}", count, rows)
            values: dict[str, list[float]] = {"Wetread": [], "Wetread, new": []}
            costs: dict[str, list[float]] = {one: [] for one in values}
            with wetread(self._folder / f"resend-node{rows}") as side:
                for _ in range(self._plan.runs):
                    folder = images.fresh()
                    for name in ("Wetread, new", "Wetread"):
                        before = side.cpu_s()
                        values[name].append(_send([folder], side, count))
                        costs[name].append((side.cpu_s() - before) / count)
            self._table.add(f"{count} × {size}, sent again", "/s", values, costs=costs)

    def four(self) -> None:
        """Four senders, a quarter of the instances each."""
        count = self._plan.small // 4
        images = [Images(self._folder / f"four{one}", count, 128) for one in range(4)]
        self._compare(
            f"4 associations, {4 * count} × 36 kB",
            lambda side: _send([one.fresh() for one in images], side, 4 * count),
            "four-sides",
            4 * count,
            with_stock=False,
        )

    def nagle(self) -> None:
        count, plenty = self._plan.nagle, self._plan.small
        few = Images(self._folder / "few", count, 128)
        many = Images(self._folder / "many", plenty, 128)

        def work(side: Side) -> float:
            if side.name.startswith("Wetread"):
                return _send([many.fresh()], side, plenty, nagle=True)
            return _send([few.fresh()], side, count, nagle=True)

        name = f"36 kB, sender with Nagle ({plenty}; peers {count})"
        self._compare(
            name, work, "nagle-sides", with_stock=True, runs=min(self._plan.runs, 3), nagle=True
        )

    def echo(self) -> None:
        self._compare(
            f"{self._plan.echoes} × C-ECHO, one association",
            lambda side: _echo(side, self._plan.echoes),
            "echo-sides",
            self._plan.echoes,
            with_stock=True,
        )

    def memory(self) -> None:
        """Resident memory of the node above idle, while eight push large objects."""
        with wetread(self._folder / "memory") as side:
            with Modality(side.port) as modality:
                modality.store("2.25.77.1", "2.25.77", 1_000_000)
            side.settle(1)
            time.sleep(1)
            idle = _resident_mb(side.pid)
            peak, seconds = _push(side, self._plan.object_mb)
        work = f"8 senders, {self._plan.object_mb} MB objects"
        figures = f"+{peak - idle:.0f} MB (idle {idle:.0f}) | | | | {seconds:.0f} s"
        row = f"| {work} | Wetread | {figures} |"
        self._table.rows.append(row)
        print(row, flush=True)

    def growth(self) -> None:
        """Small instances with a full index, now and then, and in turn with an empty one."""
        count = self._plan.small
        images = Images(self._folder / "growth", count, 128)
        checkouts = {"Wetread": None, "Wetread, empty index": None, THEN: _then()}
        values: dict[str, list[float]] = {name: [] for name in checkouts}
        homes = {name: self._folder / f"node-{number}" for number, name in enumerate(values)}
        for name, checkout in checkouts.items():
            if name == "Wetread, empty index":
                continue
            with wetread(homes[name], checkout=checkout):
                pass  # makes the tables
            _fill(homes[name] / "node" / "wetread.db", self._plan.rows)
        with ExitStack() as stack:
            sides = [
                stack.enter_context(wetread(homes[name], name, checkout=checkout))
                for name, checkout in checkouts.items()
            ]
            for _ in range(self._plan.runs):
                for side in sides:
                    values[side.name].append(_send([images.fresh()], side, count))
        self._table.add(f"{self._plan.rows} rows in the index", "/s", values)

    def _store(self, name: str, images: Images, count: int, folder: str) -> None:
        self._compare(
            name, lambda side: _send([images.fresh()], side, count), folder, count, with_stock=True
        )

    def _compare(
        self,
        name: str,
        work: Callable[[Side], float],
        folder: str,
        count: int = 0,
        with_stock: bool = True,
        runs: int = 0,
        nagle: bool = False,
    ) -> None:
        home = self._folder / folder
        values: dict[str, list[float]] = {}
        costs: dict[str, list[float]] = {}
        with ExitStack() as stack:
            sides = [
                stack.enter_context(wetread(home / "synced")),
                stack.enter_context(wetread(home / "then", THEN, checkout=_then())),
                stack.enter_context(
                    wetread(home / "unsynced", UNSYNCED, "[storage]\nsync = false")
                ),
                stack.enter_context(wetread(home / "two", TWO, dimse="processes = 2")),
                stack.enter_context(orthanc(home / "orthanc", nagle)),
                stack.enter_context(storescp(home / "storescp", nagle)),
            ]
            if with_stock:
                sides.append(stack.enter_context(stock(home / "stock")))
            for _ in range(runs or self._plan.runs):
                for side in sides:
                    before = side.cpu_s()
                    values.setdefault(side.name, []).append(work(side))
                    if count:
                        costs.setdefault(side.name, []).append((side.cpu_s() - before) / count)
        shutil.rmtree(home, ignore_errors=True)
        lag_ms = 1000 * max(_lags, default=0.0)
        _lags.clear()
        self._table.add(
            name, "/s", values, f"index behind the last answer ≤ {lag_ms:.0f} ms", costs
        )


def _then() -> earlier.Side:
    """The commit that goals are ratios to."""
    return earlier.sides()[0]


_lags: list[float] = []


def _send(folders: list[Path], side: Side, count: int, nagle: bool = False) -> float:
    """Instances a second, until the last is answered and indexed."""
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    if not nagle:
        environment["TCP_NODELAY"] = "1"
    address = ["-aec", side.name[:7].upper(), "127.0.0.1", str(side.port), "+sd"]
    started = time.perf_counter()
    senders = [
        subprocess.Popen(
            ["dcmsend", *address, str(folder)], stdout=subprocess.DEVNULL, env=environment
        )
        for folder in folders
    ]
    failed = [sender.args for sender in senders if sender.wait() != 0]
    if failed:
        raise SystemExit(f"{side.name} did not take everything: {failed}")
    lag = side.settle(count)
    if side.name == "Wetread":
        _lags.append(lag)
    return count / (time.perf_counter() - started)


def _echo(side: Side, count: int) -> float:
    with Modality(side.port) as modality:
        modality.echo()
        started = time.perf_counter()
        for _ in range(count):
            modality.echo()
        return count / (time.perf_counter() - started)


def _push(side: Side, megabytes: int) -> tuple[float, float]:
    def send(number: int) -> None:
        with Modality(side.port) as modality:
            modality.store(f"2.25.78.{number}", f"2.25.79.{number}", megabytes << 20)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(1, 9)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    peak = 0.0
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, _resident_mb(side.pid))
        time.sleep(0.05)
    return peak, time.perf_counter() - started


def _resident_mb(pid: int) -> float:
    """Resident pages of a process that are no file's."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def _fill(database: Path, rows: int) -> None:
    """Rows made by SQLite itself: a study to 500 of them."""
    from pysqlite3 import dbapi2

    connection = dbapi2.connect(str(database))
    statements = (Path(__file__).parent / "fill.sql").read_text().replace(":rows", str(rows))
    connection.executescript(statements)
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one run of little: no figures")
    parser.add_argument("--only", help="small, large, resend, four, nagle, echo, memory or growth")
    parser.add_argument("--folder", type=Path, help="where the files lie while it runs")
    options = parser.parse_args()
    table = Table()
    with tempfile.TemporaryDirectory(prefix="wetread-bench-", dir=options.folder) as folder:
        works = Bench(Path(folder), QUICK if options.quick else FULL, table).works()
        for name in [options.only] if options.only else works:
            works[name]()
    print(f"\n{table.text()}")


if __name__ == "__main__":
    main()
