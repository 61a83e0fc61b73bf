"""Associations over TLS, both ways, and peers that are bound to their certificates."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.config.dimse import PeerSettings, TlsSettings
from node.dimse import tls
from node.dimse.errors import PeerUnavailable
from node.dimse.scu.answers import SendResult
from node.dimse.scu.sender import Peer, echo, send
from node.dimse.tls import PeerCertificate, ServerTls, TlsFiles
from node.errors import SettingsError
from tests.certificates import Authority, Certificate, authority
from tests.instances import dataset_bytes
from tests.node.dimse.raw_peer import (
    COMMAND,
    LAST,
    RawPeer,
    associate_rq,
    data,
    echo_command,
    image,
    pdv,
    store_command,
)
from tests.node.dimse.receiving import Node, running_node
from tests.peers import dcmtk, running_storescp
from tests.waiting import until


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
def own(hospital: Authority) -> Certificate:
    return hospital.issue("node")


@pytest.fixture(scope="module")
def ct1(hospital: Authority) -> Certificate:
    return hospital.issue("ct1", "/CN=ct1/O=Hospital/OU=Radiology")


@contextmanager
def secure_node(
    folder: Path, own: Certificate, ca: Path | None = None, only: bool = False, **settings: Any
) -> Iterator[Node]:
    tls = TlsSettings(certificate=own.certificate, key=own.key, ca=ca, port=0, only=only)
    with running_node(folder, tls=tls, **settings) as node:
        yield node


def client(hospital: Authority, shown: Certificate | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(hospital.ca))
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


class SecurePeer(RawPeer):
    """A peer of bytes within TLS."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port)
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")


def to(node: Node, hospital: Authority, shown: Certificate | None = None) -> Peer:
    files = (
        TlsFiles(shown.certificate, shown.key, hospital.ca) if shown else TlsFiles(ca=hospital.ca)
    )
    return Peer("node", "WETREAD", "127.0.0.1", node.server.tls_port, "CT1", files)


# --- the listener ---------------------------------------------------------------------------------


def test_images_arrive_over_tls_byte_for_byte(
    tmp_path: Path, own: Certificate, hospital: Authority, images: list[Path]
) -> None:
    results: dict[int, SendResult] = {}
    with secure_node(tmp_path / "node", own) as node:
        send(images, to(node, hospital), results.__setitem__)
        assert [results[number].status for number in range(5)] == [0] * 5
        got = {node.dataset_bytes(record) for record in node.records}
        assert got == {dataset_bytes(path) for path in images}
        assert echo(Peer("plain", "WETREAD", "127.0.0.1", node.port, "CT1")) < 10


def test_several_pdus_in_one_record_of_tls_are_all_served_at_once(
    tmp_path: Path, own: Certificate, hospital: Authority
) -> None:
    """What is decrypted already makes no socket readable: whoever only polls it waits for ever."""
    from tests.node.dimse.raw_peer import ECHO, Context

    with (
        secure_node(tmp_path, own, network_timeout_s=5) as node,
        SecurePeer(node.server.tls_port, client(hospital)) as peer,
    ):
        peer.associate(associate_rq([Context(1), Context(3, ECHO)]))
        store = data(pdv(store_command(), COMMAND | LAST)) + data(pdv(image(), LAST))
        echoes = data(pdv(echo_command(), COMMAND | LAST, 3)) * 3
        peer.send(store + echoes + store.replace(b"1.2.3.4\0", b"1.2.3.4\0"))
        assert [peer.status() for _ in range(5)] == [0] * 5


def test_a_handshake_that_never_ends_costs_nobody_else_anything(
    tmp_path: Path, own: Certificate, hospital: Authority, capfd: pytest.CaptureFixture[str]
) -> None:
    with secure_node(tmp_path, own, negotiation_timeout_s=1.0) as node:
        port = node.server.tls_port
        silent = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(20)]
        with SecurePeer(port, client(hospital)) as peer:
            peer.associate()
            assert peer.store(image()) == 0x0000
        for one in silent:
            one.settimeout(10)
            assert one.recv(10) == b""  # closed by the node
            one.close()
        until(lambda: not len(node.server._secure.entrance))  # type: ignore[union-attr]
        assert "the handshake did not end in time" in capfd.readouterr().out


