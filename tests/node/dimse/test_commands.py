"""Commands decoded and encoded by hand are those that pynetdicom makes and reads."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode as decode_by_pynetdicom

from node.dimse.wire import commands

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"


def store_request(uid: str = "1.2.3", message_id: int = 7) -> bytes:
    request = C_STORE()
    request.MessageID = message_id
    request.AffectedSOPClassUID = CT
    request.AffectedSOPInstanceUID = uid
    request.Priority = 2
    request.DataSet = BytesIO(b"data set")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    values = [one.presentation_data_value_list[0][1] for one in message.encode_msg(1, 0)]
    return b"".join(value[1:] for value in values if value[0] & 1)


def test_a_store_request_of_pynetdicom_is_understood() -> None:
    command = commands.decode(store_request("1.2.840.1", 300))
    assert command is not None and command.has_data_set
    assert (command.field, command.message_id) == (commands.C_STORE_RQ, 300)
    assert (command.sop_class_uid, command.sop_instance_uid) == (CT, "1.2.840.1")


def test_an_echo_request_of_pynetdicom_is_understood() -> None:
    request = C_ECHO()
    request.MessageID = 9
    request.AffectedSOPClassUID = VERIFICATION
    message = C_ECHO_RQ()
    message.primitive_to_message(request)
    [data] = message.encode_msg(1, 0)
    command = commands.decode(data.presentation_data_value_list[0][1][1:])
    assert command == commands.Command(0x0030, 9, 0x0101, VERIFICATION, "")


def test_a_response_is_read_by_pynetdicom() -> None:
    command = commands.decode(store_request("1.2.3", 65_535))
    assert command is not None
    raw = commands.response(command, 0xA700, "Out of disk space")
    answer = decode_by_pynetdicom(BytesIO(raw), True, True)
    assert answer.CommandGroupLength == len(raw) - 12
    assert (answer.CommandField, answer.MessageIDBeingRespondedTo) == (0x8001, 65_535)
    assert (answer.Status, answer.ErrorComment) == (0xA700, "Out of disk space")
    assert (answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID) == (CT, "1.2.3")
    assert answer.CommandDataSetType == 0x0101


def test_what_is_no_uid_is_not_echoed() -> None:
    command = commands.Command(commands.C_STORE_RQ, 1, 0, CT, "../../etc/passwd")
    answer = decode_by_pynetdicom(BytesIO(commands.response(command, 0xC000)), True, True)
    assert "AffectedSOPInstanceUID" not in answer and answer.Status == 0xC000


@given(st.integers(0, 200), st.integers(0, 255), st.integers(0, 200))
def test_a_damaged_request_is_read_as_pynetdicom_reads_it_or_not_at_all(
    position: int, byte: int, cut: int
) -> None:
    raw = bytearray(store_request())
    raw[position % len(raw)] = byte
    kept = bytes(raw[: max(len(raw) - cut, 0)]) if cut < 100 else bytes(raw)
    command = commands.decode(kept)
    if command is not None:
        read = decode_by_pynetdicom(BytesIO(kept), True, True)
        assert (read.MessageID, read.CommandField) == (command.message_id, command.field)
        assert str(read.AffectedSOPClassUID).rstrip("\0") == command.sop_class_uid


@pytest.mark.parametrize("longest", [0, 6, 7, 12, 64, 16384])
def test_an_answer_is_cut_to_what_the_peer_takes(longest: int) -> None:
    command_set = bytes(range(104))
    stream = commands.p_data(3, command_set, longest)
    joined = b""
    while stream:
        kind, length = struct.unpack(">BxL", stream[:6])
        item, context_id, control = struct.unpack(">LBB", stream[6:12])
        assert (kind, context_id, item) == (0x04, 3, length - 4)
        assert not longest or length <= max(longest, 7)
        joined += stream[12 : 6 + length]
        stream = stream[6 + length :]
        assert control == (0x01 if stream else 0x03)
    assert joined == command_set


@given(
    st.text("0123456789.", min_size=1, max_size=64),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=2),
)
def test_the_short_way_reads_what_the_long_one_reads(
    uid: str, changes: list[tuple[int, int]]
) -> None:
    raw = bytearray(store_request("1.2.3"))
    end = raw.rindex(b"1.2.3")
    value = uid.encode() + b"\0" * (len(uid) % 2)
    raw[end - 4 :] = struct.pack("<L", len(value)) + value
    plain = commands._plain_store(bytes(raw))
    assert plain is not None and plain == commands._any(bytes(raw))
    for position, byte in changes:
        raw[position % len(raw)] = byte
    damaged = commands._plain_store(bytes(raw))
    assert damaged is None or damaged == commands._any(bytes(raw))
