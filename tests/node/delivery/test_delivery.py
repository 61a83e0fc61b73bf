"""The courier between a real outbox and a PACS that accepts, refuses, aborts, stalls or is off."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage
from structlog.testing import capture_logs

from node.delivery.books import Settlement
from node.delivery.delivery import Effort
from node.loop import Loop
from node.observe.health import Heartbeat
from storage import events, outbox
from storage.errors import DatabaseUnavailable
from storage.files.port import Blobs, JobPlace
from storage.files.results import ResultStore
from storage.records import DeliveryState, Level
from tests.node.delivery.outboxes import QUICK, Outbox, courier_to
from tests.peers import FakePacs, Orthanc, free_port, running_pacs
from tests.storage.samples import LosingAnswers
from tests.waiting import until

PENDING, SENT, FAILED = DeliveryState.PENDING, DeliveryState.SENT, DeliveryState.FAILED


@pytest.fixture
def pacs() -> Iterator[FakePacs]:
    with running_pacs() as one:
        yield one


def test_a_jobs_objects_are_sent_over_one_association_the_report_last(
    box: Outbox, pacs: FakePacs
) -> None:
    box.finish_job()
    assert courier_to(box, pacs.port).deliver_once()
    assert [one.SOPClassUID for one in pacs.received] == [
        SegmentationStorage,
        Comprehensive3DSRStorage,
    ]
    assert pacs.associations == 1
    for delivery in box.deliveries().values():
        assert (delivery.state, delivery.status, delivery.attempts) == (SENT, 0x0000, 1)
        content = box.results.path(delivery.object.key).read_bytes()
        assert content.endswith(pacs.raw[delivery.object.sop_instance_uid])


def test_nothing_is_sent_twice(box: Outbox, pacs: FakePacs) -> None:
    box.finish_job()
    courier = courier_to(box, pacs.port)
    assert [courier.deliver_once() for _ in range(3)] == [True, False, False]
    assert len(pacs.received) == 2


def test_what_was_sent_is_told_once_even_where_the_database_is_away_in_between(
    box: Outbox, pacs: FakePacs
) -> None:
    box.finish_job()
    courier, told = courier_to(box, pacs.port), list[int]()
    answers = [DatabaseUnavailable("away")]

    def tell(settlements: Sequence[Settlement], at: datetime) -> None:
        if answers:
            raise answers.pop()
        told.extend(one.delivery.id for one in settlements)

    courier._told = tell
    with pytest.raises(DatabaseUnavailable):
        courier.deliver_once()
    assert not courier.deliver_once()
    assert sorted(told) == sorted(one.id for one in box.deliveries().values())
    assert len(pacs.received) == 2


def test_a_refused_sop_class_is_left_out_and_what_refers_to_it_waits_for_another_form(
    box: Outbox,
) -> None:
    with running_pacs(refused_classes=frozenset({SegmentationStorage})) as pacs:
        box.finish_job()
        courier_to(box, pacs.port).deliver_once()
    deliveries = box.deliveries()
    assert (deliveries["sr"].state, deliveries["seg"].state) == (PENDING, DeliveryState.LEFT_OUT)
    assert "Segmentation Storage" in deliveries["seg"].reason
    assert not box.alarms()


def test_a_full_pacs_is_tried_again_at_growing_pauses(box: Outbox, pacs: FakePacs) -> None:
    pacs.statuses[""] = 0xA700
    box.finish_job(("sr",))
    courier = courier_to(box, pacs.port)
    pauses = []
    for _ in range(4):
        assert courier.deliver_once()
        delivery = box.deliveries()["sr"]
        assert (delivery.state, delivery.status) == (PENDING, 0xA700)
        pauses.append((delivery.not_before - box.clock()).total_seconds())
        assert not courier.deliver_once()
        box.clock.now = delivery.not_before
    assert pauses == sorted(pauses)
    assert 1.6 <= pauses[0] <= 2 < 12.8 <= pauses[3] <= 16
    pacs.statuses.clear()
    assert courier.deliver_once()
    assert box.states() == [SENT]
    assert not box.alarms()


def test_an_object_is_given_up_with_an_alarm_after_the_last_attempt(
    box: Outbox, pacs: FakePacs
) -> None:
    pacs.statuses[""] = 0xA700
    box.finish_job(("sr",))
    courier = courier_to(box, pacs.port, effort=Effort(max_attempts=3))
    for _ in range(3):
        assert courier.deliver_once()
        box.clock.advance(1000)
    assert not courier.deliver_once()
    assert box.states() == [FAILED]
    assert "given up after 3 attempts" in box.alarms()[0].reason


def test_a_lost_association_keeps_what_was_stored_and_repeats_the_rest(box: Outbox) -> None:
    with running_pacs(abort_at=1) as pacs:
        box.finish_job()
        courier = courier_to(box, pacs.port)
        courier.deliver_once()
        assert {kind: one.state for kind, one in box.deliveries().items()} == {
            "seg": SENT,
            "sr": PENDING,
        }
        box.clock.advance(10)
        courier.deliver_once()
        assert len(pacs.uids()) == len(set(pacs.uids())) == 2
    assert box.states() == [SENT, SENT]


def test_a_stalled_pacs_costs_no_object(box: Outbox, pacs: FakePacs) -> None:
    box.finish_job()
    pacs.gate.clear()
    courier_to(box, pacs.port, timeouts=QUICK).deliver_once()
    assert box.states() == [PENDING, PENDING]
    assert "no response in time" in box.deliveries()["seg"].reason
    pacs.gate.set()
    box.clock.advance(10)
    courier_to(box, pacs.port).deliver_once()
    assert box.states() == [SENT, SENT]


def test_an_object_that_the_destination_has_already_counts_as_sent(
    box: Outbox,
) -> None:
    with running_pacs(abort_at=0) as pacs:
        box.finish_job(("sr",))
        courier = courier_to(box, pacs.port)
        courier.deliver_once()
        assert box.states() == [PENDING]
        pacs.abort_at, pacs.statuses[""] = -1, 0x0111
        box.clock.advance(10)
        courier.deliver_once()
        assert box.states() == [SENT]
        box.finish_job(("sr",))
        courier.deliver_once()
        assert box.states() == [SENT, SENT]
        with box.database.read() as tx:
            assert events.open_alarms(tx) == []


def test_the_peers_own_words_stand_in_the_outbox_and_not_in_the_log(
    box: Outbox, pacs: FakePacs
) -> None:
    pacs.statuses[""], pacs.comment = 0xA900, "DOE^JOHN is unknown"
    box.finish_job(("sr",))
    with capture_logs() as lines:
        courier_to(box, pacs.port).deliver_once()
    assert "DOE^JOHN" in box.deliveries()["sr"].reason
    (line,) = [one for one in lines if one["event"] == "object_not_sent"]
    assert line["reason"] == "data set does not match SOP class (0xA900)"
    assert "DOE" not in str(lines)


def test_a_claim_whose_answer_was_lost_strands_no_object(box: Outbox, pacs: FakePacs) -> None:
    box.finish_job(("sr",))
    courier = courier_to(box, pacs.port)
    courier._database = LosingAnswers(box.database)
    with pytest.raises(DatabaseUnavailable):
        courier.deliver_once()
    assert box.states() == [DeliveryState.SENDING]
    courier._database = box.database
    assert courier.deliver_once()
    assert box.states() == [SENT]
    assert len(pacs.uids()) == 1


def test_changed_and_missing_files_are_never_sent(box: Outbox, pacs: FakePacs) -> None:
    box.finish_job()
    deliveries = box.deliveries()
    with box.results.path(deliveries["seg"].object.key).open("ab") as file:
        file.write(b"\0\0")
    box.results.path(deliveries["sr"].object.key).unlink()
    courier_to(box, pacs.port).deliver_once()
    assert not pacs.received
    assert pacs.associations == 0
    deliveries = box.deliveries()
    assert {one.state for one in deliveries.values()} == {FAILED}
    assert "SHA-256" in deliveries["seg"].reason
    assert "missing" in deliveries["sr"].reason


def test_a_destination_that_is_off_gets_only_probes_and_is_an_alarm_after_five_minutes(
    box: Outbox,
) -> None:
    port = free_port()
    courier = courier_to(box, port)
    for _ in range(3):
        box.finish_job(("sr",))
        assert courier.deliver_once()
    assert courier.circuit.is_open
    for _ in range(2):
        box.finish_job(("sr",))
    for _ in range(40):
        box.clock.advance(10)
        assert not courier.deliver_once()
    assert sum(one.attempts for one in _all(box)) == 0, "a PACS that is away is waited for"
    waiting = [one.reason for one in _all(box) if one.reason]
    assert len(waiting) == 3 and all("waits: no connection to" in one for one in waiting)
    (alarm,) = box.alarms()
    assert "destination pacs does not answer since 2026-01-05 09:00" in alarm.reason
    with running_pacs(port=port) as pacs:
        box.clock.advance(600)
        while courier.deliver_once():
            pass
        assert pacs.echoes == 1
    assert box.states() == [SENT] * 5
    assert len(box.alarms()) == 1


def _all(box: Outbox) -> list[outbox.Delivery]:
    with box.database.read() as tx:
        return outbox.list_deliveries(tx)


def test_probes_keep_the_back_off_pace(box: Outbox) -> None:
    with running_pacs(reject=(2, 3, 2)) as pacs:
        courier = courier_to(box, pacs.port)
        for _ in range(3):
            box.finish_job(("sr",))
            courier.deliver_once()
        assert pacs.associations == 3
        for _ in range(60):
            box.clock.advance(1)
            courier.deliver_once()
        assert pacs.associations <= 3 + 4
    assert "rejected" in box.deliveries()["sr"].reason


def test_answers_survive_a_database_that_is_away_when_they_come(
    box: Outbox, pacs: FakePacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.finish_job()
    courier = courier_to(box, pacs.port)
    real, away = outbox.sent, True

    def sent(*arguments: object) -> None:
        if away:
            raise DatabaseUnavailable("locked")
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(outbox, "sent", sent)
    with pytest.raises(DatabaseUnavailable):
        courier.deliver_once()
    assert box.states() == [DeliveryState.SENDING] * 2
    away = False
    courier.deliver_once()
    assert box.states() == [SENT, SENT]
    assert len(pacs.received) == 2


def test_the_thread_delivers_when_woken_and_stops_when_told(box: Outbox, pacs: FakePacs) -> None:
    heartbeat = Heartbeat("delivery to pacs", box.clock)
    loop = Loop(courier_to(box, pacs.port).deliver_once, heartbeat, pause_s=60)
    loop.start()
    until(lambda: heartbeat.check().ok)
    box.clock.advance(1)
    box.finish_job()
    loop.wake()
    until(lambda: box.states() == [SENT, SENT])
    until(lambda: heartbeat.check().last_success_at == box.clock())
    assert loop.stop(5)
    assert not loop.is_alive()


def test_what_was_being_sent_when_the_node_ended_is_sent_after_the_start(
    box: Outbox, pacs: FakePacs
) -> None:
    box.finish_job()
    with box.database.write() as tx:
        assert len(outbox.claim(tx, "pacs", box.clock())) == 2
    courier = courier_to(box, pacs.port)
    assert not courier.deliver_once()
    with box.database.write() as tx:
        assert outbox.release_sending(tx, box.clock()) == 2
    assert courier.deliver_once()
    assert box.states() == [SENT, SENT]


def test_every_change_of_state_is_an_event(box: Outbox, pacs: FakePacs) -> None:
    from storage import events
    from storage.records import Topic

    box.finish_job(("sr",))
    courier_to(box, pacs.port).deliver_once()
    with box.database.read() as tx:
        (event,) = events.list_events(tx, subject=Topic.DELIVERY)
    assert (event.level, event.from_state, event.to_state) == (Level.INFO, "sending", "sent")


@pytest.mark.interop
def test_orthanc_holds_the_results_after_delivery(
    box: Outbox, orthanc: Orthanc, tmp_path: Path
) -> None:
    box.finish_job()
    courier_to(box, orthanc.port, orthanc.ae_title).deliver_once()
    assert box.states() == [SENT, SENT]
    deliveries = box.deliveries().values()
    assert orthanc.sop_instance_uids() == {one.object.sop_instance_uid for one in deliveries}
    from tests.instances import dataset_bytes

    held = set()
    for number, instance in enumerate(orthanc.instances()):
        copy = tmp_path / f"copy{number}.dcm"
        copy.write_bytes(orthanc.file(instance))
        held.add(hashlib.sha256(dataset_bytes(copy)).hexdigest())
    paths = [box.results.path(one.object.key) for one in deliveries]
    assert held == {hashlib.sha256(dataset_bytes(path)).hexdigest() for path in paths}


def test_a_pacs_that_is_away_for_weeks_costs_no_attempt_and_then_gets_everything(
    box: Outbox,
) -> None:
    with running_pacs(reject=(2, 3, 2)) as pacs:
        for _ in range(2):
            box.finish_job()
        courier = courier_to(box, pacs.port, effort=Effort(max_attempts=2))
        for _ in range(30):
            courier.deliver_once()
            box.clock.advance(86_400)
        assert box.states() == [PENDING] * 4
        assert {one.attempts for one in _all(box)} == {0}
        pacs.reject = None
        while courier.deliver_once():
            pass
    assert box.states() == [SENT] * 4
    assert {one.attempts for one in _all(box)} == {1}


def test_of_a_lost_association_only_the_object_under_way_was_an_attempt(box: Outbox) -> None:
    with running_pacs(abort_at=0) as pacs:
        box.finish_job()
        courier_to(box, pacs.port).deliver_once()
    deliveries = box.deliveries()
    assert (deliveries["seg"].attempts, deliveries["sr"].attempts) == (1, 0)
    assert deliveries["sr"].reason.startswith("waits: ")


def test_many_answers_are_entered_a_few_at_a_time(box: Outbox, pacs: FakePacs) -> None:
    box.finish_job()
    courier = courier_to(box, pacs.port, effort=Effort(recorded_at_once=1))
    begun: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        begun.append(statement)

    sa.event.listen(box.database._engine, "before_cursor_execute", note)
    assert courier.deliver_once()
    assert begun.count("BEGIN IMMEDIATE") == 3, "one claim, two answers"
    assert box.states() == [SENT, SENT]


class _Faulty:
    """A result store with a fault of the program's own, until it is mended."""

    def __init__(self, sound: ResultStore) -> None:
        self._sound = sound
        self.is_mended = False

    @property
    def blobs(self) -> Blobs:
        if not self.is_mended:
            raise ZeroDivisionError
        return self._sound.blobs

    def job(self, job_key: str) -> JobPlace:
        return self._sound.job(job_key)

    def delete(self, job_key: str) -> None:
        self._sound.delete(job_key)


