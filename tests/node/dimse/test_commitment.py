"""Storage commitment as SCP: what is recorded, checked and reported."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION

from node.dimse import wakeups
from node.dimse.association import lane
from node.dimse.services.commitment import STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
from storage import commitment_requests, events
from storage.records import CommitmentState, Level
from tests.instances import make_dataset, write_instance
from tests.node.dimse.commitments import Requestor, Ward, ask, running_ward
from tests.postgres import TEMPLATE, Postgres
from tests.waiting import until

TRANSACTION = "1.2.826.0.1.3680043.8.498.1"


@pytest.fixture
def instances(tmp_path: Path, ward: Ward) -> list[Dataset]:
    """Four instances that the ward has received."""
    made = [make_dataset(number) for number in range(1, 5)]
    ward.receive([write_instance(tmp_path / f"{n}.dcm", one) for n, one in enumerate(made)])
    return made


def uids(items: object) -> set[str]:
    return {str(one.ReferencedSOPInstanceUID) for one in items or []}  # type: ignore[attr-defined]


def settle(ward: Ward) -> None:
    """Check what is due, then report it."""
    ward.reporter.check_due()
    ward.passed_s += 1
    with ward.database.read() as tx:
        due = commitment_requests.due(tx, CommitmentState.CHECKED, ward.now)
    for request in due:
        ward.reporter.report(request)


def state(ward: Ward, number: int = 1) -> CommitmentState:
    with ward.database.read() as tx:
        return commitment_requests.get(tx, number).state


def test_the_report_comes_over_the_same_association_while_it_is_open(
    ward: Ward, instances: list[Dataset]
) -> None:
    modality = Requestor()
    with modality.associated(ward.server.port) as association:
        assert ask(association, TRANSACTION, instances).Status == 0x0000
        settle(ward)
        until(lambda: bool(modality.reports))
        assert association.is_established
    event_type, report = modality.reports[0]
    assert event_type == 1
    assert report.TransactionUID == TRANSACTION
    assert uids(report.ReferencedSOPSequence) == {str(one.SOPInstanceUID) for one in instances}
    assert "FailedSOPSequence" not in report
    assert state(ward) is CommitmentState.REPORTED


def test_a_request_wakes_the_thread_that_serves_it(
    ward: Ward, instances: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (wakeups, lane):
        monkeypatch.setattr(module, "LOOK_ROUND_S", 20.0)
    started = time.monotonic()
    with Requestor().associated(ward.server.port) as association:
        assert ask(association, TRANSACTION, instances).Status == 0x0000
    assert time.monotonic() - started < 10


def test_what_is_missing_damaged_lost_or_of_another_class_is_reported_failed(
    ward: Ward, instances: list[Dataset]
) -> None:
    good, damaged, lost, other = instances
    ward.damage(damaged.SOPInstanceUID)
    ward.lose(lost.SOPInstanceUID)
    other.SOPClassUID = MRImageStorage
    absent = make_dataset(99)
    modality = Requestor()
    with modality.associated(ward.server.port) as association:
        assert ask(association, TRANSACTION, [*instances, absent]).Status == 0x0000
        settle(ward)
        until(lambda: bool(modality.reports))
    event_type, report = modality.reports[0]
    assert event_type == 2
    assert uids(report.ReferencedSOPSequence) == {str(good.SOPInstanceUID)}
    reasons = {
        str(one.ReferencedSOPInstanceUID): one.FailureReason for one in report.FailedSOPSequence
    }
    assert reasons == {
        str(damaged.SOPInstanceUID): 0x0110,
        str(lost.SOPInstanceUID): 0x0112,
        str(absent.SOPInstanceUID): 0x0112,
        str(other.SOPInstanceUID): 0x0119,
    }
    with ward.database.read() as tx:
        alarms = events.open_alarms(tx)
    assert [one.reason for one in alarms] == [
        "4 of 5 instances that CT1 asked about are missing or damaged"
    ]


def test_after_a_release_the_report_comes_over_a_new_association_by_role_selection(
    ward: Ward, instances: list[Dataset]
) -> None:
    modality = Requestor()
    with modality.listening():
        ward.addresses["CT1"] = modality.port
        with modality.associated(ward.server.port) as association:
            assert ask(association, TRANSACTION, instances).Status == 0x0000
        until(lambda: not ward.server.associations())
        settle(ward)
        until(lambda: bool(modality.reports))
    assert modality.reports[0][0] == 1
    assert state(ward) is CommitmentState.REPORTED


def test_a_requestor_that_is_away_is_told_hours_later(ward: Ward, instances: list[Dataset]) -> None:
    modality = Requestor()
    with modality.listening():
        ward.addresses["CT1"] = modality.port
    with modality.associated(ward.server.port) as association:
        assert ask(association, TRANSACTION, instances).Status == 0x0000
    until(lambda: not ward.server.associations())
    settle(ward)
    pauses = []
    for _ in range(16):
        with ward.database.read() as tx:
            waiting = commitment_requests.get(tx, 1)
        assert waiting.state is CommitmentState.CHECKED
        pauses.append((waiting.not_before - ward.now).total_seconds())
        ward.passed_s += pauses[-1] + 1
        settle(ward)
    assert pauses[0] < 3 and 400 < pauses[-1] <= 600, "they grow, up to ten minutes"
    assert ward.passed_s > 3000
    with modality.listening():
        ward.passed_s += 3600
        settle(ward)
    assert [kind for kind, _ in modality.reports] == [1]


def test_without_an_address_the_report_waits_for_the_next_association(
    ward: Ward, instances: list[Dataset]
) -> None:
    modality = Requestor()
    with modality.associated(ward.server.port) as association:
        assert ask(association, TRANSACTION, instances).Status == 0x0000
    until(lambda: not ward.server.associations())
    settle(ward)
    with ward.database.read() as tx:
        assert "[[peers]]" in commitment_requests.get(tx, 1).reason
    with modality.associated(ward.server.port):
        ward.passed_s += 60
        settle(ward)
        until(lambda: bool(modality.reports))
    assert state(ward) is CommitmentState.REPORTED


def test_a_requestor_that_refuses_the_report_for_good_is_an_alarm(
    ward: Ward, instances: list[Dataset]
) -> None:
    modality = Requestor(answer=0x0112)
    with modality.associated(ward.server.port) as association:
        assert ask(association, TRANSACTION, instances).Status == 0x0000
        settle(ward)
    assert state(ward) is CommitmentState.FAILED
    with ward.database.read() as tx:
        assert [one.level for one in events.open_alarms(tx)] == [Level.ALARM]


def test_the_same_transaction_again_is_reported_again_and_other_instances_are_refused(
    ward: Ward, instances: list[Dataset]
) -> None:
    modality = Requestor()
    with modality.associated(ward.server.port) as association:
        for expected in (1, 2):
            assert ask(association, TRANSACTION, instances).Status == 0x0000
            settle(ward)
            until(lambda count=expected: len(modality.reports) == count)
        refused = ask(association, TRANSACTION, instances[:2])
        assert refused.Status == 0x0115
        assert "in use" in refused.ErrorComment
    with ward.database.read() as tx:
        assert len(commitment_requests.references_of(tx, 1)) == len(instances)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("action", 0x0123),
        ("no transaction", 0x0120),
        ("transaction is no UID", 0x0115),
        ("nothing referenced", 0x0121),
        ("reference is no UID", 0x0115),
        ("reference is too long", 0x0115),
    ],
)
def test_a_malformed_request_is_refused_and_leaves_nothing(
    ward: Ward, fault: str, status: int
) -> None:
    one = make_dataset(1)
    information = Dataset()
    information.TransactionUID = TRANSACTION
    reference = Dataset()
    reference.ReferencedSOPClassUID = one.SOPClassUID
    reference.ReferencedSOPInstanceUID = one.SOPInstanceUID
    information.ReferencedSOPSequence = [reference]
    if fault == "no transaction":
        del information.TransactionUID
    elif fault == "transaction is no UID":
        information.TransactionUID = "../../etc"
    elif fault == "nothing referenced":
        information.ReferencedSOPSequence = []
    elif fault == "reference is no UID":
        reference.ReferencedSOPInstanceUID = "1..2"
    elif fault == "reference is too long":
        reference.ReferencedSOPInstanceUID = "1." + "2" * 63
    with Requestor().associated(ward.server.port) as association:
        answer, _ = association.send_n_action(
            information, 2 if fault == "action" else 1, STORAGE_COMMITMENT, "1.2.840.10008.1.20.1.1"
        )
        assert answer.Status == status
        assert association.send_c_echo is not None and association.is_established
    with ward.database.read() as tx:
        assert commitment_requests.due(tx, CommitmentState.RECEIVED, ward.now) == []


def test_another_instance_than_the_well_known_one_is_refused(
    ward: Ward, instances: list[Dataset]
) -> None:
    information = Dataset()
    information.TransactionUID = TRANSACTION
    with Requestor().associated(ward.server.port) as association:
        answer, _ = association.send_n_action(information, 1, STORAGE_COMMITMENT, "1.2.3")
    assert answer.Status == 0x0112


def test_instances_that_come_late_are_waited_for(tmp_path: Path) -> None:
    one = make_dataset(1)
    path = write_instance(tmp_path / "1.dcm", one)
    modality = Requestor()
    with running_ward(tmp_path / "ward", missing_wait_s=10) as ward:
        with modality.associated(ward.server.port) as association:
            assert ask(association, TRANSACTION, [one]).Status == 0x0000
            assert ward.reporter.check_due() == 0
            ward.receive([path])
            ward.passed_s += 3
            assert ward.reporter.check_due() == 1
            settle(ward)
            until(lambda: bool(modality.reports))
        assert modality.reports[0][0] == 1


def test_instances_that_do_not_come_are_reported_missing_when_the_wait_is_over(
    tmp_path: Path,
) -> None:
    modality = Requestor()
    with running_ward(tmp_path / "ward", missing_wait_s=10) as ward:
        with modality.associated(ward.server.port) as association:
            assert ask(association, TRANSACTION, [make_dataset(1)]).Status == 0x0000
            ward.passed_s += 9.9
            assert ward.reporter.check_due() == 0
            ward.passed_s += 0.2
            assert ward.reporter.check_due() == 1
            settle(ward)
            until(lambda: bool(modality.reports))
        assert modality.reports[0][0] == 2


def test_large_reports_follow_one_another_over_an_association(ward: Ward) -> None:
    absent = [make_dataset(n, rows=2) for n in range(1000, 1300)]
    modality = Requestor()
    with modality.associated(ward.server.port) as association:
        for number in range(1, 4):
            assert ask(association, f"{TRANSACTION}.{number}", absent).Status == 0x0000
        settle(ward)
        until(lambda: len(modality.reports) == 3)
    assert [len(report.FailedSOPSequence) for _, report in modality.reports] == [300] * 3


def raw_request(association: Association, information: bytes) -> int:
    """N-ACTION with any bytes for a data set; the status that is answered."""
    request = N_ACTION()
    request.MessageID = 7
    request.RequestedSOPClassUID = STORAGE_COMMITMENT
    request.RequestedSOPInstanceUID = WELL_KNOWN_INSTANCE
    request.ActionTypeID = 1
    request.ActionInformation = BytesIO(information)
    (context,) = (
        one for one in association.accepted_contexts if one.abstract_syntax == STORAGE_COMMITMENT
    )
    association._reactor_checkpoint.clear()
    try:
        association.dimse.send_msg(request, context.context_id)
        _, response = association.dimse.get_msg(block=True)
    finally:
        association._reactor_checkpoint.set()
    assert response is not None, "no answer"
    return int(response.Status)


NESTED = b"\x08\x00\x99\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"


@pytest.mark.parametrize(
    "information",
    [b"\x08\x00", b"\xff" * 64, b"\x00" * 1000, NESTED * 20_000, b"\x08\x00\x95\x11UI\xff\xff1.2"],
    ids=["cut", "ones", "zeros", "nested 20 000 deep", "longer than it is"],
)
def test_a_data_set_that_cannot_be_read_is_refused_and_the_association_lives(
    ward: Ward, information: bytes
) -> None:
    contexts = [STORAGE_COMMITMENT, "1.2.840.10008.1.1"]
    with Requestor().associated(ward.server.port, *contexts) as association:
        assert raw_request(association, information) in (0x0115, 0x0120, 0x0121)
        assert association.send_c_echo().Status == 0x0000
    with ward.database.read() as tx:
        assert commitment_requests.due(tx, CommitmentState.RECEIVED, ward.now) == []


@pytest.mark.interop
def test_on_postgresql_the_way_is_the_same(tmp_path: Path, postgres: Postgres) -> None:
    name = f"ward_{uuid4().hex}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    made = [make_dataset(number) for number in range(1, 3)]
    paths = [write_instance(tmp_path / f"{n}.dcm", one) for n, one in enumerate(made)]
    modality = Requestor()
    with running_ward(tmp_path / "ward", postgres.url(name)) as ward:
        ward.receive(paths)
        ward.damage(made[1].SOPInstanceUID)
        with modality.associated(ward.server.port) as association:
            assert ask(association, TRANSACTION, made).Status == 0x0000
            settle(ward)
            until(lambda: bool(modality.reports))
        assert ask_again_is_one_row(ward)
    assert modality.reports[0][0] == 2
    assert uids(modality.reports[0][1].ReferencedSOPSequence) == {str(made[0].SOPInstanceUID)}


def ask_again_is_one_row(ward: Ward) -> bool:
    modality = Requestor()
    with modality.associated(ward.server.port) as association:
        assert ask(association, TRANSACTION, [make_dataset(1), make_dataset(2)]).Status == 0x0000
    with ward.database.read() as tx:
        return len(commitment_requests.due(tx, CommitmentState.RECEIVED, ward.now)) == 1
