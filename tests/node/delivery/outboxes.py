"""A database with finished jobs whose results are owed to a destination."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.delivery.delivery import USUAL, Courier, Effort
from node.delivery.pace import Pace
from node.delivery.targets.dimse import DimseTarget
from node.delivery.targets.port import Target, Telling
from node.dimse.scu.sender import Peer, Timeouts
from storage import abilities, events, index, ledger, outbox
from storage.abilities import KnownAbilities
from storage.database import Database, open_database
from storage.files.results import ResultStore
from storage.header.attributes import extract
from storage.kinds import ObjectKind
from storage.records import (
    Delivery,
    DeliveryState,
    Event,
    InstanceRecord,
    JobResults,
    Level,
    NewJob,
    Placement,
    Priority,
    PutOutcome,
    ResultObject,
)
from tests.instances import make_dataset, write_instance

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
KINDS = {
    "seg": SegmentationStorage,
    "sr": Comprehensive3DSRStorage,
    "picture": SecondaryCaptureImageStorage,
    "outlines": GrayscaleSoftcopyPresentationStateStorage,
    "sheet": SecondaryCaptureImageStorage,
    "sr-regions": Comprehensive3DSRStorage,
    "pdf": EncapsulatedPDFStorage,
}
FORMS = tuple(map(ObjectKind, ("outlines", "picture", "sheet", "sr-regions", "pdf")))


class StepClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Outbox:
    """A real database and result store; jobs are entered and finished by ``finish_job``."""

    def __init__(self, folder: Path) -> None:
        self.clock = StepClock()
        self.database: Database = open_database(f"sqlite:///{folder / 'wetread.db'}")
        self.results = ResultStore(folder / "results")
        self._jobs = 0
        with self.database.write() as tx:  # so that it need not be asked, and is offered all
            untold = KnownAbilities("pacs", START, Telling.UNTOLD.value, frozenset())
            abilities.put(tx, untold)

    def forget_pacs(self) -> None:
        """It is asked what it takes before anything is sent."""
        with self.database.write() as tx:
            abilities.forget(tx, "pacs")

    def finish_job(self, kinds: tuple[str, ...] = ("sr", "seg")) -> int:
        """A job on a study of its own, done, with one object of each kind owed to "pacs"."""
        self._jobs += 1
        with self.database.write() as tx:
            index.add(tx, [self._image()])
            study = index.list_studies(tx)[0]
            series = index.series_of(tx, study.id)[0]
            members = tuple(one.id for one in series.instances)
            job_id = ledger.enqueue(
                tx,
                NewJob(
                    inputs_digest=ledger.inputs_digest(series.instances),
                    analyzer=f"analyzer{self._jobs}",
                    analyzer_version="1",
                    parameters_digest="",
                    parameters={},
                    study_id=study.id,
                    series_id=series.id,
                    instance_ids=members,
                    rule="rule",
                    priority=Priority.ROUTINE,
                    destinations=("pacs",),
                ),
                self.clock(),
            )
            job = ledger.claim(tx, self.clock())
            assert job is not None
            assert job.id == job_id
            objects = tuple(self._object(job.key, kind) for kind in kinds)
            ledger.done(tx, job.id, self.clock(), JobResults(objects=objects))
            return job.id

    def make_further(self, kinds: tuple[str, ...]) -> None:
        """The job that is due again makes these too."""
        with self.database.write() as tx:
            job = ledger.claim(tx, self.clock())
            assert job is not None
            assert job.is_further
            before = ledger.results_of(tx, job.id).objects
            objects = (*before, *(self._object(job.key, kind) for kind in kinds))
            ledger.done(tx, job.id, self.clock(), JobResults(objects=objects), job.forms)

    def _image(self) -> InstanceRecord:
        path = self.results.root / "image.dcm"
        write_instance(path, make_dataset(100))
        attributes = extract(dcmread(path))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        placement = Placement(PutOutcome.NEW, "aa/image.dcm", 1, digest, "")
        return InstanceRecord(attributes, placement, self.clock())

    def _object(self, job_key: str, kind: str) -> ResultObject:
        seed = self._jobs * 10 + list(KINDS).index(kind)
        dataset = make_dataset(seed, SOPClassUID=KINDS[kind])
        if kind == "sr":
            dataset.ReferencedSOPSequence = [self._reference("seg")]
        with self.results.job(job_key).making() as folder:
            path = folder / f"{kind}.dcm"
            write_instance(path, dataset)
        return ResultObject(
            sop_instance_uid=str(dataset.SOPInstanceUID),
            sop_class_uid=str(dataset.SOPClassUID),
            series_instance_uid=str(dataset.SeriesInstanceUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
            kind=kind,
            key=f"{job_key}/{kind}.dcm",
            size_bytes=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )

    def _reference(self, kind: str) -> Dataset:
        item = Dataset()
        item.ReferencedSOPClassUID = KINDS[kind]
        item.ReferencedSOPInstanceUID = self.uid_of(kind)
        return item

    def uid_of(self, kind: str) -> str:
        """Of the newest job's object of a kind."""
        return str(make_dataset(self._jobs * 10 + list(KINDS).index(kind)).SOPInstanceUID)

    def deliveries(self) -> dict[str, Delivery]:
        """By kind; of the newest job where there are several."""
        with self.database.read() as tx:
            return {one.object.kind: one for one in reversed(outbox.list_deliveries(tx))}

    def states(self) -> list[DeliveryState]:
        with self.database.read() as tx:
            return [one.state for one in reversed(outbox.list_deliveries(tx))]

    def alarms(self) -> list[Event]:
        with self.database.read() as tx:
            return events.list_events(tx, level=Level.ALARM)


QUICK = Timeouts(connect_s=3, negotiation_s=3, response_s=1, network_s=3)
"""For a destination that does not answer in the test."""
PATIENT = Timeouts(connect_s=30, negotiation_s=30, response_s=30, network_s=30)
"""For one that answers, on however busy a machine."""


def courier_to(
    box: Outbox,
    port: int,
    ae_title: str = "FAKEPACS",
    effort: Effort = USUAL,
    results: ResultStore | None = None,
    timeouts: Timeouts = PATIENT,
) -> Courier:
    """The courier of the box's only destination; of its results, or of others in their place."""
    peer = Peer("pacs", ae_title, "127.0.0.1", port, "WETREAD")
    return courier_of(box, DimseTarget(peer, timeouts), effort, results)


def courier_of(
    box: Outbox,
    target: Target,
    effort: Effort = USUAL,
    results: ResultStore | None = None,
    pace: Pace | None = None,
) -> Courier:
    """The same to a target of any kind."""
    return Courier(
        target,
        box.database,
        results or box.results,
        box.clock,
        random.Random(1),
        effort=effort,
        pace=pace,
    )
