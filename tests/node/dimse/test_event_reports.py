"""The order of what is sent over an association that several threads use."""

from __future__ import annotations

import threading
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, N_ACTION, N_EVENT_REPORT
from pynetdicom.pdu_primitives import P_DATA

from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.services.event_reports import EventReport, OpenAssociations, OrderedDimse

COMMITMENT = "1.2.840.10008.1.20.1"


@pytest.fixture
def association() -> Association:
    """An accepted association without a connection; its peer takes PDUs of 4 kB."""
    made = Association(AE(), "acceptor")
    made.requestor.maximum_length = 4096
    made.dimse = OrderedDimse(made)
    return made


@pytest.fixture
def sent(association: Association) -> list[tuple[int, str]]:
    """(context id, which thread) of every fragment, in the order of the wire."""
    found: list[tuple[int, str]] = []

    def send(primitive: P_DATA) -> None:
        for context_id, _ in primitive.presentation_data_value_list:
            found.append((context_id, threading.current_thread().name))

    association.dul.send_pdu = send
    return found


def report(number: int, size: int = 60_000) -> N_EVENT_REPORT:
    message = N_EVENT_REPORT()
    message.MessageID = number
    message.AffectedSOPClassUID = COMMITMENT
    message.AffectedSOPInstanceUID = f"{COMMITMENT}.1"
    message.EventTypeID = 1
    message.EventInformation = BytesIO(b"\\x00" * size)
    return message


def stored(number: int) -> C_STORE:
    message = C_STORE()
    message.MessageIDBeingRespondedTo = number
    message.Status = 0x0000
    return message


def action_response() -> N_ACTION:
    message = N_ACTION()
    message.MessageIDBeingRespondedTo = 1
    message.Status = 0x0000
    return message


def test_fragments_of_messages_from_two_threads_do_not_mix(
    association: Association, sent: list[tuple[int, str]]
) -> None:
    rounds = 30
    begin = threading.Barrier(2)

    def run(context_id: int, make: Any) -> None:
        begin.wait()
        for number in range(1, rounds + 1):
            association.dimse.send_msg(make(number), context_id)

    threads = [
        threading.Thread(target=run, args=(1, report), name="reports"),
        threading.Thread(target=run, args=(3, stored), name="responses"),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    fragments = sum(context_id == 1 for context_id, _ in sent) // rounds
    assert fragments > 10
    contexts = [context_id for context_id, _ in sent]
    place = 0
    while place < len(contexts):
        length = fragments if contexts[place] == 1 else 1
        assert set(contexts[place : place + length]) == {contexts[place]}
        place += length
    assert contexts.count(3) == rounds


def test_a_report_waits_for_the_response_to_a_request_that_is_being_served(
    association: Association, sent: list[tuple[int, str]]
) -> None:
    dimse = association.dimse
    dimse.action_received()
    assert not dimse.send_after_answers(report(1), 1, 0.05)
    assert sent == []
    waiting = threading.Thread(target=lambda: dimse.send_after_answers(report(1), 1, 10))
    waiting.start()
    dimse.send_msg(action_response(), 3)
    waiting.join(10)
    assert sent[0][0] == 3
    assert {context_id for context_id, _ in sent[1:]} == {1}


def test_an_association_that_is_over_takes_no_report(association: Association) -> None:
    there = OpenAssociations()
    there.add("a1", association, "CT1", "10.0.0.1")
    assert there.of_peer("CT1", "10.0.0.1") == ["a1"]
    assert there.of_peer("CT1", "10.0.0.2") == []
    with pytest.raises(PeerUnavailable) as caught:
        there.report("a1", EventReport(COMMITMENT, f"{COMMITMENT}.1", 1, Dataset()), 1)
    assert caught.value.fault is PeerFault.ABORTED
    there.remove("a1")
    assert not there.is_open("a1")
