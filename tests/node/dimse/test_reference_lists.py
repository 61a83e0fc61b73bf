"""Long lists of instances in N-ACTION and N-EVENT-REPORT are read alike, and in bounded memory."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from node.dimse.services import requests, serving
from node.dimse.services.commitment import (
    REQUEST_COMMITMENT,
    STORAGE_COMMITMENT,
    TABLES,
    WELL_KNOWN_INSTANCE,
)
from node.dimse.services.reference_lists import Listed, Split, lists_of, split
from node.dimse.services.requests import Answer, Request
from storage.errors import UnreadableInstance
from storage.header.elements import NotPlain
from tests.node.dimse.raw_peer import (
    COMMAND,
    IMPLICIT,
    LAST,
    Context,
    RawPeer,
    associate_rq,
    command,
    data,
    element,
    image,
    pdv,
    uid,
)
from tests.node.dimse.receiving import running_node

BIG_ENDIAN = b"1.2.840.10008.1.2.2"
CT = "1.2.840.10008.5.1.4.1.1.2"


def listed(number: int, **more: object) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, f"1.2.{number}"
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


def message(number: int = 3, undefined: bool = False) -> Dataset:
    dataset = Dataset()
    dataset.TransactionUID = "1.2.3.4"
    dataset.FailedSOPSequence = [listed(1000, FailureReason=0x0112), listed(1001)]
    dataset.ReferencedSOPSequence = [
        listed(one, RetrieveURI="http://pacs/" + "x" * 200) for one in range(number)
    ]
    for keyword in ("FailedSOPSequence", "ReferencedSOPSequence"):
        dataset[keyword].is_undefined_length = undefined
        for item in dataset[keyword].value:
            item.is_undefined_length_sequence_item = undefined
    return dataset


def encoded(dataset: Dataset, implicit: bool, little: bool = True) -> bytes:
    raw = encode(dataset, implicit, little)
    assert raw is not None
    return raw


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("undefined", [True, False])
def test_lists_are_taken_out_as_pydicom_reads_them(implicit: bool, undefined: bool) -> None:
    raw = encoded(message(undefined=undefined), implicit)
    found = split(raw, not implicit)
    whole = decode(BytesIO(raw), implicit, True)
    assert found.lists == lists_of(whole)
    assert found.lists["FailedSOPSequence"] == (
        Listed(CT, "1.2.1000", 0x0112),
        Listed(CT, "1.2.1001"),
    )
    rest = decode(BytesIO(found.rest), implicit, True)
    assert list(rest.keys()) == [0x00081195]
    assert rest.TransactionUID == "1.2.3.4"


@pytest.mark.parametrize("implicit", [True, False])
def test_a_parser_sees_nothing_of_a_long_list(implicit: bool) -> None:
    found = split(encoded(message(5000), implicit), not implicit)
    assert len(found.rest) < 50
    assert len(found.lists["ReferencedSOPSequence"]) == 5000


def test_an_empty_list_and_none_are_told_apart() -> None:
    dataset = Dataset()
    dataset.ReferencedSOPSequence = []
    assert split(encoded(dataset, True), False).lists == {"ReferencedSOPSequence": ()}
    assert split(b"", False) == Split(b"", {})


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6),
)
def test_damaged_lists_are_read_or_named(
    implicit: bool, undefined: bool, changes: list[tuple[int, int]]
) -> None:
    raw = bytearray(encoded(message(undefined=undefined), implicit))
    for position, byte in changes:
        raw[position % len(raw)] = byte
    try:
        assert isinstance(split(bytes(raw), not implicit), Split)
    except (UnreadableInstance, NotPlain):
        return


class Clerk:
    """A service that keeps what it is asked."""

    sop_class_uid = STORAGE_COMMITMENT
    tables = TABLES

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def serve(self, request: Request) -> Answer:
        requests.listed(request, "ReferencedSOPSequence")
        self.requests.append(request)
        return Answer()


def action(peer: RawPeer, raw: bytes, context: int) -> None:
    """N-ACTION-RQ. PS3.7 10.3.5."""
    asked = command(
        element(0x0003, uid(STORAGE_COMMITMENT.encode())),
        element(0x0100, b"\x30\x01"),
        element(0x0110, b"\x09\0"),
        element(0x0800, b"\x01\0"),
        element(0x1001, uid(WELL_KNOWN_INSTANCE.encode())),
        element(0x1008, struct.pack("<H", REQUEST_COMMITMENT)),
    )
    peer.send(data(pdv(asked, COMMAND | LAST, context)))
    for start in range(0, len(raw), 16_000):
        last = LAST if start + 16_000 >= len(raw) else 0
        peer.send(data(pdv(raw[start : start + 16_000], last, context)))


def commitment(*syntaxes: bytes) -> list[Context]:
    return [Context(1), Context(3, STORAGE_COMMITMENT.encode(), syntaxes)]


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN])
def test_a_request_is_read_in_any_native_encoding(tmp_path: Path, syntax: bytes) -> None:
    clerk = Clerk()
    with running_node(tmp_path, services=[clerk]) as node, RawPeer(node.port) as peer:
        peer.associate(associate_rq(commitment(syntax)))
        action(peer, encoded(message(), syntax == IMPLICIT, syntax == IMPLICIT), 3)
        assert peer.status() == 0x0000
    (request,) = clerk.requests
    assert [one.sop_instance_uid for one in request.lists["ReferencedSOPSequence"]] == [
        "1.2.0", "1.2.1", "1.2.2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (encoded(message(), True)[:-5], 0x0115),
        (encoded(Dataset(), True) + b"\x08\0\x95\x11\4\0\0\x001.2\0", 0x0120),
        (b"\x08\0\x99\x11\0\0\0\0", 0x0121),
    ],
)
def test_a_request_without_its_list_is_refused_by_the_standards_status(
    tmp_path: Path, raw: bytes, status: int
) -> None:
    with running_node(tmp_path, services=[Clerk()]) as node, RawPeer(node.port) as peer:
        peer.associate(associate_rq(commitment(IMPLICIT)))
        action(peer, raw, 3)
        assert peer.status() == status


def test_large_requests_are_served_few_at_a_time_while_images_go_on(tmp_path: Path) -> None:
    clerk = Clerk()
    raw = encoded(message(2000), True)
    assert len(raw) > serving.LARGE_BYTES
    with running_node(tmp_path, services=[clerk]) as node, RawPeer(node.port) as peer:
        peer.associate(associate_rq(commitment(IMPLICIT)))
        held = [serving._large.acquire(timeout=10) for _ in range(serving.LARGE_AT_ONCE)]
        try:
            action(peer, raw, 3)
            assert peer.store(image()) == 0x0000  # over the same association
            assert clerk.requests == []
        finally:
            for _ in held:
                serving._large.release()
        assert peer.status() == 0x0000
    assert len(clerk.requests[0].lists["ReferencedSOPSequence"]) == 2000
