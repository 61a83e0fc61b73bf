"""What may have come through is asked for before it is sent again, where it can be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from node.delivery.delivery import FOUND, Courier
from node.dimse.errors import Unaskable
from node.dimse.scu import finder
from node.dimse.scu.sender import Peer
from storage import events, outbox
from storage.records import DeliveryState, Topic
from tests.node.delivery.outboxes import QUICK, Outbox, courier_to
from tests.peers import FakePacs, Orthanc, free_port, running_pacs

SENT = DeliveryState.SENT


def die_before_recording(box: Outbox, courier: Courier) -> None:
    """All is sent and answered; then the node is gone, and started again."""
    courier._deliver(courier._claim())
    with box.database.write() as tx:
        outbox.release_sending(tx, box.clock())


def reasons(box: Outbox) -> list[str]:
    with box.database.read() as tx:
        found = events.list_events(tx, subject=Topic.DELIVERY)
    return [one.reason for one in found if one.to_state == SENT]


@pytest.fixture
def asked() -> Iterator[FakePacs]:
    with running_pacs(answers_queries=True) as one:
        yield one


def test_what_a_killed_node_had_sent_is_found_at_the_pacs_and_not_sent_again(
    box: Outbox, asked: FakePacs
) -> None:
    box.finish_job()
    die_before_recording(box, courier_to(box, asked.port))
    assert {one.in_doubt for one in box.deliveries().values()} == {True}
    assert courier_to(box, asked.port).deliver_once()
    assert box.states() == [SENT, SENT]
    assert len(asked.uids()) == 2
    assert reasons(box) == [FOUND, FOUND]
    assert {one.QueryRetrieveLevel for one in asked.queries} == {"IMAGE"}
    assert all(one.StudyInstanceUID and one.SeriesInstanceUID for one in asked.queries)
    assert not any(one.in_doubt for one in box.deliveries().values())


def test_what_a_killed_node_had_not_sent_is_not_found_and_sent(
    box: Outbox, asked: FakePacs
) -> None:
    box.finish_job()
    with box.database.write() as tx:
        outbox.claim(tx, "pacs", box.clock())
        outbox.release_sending(tx, box.clock())
    assert courier_to(box, asked.port).deliver_once()
    assert box.states() == [SENT, SENT]
    assert len(asked.queries) == len(asked.uids()) == 2
    assert reasons(box) == ["", ""]


def test_another_instance_of_the_series_is_not_taken_for_the_one_in_doubt(
    box: Outbox, asked: FakePacs
) -> None:
    """A PACS that does not know the key of the instance gives the whole series."""
    box.finish_job(("sr",))
    die_before_recording(box, courier_to(box, asked.port))
    asked.received[0].SOPInstanceUID = "1.2.3"
    courier_to(box, asked.port).deliver_once()
    assert reasons(box) == [""]
    assert len(asked.received) == 2


def test_a_pacs_that_refuses_queries_is_sent_to_again_and_the_log_says_so(box: Outbox) -> None:
    with running_pacs() as pacs:
        box.finish_job(("sr",))
        die_before_recording(box, courier_to(box, pacs.port))
        with capture_logs() as lines:
            assert courier_to(box, pacs.port).deliver_once()
        assert box.states() == [SENT]
        assert len(pacs.uids()) == 2
    (line,) = [one for one in lines if one["event"] == "objects_sent_again"]
    assert (line["objects"], line["reason"]) == (1, "it takes no queries")


def test_a_pacs_that_fails_to_answer_a_query_is_sent_to_again(box: Outbox, asked: FakePacs) -> None:
    asked.find_status = 0xC001
    box.finish_job(("sr",))
    die_before_recording(box, courier_to(box, asked.port))
    with capture_logs() as lines:
        courier_to(box, asked.port).deliver_once()
    assert box.states() == [SENT]
    assert "it answered 0xC001 to a query" in str(lines)


def test_an_answer_that_came_too_late_is_asked_for_and_the_rest_is_just_sent(
    box: Outbox, asked: FakePacs
) -> None:
    box.finish_job()
    asked.gate.clear()
    courier_to(box, asked.port, timeouts=QUICK).deliver_once()
    doubt = {kind: one.in_doubt for kind, one in box.deliveries().items()}
    assert doubt == {"seg": True, "sr": False}, "the report had not been begun"
    asked.gate.set()
    box.clock.advance(10)
    assert asked.arrived.wait(10), "it stores what it was slow to answer"
    courier_to(box, asked.port).deliver_once()
    assert box.states() == [SENT, SENT]
    assert len(asked.queries) == 1
    assert len(asked.uids()) == len(set(asked.uids())) == 2


def test_doubt_outlives_a_pacs_that_is_away_and_ends_with_an_answer(box: Outbox) -> None:
    port = free_port()
    with running_pacs(answers_queries=True, port=port) as pacs:
        box.finish_job(("sr",))
        die_before_recording(box, courier_to(box, port))
        received = list(pacs.received)
    courier_to(box, port).deliver_once()
    assert box.deliveries()["sr"].in_doubt, "it is away: nothing is known yet"
    box.clock.advance(100)
    with running_pacs(answers_queries=True, port=port, statuses={"": 0xA700}) as pacs:
        courier_to(box, port).deliver_once()
        assert not box.deliveries()["sr"].in_doubt, "it has said that it has not stored it"
        pacs.received = received


def test_a_claim_whose_answer_was_lost_is_no_doubt(box: Outbox) -> None:
    box.finish_job(("sr",))
    with box.database.write() as tx:
        outbox.claim(tx, "pacs", box.clock())
        outbox.release_sending(tx, box.clock(), "pacs")
    assert not box.deliveries()["sr"].in_doubt


@pytest.mark.interop
def test_orthanc_tells_what_came_through(box: Outbox, orthanc: Orthanc, tmp_path: Path) -> None:
    orthanc.name_modality("wetread", "WETREAD", free_port())
    box.finish_job()
    die_before_recording(box, courier_to(box, orthanc.port, orthanc.ae_title))
    changes = orthanc.rest.get("/changes?limit=1000").json()["Last"]
    assert courier_to(box, orthanc.port, orthanc.ae_title).deliver_once()
    assert box.states() == [SENT, SENT]
    assert reasons(box) == [FOUND, FOUND]
    assert orthanc.rest.get("/changes?limit=1000").json()["Last"] == changes, "nothing was stored"


@pytest.mark.interop
def test_orthanc_tells_what_it_has_not(box: Outbox, orthanc: Orthanc) -> None:
    orthanc.name_modality("wetread", "WETREAD", free_port())
    orthanc.clear()
    box.finish_job()
    peer = Peer("pacs", orthanc.ae_title, "127.0.0.1", orthanc.port, "WETREAD")
    paths = [box.results.path(one.object.key) for one in box.deliveries().values()]
    assert finder.held(paths, peer, QUICK) == frozenset()
    courier_to(box, orthanc.port, orthanc.ae_title).deliver_once()
    assert finder.held(paths, peer, QUICK) == frozenset({0, 1})


@pytest.mark.interop
def test_orthanc_refuses_queries_of_a_stranger(box: Outbox, orthanc: Orthanc) -> None:
    box.finish_job(("sr",))
    path = box.results.path(box.deliveries()["sr"].object.key)
    peer = Peer("pacs", orthanc.ae_title, "127.0.0.1", orthanc.port, "STRANGER")
    with pytest.raises(Unaskable):
        finder.held([path], peer, QUICK)
