"""How often images are read for a peer that asks for storage commitment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.delivery.commitment_reports import INDEX_WAIT_S, CommitmentReporter
from node.dimse.scu.sender import Peer
from node.dimse.services.event_reports import EventReport
from node.news import News
from storage import commitment_requests, index
from storage.database import Database, open_database
from storage.files.blobs import sha256_of
from storage.files.instances import InstanceStore
from storage.files.results import ResultStore
from storage.records import (
    CommitmentState,
    InstanceAttributes,
    InstanceRecord,
    Placement,
    PutOutcome,
    Reference,
)
from tests.storage.samples import result

CT = "1.2.840.10008.5.1.4.1.1.2"
NOON = datetime(2030, 5, 4, 12, tzinfo=UTC)
MISSING_WAIT_S = 10.0
LOOKS_EVERY = timedelta(seconds=0.5)


class CountingStore(InstanceStore):
    """Counts how many files are read whole."""

    read = 0

    def verify(self, key: str, sha256: str) -> bool:
        self.read += 1
        return super().verify(key, sha256)


class Nobody:
    """No association is open."""

    def is_open(self, name: str) -> bool:
        return False

    def of_peer(self, calling_ae: str, host: str) -> list[str]:
        return []

    def report(self, name: str, report: EventReport, timeout_s: float) -> int:
        raise AssertionError("there is no association")


def no_address(requestor: str, host: str) -> Peer | None:
    return None


class Ward:
    """A node that was asked about instances; its clock is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.database: Database = open_database(f"sqlite:///{folder / 'w.db'}")
        self.store = CountingStore(folder / "instances", folder / "quarantine")
        self.now = NOON
        self.results = ResultStore(folder / "results")
        self.reporter = CommitmentReporter(
            self.database,
            self.store,
            self.results.blobs,
            Nobody(),
            no_address,
            lambda: self.now,
            MISSING_WAIT_S,
        )

    def index(self, *numbers: int) -> None:
        with self.database.write() as tx:
            index.add(tx, [self._record(number) for number in numbers])

    def _record(self, number: int) -> InstanceRecord:
        uid = f"1.2.{number}"
        attributes = InstanceAttributes(
            uid, CT, "1.2.840.10008.1.2.1", "1.2.3", "1.2.3.1", {}, {}, {}
        )
        placement = Placement(PutOutcome.NEW, self.store.key_of(uid), 1, "x", "")
        return InstanceRecord(attributes, placement, NOON)

    def ask(self, *numbers: int) -> None:
        named = [Reference(CT, f"1.2.{number}") for number in numbers]
        with self.database.write() as tx:
            commitment_requests.enter(tx, "1.9", "CT1", "h", "a1", named, self.now)

    def look_until_settled(self) -> timedelta:
        began = self.now
        while not self.reporter.check_due():
            self.now += LOOKS_EVERY
        return self.now - began

    def failures(self) -> list[str]:
        with self.database.read() as tx:
            (request,) = commitment_requests.due(
                tx, CommitmentState.CHECKED, self.now + LOOKS_EVERY
            )
            found = commitment_requests.references_of(tx, request.id)
        return [one.reference.sop_instance_uid for one in found if one.failure == 0x0112]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    made = Ward(tmp_path)
    yield made
    made.database.close()


def test_while_one_instance_is_missing_the_others_are_not_read(ward: Ward) -> None:
    ward.index(*range(50))
    ward.ask(*range(51))
    for _ in range(int(MISSING_WAIT_S)):
        assert ward.reporter.check_due() == 0
        ward.now += LOOKS_EVERY
    assert ward.store.read == 0


def test_when_the_wait_is_over_each_instance_that_is_there_is_read_once(ward: Ward) -> None:
    ward.index(*range(50))
    ward.ask(*range(51))
    assert ward.look_until_settled() >= timedelta(seconds=MISSING_WAIT_S)
    assert ward.store.read == 50
    assert "1.2.50" in ward.failures()


def test_while_the_index_is_behind_the_store_nothing_is_read_and_then_each_once(
    ward: Ward,
) -> None:
    ward.index(*range(50))
    ward.store.path(ward.store.key_of("1.2.50")).write_bytes(b"stored, and not yet indexed")
    ward.ask(*range(51))
    for _ in range(int(INDEX_WAIT_S)):
        assert ward.reporter.check_due() == 0
        ward.now += LOOKS_EVERY
    assert ward.store.read == 0
    ward.index(50)
    ward.look_until_settled()
    assert ward.store.read == 51


def test_what_is_not_in_the_index_is_named_once_whatever_class_it_was_asked_as(
    ward: Ward,
) -> None:
    ward.index(1)
    named = [Reference(CT, "1.2.1"), Reference(CT, "1.2.2"), Reference("1.2.3", "1.2.2")]
    with ward.database.write() as tx:
        number = commitment_requests.enter(tx, "1.9", "CT1", "h", "a1", named, NOON)
        assert commitment_requests.not_indexed(tx, number) == ["1.2.2"]


@pytest.mark.parametrize(
    ("spoil", "failure"),
    [
        (lambda path: None, 0),
        (lambda path: path.write_bytes(b"other bytes"), 0x0110),
        (lambda path: path.unlink(), 0x0112),
    ],
    ids=["whole", "damaged", "gone"],
)
def test_the_nodes_own_results_are_committed_to_by_their_own_bytes(
    ward: Ward, spoil: Callable[[Path], object], failure: int
) -> None:
    """A PACS that sends them back may ask for commitment as a modality does."""
    ward.index(1)
    ward.results.job("job").put("seg.dcm", b"a result")
    path = ward.results.path("job/seg.dcm")
    made = replace(result("9.1"), key="job/seg.dcm", sha256=sha256_of(path))
    with ward.database.write() as tx:
        study = index.find_study(tx, "1.2.3")
        assert study is not None
        index.add_own(tx, study.id, [made], NOON)
        named = [Reference(CT, "1.2.1"), Reference(made.sop_class_uid, "9.1")]
        number = commitment_requests.enter(tx, "1.9", "PACS", "h", "a1", named, ward.now)
    spoil(path)
    ward.look_until_settled()
    with ward.database.read() as tx:
        found = commitment_requests.references_of(tx, number)
    assert {one.reference.sop_instance_uid: one.failure for one in found}["9.1"] == failure


def test_a_request_is_looked_at_until_it_is_settled_though_nothing_is_written(ward: Ward) -> None:
    news, checked = News(ward.database, ward.reporter.is_settled), list[int]()

    def step() -> None:
        checked.append(ward.reporter.check_due())

    news.have(step)
    news.have(step)
    assert checked == [0]
    ward.ask(1)
    while not any(checked):
        ward.now += LOOKS_EVERY
        news.have(step)
    assert ward.failures() == ["1.2.1"]
    before = len(checked)
    news.have(step)
    news.have(step)
    assert len(checked) == before + 2, "the report is still owed"
