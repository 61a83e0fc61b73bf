"""The node asks destinations to commit to its results; with a PACS that answers in several ways."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from node.delivery.result_commitment import CommitmentAsker
from node.dimse.scu.sender import Peer
from node.dimse.services.commitment import STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
from storage import index, instance_ledger, ledger, outbox, result_commitments
from storage.records import DeliveryState
from tests.node.dimse.commitments import QUICK, Ward, running_ward
from tests.storage.samples import add_study, enqueue, new_job, results
from tests.waiting import until


@dataclass
class Pacs:
    """Takes commitment requests, and reports when it is told to."""

    supported: bool = True
    status: int = 0x0000
    asked: list[Dataset] = field(default_factory=list)
    port: int = 0

    @contextmanager
    def running(self) -> Iterator[Pacs]:
        ae = AE(ae_title="PACS")
        ae.add_supported_context("1.2.840.10008.1.1")
        if self.supported:
            ae.add_supported_context(STORAGE_COMMITMENT)
        server = ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_N_ACTION, self._take)]
        )
        self.port = int(server.server_address[1])
        try:
            yield self
        finally:
            server.shutdown()

    def _take(self, event: evt.Event) -> tuple[int, None]:
        self.asked.append(event.action_information)
        return self.status, None

    def report(self, port: int, refused: int = 0, roles: bool = True) -> int:
        """Report on the last request over an association of its own; the node's answer."""
        asked = self.asked[-1]
        items = list(asked.ReferencedSOPSequence)
        report = Dataset()
        report.TransactionUID = asked.TransactionUID
        report.ReferencedSOPSequence = items[refused:]
        for item in items[:refused]:
            item.FailureReason = 0x0112
        if refused:
            report.FailedSOPSequence = items[:refused]
        ae = AE(ae_title="PACS")
        ae.add_requested_context(STORAGE_COMMITMENT)
        role = [build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)] if roles else []
        association = ae.associate("127.0.0.1", port, ext_neg=role)
        assert association.is_established
        status, _ = association.send_n_event_report(
            report, 2 if refused else 1, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
        )
        association.release()
        return int(status.Status)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    """A node that has sent three results to a PACS."""
    with running_ward(tmp_path / "ward") as one:
        with one.database.write() as tx:
            job = enqueue(tx, new_job(tx, add_study(tx)))
            ledger.claim(tx, one.now)
            ledger.done(tx, job, one.now, results())
            for due in outbox.claim(tx, "pacs", one.now):
                outbox.sent(tx, due.id, one.now, 0)
                result_commitments.owe(tx, due.id, one.now)
        yield one


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    with Pacs().running() as one:
        yield one


def asker(ward: Ward, pacs: Pacs) -> CommitmentAsker:
    peer = Peer("pacs", "PACS", "127.0.0.1", pacs.port, "WETREAD")
    return CommitmentAsker(peer, ward.database, ward.service, lambda: ward.now, 0.0, QUICK)


def states(ward: Ward) -> list[str]:
    with ward.database.read() as tx:
        return sorted(one.state for one in outbox.list_deliveries(tx))


def committed(ward: Ward) -> tuple[int, int]:
    with ward.database.read() as tx:
        found = instance_ledger.of_study(tx, index.list_studies(tx)[0]).committed
    return found.done, found.total


@pytest.mark.parametrize("roles", [True, False])
def test_results_are_committed_when_the_pacs_reports(ward: Ward, pacs: Pacs, roles: bool) -> None:
    """Some PACS forget to select their role."""
    assert asker(ward, pacs).ask_once()
    assert len(pacs.asked[0].ReferencedSOPSequence) == 3
    assert committed(ward) == (0, 3)
    assert not asker(ward, pacs).ask_once(), "it is asked once"
    assert pacs.report(ward.server.port, roles=roles) == 0x0000
    assert committed(ward) == (3, 3)
    assert pacs.report(ward.server.port, roles=roles) == 0x0000, "a second report is harmless"


def test_what_the_pacs_does_not_have_counts_as_not_delivered(ward: Ward, pacs: Pacs) -> None:
    asker(ward, pacs).ask_once()
    assert pacs.report(ward.server.port, refused=1) == 0x0000
    assert committed(ward) == (2, 3)
    assert states(ward) == ["failed", "sent", "sent"]
    with ward.database.read() as tx:
        (failed,) = outbox.list_deliveries(tx, state=DeliveryState.FAILED)
    assert failed.reason == "sent, but the destination does not commit to it (0x0112)"


def test_a_report_on_a_transaction_that_nobody_began_is_refused(ward: Ward, pacs: Pacs) -> None:
    asker(ward, pacs).ask_once()
    pacs.asked[-1].TransactionUID = "1.2.3.4.5"
    assert pacs.report(ward.server.port) == 0x0115
    assert committed(ward) == (0, 3)


@pytest.mark.parametrize("fault", ["away", "unsupported", "refused"])
def test_a_pacs_that_does_not_take_the_request_is_asked_again_later(ward: Ward, fault: str) -> None:
    pacs = Pacs(supported=fault != "unsupported", status=0x0110 if fault == "refused" else 0)
    with pacs.running():
        pass
    if fault == "away":
        assert asker(ward, pacs).ask_once()
    else:
        with pacs.running():
            assert asker(ward, pacs).ask_once()
    assert not asker(ward, pacs).ask_once(), "not before the pause is over"
    ward.passed_s += timedelta(minutes=10).total_seconds()
    pacs.supported, pacs.status = True, 0
    with pacs.running():
        assert asker(ward, pacs).ask_once()
        assert pacs.report(ward.server.port) == 0x0000
    assert committed(ward) == (3, 3)


def test_a_report_over_the_same_association_is_taken(ward: Ward) -> None:
    """As dcm4chee and others do when the requestor stays."""

    class Prompt(Pacs):
        def _take(self, event: evt.Event) -> tuple[int, None]:
            answer = super()._take(event)
            threading.Thread(target=self._report_here, args=(event.assoc,), daemon=True).start()
            return answer

        def _report_here(self, association: Association) -> None:
            time.sleep(0.3)  # after the response
            report = Dataset()
            report.TransactionUID = self.asked[-1].TransactionUID
            report.ReferencedSOPSequence = self.asked[-1].ReferencedSOPSequence
            association.send_n_event_report(report, 1, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE)

    with Prompt().running() as pacs:
        peer = Peer("pacs", "PACS", "127.0.0.1", pacs.port, "WETREAD")
        lingering = CommitmentAsker(peer, ward.database, ward.service, lambda: ward.now, 10, QUICK)
        assert lingering.ask_once()
    until(lambda: committed(ward) == (3, 3))
