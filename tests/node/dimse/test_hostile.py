"""Peers that mean harm, or that are broken: each hurts its own association and nothing else."""

from __future__ import annotations

import socket
import struct
import threading
import time
import zlib
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from tests.instances import incoming, make_dataset
from tests.node.dimse.raw_peer import (
    ABORT,
    AC,
    COMMAND,
    CT,
    DATA,
    DEFLATED,
    ECHO,
    EXPLICIT,
    IMPLICIT,
    LAST,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    RQ,
    Context,
    RawPeer,
    associate_rq,
    command,
    data,
    echo_command,
    element,
    explicit,
    image,
    item,
    pdu,
    pdv,
    store_command,
    uid,
)
from tests.node.dimse.receiving import Node, running_node
from tests.waiting import until

SUCCESS, CANNOT_UNDERSTAND, OTHER_INSTANCE = 0x0000, 0xC000, 0xC001


def ended(peer: RawPeer) -> bool:
    """Whether the node has aborted or closed; what it answers before that is passed over."""
    while True:
        kind, _ = peer.read()
        if kind in (0, ABORT):
            return True
        if kind not in (DATA, AC):
            return False


def all_is_well(node: Node) -> None:
    """Others are served, no thread has died of it, and nothing lies about."""
    with RawPeer(node.port) as other:
        other.associate(associate_rq(calling=b"OTHER"))
        instance = f"1.9.{len(node.records)}".encode()
        assert other.store(image(instance, b"1.9"), instance) == SUCCESS
        other.send(pdu(RELEASE_RQ, bytes(4)))
        assert other.read()[0] == RELEASE_RP
    until(lambda: not node.server.associations())
    until(lambda: not incoming(node.store))


# --- PDUs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [131_073, 2**31, 2**32 - 1])
@pytest.mark.parametrize("kind", [RQ, AC, RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT, 0, 8, 255])
def test_a_pdu_of_any_type_that_announces_too_much_is_refused(
    node: Node, kind: int, length: int
) -> None:
    if kind == RQ and length < 512 * 1024:
        pytest.skip("a request may be so long")
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(pdu(kind, bytes(50), length))
        assert ended(peer)
    all_is_well(node)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(pdv(b"abc", COMMAND | LAST, length=0), id="PDV of length 0"),
        pytest.param(pdv(b"abc", COMMAND | LAST, length=1), id="PDV of length 1"),
        pytest.param(pdv(b"abc", COMMAND | LAST, length=2**32 - 1), id="PDV of 4 GB"),
        pytest.param(pdv(b"abc", COMMAND | LAST, length=6), id="PDV longer than its PDU"),
        pytest.param(pdv(b"abc", COMMAND | LAST, length=4), id="PDVs that overlap"),
        pytest.param(pdv(b"abc", LAST)[:5], id="PDV cut off in its head"),
        pytest.param(pdv(store_command(), COMMAND | LAST, 9), id="context never proposed"),
        pytest.param(pdv(store_command(), COMMAND | LAST, 2), id="even context"),
        pytest.param(pdv(b"", COMMAND | LAST), id="empty command"),
    ],
)
def test_values_that_lie_about_themselves_end_the_association(node: Node, broken: bytes) -> None:
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(pdu(DATA, broken))
        assert ended(peer)
    all_is_well(node)


def test_an_empty_pdu_of_data_is_passed_over(node: Node) -> None:
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(pdu(DATA, b"") * 10)
        assert peer.store(image()) == SUCCESS


@pytest.mark.parametrize("kind", [AC, RJ, RELEASE_RP, RQ])
def test_a_pdu_that_does_not_belong_there_ends_the_association(node: Node, kind: int) -> None:
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(associate_rq() if kind == RQ else pdu(kind, bytes(4)))
        assert ended(peer)
    all_is_well(node)


@pytest.mark.parametrize("kind", [AC, RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT])
def test_whatever_comes_before_a_request_ends_the_connection(node: Node, kind: int) -> None:
    with RawPeer(node.port) as peer:
        peer.send(pdu(kind, bytes(4)))
        assert ended(peer)
    all_is_well(node)


