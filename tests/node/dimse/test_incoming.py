"""What comes over an association that the node has opened, written in ways that few write it."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.presentation import build_context

from node.dimse.incoming import decode_answer
from node.dimse.scu.suboperations import SubOperations
from node.dimse.wire import commands
from node.dimse.wire.pdus import PduFault
from node.receive.statuses import Status
from tests.instances import make_dataset
from tests.node.receive.test_reception import Desk, desk

__all__ = ["desk"]

CONTEXT, PDU_HEADER_BYTES = 1, 6
LENGTH_TO_END = struct.pack("<HHLL", 0, 0x0001, 4, 0)
"""(0000,0001), retired: old senders begin with it."""


class Taking:
    """Sub-operations of an association, and what became of them."""

    def __init__(self, desk: Desk) -> None:
        self.answered: list[Status] = []
        self.handed_over: list[P_DATA] = []
        association: Any = SimpleNamespace(
            _accepted_cx={CONTEXT: build_context(CTImageStorage, ImplicitVRLittleEndian)},
            dul=SimpleNamespace(socket=None),
            dimse=SimpleNamespace(receive_primitive=self.handed_over.append),
        )
        self._operations = SubOperations(
            association, desk.receiver, "ARCHIVE", lambda uid, status: self.answered.append(status)
        )

    def take(self, value: bytes, is_command: bool = True) -> None:
        body = commands.p_data(CONTEXT, value, is_command=is_command)[PDU_HEADER_BYTES:]
        self._operations.take(memoryview(body))


@pytest.fixture
def taking(desk: Desk) -> Taking:
    return Taking(desk)


def data_set(instance: Dataset) -> bytes:
    raw = encode(instance, is_implicit_vr=True, is_little_endian=True)
    assert raw is not None
    return raw


def store_request(instance: Dataset) -> bytes:
    return commands.store_request(1, CTImageStorage, instance.SOPInstanceUID)


def test_a_request_with_a_retired_element_is_received_like_any(taking: Taking, desk: Desk) -> None:
    instance = make_dataset(1)
    plain = store_request(instance)
    assert commands.decode(LENGTH_TO_END + plain) is None
    taking.take(LENGTH_TO_END + plain[12:])
    taking.take(data_set(instance), is_command=False)
    assert [one.is_success for one in taking.answered] == [True]
    (record,) = desk.records
    assert record.attributes.sop_instance_uid == instance.SOPInstanceUID
    assert taking.handed_over == []


def test_a_request_without_its_instance_ends_the_association_by_name(taking: Taking) -> None:
    with pytest.raises(PduFault, match="undecodable command set"):
        taking.take(commands.store_request(1, CTImageStorage, "no uid"))


def test_responses_are_handed_over_with_their_data_sets(taking: Taking) -> None:
    pending = commands.match(CTImageStorage, 1, 0xFF00)
    assert commands.is_response(pending)
    assert not commands.is_response(store_request(make_dataset(1)))
    taking.take(pending)
    taking.take(b"12", is_command=False)
    values = [one.presentation_data_value_list for one in taking.handed_over]
    assert values == [[(CONTEXT, b"\x03" + pending)], [(CONTEXT, b"\x0212")]]


def test_what_came_of_an_instance_is_dropped_when_the_association_ends(
    taking: Taking, desk: Desk, tmp_path: Path
) -> None:
    instance = make_dataset(1)
    taking.take(store_request(instance))
    taking._operations.abandon()
    assert desk.records == []
    assert desk.files() == []


def test_an_answer_whose_elements_are_out_of_order_is_read_like_any() -> None:
    request = commands.Command(commands.C_STORE_RQ, 7, 0, CTImageStorage, "1.2.3")
    plain = commands.response(request, 0xA700, "full")
    length, sop_class = 12, 8 + len(CTImageStorage) + len(CTImageStorage) % 2
    odd = plain[length + sop_class :] + plain[length : length + sop_class]
    assert commands.decode_answer(odd) is None
    assert decode_answer(odd) == decode_answer(plain) == commands.StoreAnswer(7, 0xA700, "full")
    assert decode_answer(store_request(make_dataset(1))) is None
    with pytest.raises(PduFault, match="undecodable command set"):
        decode_answer(odd[:10])
