"""The node as a whole, in this process: how it starts, steps down and ends."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic import command
from structlog.testing import capture_logs

from analyzers import devices
from node import proofs
from node.app import Node
from node.clock import Clock, system_clock
from node.config.load import load
from node.errors import AlreadyRunning, SettingsError
from node.web.server import CannotServe
from storage import holdings, ledger
from storage.database import Database, open_database
from storage.files.results import ResultStore
from storage.holdings import Selection
from storage.people import notes
from storage.people.kept_notes import NotesFolder
from storage.records import JobResults
from tests.node.intake.test_earlier_results import segmentation
from tests.peers import free_port
from tests.storage.samples import (
    NOON,
    add_study,
    alembic_config,
    enqueue,
    new_job,
    result,
)
from tests.waiting import until


def node_in(
    folder: Path,
    http_port: int = 0,
    commitment: bool = False,
    clock: Clock = system_clock,
    device: str = "cpu",
) -> Node:
    path = folder / "config.toml"
    path.write_text(
        f'[dimse]\nport = 0\n[http]\nport = {http_port}\n[workers]\ndevice = "{device}"\n'
        f'[[destinations]]\nname = "pacs"\nae_title = "P"\nhost = "127.0.0.1"\n'
        f"port = {free_port()}\ncommitment = {str(commitment).lower()}\n"
    )
    return Node(load(path), clock)


def dies(device: str) -> str:
    os._exit(1)


def test_a_device_whose_driver_ends_the_process_that_asks_for_it_is_a_named_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "resolve", dies)
    with pytest.raises(SettingsError, match=r"workers\.device: cuda: the process .* has died"):
        node_in(tmp_path, device="cuda")


def test_a_node_starts_without_a_place_for_notes_and_says_so(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    with node.database.write() as tx:
        notes.write(tx, add_study(tx), "seen", "ann", NOON)
    node.settings.notes_dir.write_text("no folder")
    with capture_logs() as logged:
        node.start()
        until(lambda: any(one["event"] == "notes_not_kept" for one in logged))
        node.stop()
    assert [one["log_level"] for one in logged if one["event"] == "notes_not_kept"] == ["warning"]


def test_a_node_listens_while_files_of_notes_are_compared_and_stops_between_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, asked = threading.Event(), threading.Event(), list[int]()

    def held(folder: NotesFolder, database: Database, after: int, at_once: int) -> int:
        asked.append(after)
        begun.set()
        go_on.wait()
        return after + at_once

    monkeypatch.setattr(NotesFolder, "renew_some", held)
    node = node_in(tmp_path)
    node.start()  # it is back though the first step has not ended
    begun.wait()
    with socket.create_connection(("127.0.0.1", node.server.port)):
        assert asked == [0]
    go_on.set()
    node.stop()
    assert "notes" not in names()


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


@pytest.mark.timeout(100)
def test_a_node_that_another_has_replaced_leaves_jobs_and_deliveries_to_it(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    node.start()
    try:
        assert {"dispatcher", "completion", "delivery to pacs"} <= names()
        node.database.unlock_dispatcher()
        with pytest.raises(AlreadyRunning):
            proofs.prove_lock(node.database, node._step_down)
        until(lambda: not {"dispatcher", "completion", "delivery to pacs"} & names())
    finally:
        node.stop()


@pytest.mark.timeout(100)
def test_a_start_that_fails_leaves_nothing_running_and_the_database_free(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotServe):
        node_in(tmp_path, taken.getsockname()[1]).start()
    until(lambda: not {"dispatcher", "completion", "delivery to pacs", "indexer"} & names())
    node = node_in(tmp_path)
    node.start()
    node.stop()


@pytest.mark.timeout(100)
def test_results_that_an_older_version_left_are_found_soon_after_the_start(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    node.start()
    node.stop()
    database = open_database(node.settings.database_url())
    with database.write() as tx:
        study = add_study(tx)
        job = enqueue(tx, new_job(tx, study))
        key = ledger.get(tx, job).key
        ledger.claim(tx, NOON)
        made = replace(result("9.1"), key=f"{key}/seg.dcm", attributes=None)
        ledger.done(tx, job, NOON, JobResults((made,)))
        command.downgrade(alembic_config(tx), "0009")
    database.close()
    segmentation("9.1").save_as(
        ResultStore(node.settings.results_dir).folder(key) / "seg.dcm", enforce_file_format=True
    )
    again = node_in(tmp_path)
    again.start()

    def found() -> bool:
        with again.database.read() as tx:
            held = holdings.select(tx, Selection(sop_uids=("9.1",)))
            return [one.own for one in held] == [True]

    try:
        until(found)
    finally:
        again.stop()


PATIENCE_S = 240.0
"""A worker may take long to start where the machine is busy; only a fault takes so long."""


class MovedClock:
    """The machine's clock, moved on by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.mark.timeout(900)
def test_a_fault_of_each_part_in_turn_makes_health_red_and_nothing_else_clears_it(
    tmp_path: Path,
) -> None:
    clock = MovedClock()
    node = node_in(tmp_path, commitment=True, clock=clock)
    node.start()
    page = f"http://127.0.0.1:{node.web.port}/health"
    try:
        until(lambda: httpx.get(page, timeout=60).status_code == 200, PATIENCE_S)
        works = works_of(node)
        assert {one["name"] for one in httpx.get(page, timeout=60).json()["checks"]} == set(works)
        for name, work in works.items():
            with broken(work):
                until(lambda name=name: "OSError" in told(page, name)["reason"], PATIENCE_S)
                clock.ahead += timedelta(seconds=61)
                for one in works.values():
                    one.wake()
                until(lambda name=name: failing(page) == {name}, PATIENCE_S)
                assert httpx.get(page, timeout=60).status_code == 503
            until(lambda: httpx.get(page, timeout=60).status_code == 200, PATIENCE_S)
    finally:
        node.stop()


def fail() -> None:
    raise OSError("broken on purpose")


@dataclass(frozen=True)
class Work:
    """What a part does, and what lets it do it now."""

    of: Any
    name: str
    wake: Callable[[], object]


def works_of(node: Node) -> dict[str, Work]:
    """By the name of the part."""
    loops = (*node._loops(), *node._proofs)
    works = {loop._heartbeat.name: Work(loop, "_step", loop.wake) for loop in loops}
    indexer = node._indexer
    works["dispatcher"] = Work(node.dispatcher, "step", node.dispatcher.wake)
    works["indexer"] = Work(indexer, "_write_what_waits", indexer._came.set)
    return works


@contextmanager
def broken(work: Work) -> Iterator[None]:
    sound = getattr(work.of, work.name)
    setattr(work.of, work.name, fail)
    work.wake()
    yield
    setattr(work.of, work.name, sound)
    work.wake()


def told(page: str, name: str) -> dict[str, Any]:
    return next(one for one in httpx.get(page, timeout=60).json()["checks"] if one["name"] == name)


def failing(page: str) -> set[str]:
    return {one["name"] for one in httpx.get(page, timeout=60).json()["checks"] if not one["ok"]}
