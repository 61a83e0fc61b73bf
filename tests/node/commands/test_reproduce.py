"""Results made again from what they were made from: the same bytes, or what differs and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
import sqlalchemy as sa

from analyzers import registry
from analyzers.contract import Findings, InputContract, Limits, Measurement, NoParameters
from node.clock import system_clock
from node.commands import reproduce as command
from node.config.tables import WorkerSettings
from node.results import kept
from node.results.modules.source import Maker
from node.work import job
from node.work.dispatcher import Dispatcher
from node.work.executor import Outcome, Ticket
from node.work.reproduction import UNKNOWN, CannotReproduce
from storage import index, ledger, schema
from storage.database import Database, open_database
from storage.files.instances import InstanceStore
from storage.files.results import ResultStore
from storage.header.attributes import extract
from storage.records import InstanceRecord, NewJob, Priority
from tests.node.results.sources import ML, VOLUME

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Learner:
    """Answers the same every time, unless it is told not to."""

    name, version, title = "learner", "1.0", "Learner"
    inputs, limits, parameters = InputContract(frozenset({"CT"})), Limits(), NoParameters
    value = 1.5

    def __init__(self, device: str) -> None: ...

    def analyze(self, volume: Any, parameters: Any) -> Findings:
        return Findings((Measurement(VOLUME, Learner.value, ML),))


class HereExecutor:
    """Runs a ticket in this process."""

    slots = 1

    def submit(self, ticket: Ticket) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        future.set_result(job.perform(ticket, "cpu"))
        return future

    def prove(self) -> None: ...

    def stop(self) -> None: ...


@dataclass
class Made:
    """A node's data after one job."""

    config: Path
    database: Database
    results: Path
    report_uid: str

    def change(self, table: sa.Table, **values: Any) -> None:
        with self.database.write() as tx:
            tx.execute(sa.update(table).values(**values))

    @property
    def record(self) -> Path:
        return next(self.results.glob(f"*/{kept.NAME}"))

    def rewrite(self, change: Callable[[dict[str, Any]], None]) -> None:
        content = json.loads(self.record.read_text())
        change(content["made_from"])
        self.record.write_text(json.dumps(content))


@pytest.fixture
def made(
    tmp_path: Path, phantom_paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Made]:
    monkeypatch.setattr(registry, "load", lambda name: Learner)
    monkeypatch.setattr(Learner, "value", 1.5)
    monkeypatch.setattr(Learner, "version", "1.0")
    monkeypatch.setattr(command, "_run", job.perform)
    config = tmp_path / "config.toml"
    config.write_text('[node]\ndata_dir = "var"\n[workers]\ndevice = "cpu"\n')
    data = tmp_path / "var"
    data.mkdir()
    database = open_database(f"sqlite:///{data / 'wetread.db'}")
    store = InstanceStore(data / "instances", data / "quarantine")
    results = ResultStore(data / "results")
    enter(database, store, phantom_paths)
    settings = WorkerSettings(device="cpu")
    maker = Maker("St. Elsewhere", "Radiology", "READER1", "0123456789ABCDEF")
    dispatcher = Dispatcher(
        database, store, results, HereExecutor(), settings, system_clock, maker=maker, poll_s=0
    )
    for _ in range(3):
        dispatcher.step()
        dispatcher._wait()
    with database.read() as tx:
        (one,) = ledger.list_jobs(tx)
        report = ledger.results_of(tx, one.id).objects[-1]
    yield Made(config, database, data / "results", report.sop_instance_uid)
    database.close()
    job.loaded.cache_clear()
    registry.weights.cache_clear()


def enter(database: Database, store: InstanceStore, paths: list[Path]) -> None:
    """The phantom, and a job on it."""
    records = []
    for path in paths:
        attributes = extract(pydicom.dcmread(path, stop_before_pixels=True))
        with store.open_incoming() as file:
            file.write(path.read_bytes())
            records.append(
                InstanceRecord(attributes, file.place(attributes.sop_instance_uid), START)
            )
    with database.write() as tx:
        index.add(tx, records)
        study = index.list_studies(tx)[0]
        (series,) = index.series_of(tx, study.id)
        ids = tuple(one.id for one in series.instances)
        new = NewJob(
            "i", "learner", "1.0", "p", {}, study.id, series.id, ids, "rule", Priority.ROUTINE, ()
        )
        assert ledger.enqueue(tx, new, START) is not None


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_result_made_again_has_the_same_bytes(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in made.results.rglob("*") if path.is_file()}
    assert command.reproduce(made.config, made.report_uid) == 0
    assert said(capsys) == "same bytes: 1 objects\n"
    assert before == {path: path.read_bytes() for path in made.results.rglob("*") if path.is_file()}