def test_a_peer_without_tls_is_closed_and_named_in_the_log(
    tmp_path: Path, own: Certificate, capfd: pytest.CaptureFixture[str]
) -> None:
    with secure_node(tmp_path, own) as node:
        with RawPeer(node.server.tls_port) as peer:
            peer.send(associate_rq())
            assert peer.read()[0] != 2
        until(lambda: not len(node.server._secure.entrance))  # type: ignore[union-attr]
        output = capfd.readouterr()
        assert "connection_failed" in output.out
        assert "Traceback" not in output.err


@pytest.mark.parametrize(
    ("version", "cipher"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA"),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_the_profile_forbids_is_not_spoken(
    tmp_path: Path, own: Certificate, hospital: Authority, version: ssl.TLSVersion, cipher: str
) -> None:
    context = client(hospital)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = version
    context.set_ciphers(cipher)
    with secure_node(tmp_path, own) as node, pytest.raises((ssl.SSLError, ConnectionError)):
        SecurePeer(node.server.tls_port, context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_sound_versions_are_spoken(
    tmp_path: Path, own: Certificate, hospital: Authority, version: ssl.TLSVersion
) -> None:
    context = client(hospital)
    context.minimum_version = context.maximum_version = version
    with (
        secure_node(tmp_path, own) as node,
        SecurePeer(node.server.tls_port, context) as peer,
    ):
        peer.associate()
        assert peer.store(image()) == 0x0000


def test_with_tls_only_the_plain_port_serves_the_nodes_own_check_alone(
    tmp_path: Path, own: Certificate, hospital: Authority
) -> None:
    with secure_node(tmp_path, own, only=True, host="0.0.0.0", probe_ae_title="SECRET") as node:
        with RawPeer(node.port) as plain:
            assert plain.rejection() == (1, 1, 3)
        with RawPeer(node.port) as probe:
            probe.associate(associate_rq(calling=b"SECRET"))
        assert node.server._listening().server_address[0] == "127.0.0.1"
        with SecurePeer(node.server.tls_port, client(hospital)) as peer:
            peer.associate()


def test_draining_ends_associations_over_tls(
    tmp_path: Path, own: Certificate, hospital: Authority
) -> None:
    with (
        secure_node(tmp_path, own) as node,
        SecurePeer(node.server.tls_port, client(hospital)) as peer,
    ):
        peer.associate()
        started = time.monotonic()
        node.server.drain(0.2)
        assert time.monotonic() - started < 8
        with pytest.raises(ConnectionRefusedError):
            RawPeer(node.server.tls_port)


# --- certificates ---------------------------------------------------------------------------------


def test_with_an_authority_only_who_shows_its_certificate_is_served(
    tmp_path: Path, own: Certificate, ct1: Certificate, hospital: Authority
) -> None:
    stranger = authority(tmp_path / "stranger", "stranger").issue("ct1")
    with secure_node(tmp_path / "node", own, hospital.ca) as node:
        for shown in (None, stranger):
            with (
                pytest.raises((OSError, AssertionError)),  # TLS 1.3 says so with the first read
                SecurePeer(node.server.tls_port, client(hospital, shown)) as peer,
            ):
                peer.associate()
        assert node.server.associations() == []
        with SecurePeer(node.server.tls_port, client(hospital, ct1)) as peer:
            peer.associate()


@pytest.mark.parametrize("bound", ["fingerprint", "CN=ct1, O=Hospital"])
def test_a_title_bound_to_a_certificate_comes_with_it_or_not_at_all(
    tmp_path: Path,
    own: Certificate,
    ct1: Certificate,
    hospital: Authority,
    bound: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    certificate = ct1.sha256 if bound == "fingerprint" else bound
    peers = (PeerSettings(ae_title="CT1", certificate=certificate),)
    ct2 = hospital.issue("ct2", "/CN=ct2/O=Hospital")
    as_ct1 = associate_rq(calling=b"CT1")
    with secure_node(tmp_path, own, hospital.ca, peers=peers) as node:
        port = node.server.tls_port
        with SecurePeer(port, client(hospital, ct1)) as peer:
            peer.associate(as_ct1)
        with SecurePeer(port, client(hospital, ct2)) as impostor:
            assert impostor.rejection(as_ct1) == (1, 1, 3)
        assert "bound to another certificate" in capfd.readouterr().out
        with RawPeer(node.port) as plain:
            assert plain.rejection(as_ct1) == (1, 1, 3)
        with SecurePeer(port, client(hospital, ct2)) as other:
            other.associate(associate_rq(calling=b"CT2"))  # accept_any_peer: bound to nobody


def test_a_revoked_certificate_is_refused_once_the_list_names_it(
    tmp_path: Path, own: Certificate, ct1: Certificate, hospital: Authority
) -> None:
    ct2 = hospital.issue("ct2", "/CN=ct2/O=Hospital")
    live = tmp_path / "crl.pem"
    shutil.copy(hospital.revoke(), live)
    settings = TlsSettings(
        certificate=own.certificate, key=own.key, ca=hospital.ca, crl=live, port=0
    )
    with running_node(tmp_path / "node", tls=settings) as node:
        port = node.server.tls_port
        for shown in (ct1, ct2):
            with SecurePeer(port, client(hospital, shown)) as peer:
                peer.associate()
        shutil.copy(hospital.revoke(ct1), live)
        with (
            pytest.raises((OSError, AssertionError)),
            SecurePeer(port, client(hospital, ct1)) as peer,
        ):
            peer.associate()
        with SecurePeer(port, client(hospital, ct2)) as peer:
            peer.associate()


def test_a_list_that_has_lapsed_lets_nobody_in_until_a_new_one_is_there(
    tmp_path: Path, own: Certificate, ct1: Certificate, hospital: Authority
) -> None:
    live = tmp_path / "crl.pem"
    shutil.copy(hospital.revoke(valid_s=1), live)
    settings = TlsSettings(
        certificate=own.certificate, key=own.key, ca=hospital.ca, crl=live, port=0
    )
    with running_node(tmp_path / "node", tls=settings) as node:
        time.sleep(2)
        with (
            pytest.raises((OSError, AssertionError)),
            SecurePeer(node.server.tls_port, client(hospital, ct1)) as peer,
        ):
            peer.associate()
        shutil.copy(hospital.revoke(), live)
        with SecurePeer(node.server.tls_port, client(hospital, ct1)) as peer:
            peer.associate()


def test_a_subject_names_all_that_is_asked_and_may_have_more() -> None:
    subject = frozenset({("commonName", "ct1"), ("organizationName", "Hospital, North")})
    certificate = PeerCertificate("ab" * 32, subject)
    assert certificate.is_named("CN=ct1")
    assert certificate.is_named("o=Hospital\\, North, cn=ct1")
    assert not certificate.is_named("CN=ct1, OU=Radiology")
    assert not certificate.is_named("CN=ct")
    assert certificate.is_named("sha256:" + ":".join(["AB"] * 32))
    assert not certificate.is_named("ac" * 32)


@pytest.mark.parametrize("wrong", ["ct1", "CN=", "XX=ct1", "sha256:abcd", ""])
def test_what_is_neither_fingerprint_nor_subject_is_refused(wrong: str) -> None:
    assert not tls.fingerprint_of(wrong)
    with pytest.raises(ValueError, match="fingerprint"):
        tls.subject_of(wrong)


def test_a_renewed_certificate_is_shown_without_a_restart(
    tmp_path: Path, hospital: Authority
) -> None:
    first, second = hospital.issue("first"), hospital.issue("second")
    live = Certificate(tmp_path / "live.pem", tmp_path / "live.key")
    _install(first, live)
    with (
        secure_node(tmp_path / "node", live) as node,
        SecurePeer(node.server.tls_port, client(hospital)) as before,
    ):
        before.associate()
        assert _name_shown(before) == "first"
        _install(second, live)
        with SecurePeer(node.server.tls_port, client(hospital)) as after:
            assert _name_shown(after) == "second"
        assert before.store(image()) == 0x0000  # open associations go on


def _install(source: Certificate, target: Certificate) -> None:
    for old, new in ((source.certificate, target.certificate), (source.key, target.key)):
        shutil.copy(old, new.with_suffix(".new"))
        os.replace(new.with_suffix(".new"), new)  # noqa: PTH105


def _name_shown(peer: SecurePeer) -> str:
    assert isinstance(peer.socket, ssl.SSLSocket)
    facts = peer.socket.getpeercert()
    assert facts is not None
    return str(dict(pair for group in facts["subject"] for pair in group)["commonName"])  # type: ignore[union-attr, misc]


def test_a_renewal_that_cannot_be_loaded_is_logged_once_and_the_old_one_stays(
    tmp_path: Path, hospital: Authority, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = hospital.issue("third"), hospital.issue("fourth")
    live = Certificate(tmp_path / "live.pem", tmp_path / "live.key")
    _install(first, live)
    server = ServerTls(TlsFiles(live.certificate, live.key))
    context = server.context()
    shutil.copy(second.certificate, live.certificate)  # its key is yet to come
    assert server.context() is context
    assert server.context() is context
    assert capfd.readouterr().out.count("tls_reload_failed") == 1
    shutil.copy(second.key, live.key)
    assert server.context() is not context


@pytest.mark.parametrize("fault", ["missing", "no PEM", "other key", "encrypted key"])
def test_files_that_cannot_be_used_are_named_at_start(
    tmp_path: Path, own: Certificate, ct1: Certificate, fault: str
) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-in", str(own.key), "-aes128", "-passout", "pass:secret"]
    subprocess.run([*command, "-out", str(locked)], check=True, capture_output=True)
    files = {
        "missing": TlsFiles(tmp_path / "nowhere.pem"),
        "no PEM": TlsFiles(garbage),
        "other key": TlsFiles(own.certificate, ct1.key),
        "encrypted key": TlsFiles(own.certificate, locked),
    }[fault]
    with pytest.raises(SettingsError, match=str(tmp_path) if fault != "other key" else "node"):
        tls.server_context(files)
    if fault == "encrypted key":
        password = tmp_path / "password"
        password.write_text("secret\n")
        tls.server_context(TlsFiles(own.certificate, locked, None, password))


# --- destinations ---------------------------------------------------------------------------------


def test_a_destination_whose_certificate_is_not_trusted_gets_nothing(
    tmp_path: Path, own: Certificate, images: list[Path]
) -> None:
    stranger = authority(tmp_path / "stranger")
    with (
        secure_node(tmp_path / "node", own) as node,
        pytest.raises(PeerUnavailable, match="certificate is not accepted"),
    ):
        send(images, to(node, stranger), lambda index, result: None)
    assert node.records == []


def test_a_destination_under_another_name_gets_nothing_unless_that_name_is_set(
    tmp_path: Path, hospital: Authority
) -> None:
    named = hospital.issue("pacs.hospital", host="192.0.2.7")
    with secure_node(tmp_path, named) as node:
        peer = to(node, hospital)
        with pytest.raises(PeerUnavailable, match="IP address mismatch"):
            echo(peer)
        echo(Peer("node", "WETREAD", peer.host, peer.port, "CT1", peer.tls, "pacs.hospital"))


def test_a_destination_that_asks_for_a_certificate_is_shown_ours(
    tmp_path: Path, own: Certificate, ct1: Certificate, hospital: Authority, images: list[Path]
) -> None:
    with secure_node(tmp_path / "node", own, hospital.ca) as node:
        with pytest.raises(PeerUnavailable):
            echo(to(node, hospital))
        results: dict[int, SendResult] = {}
        send(images, to(node, hospital, ct1), results.__setitem__)
        assert all(result.is_stored for result in results.values())
        assert len(node.records) == 5


# --- peers that others wrote ----------------------------------------------------------------------


@pytest.mark.interop
def test_dcmtk_sends_over_mutual_tls_and_receives_over_it(
    tmp_path: Path, own: Certificate, ct1: Certificate, hospital: Authority, images: list[Path]
) -> None:
    with secure_node(tmp_path / "node", own, hospital.ca) as node:
        dcmtk(
            "storescu", "+tls", ct1.key, ct1.certificate, "+cf", hospital.ca,
            "-aec", "WETREAD", "127.0.0.1", str(node.server.tls_port), *images,
        )  # fmt: skip
        got = {node.dataset_bytes(record) for record in node.records}
        assert got == {dataset_bytes(path) for path in images}
    folder = tmp_path / "scp"
    folder.mkdir()
    secured = ("+B", "+tls", own.key, own.certificate, "+cf", hospital.ca)
    with running_storescp(folder, *secured) as port:
        files = TlsFiles(ct1.certificate, ct1.key, hospital.ca)
        peer = Peer("scp", "ANY", "127.0.0.1", port, "WETREAD", files)
        echo(peer)
        send(images, peer, lambda index, result: None)
    got = {dataset_bytes(path) for path in folder.iterdir()}
    assert got == {dataset_bytes(path) for path in images}
