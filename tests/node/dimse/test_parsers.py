"""The parsers of foreign bytes: for any input a result or the one error that they name."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.config.dimse import PeerSettings
from node.dimse.association.admission import Claim, recognise
from node.dimse.tls import PeerCertificate, fingerprint_of, subject_of
from node.dimse.wire.negotiation import UserIdentity
from node.dimse.wire.pdus import ConnectionLost, Fragment, PduFault, PduReader, fragments
from node.receive.file_meta import file_header
from node.receive.offer import Offer
from node.receive.reception import Receiver
from storage.files.instances import InstanceStore, dataset_digest
from tests.fuzz import targets
from tests.node.dimse.mutations import flipped
from tests.node.dimse.raw_peer import image, pdv, store_command

EXPLICIT = "1.2.840.10008.1.2.1"


def parsed(body: bytes) -> list[Fragment] | None:
    try:
        return list(fragments(memoryview(body)))
    except PduFault:
        return None


@given(st.lists(st.tuples(st.binary(max_size=50), st.integers(0, 255), st.integers(0, 3))))
def test_fragments_are_those_that_were_sent(values: list[tuple[bytes, int, int]]) -> None:
    body = b"".join(pdv(value, control, context) for value, context, control in values)
    found = list(fragments(memoryview(body)))
    assert [(bytes(one.value), one.context_id) for one in found] == [one[:2] for one in values]
    assert [one.is_command + 2 * one.is_last for one in found] == [one[2] for one in values]


@given(st.binary(max_size=300))
def test_any_bytes_are_fragments_that_fill_the_pdu_or_none(body: bytes) -> None:
    found = parsed(body)
    if found is not None:
        assert sum(6 + len(one.value) for one in found) == len(body)


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes_on_a_socket_are_a_pdu_or_one_of_two_errors(sent: bytes) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    with listening, socket.create_connection(listening.getsockname()) as theirs:
        ours, _ = listening.accept()
        reader = PduReader(ours, 200, 5)
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        try:
            header = reader.read_header()
            body = reader.read_body(header)
        except (PduFault, ConnectionLost):
            pass
        else:
            assert bytes(body) == sent[6 : 6 + header.length]
            assert len(body) == struct.unpack(">L", sent[2:6])[0]
        finally:
            reader.close()


@given(st.integers(0, 2**32 - 1))
def test_a_mutated_command_is_decoded_or_refused(seed: int) -> None:
    targets.command(flipped(random.Random(seed), store_command()))


@given(st.binary(max_size=500))
def test_any_bytes_are_decoded_as_a_command_or_refused(raw: bytes) -> None:
    targets.command(raw)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_a_mutated_association_request_is_decoded_or_refused(seed: int) -> None:
    from tests.node.dimse.raw_peer import Context, associate_rq

    targets.request(flipped(random.Random(seed), associate_rq([Context(1), Context(3)])))


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Receiver:
    return targets.receiver(tmp_path_factory.mktemp("store"))


@given(seed=st.integers(0, 2**32 - 1))
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_mutated_instance_gets_an_answer_that_is_true(receiver: Receiver, seed: int) -> None:
    """Success means that the very bytes are there; a fault of our own is no answer."""
    chance = random.Random(seed)
    uid = f"1.2.{seed}"
    content = flipped(chance, image(uid.encode()))
    targets.instance(receiver, content, uid)


@given(st.text(max_size=20), st.text(max_size=20), st.booleans())
def test_anyone_is_recognised_or_rejected(calling: str, named: str, accept_any: bool) -> None:
    bound = PeerSettings(ae_title="CT1", certificate="CN=ct1")
    certificate = PeerCertificate("00" * 32, frozenset({("commonName", named)}))
    decision = recognise([bound], calling, "127.0.0.1", certificate, accept_any).rejection
    if calling == "CT1":
        assert (decision is None) == (named == "ct1")
    else:
        assert (decision is None) == accept_any


@given(st.text(max_size=100))
def test_any_text_is_a_fingerprint_a_subject_or_neither(text: str) -> None:
    fingerprint = fingerprint_of(text)
    assert fingerprint == "" or (len(fingerprint) == 64 and int(fingerprint, 16) >= 0)
    with contextlib.suppress(ValueError):
        assert subject_of(text)


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=20))
def test_any_text_in_a_command_makes_a_header_whose_length_is_true(
    sop_class: str, instance: str, calling: str
) -> None:
    header = file_header(Offer(sop_class, instance, EXPLICIT, calling))
    assert header[128:132] == b"DICM"
    (length,) = struct.unpack_from("<I", header, 140)
    assert 144 + length == len(header)
    assert len(header) % 2 == 0


def test_a_claim_keeps_its_passcode_to_itself() -> None:
    assert "secret" not in repr(Claim(1, UserIdentity(2, b"name", b"secret")))


def test_the_store_says_what_it_holds(tmp_path: Path) -> None:
    one = targets.receiver(tmp_path)
    assert targets.instance(one, image(), "1.2.3.4") == 0x0000
    assert isinstance(one.store, InstanceStore)
    (key,) = one.store.iterate()
    assert len(dataset_digest(one.store.path(key))) == 64