def test_a_fault_of_the_courier_is_seen_in_its_health_and_what_it_had_claimed_is_sent_later(
    box: Outbox, pacs: FakePacs
) -> None:
    box.finish_job()
    results = _Faulty(box.results)
    courier = courier_to(box, pacs.port, results=results)
    heartbeat = Heartbeat("delivery to pacs", box.clock)
    loop = Loop(courier.deliver_once, heartbeat, pause_s=60)
    with capture_logs() as logs:
        loop.start()
        until(lambda: "ZeroDivisionError" in heartbeat.check().reason)
        until(lambda: box.states() == [PENDING, PENDING])
    assert [one["event"] for one in logs if one.get("exc_info")] == ["part_fails"]
    results.is_mended = True
    box.clock.advance(700)
    loop.wake()
    until(lambda: box.states() == [SENT, SENT])
    until(lambda: heartbeat.check().ok)
    assert loop.stop(5)


def test_a_courier_is_done_with_its_work_only_when_nothing_is_owed_now_or_later(
    box: Outbox, pacs: FakePacs
) -> None:
    courier = courier_to(box, pacs.port)

    def is_settled() -> bool:
        with box.database.read() as tx:
            return courier.is_settled(tx)

    assert is_settled()
    pacs.statuses[""] = 0xA700
    box.finish_job(("sr",))
    assert courier.deliver_once()
    assert not courier.deliver_once()
    assert not is_settled()
    pacs.statuses.clear()
    box.clock.now = box.deliveries()["sr"].not_before
    assert courier.deliver_once()
    assert is_settled()
    courier.circuit.failed(box.clock(), Random(1))
    assert not is_settled()
