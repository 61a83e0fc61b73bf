"""Data sets in another encoding than the one that was negotiated: what is there counts."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from node.observe.throttle import ThrottledLog
from node.receive import reception
from node.receive.encoding import Contradiction, real_syntax
from tests.instances import make_dataset
from tests.node.dimse.raw_peer import Context, RawPeer, associate_rq, explicit, uid
from tests.node.dimse.receiving import Node

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.70"
NATIVE = (IMPLICIT, EXPLICIT, BIG)
CANNOT_UNDERSTAND = 0xC000


def encoded(dataset: Dataset, syntax: str) -> bytes:
    if syntax == BIG:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = syntax == IMPLICIT
    buffer.is_little_endian = syntax != BIG
    write_dataset(buffer, Dataset(dataset))
    return buffer.getvalue()


def image() -> Dataset:
    return make_dataset(1)


class Told(ThrottledLog):
    """Keeps what would be logged."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []

    def warn(self, event: str, reason: str, host: str, **facts: str) -> None:
        assert event == "encoding_differs"
        self.reasons.append(reason)


def pixels(stored: Dataset) -> bytes:
    """As they are on this machine."""
    return stored.pixel_array.astype("<i2").tobytes()


def sent(node: Node, raw: bytes, announced: str, piece: int = 16_000) -> int:
    instance = str(image().SOPInstanceUID).encode()
    with RawPeer(node.port) as peer:
        peer.associate(associate_rq([Context(transfer=(announced.encode(),))]))
        return peer.store(raw, instance, piece=piece)


def meta(syntax: str) -> bytes:
    """File meta information, as it stands in files."""
    element = explicit(2, 0x0010, b"UI", uid(syntax.encode()))
    return explicit(2, 0x0000, b"UL", struct.pack("<L", len(element))) + element


@pytest.mark.parametrize("announced", NATIVE)
@pytest.mark.parametrize("real", NATIVE)
def test_a_native_data_set_is_taken_for_what_it_is(
    node: Node, announced: str, real: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    monkeypatch.setattr(reception, "_odd_encodings", told)
    raw = encoded(image(), real)
    assert sent(node, raw, announced) == 0x0000
    (record,) = node.records
    assert record.attributes.transfer_syntax_uid == real
    assert node.dataset_bytes(record) == raw
    stored = dcmread(node.store.path(record.placement.key))
    assert stored.file_meta.TransferSyntaxUID == real
    assert pixels(stored) == image().PixelData
    names = [f"{UID(real).name} came, {UID(announced).name} was announced"]
    assert told.reasons == (names if announced != real else [])


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_file_meta_information_in_front_of_the_data_set_is_passed_over(
    node: Node, syntax: str
) -> None:
    assert sent(node, meta(syntax) + encoded(image(), syntax), syntax) == 0x0000
    (record,) = node.records
    assert record.attributes.transfer_syntax_uid == syntax
    stored = dcmread(node.store.path(record.placement.key))
    assert pixels(stored) == image().PixelData


def test_file_meta_information_that_contradicts_the_data_set_is_refused(node: Node) -> None:
    raw = meta(JPEG) + encoded(image(), EXPLICIT)
    assert sent(node, raw, EXPLICIT) == CANNOT_UNDERSTAND
    assert node.records == []
    assert "group 0002" in node.quarantined[0].reason


@pytest.mark.parametrize(
    ("raw", "announced", "reason"),
    [
        (encoded(image(), IMPLICIT), JPEG, "implicit VR"),
        (bytes(128) + b"DICM" + meta(EXPLICIT) + encoded(image(), EXPLICIT), EXPLICIT, "a file"),
    ],
)
def test_what_no_transfer_syntax_can_be_is_refused_and_named(
    node: Node, raw: bytes, announced: str, reason: str
) -> None:
    assert sent(node, raw, announced) == CANNOT_UNDERSTAND
    assert reason in node.quarantined[0].reason
    assert Path(node.store.quarantine / node.quarantined[0].key).read_bytes().endswith(raw)


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_an_instance_in_small_pieces_is_stored(node: Node, piece: int) -> None:
    raw = encoded(image(), EXPLICIT)[:2000]
    status = sent(node, raw, EXPLICIT, piece)
    assert status in (0x0000, CANNOT_UNDERSTAND)


@pytest.mark.parametrize(
    ("beginning", "announced", "found"),
    [
        (b"", EXPLICIT, EXPLICIT),
        (b"\x08\0\x16\0UI", IMPLICIT, IMPLICIT),
        (b"\x08\0\x16\0UI\x1a\0", IMPLICIT, EXPLICIT),
        (b"\x08\0\0\0UL\4\0", IMPLICIT, EXPLICIT),
        (b"\x08\0\x16\0CS\0\0", IMPLICIT, IMPLICIT),  # a length of 21,315, not the tag's VR
        (b"\x09\0\x10\0LO\0\0", IMPLICIT, IMPLICIT),  # private: nobody knows its VR
        (b"\x08\0\x16\0\x1a\0\0\0", EXPLICIT, IMPLICIT),
        (b"\x08\0\x16\0ZZ\x1a\0", EXPLICIT, EXPLICIT),  # a VR of a later edition
        (b"\0\x08\0\x16UI\0\x1a", EXPLICIT, BIG),
        (b"\0\x08\0\x16\0\0\0\x1a", EXPLICIT, EXPLICIT),  # there is no implicit big endian
        (b"\x08\0\x16\0UI\x1a\0", JPEG, JPEG),
    ],
)
def test_the_first_element_tells(beginning: bytes, announced: str, found: str) -> None:
    assert real_syntax(announced, beginning) == found


def test_a_compressed_data_set_is_explicit() -> None:
    with pytest.raises(Contradiction, match="implicit VR"):
        real_syntax(JPEG, b"\x08\0\x16\0\x1a\0\0\0")