def test_the_record_names_all_that_went_in(made: Made) -> None:
    content = json.loads(made.record.read_text())["made_from"]
    assert (content["analyzer"], content["analyzer_version"]) == ("learner", "1.0")
    assert len(content["inputs"]) == len(set(map(tuple, content["inputs"]))) > 3
    assert content["maker"]["serial"] == "0123456789ABCDEF"
    assert any(one.startswith("pydicom ") for one in content["writers"])
    assert content["decoders"] != [""]


def test_a_corrected_image_is_why_bytes_differ_and_no_value_is_told(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    made.change(schema.instances, sha256="c" * 64)
    with made.database.read() as tx:
        images = len(index.series_of(tx, 1)[0].instances)
    assert command.reproduce(made.config, made.report_uid) == 1
    told = said(capsys)
    assert f"{images} of {images} images have other bytes now" in told
    assert "report.dcm: " in told and "UIDs, which follow from the run" in told
    assert made.report_uid not in told


def test_an_analyzer_that_answers_otherwise_is_found_out(
    made: Made, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "value", 2.5)
    assert command.reproduce(made.config, made.report_uid) == 1
    told = said(capsys)
    assert f"because {UNKNOWN}" in told
    assert "NumericValue" in told and "2.5" not in told


def test_another_node_decoder_and_encoder_are_named(
    made: Made, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "value", 2.5)

    def older(content: dict[str, Any]) -> None:
        content["node_version"], content["decoders"] = "0.0.1", ["gdcm 1"]
        content["writers"] = [*content["writers"], "pydicom 1.0"]

    made.rewrite(older)
    assert command.reproduce(made.config, made.report_uid) == 1
    told = said(capsys)
    assert "because Wetread was 0.0.1, and is " in told
    assert "because what decodes pixels was gdcm 1, and is " in told
    assert "because pydicom 1.0 had a hand in it, and is not here" in told


def test_what_cannot_be_made_again_says_why(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotReproduce, match="no result of this node has this UID"):
        command.reproduce(made.config, "1.2.3")
    monkeypatch.setattr(Learner, "version", "2.0")
    with pytest.raises(CannotReproduce, match=r"learner 1\.0 made them, 2\.0 is installed"):
        command.reproduce(made.config, made.report_uid)
    monkeypatch.setattr(Learner, "version", "1.0")
    made.rewrite(lambda content: content.update(weights="e" * 64))
    with pytest.raises(CannotReproduce, match="was trained anew since"):
        command.reproduce(made.config, made.report_uid)
    made.rewrite(lambda content: content.clear())
    with pytest.raises(CannotReproduce, match="an older node made it"):
        command.reproduce(made.config, made.report_uid)


def test_images_that_are_gone_are_counted(made: Made) -> None:
    def gone(content: dict[str, Any]) -> None:
        content["inputs"][0][1] = "1.2.3.4.5"

    made.rewrite(gone)
    with pytest.raises(CannotReproduce, match=r"1 of \d+ images are no longer stored"):
        command.reproduce(made.config, made.report_uid)


def test_a_job_that_has_run_again_is_told_apart(made: Made) -> None:
    known = json.loads(made.record.read_text())
    known["results"]["objects"][0]["sop_instance_uid"] = "1.2.3"
    made.record.write_text(json.dumps(known))
    with pytest.raises(CannotReproduce, match="has run again since"):
        command.reproduce(made.config, made.report_uid)


def test_results_found_again_keep_what_they_were_made_from(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    """A job of a new database finds them: they are still those of the first start."""
    folder = made.record.parent
    place = ResultStore(made.results).job(folder.name)
    known = kept.last(place)
    assert known is not None
    kept.write(replace(known), START, place)
    assert command.reproduce(made.config, made.report_uid) == 0
    assert said(capsys) == "same bytes: 1 objects\n"
