"""What the output gate refused lies whole in quarantine, and goes out when a person wants it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from typer.testing import CliRunner

from analyzers import registry
from node import cli
from node.clock import system_clock
from node.config.tables import WorkerSettings
from node.results import kept, releases
from node.results.errors import GateRefused
from node.results.gate import gate
from node.results.gate.written import Written
from node.results.releases import CannotRelease, RefusedRun, Release
from node.work import job
from node.work.dispatcher import Dispatcher
from storage import events, index, ledger, outbox
from storage.database import Database, open_database
from storage.files.instances import InstanceStore
from storage.files.results import JobFolder, ResultStore
from storage.header.attributes import extract
from storage.ledger import NotReleased
from storage.records import (
    Delivery,
    DeliveryState,
    InstanceRecord,
    Job,
    JobState,
    Level,
    NewJob,
    Priority,
)
from tests.node.commands.test_reproduce import HereExecutor, Learner

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 13, tzinfo=UTC)
WANTED = Release("Dr. Roe", "looked at slice by slice")


@dataclass
class Node:
    """A node's data, after a job whose report the gate refused."""

    root: Path
    database: Database
    results: ResultStore
    dispatcher: Dispatcher
    job_id: int

    @property
    def run(self) -> RefusedRun:
        (one,) = releases.refused_runs(self.root / "quarantine")
        return one

    def work(self) -> None:
        for _ in range(4):
            self.dispatcher.step()
            self.dispatcher._wait()

    def release(self) -> int:
        return releases.release(self.database, self.results, self.run, WANTED, LATER)

    @property
    def job(self) -> Job:
        with self.database.read() as tx:
            return ledger.get(tx, self.job_id)

    @property
    def deliveries(self) -> list[Delivery]:
        with self.database.read() as tx:
            return outbox.list_deliveries(tx)

    @property
    def owed(self) -> list[str]:
        states = {DeliveryState.PENDING}
        return [one.object.key for one in self.deliveries if one.state in states]


@pytest.fixture
def node(
    tmp_path: Path, phantom_paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Node]:
    monkeypatch.setattr(registry, "load", lambda name: Learner)
    root = tmp_path / "var"
    root.mkdir()
    database = open_database(f"sqlite:///{root / 'wetread.db'}")
    store = InstanceStore(root / "instances", root / "quarantine")
    results = ResultStore(root / "results", root / "quarantine")
    job_id = enter(database, store, phantom_paths[:3])
    settings = WorkerSettings(device="cpu")
    dispatcher = Dispatcher(
        database, store, results, HereExecutor(), settings, system_clock, poll_s=0
    )
    one = Node(root, database, results, dispatcher, job_id)
    refuse_reports(monkeypatch)
    one.work()
    yield one
    database.close()
    job.loaded.cache_clear()
    registry.weights.cache_clear()


