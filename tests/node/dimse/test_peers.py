"""From the settings to whom the node calls: reports to peers, in clear and over TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from node.config.load import load
from node.config.settings import Settings
from node.dimse import tls_in_use
from node.dimse.errors import PeerUnavailable
from node.dimse.scu import peers
from node.dimse.scu.sender import Peer
from node.dimse.services import commitment
from node.dimse.services.commitment import STORAGE_COMMITMENT
from node.errors import SettingsError
from storage.records import CheckedReference, Reference
from tests.certificates import Authority, authority

CHECKED = [CheckedReference(Reference("1.2.840.10008.5.1.4.1.1.2", "1.2.3"), 0)]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("hospital"))


def settings_of(folder: Path, text: str) -> Settings:
    path = folder / "config.toml"
    path.write_text(text)
    return load(path)


def who_takes_reports(settings: Settings) -> Callable[[str, str], Peer | None]:
    return peers.report_peers(
        settings.node.ae_title, settings.dimse.tls, settings.peers, settings.destinations
    )


def secure_settings(folder: Path, hospital: Authority, port: int) -> Settings:
    own = hospital.issue("node")
    tables = (
        f'[dimse.tls]\ncertificate = "{own.certificate}"\nkey = "{own.key}"\n'
        f'[[peers]]\nae_title = "CT1"\nport = {port}\ntls = true\nca = "{hospital.ca}"\n'
    )
    return settings_of(folder, tables)


def test_a_report_goes_to_a_peer_over_tls_and_shows_the_nodes_certificate(
    tmp_path: Path, hospital: Authority
) -> None:
    shown = hospital.issue("ct1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(hospital.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(shown.certificate, shown.key)
    reports: list[Dataset] = []

    def take(event: evt.Event) -> tuple[int, None]:
        reports.append(event.event_information)
        return 0x0000, None

    modality = AE("CT1")
    modality.add_supported_context(STORAGE_COMMITMENT, scu_role=False, scp_role=True)
    server = modality.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)],
        ssl_context=context,
    )
    try:
        port = server.socket.getsockname()[1]
        settings = secure_settings(tmp_path, hospital, port)
        peer = who_takes_reports(settings)("CT1", "127.0.0.1")
        assert peer is not None
        report = commitment.report_of("1.2.9", CHECKED)
        assert commitment.send_report(peer, report) == 0x0000
        stranger = authority(tmp_path / "stranger")
        other = secure_settings(tmp_path, stranger, port)
        unknown = who_takes_reports(other)("CT1", "127.0.0.1")
        assert unknown is not None
        with pytest.raises(PeerUnavailable, match="certificate is not accepted"):
            commitment.send_report(unknown, report)
    finally:
        server.shutdown()
    assert [one.TransactionUID for one in reports] == ["1.2.9"]


def test_a_peer_whose_authority_is_missing_is_named_at_start(
    tmp_path: Path, hospital: Authority
) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    text = '[[peers]]\nae_title = "CT1"\nport = 104\ntls = true\nca = "no.pem"\n'
    with pytest.raises(SettingsError, match=r"no\.pem"):
        who_takes_reports(settings_of(tmp_path, text))


def test_a_peer_without_a_port_is_looked_for_among_the_destinations(tmp_path: Path) -> None:
    text = (
        '[[peers]]\nae_title = "PACS"\n'
        '[[destinations]]\nname = "p"\nae_title = "PACS"\nhost = "h"\nport = 11\n'
    )
    find = who_takes_reports(settings_of(tmp_path, text))
    known = find("PACS", "10.0.0.1")
    assert known is not None and (known.host, known.port, known.tls) == ("h", 11, None)
    assert find("CT1", "10.0.0.1") is None


def test_of_two_that_share_a_title_the_first_gets_the_reports(tmp_path: Path) -> None:
    peers = "".join(
        f'[[peers]]\nae_title = "CT1"\nhost = "h{port}"\nport = {port}\n' for port in (1, 2)
    )
    destinations = "".join(
        f'[[destinations]]\nname = "p{port}"\nae_title = "PACS"\nhost = "h"\nport = {port}\n'
        for port in (3, 4)
    )
    find = who_takes_reports(settings_of(tmp_path, peers + destinations))
    for title, port in (("CT1", 1), ("PACS", 3)):
        known = find(title, "10.0.0.1")
        assert known is not None and known.port == port


def test_the_files_of_archives_are_looked_at_like_those_of_destinations(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        '[[archives]]\nname = "a"\nae_title = "A"\nhost = "h"\nport = 1\ntls = true\n'
        'ca = "gone.pem"\n[[web_archives]]\nname = "w"\nurl = "https://h/w"\nca = "away.pem"\n',
    )
    named = {path.name for path in tls_in_use.paths(settings)}
    assert named == {"gone.pem", "away.pem"}
    said = "\n".join(tls_in_use.faults(settings))
    assert "gone.pem" in said
    assert "away.pem" in said