def test_what_follows_a_request_at_once_waits_for_the_answer(node: Node) -> None:
    with RawPeer(node.port) as peer:
        whole = data(pdv(store_command(), COMMAND | LAST)) + data(pdv(image(), LAST))
        peer.send(associate_rq() + whole)
        assert peer.read()[0] == AC
        assert peer.status() == SUCCESS


def test_command_and_data_may_share_a_pdu_and_come_in_bytes(node: Node) -> None:
    body = store_command()
    pieces = [
        pdv(body[number : number + 1], COMMAND | (LAST if number == len(body) - 1 else 0))
        for number in range(len(body))
    ]
    content = image()
    pieces += [pdv(content[:7], 0), pdv(b"", 0), pdv(content[7:], 0), pdv(b"", LAST)]
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(data(*pieces))
        assert peer.status() == SUCCESS


def test_a_release_within_an_instance_leaves_nothing(node: Node) -> None:
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(data(pdv(store_command(), COMMAND | LAST)) + data(pdv(image()[:50], 0)))
        peer.send(pdu(RELEASE_RQ, bytes(4)))
        peer.read()
    all_is_well(node)
    assert [record.calling_ae for record in node.records] == ["OTHER"]


def test_a_connection_may_end_after_any_byte(node: Node) -> None:
    whole = data(pdv(store_command(), COMMAND | LAST)) + data(pdv(image(), LAST))
    for end in range(0, len(whole) - 1, 9):
        with RawPeer(node.port) as peer:
            peer.associate()
            peer.send(whole[:end])
    all_is_well(node)
    assert [record.calling_ae for record in node.records] == ["OTHER"]