def refuse_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports with a result, not those that there is none."""
    passes = gate.check_references

    def refuse(written: Written, source: Any, made: Any) -> None:
        passes(written, source, made)
        if not str(written.dataset.SeriesDescription).startswith("FAILED"):
            raise GateRefused("sr", ("an item is odd",))

    monkeypatch.setattr(gate, "check_references", refuse)


def enter(database: Database, store: InstanceStore, paths: list[Path]) -> int:
    """Images, and a job on them whose results a destination wants."""
    records = []
    for path in paths:
        attributes = extract(pydicom.dcmread(path, stop_before_pixels=True))
        with store.open_incoming() as file:
            file.write(path.read_bytes())
            placement = file.place(attributes.sop_instance_uid)
        records.append(InstanceRecord(attributes, placement, START))
    with database.write() as tx:
        index.add(tx, records)
        study = index.list_studies(tx)[0]
        (series,) = index.series_of(tx, study.id)
        ids = tuple(one.id for one in series.instances)
        new = NewJob(
            *("i", "learner", "1.0", "p", {}, study.id, series.id, ids, "rule"),
            *(Priority.ROUTINE, ("pacs",)),
        )
        job_id = ledger.enqueue(tx, new, START)
    assert job_id is not None
    return job_id


def test_what_is_refused_lies_in_quarantine_whole_with_what_was_not_met(node: Node) -> None:
    assert node.job.state is JobState.FAILED
    assert "sr refused: an item is odd" in node.job.reason
    assert node.run.name in node.job.reason
    assert node.run.conditions == ("sr: an item is odd",)
    assert [Path(key).name for key in node.owed] == ["report.dcm"], "that there is no result"


def test_released_it_is_the_result_of_its_job_and_owed(node: Node) -> None:
    before = (node.results.root / node.job.key / "report.dcm").read_bytes()
    refused = (node.run.folder / "report.dcm").read_bytes()
    assert node.release() == 1
    assert node.job.state is JobState.DONE
    assert [Path(key).name for key in node.owed] == ["released-report.dcm"]
    folder = node.results.root / node.job.key
    assert (folder / "released-report.dcm").read_bytes() == refused
    assert (folder / "report.dcm").read_bytes() == before, "what was sent stays as it was sent"
    assert not list(releases.refused_runs(node.root / "quarantine"))
    with node.database.read() as tx:
        warning = events.list_events(tx, level=Level.WARNING)[0]
    for words in ("Dr. Roe", "looked at slice by slice", "sr: an item is odd"):
        assert words in warning.reason
        assert words in node.job.reason


def test_a_release_that_is_cut_off_changes_nothing_and_can_be_asked_for_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(ledger, "released", cut_off)
        node.release()
    assert node.job.state is JobState.FAILED
    assert [Path(key).name for key in node.owed] == ["report.dcm"]
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(kept, "write", cut_off)
        node.release()
    assert node.job.state is JobState.DONE
    assert node.release() == 0, "nothing is doubled"
    assert [Path(key).name for key in node.owed] == ["released-report.dcm"]
    assert not list(releases.refused_runs(node.root / "quarantine"))


def cut_off(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_it_needs_a_reason_and_files_that_nobody_changed(node: Node) -> None:
    with pytest.raises(CannotRelease, match="a name and a reason"):
        releases.release(node.database, node.results, node.run, Release("Dr. Roe", " "), LATER)
    file = node.run.folder / "report.dcm"
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(CannotRelease, match="is not whole, or was changed"):
        node.release()
    assert node.job.state is JobState.FAILED


def test_what_runs_again_is_not_released(node: Node) -> None:
    with node.database.write() as tx:
        ledger.restart(tx, node.job_id, LATER)
    with pytest.raises(NotReleased, match="is pending"):
        node.release()


def test_what_was_delivered_stays_where_a_later_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "quarantine").mkdir()
    place = JobFolder(tmp_path / "j", tmp_path / "quarantine")
    with place.making() as folder:
        (folder / "report.dcm").write_bytes(b"one")
        (folder / "picture-0.dcm").write_bytes(b"two")
    assert place.set_aside("job-1-00000000", {"report.dcm"})
    assert [one.name for one in place.folder.iterdir()] == ["report.dcm"]
    aside = tmp_path / "quarantine" / "job-1-00000000"
    assert sorted(one.name for one in aside.iterdir()) == ["picture-0.dcm", "report.dcm"]


def test_on_the_command_line_it_is_listed_shown_and_released(node: Node, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[node]\ndata_dir = "{node.root}"\n')
    name = node.run.name

    def wetread(*words: str) -> str:
        env = {"COLUMNS": "200", "WETREAD_CONFIG": str(config)}
        found = CliRunner(env=env).invoke(cli.app, ["quarantine", *words])
        assert found.exit_code == 0, found
        return found.output

    assert name in wetread()
    assert "not met: sr: an item is odd" in wetread("show", name)
    assert "1 objects are owed" in wetread("release", name, "--reason", "looked at", "--by", "me")
    assert name not in wetread("list")
