"""What a peer may: who it is decides, and a sender is told when it may not store."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node import exposure, statuses
from node.clock import system_clock
from node.config.destinations import DimseDestinationSettings
from node.config.dimse import DimseSettings, PeerSettings, TlsSettings
from node.config.load import load
from node.dimse import session
from node.dimse.rights import ALL, NONE, Right, rights_of
from node.dimse.scu.answers import SendResult
from node.dimse.scu.peers import move_destinations
from node.dimse.scu.sender import Peer, echo, send
from node.dimse.services.mpps import MPPS, StepService
from node.dimse.session import Session
from node.errors import SettingsError
from node.observe.throttle import ThrottledLog
from storage.database import open_database
from tests.node.dimse.commitments import Requestor
from tests.node.dimse.receiving import running_node

READER = PeerSettings(ae_title="WS1", may=("query", "retrieve"), retrieve_to=("WS1",))


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_refusals", ThrottledLog(session.REFUSALS_EVERY_S))


def settings_fault(folder: Path, text: str) -> str:
    path = folder / "config.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    return str(caught.value)


def sent_as(port: int, calling: str, paths: list[Path]) -> list[SendResult]:
    results: list[SendResult] = []
    send(paths, Peer("node", "WETREAD", "127.0.0.1", port, calling), lambda _, r: results.append(r))
    return results


# --- what the settings say ------------------------------------------------------------------------


def test_a_peer_may_all_unless_the_settings_say_less() -> None:
    assert rights_of(PeerSettings(ae_title="CT1"), DimseSettings()) == ALL
    assert rights_of(READER, DimseSettings()).may == {Right.QUERY, Right.RETRIEVE}
    assert rights_of(PeerSettings(ae_title="X", may=()), DimseSettings()) == NONE


def test_strangers_may_all_on_this_machine_and_only_store_on_the_network() -> None:
    assert rights_of(None, DimseSettings()) == ALL
    assert rights_of(None, DimseSettings(host="0.0.0.0")).may == {Right.STORE}
    secure = TlsSettings(certificate=Path("n.pem"), host="10.0.0.5")
    assert rights_of(None, DimseSettings(tls=secure)).may == {Right.STORE}
    said = DimseSettings(host="0.0.0.0", any_peer_may=("query",))
    assert rights_of(None, said).may == {Right.QUERY}


def test_retrieving_goes_where_the_peer_may_have_it_sent() -> None:
    assert ALL.allow_sending_to("ANYONE")
    assert not NONE.allow_sending_to("ANYONE")
    reader = rights_of(READER, DimseSettings())
    assert reader.allow_sending_to("WS1 ")
    assert not reader.allow_sending_to("WS2")


def test_an_unknown_right_and_a_destination_without_an_address_are_faults(tmp_path: Path) -> None:
    fault = settings_fault(tmp_path, '[[peers]]\nae_title = "A"\nmay = ["read"]\n')
    assert "peers[0].may[0]: Input should be 'store', 'query' or 'retrieve'" in fault
    fault = settings_fault(tmp_path, '[[peers]]\nae_title = "WS1"\nretrieve_to = ["WS1"]\n')
    assert ":3: peers[0].retrieve_to: 'WS1' has no address" in fault
    text = '[[peers]]\nae_title = "WS1"\nmay = ["query"]\nretrieve_to = []\n'
    assert 'retrieve_to needs "retrieve" in may' in settings_fault(tmp_path, text)
    known = '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "h"\nport = 104\n'
    path = tmp_path / "config.toml"
    path.write_text(known + '[[peers]]\nae_title = "WS1"\nretrieve_to = ["PACS"]\n')
    assert load(path).peers[0].retrieve_to == ("PACS",)


def cautions(folder: Path, text: str) -> list[str]:
    path = folder / "config.toml"
    path.write_text(text)
    return list(exposure.cautions(load(path)))


def test_strangers_and_bare_titles_that_may_read_on_the_network_are_cautions(
    tmp_path: Path,
) -> None:
    opened = '[dimse]\nhost = "0.0.0.0"\n'
    (one,) = cautions(tmp_path, opened + 'any_peer_may = ["store", "retrieve"]\n')
    assert "may store images and take images and results away" in one
    assert cautions(tmp_path, opened + "any_peer_may = []\n") == []
    closed = opened + "accept_any_peer = false\n[[peers]]\n"
    (one,) = cautions(tmp_path, closed + 'ae_title = "WS1"\n')
    assert one.startswith("[[peers]] WS1: whoever uses such an AE title")
    assert cautions(tmp_path, closed + 'ae_title = "WS1"\nhost = "10.0.0.7"\n') == []
    assert cautions(tmp_path, closed + 'ae_title = "CT1"\nmay = ["store"]\n') == []


# --- where C-MOVE sends ---------------------------------------------------------------------------


def test_what_is_moved_goes_to_peers_with_an_address_and_to_destinations() -> None:
    peers = (
        PeerSettings(ae_title="WS1", host="10.0.0.7", port=104),
        PeerSettings(ae_title="NOHOST", port=104),
        PeerSettings(ae_title="NOPORT", host="10.0.0.8"),
    )
    pacs = DimseDestinationSettings(name="pacs", ae_title="PACS", host="10.0.0.9", port=4242)
    find = move_destinations("WETREAD", None, peers, (pacs,))
    assert find("WS1 ") == Peer("WS1", "WS1", "10.0.0.7", 104, "WETREAD")
    assert find("PACS") == Peer("pacs", "PACS", "10.0.0.9", 4242, "WETREAD")
    assert (find("NOHOST"), find("NOPORT"), find("NOBODY")) == (None, None, None)


# --- on the wire ----------------------------------------------------------------------------------


def test_who_may_not_store_is_told_so_and_the_log_says_it_once(
    tmp_path: Path, images: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with running_node(tmp_path / "node", peers=(READER,)) as node:
        refused = sent_as(node.port, "WS1", images)
        assert {one.status for one in refused} == {statuses.NOT_AUTHORISED}
        assert "This AE title may not store here" in refused[0].reason
        assert node.records == []
        sent_as(node.port, "WS1", images[:1])
        assert [one.status for one in sent_as(node.port, "CT1", images)] == [0] * len(images)
        echo(Peer("node", "WETREAD", "127.0.0.1", node.port, "WS1"))
    assert capfd.readouterr().out.count("not_authorised") == 1


def test_a_peers_title_from_another_host_has_the_rights_of_a_stranger(
    tmp_path: Path, images: list[Path]
) -> None:
    elsewhere = PeerSettings(ae_title="CT1", host="192.0.2.7")
    with running_node(tmp_path / "node", peers=(elsewhere,), any_peer_may=()) as node:
        assert sent_as(node.port, "CT1", images[:1])[0].status == statuses.NOT_AUTHORISED
    here = PeerSettings(ae_title="CT1", host="127.0.0.1")
    with running_node(tmp_path / "node", peers=(elsewhere, here), any_peer_may=()) as node:
        assert sent_as(node.port, "CT1", images[:1])[0].status == 0


def test_who_may_not_store_announces_nothing_either(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'wetread.db'}")
    step = Dataset()
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    try:
        with (
            running_node(
                tmp_path, [StepService(database, system_clock)], any_peer_may=("query",)
            ) as node,
            Requestor().associated(node.port) as association,
        ):
            answer, _ = association.send_n_create(step, MPPS, "1.2.3")
        assert answer.Status == statuses.NOT_AUTHORISED
    finally:
        database.close()


def test_a_session_may_nothing_before_its_request_is_accepted() -> None:
    assert not any(Session("127.0.0.1", system_clock()).may(right) for right in Right)
