"""What the node's parts cost when there is much: CPU, statements, and how long others wait.

    python -m benchmarks.scale [--studies 100000] [--database FILE]

Fills a database by SQL (SQLite; ten images a study), sets up one situation after another, and
measures what each part then does again and again. The time of a writer is the time for which no
other can write. A database that is given is filled only if it is empty, and is written to.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import sqlalchemy as sa
import structlog
from fastapi import FastAPI

from node.config.rules import RuleSettings
from node.config.tables import CompletionSettings
from node.intake.completion import Completion
from node.intake.planning import Planner
from node.observe.gaps import GapWatch
from node.observe.health import Health
from node.observe.metrics import IndexQueue, Metrics, ReceptionCounts
from node.web.app import WebContext, create_app
from storage import ledger, outbox, schema, study_list
from storage.database import Database, Transaction, open_database
from storage.files.archive import Archive
from storage.files.blobs import Files
from storage.files.results import ResultStore
from storage.study_list import Asked, Wanted
from storage.study_words import WordKind

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FILL = Path(__file__).with_name("scale.sql")
LIMIT_MS = 50.0
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Measure:
    """The best of some repeats."""

    name: str
    cpu_ms: float
    longest_write_ms: float
    """How long the longest write transaction was open."""
    statements: int

    def row(self) -> str:
        over = " <- over the limit" if max(self.cpu_ms, self.longest_write_ms) > LIMIT_MS else ""
        return (
            f"{self.name:52} {self.cpu_ms:9.1f} {self.longest_write_ms:9.1f}"
            f" {self.statements:6}{over}"
        )


class Meter:
    """Counts statements and times write transactions of a database."""

    def __init__(self, database: Database) -> None:
        self._statements = 0
        self._writes: list[float] = []
        self._since = 0.0
        for engine in (database._engine, database._looking):
            sa.event.listen(engine, "before_cursor_execute", self._executes)
        sa.event.listen(database._engine, "commit", self._ends)
        sa.event.listen(database._engine, "rollback", self._ends)

    def measure(
        self,
        name: str,
        act: Callable[[], object],
        set_up: Callable[[], object] = lambda: None,
    ) -> Measure:
        found = [self._once(name, act, set_up) for _ in range(REPEATS)]
        return min(found, key=lambda one: one.cpu_ms)

    def _once(self, name: str, act: Callable[[], object], set_up: Callable[[], object]) -> Measure:
        set_up()
        self._statements, self._writes = 0, []
        begun = time.process_time()
        act()
        cpu_ms = (time.process_time() - begun) * 1000
        return Measure(name, cpu_ms, max(self._writes, default=0.0), self._statements)

    def _executes(self, connection: object, cursor: object, statement: str, *_: object) -> None:
        self._statements += 1
        if statement == "BEGIN IMMEDIATE":
            self._since = time.perf_counter()

    def _ends(self, connection: object) -> None:
        if self._since:
            self._writes.append((time.perf_counter() - self._since) * 1000)
        self._since = 0.0


class _Undo(Exception):
    """Takes back what was only measured."""


def fill(database: Database, studies: int) -> None:
    """Enter so many studies with all that belongs to them, unless there are some."""
    with database.write() as tx:
        if tx.execute(sa.select(schema.studies.c.id).limit(1)).first():
            return
        for statement in FILL.read_text().split(";\n"):
            if statement.strip():
                tx.exec_driver_sql(statement.replace(":studies", str(studies)))


def measures(database: Database) -> list[Measure]:
    """Every part in every situation."""
    meter = Meter(database)
    found = [meter.measure(*one) for one in _readers(database)]
    found += _searched(meter, database)
    found += [_claim(meter, database, *one) for one in ((8_000, 8_000), (0, 100_000), (100_000, 0))]
    found.append(_claim_job(meter, database))
    found += _plan(meter, database)
    found.append(_watch(meter, database))
    return found


PATHS = (
    "/", "/?sort=date", "/?problems=true", "/?state=nothing", "/?from=2026-01-05&to=2026-01-05",
    "/?modality=CT", "/?finding=lung", "/studies/1", "/jobs", "/alarms", "/api/studies",
    "/api/jobs?state=done", "/api/events?level=info", "/metrics",
)  # fmt: skip
"""What browsers and programs ask for every few seconds."""


def _readers(database: Database) -> list[tuple[str, Callable[[], object]]]:
    """Whole answers, as they leave the application."""
    health = Health(lambda: NOW)
    metrics = Metrics(
        database, health, lambda: ReceptionCounts(0, 0, 0), lambda: IndexQueue(0, 0.0, 0), dict
    )
    results = ResultStore(Path(tempfile.gettempdir()) / "wetread-scale")
    context = WebContext(
        database=database,
        results=results,
        archive=Archive(Files(results.root / "instances"), results.blobs),
        health=health,
        title="WETREAD",
        version="0",
        dimse_host="127.0.0.1",
        dimse_port=lambda: 0,
        destinations=("pacs",),
        wake=lambda: None,
        metrics=metrics.text,
    )
    app = create_app(context)
    return [(f"GET {path}", functools.partial(_get, app, path)) for path in PATHS]


SEARCHED = ("family77", "given", "pat1", "a99 family99", "nobody")


def _searched(meter: Meter, database: Database) -> list[Measure]:
    """What people type."""

    def search(words: str) -> None:
        asked = Asked(Wanted(words=words), kinds=tuple(WordKind))
        with database.look() as tx:
            study_list.part(tx, asked, 30)

    return [
        meter.measure(f"search for {one!r}", functools.partial(search, one)) for one in SEARCHED
    ]


def _get(app: FastAPI, path: str) -> None:
    async def ask() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            (await client.get(path)).raise_for_status()

    asyncio.run(ask())


def _claim(meter: Meter, database: Database, put_off: int, due: int) -> Measure:
    with database.write() as tx:
        _set_deliveries(tx, "sent", "state <> 'sent'", NOW)
        _set_deliveries(tx, "pending", f"id <= {put_off}", NOW + timedelta(days=1))
        half = f"(SELECT max(id) / 2 FROM deliveries) AND id > {put_off}"
        _set_deliveries(tx, "pending", f"id > {half} LIMIT {due}" if due else "0", NOW)
    name = f"claim of objects, {put_off} put off, {due} due"
    found = meter.measure(name, lambda: _undone(database, lambda tx: outbox.claim(tx, "pacs", NOW)))
    with database.write() as tx:
        _set_deliveries(tx, "sent", "state <> 'sent'", NOW)
    return found


def _set_deliveries(tx: Transaction, state: str, which: str, not_before: datetime) -> None:
    table = schema.deliveries
    chosen = sa.text(f"SELECT id FROM deliveries WHERE {which}")
    tx.execute(
        sa.update(table)
        .where(table.c.id.in_(chosen.columns(table.c.id)))
        .values(state=state, not_before=not_before)
    )


def _claim_job(meter: Meter, database: Database) -> Measure:
    jobs = schema.jobs
    with database.write() as tx:
        tx.execute(sa.update(jobs).values(state="pending"))
    found = meter.measure(
        "claim of a job, all pending", lambda: _undone(database, lambda tx: ledger.claim(tx, NOW))
    )
    with database.write() as tx:
        tx.execute(sa.update(jobs).values(state="done"))
    return found


def _undone(database: Database, act: Callable[[Transaction], object]) -> None:
    try:
        with database.write() as tx:
            act(tx)
            raise _Undo
    except _Undo:
        return


def _plan(meter: Meter, database: Database) -> list[Measure]:
    """The newest study is open again, and due."""
    rule = RuleSettings(name="r", when={"Modality": "CT"}, analyzers=("gaussian_filter", "quality"))
    moments = iter(NOW + timedelta(hours=n) for n in range(10_000))
    completion = Completion(
        database, CompletionSettings(), Planner((rule,), {}), frozenset, lambda: next(moments)
    )
    table = schema.studies

    def open_again() -> None:
        newest = sa.select(table.c.id).order_by(table.c.id.desc()).limit(1)
        with database.write() as tx:
            tx.execute(sa.delete(schema.jobs).where(schema.jobs.c.rule == "r"))
            again = sa.update(table).where(table.c.id.in_(newest)).values(state="receiving")
            tx.execute(again)

    return [
        meter.measure("completion, nothing due", completion.step),
        meter.measure("completion and planning of a study", completion.step, open_again),
    ]


def _watch(meter: Meter, database: Database) -> Measure:
    watch = GapWatch(database, 1800, lambda: NOW)
    return meter.measure("gap watch", watch.step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--database", type=Path)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        path = given.database or Path(folder) / "scale.db"
        database = open_database(f"sqlite:///{path.resolve()}")
        try:
            fill(database, given.studies)
            print(f"{'':52} {'CPU ms':>9} {'lock ms':>9} {'SQL':>6}")
            for one in measures(database):
                print(one.row())
        finally:
            database.close()


if __name__ == "__main__":
    main()