# --- requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(pdu(RQ, b""), id="empty"),
        pytest.param(pdu(RQ, bytes(68)), id="zeros"),
        pytest.param(pdu(RQ, b"\xff" * 500), id="ones"),
        pytest.param(associate_rq([Context(2)]), id="even context id"),
        pytest.param(associate_rq([Context(1), Context(1)]), id="context id twice"),
        pytest.param(associate_rq([]), id="no context"),
        pytest.param(associate_rq([Context(1, b"")]), id="no abstract syntax"),
        pytest.param(associate_rq([Context(1, CT, ())]), id="no transfer syntax"),
        pytest.param(associate_rq([Context(1, b"\xff" * 70)]), id="syntax is no UID"),
        pytest.param(associate_rq(calling=b""), id="no calling title"),
        pytest.param(associate_rq(calling=b"\xff\xfe\0"), id="title is no text"),
        pytest.param(associate_rq(extra=item(0x58, b"\x02")), id="identity cut off"),
        pytest.param(associate_rq(extra=item(0x51, b"")), id="empty maximum length"),
        pytest.param(associate_rq(extra=item(0x54, b"\0\xff1")), id="role that lies"),
        pytest.param(associate_rq(extra=item(0x53, b"\0")), id="window cut off"),
        pytest.param(associate_rq(extra=item(0x99, b"?" * 9)), id="unknown item"),
        pytest.param(associate_rq(extra=item(0x52, b"x" * 100)), id="two implementations"),
        pytest.param(associate_rq(version=0), id="version 0"),
    ],
)
def test_a_request_that_is_none_is_refused_or_taken_but_hurts_nobody(
    node: Node, request_: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with RawPeer(node.port, timeout_s=10) as peer:
        peer.send(request_)
        assert peer.read()[0] in (0, AC, RJ, ABORT)
    all_is_well(node)
    assert "association_fault" not in capfd.readouterr().out


def test_the_smallest_maximum_length_and_none_at_all_are_kept(node: Node) -> None:
    for length in (0, 6, 7, 12):
        with RawPeer(node.port) as peer:
            request = associate_rq(calling=b"TINY").replace(
                struct.pack(">L", 16384), struct.pack(">L", length)
            )
            peer.send(request)
            if peer.read()[0] != AC:
                continue
            peer.send(data(pdv(store_command(), COMMAND | LAST)) + data(pdv(image(), LAST)))
            kind, body = peer.read()
            assert kind in (DATA, ABORT)
            if kind == DATA and length:
                assert len(body) <= max(length, 7)
    all_is_well(node)


# --- commands -------------------------------------------------------------------------------------

FIELDS = {
    0x0002: uid(CT), 0x0100: b"\x01\0", 0x0110: b"\x07\0", 0x0700: b"\0\0", 0x0800: b"\x01\0",
    0x1000: uid(b"1.2.3.4"),
}  # fmt: skip


@pytest.mark.parametrize("missing", [0x0002, 0x0100, 0x0110, 0x0800, 0x1000])
def test_a_command_without_a_mandatory_element_ends_the_association(
    node: Node, missing: int
) -> None:
    given = [element(number, value) for number, value in FIELDS.items() if number != missing]
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(data(pdv(command(*given), COMMAND | LAST)) + data(pdv(image(), LAST)))
        assert ended(peer)
    assert node.records == []
    all_is_well(node)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(command(*(element(n, v) * 2 for n, v in FIELDS.items())), id="doubled"),
        pytest.param(
            command(*(element(n, v) for n, v in sorted(FIELDS.items(), reverse=True))),
            id="in the wrong order",
        ),
        pytest.param(store_command() + element(0x1030, b"A" * 5000), id="over-long"),
        pytest.param(store_command()[12:], id="without its length"),
        pytest.param(store_command() + b"\x08\0\x18\0\x04\0\0\x001.2\0", id="other group"),
        pytest.param(store_command(message_id=0), id="message 0"),
        pytest.param(store_command() + store_command(), id="twice"),
    ],
)
def test_an_odd_command_is_answered_or_ends_the_association(node: Node, sent: bytes) -> None:
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(data(pdv(sent, COMMAND | LAST)) + data(pdv(image(), LAST)))
        kind, body = peer.read()
        assert kind in (DATA, ABORT, 0)
        if kind == DATA:
            assert struct.pack("<HHL", 0, 0x0900, 2) in body
    all_is_well(node)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\xff" * 300, id="ones"),
        pytest.param(struct.pack("<HHL", 0, 2, 2**32 - 1) + b"1.2", id="element of 4 GB"),
        pytest.param(element(0x0100, b"\x01"), id="field of one byte"),
        pytest.param(element(0x0100, b"\x01\0" * 3), id="field of three values"),
        pytest.param(store_command()[:-3], id="cut off"),
        pytest.param(element(0x0100, b"\xff\xff") + element(0x0800, b"\1\1"), id="unknown field"),
        pytest.param(element(0x0100, b"\x01\x80") + element(0x0800, b"\1\1"), id="a response"),
        pytest.param(store_command() + bytes(20_000), id="longer than any command"),
    ],
)
def test_a_command_that_is_none_ends_the_association(
    node: Node, sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with RawPeer(node.port) as peer:
        peer.associate()
        for start in range(0, len(sent), 8000):
            last = LAST if start + 8000 >= len(sent) else 0
            peer.send(data(pdv(sent[start : start + 8000], COMMAND | last)))
        peer.socket.shutdown(socket.SHUT_WR)
        assert ended(peer)
    all_is_well(node)
    assert "association_fault" not in capfd.readouterr().out


@pytest.mark.parametrize("field", [0x0010, 0x0020, 0x0021, 0x0030, 0x0110, 0x0130, 0x0150, 0x0FFF])
def test_other_services_asked_in_a_storage_context_are_survived(node: Node, field: int) -> None:
    asked = command(
        element(0x0002, uid(CT)),
        element(0x0100, struct.pack("<H", field)),
        element(0x0110, b"\1\0"),
        element(0x0700, b"\0\0"),
        element(0x0800, b"\x01\x01"),
    )
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(data(pdv(asked, COMMAND | LAST)))
        peer.socket.shutdown(socket.SHUT_WR)
        while peer.read()[0] not in (0, ABORT):
            pass
    all_is_well(node)


@pytest.mark.parametrize(
    "instance",
    [
        b"../../../../tmp/wetread-escape", b"/tmp/wetread-escape", b"1.2/3", b"1.2\\3", b"..",
        b"1.2.3\0.4", b"1." * 32 + b"1", b"1..2", b"a.b", b"1.2.3 ", b"\xff\xfe\xfd\xfc",
        b"1.2.3\r\n", b"%2e%2e%2f", b"-1.2", b"1" * 65,
    ],
)  # fmt: skip
def test_a_uid_that_is_none_never_becomes_a_path(node: Node, instance: bytes) -> None:
    before = sorted(Path("/tmp").glob("wetread-escape*"))
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(data(pdv(store_command(instance), COMMAND | LAST)))
        peer.send(data(pdv(image(instance, instance), LAST)))
        kind, body = peer.read()
        if kind == DATA:
            status = struct.unpack_from("<H", body, body.index(b"\0\0\0\x09\2\0\0\0") + 8)[0]
            assert status in (SUCCESS, CANNOT_UNDERSTAND, OTHER_INSTANCE)
            if status == SUCCESS:
                assert instance.strip(b" \0").replace(b".", b"").isdigit()
    all_is_well(node)
    root = node.store.root.parent
    found = {path.relative_to(root).parts[0] for path in root.rglob("*")}
    assert found <= {"instances", "quarantine"}
    assert sorted(Path("/tmp").glob("wetread-escape*")) == before
    for path in (*node.store.quarantine.iterdir(), *node.store.root.glob("??/*")):
        assert path.resolve().is_relative_to(root)


# --- data sets ------------------------------------------------------------------------------------


def sent_as(node: Node, content: bytes, syntax: bytes | None = None) -> int:
    context = Context() if syntax is None else Context(transfer=(syntax,))
    with RawPeer(node.port, timeout_s=60) as peer:
        peer.associate(associate_rq([context]))
        return peer.store(content)


def test_a_data_set_may_be_cut_anywhere(node: Node) -> None:
    """Cut within its header it is refused; a UID that lost its end is not taken for another."""
    whole = image()
    header = whole.index(struct.pack("<HH", 0x7FE0, 0x0010))
    with RawPeer(node.port) as peer:
        peer.associate()
        statuses = {peer.store(whole[:end]) for end in range(header)}
        assert statuses == {CANNOT_UNDERSTAND}
        assert peer.store(whole[:header]) == SUCCESS  # an instance without pixels
    assert len(node.records) == 1
    all_is_well(node)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_functional_groups_that_are_long_are_read_though_other_long_values_are_not(
    node: Node, syntax: bytes
) -> None:
    """What pydicom defers for its length is read again for sequences alone."""
    group = Dataset()
    place = Dataset()
    place.ImagePositionPatient = [1.0, 2.0, 3.0]
    group.PlanePositionSequence = [place]
    dataset = make_dataset(PerFrameFunctionalGroupsSequence=[group] * 2000)
    dataset.PatientComments = "A" * 100_000
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, syntax == IMPLICIT
    write_dataset(buffer, dataset)
    content = buffer.getvalue()
    with RawPeer(node.port) as peer:
        peer.associate(associate_rq([Context(transfer=(syntax,))]))
        instance = str(dataset.SOPInstanceUID).encode()
        assert peer.store(content, instance) == SUCCESS
    (record,) = node.records
    assert len(record.attributes.instance["FramePositions"]) == 2000


def test_a_sequence_of_a_hundred_thousand_levels_is_refused(node: Node) -> None:
    level = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
    level += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    started = time.monotonic()
    assert sent_as(node, image(b"1.2.3.4", b"1.2.3", level * 100_000)) == CANNOT_UNDERSTAND
    assert time.monotonic() - started < 60
    all_is_well(node)


def test_a_sequence_of_a_thousand_levels_that_ends_is_taken_or_refused(node: Node) -> None:
    level = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
    level += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    close = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    content = image(b"1.2.3.4", b"1.2.3", level * 1000 + close * 1000)
    assert sent_as(node, content) in (SUCCESS, CANNOT_UNDERSTAND)
    all_is_well(node)


@pytest.mark.parametrize("place", ["header", "pixels"])
def test_a_deflate_bomb_takes_little_memory(node: Node, place: str) -> None:
    """Half a gigabyte of zeros in half a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    big = 2**29
    content = image()
    pixels = content.index(struct.pack("<HH", 0x7FE0, 0x0010))
    if place == "header":
        bomb = content[:pixels] + struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, big)
    else:
        bomb = content[:pixels] + struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, big)
    packed = packer.compress(bomb)
    for _ in range(512):
        packed += packer.compress(bytes(2**20))
    packed += packer.flush()
    highest = peak_memory_kb()
    status = sent_as(node, packed, DEFLATED)
    assert status in (SUCCESS, CANNOT_UNDERSTAND)
    assert peak_memory_kb() - highest < 300_000
    all_is_well(node)


def peak_memory_kb() -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize(
    "charset",
    [
        b"ISO_IR 100", b"ISO 2022 IR 87\\ISO 2022 IR 159", b"NO_SUCH_SET ", b"\xff\xff", b"\\\\",
        b"GB18030 ",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "name", [b"\xff\xfe\xfd\xfc", b"\x1b$B\x1b$\xff\xff", b"\0" * 8, b"^=^=^=" * 3]
)
def test_odd_character_sets_and_names_are_stored_as_they_came(
    node: Node, charset: bytes, name: bytes
) -> None:
    odd = explicit(8, 5, b"CS", charset) + image()
    place = odd.index(struct.pack("<HH", 0x0020, 0x000D))
    padded = name + b" " * (len(name) % 2)
    content = odd[:place] + explicit(0x0010, 0x0010, b"PN", padded) + odd[place:]
    assert sent_as(node, content) == SUCCESS
    assert node.dataset_bytes(node.records[0]) == content


def test_a_value_as_long_as_the_instance_is_not_taken_into_memory_or_the_index(
    node: Node,
) -> None:
    long = explicit(0x0009, 0x1001, b"UN", bytes(8_000_000))
    name = struct.pack("<HH2sHL", 0x0010, 0x0010, b"UT", 0, 4_000_000) + b"A" * 4_000_000
    content = image(b"1.2.3.4", b"1.2.3")
    place = content.index(struct.pack("<HH", 0x0020, 0x000D))
    content = content[:place] + long + name + content[place:]
    assert sent_as(node, content) == SUCCESS
    (record,) = node.records
    assert "PatientName" not in record.attributes.study
    all_is_well(node)


def test_a_million_tiny_elements_are_taken_or_refused_in_time_and_memory(node: Node) -> None:
    tiny = b"".join(
        struct.pack("<HH2sH", 0x0011 + 2 * (number >> 15), number & 0x7FFF, b"LO", 0)
        for number in range(300_000)
    )
    highest, started = peak_memory_kb(), time.monotonic()
    assert sent_as(node, image(b"1.2.3.4", b"1.2.3", tiny)) in (SUCCESS, CANNOT_UNDERSTAND)
    assert time.monotonic() - started < 60
    assert peak_memory_kb() - highest < 600_000
    all_is_well(node)


# --- connections ----------------------------------------------------------------------------------


def test_a_thousand_connections_that_never_ask_keep_nobody_out_for_long(tmp_path: Path) -> None:
    with running_node(tmp_path, max_associations_per_peer=8, negotiation_timeout_s=1.0) as node:
        threads = threading.active_count()
        silent = []
        for _ in range(1000):
            try:
                silent.append(socket.create_connection(("127.0.0.1", node.port), 5))
            except OSError:
                break
            if len(silent) % 100 == 0:
                assert threading.active_count() < threads + 3 * 17
        until(lambda: not len(node.server._listening().entrance))
        for one in silent:
            one.close()
        all_is_well(node)


def test_half_open_connections_are_ended(tmp_path: Path) -> None:
    with running_node(tmp_path, network_timeout_s=0.5) as node:
        with RawPeer(node.port) as peer:
            peer.associate()
            peer.socket.shutdown(socket.SHUT_WR)
            until(lambda: not node.server.associations())
        with RawPeer(node.port) as peer:
            peer.associate()
            peer.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )  # reset instead of an orderly end
        until(lambda: not node.server.associations())
        all_is_well(node)


def test_one_association_may_carry_echoes_between_instances(node: Node) -> None:
    with RawPeer(node.port) as peer:
        peer.associate(associate_rq([Context(1), Context(3, ECHO)]))
        for number in range(10):
            instance = f"1.2.{number}".encode()
            assert peer.store(image(instance), instance) == SUCCESS
            assert peer.echo(3) == SUCCESS
        peer.send(data(pdv(store_command(), COMMAND | LAST)) + data(pdv(image()[:40], 0)))
        peer.send(data(pdv(echo_command(), COMMAND | LAST, 3)))
        assert ended(peer)  # within a data set no other message may begin
    all_is_well(node)
