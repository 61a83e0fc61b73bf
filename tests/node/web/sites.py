"""A node's web application as it is served, and rows to show in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pydicom
from PIL import Image

from node.actions import NodeActions
from node.config.settings import Settings
from node.observe.health import Health, Heartbeat
from node.web.app import create_app
from node.web.context import WebContext
from node.web.server import WebServer
from node.work.executor import Progress
from node.work.stages import Stage
from storage import index, ledger, outbox
from storage.database import Database
from storage.files.archive import Archive
from storage.files.blobs import Files
from storage.files.results import ResultStore
from storage.header.attributes import extract
from storage.records import (
    FindingRow,
    InstanceRecord,
    JobResults,
    NewJob,
    Placement,
    Priority,
    PutOutcome,
    ResultObject,
)

PARTS = ("database", "store", "listener", "dispatcher", "workers")

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Site:
    """The application as it is served, with a client, and what stands behind it."""

    client: httpx.Client
    server: WebServer
    database: Database
    results: ResultStore
    archive: Archive
    health: Health
    parts: dict[str, Heartbeat]
    woken: list[str] = field(default_factory=list)
    now: datetime = START
    context: WebContext | None = None
    """What the application was given."""


@contextmanager
def acting(site: Site) -> Iterator[Site]:
    """The same node, which carries out what a person wants; two rules, a destination that is away,
    and a job 1 that runs."""
    settings = Settings.model_validate(SETTINGS)
    assert site.context is not None
    context = replace(
        site.context,
        settings=settings,
        actions=NodeActions(settings, site.database, site.results, lambda: START),
        progress=lambda: {1: Progress(Stage.ANALYZING, START, 0.25)},
    )
    server = WebServer(lambda: create_app(context), "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        yield replace(site, client=client, server=server, context=context)
    server.stop()


SETTINGS = {
    "rules": [
        {"name": "chest", "when": {"Modality": "CT"}, "analyzers": ["gaussian_filter"]},
        {"name": "brain", "when": {"Modality": "MR"}, "analyzers": ["gaussian_filter"]},
    ],
    "destinations": [
        {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1},
    ],
}


def study_with_job(site: Site, path: Path, description: str = "Thorax") -> int:
    """One study, one running job."""
    kept = site.archive.instances
    assert isinstance(kept, Files)
    kept.root.mkdir(exist_ok=True)
    shutil.copy(path, kept.path("k"))
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    dataset.StudyDescription = description
    dataset.PatientID = "PAT-123456"
    dataset.PatientName = "Doe^Jane"
    record = InstanceRecord(
        extract(dataset), Placement(PutOutcome.NEW, "k", 1, "s", ""), START, "CT1"
    )
    with site.database.write() as tx:
        index.add(tx, [record])
        (study,) = index.list_studies(tx)
        (series,) = index.series_of(tx, study.id)
        job = NewJob(
            "i", "lung_segmentation", "1.0.0", "p", {}, study.id, series.id,
            (series.instances[0].id,), "chest", Priority.ROUTINE, ("pacs",),
        )  # fmt: skip
        entered = ledger.enqueue(tx, job, START)
        ledger.claim(tx, START)
    assert entered is not None
    return entered


LUNG = FindingRow("Left lung", "Volume", 1695.4, "mL")


def finish(
    site: Site, job_id: int, findings: tuple[FindingRow, ...] = (LUNG,), objects: int = 1
) -> None:
    """The job ends with findings, one preview and objects that are owed to the PACS."""
    folder = site.results.folder("abc")
    Image.new("RGB", (600, 400), "navy").save(folder / "seg-0.png")
    made = [
        ResultObject(f"1.2.3.{n}", "1.2", "1.2.4", "1.2.5", "sr", f"abc/{n}.dcm", 9, "d")
        for n in range(objects)
    ]
    results = JobResults(objects=tuple(made), findings=findings, previews=("abc/seg-0.png",))
    with site.database.write() as tx:
        ledger.done(tx, job_id, START + timedelta(seconds=7), results)


def fail(site: Site, job_id: int, reason: str = "it broke") -> None:
    with site.database.write() as tx:
        ledger.failed(tx, job_id, START, reason, "Traceback here", JobResults())


def refuse_all(site: Site) -> int:
    """The PACS refuses every object that is due; gives how many."""
    with site.database.write() as tx:
        due = outbox.claim(tx, "pacs", START + timedelta(hours=1))
        for one in due:
            outbox.failed(tx, one.id, START, 0xA900, "refused (0xA900)")
    return len(due)
