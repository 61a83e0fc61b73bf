"""The client sides of Query and Retrieve: what is asked, what comes, and how it ends."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, JPEG2000Lossless

from node.clock import system_clock
from node.dimse.contexts import TRANSFER_SYNTAXES
from node.dimse.errors import PeerUnavailable
from node.dimse.scu import query, retrieve
from node.dimse.scu.query import QueryRefused
from node.dimse.scu.retrieve import NotServed, Order, Outcome, Watch
from node.dimse.scu.sender import Peer, Timeouts, send
from node.dimse.tls import TlsFiles
from node.receive.reception import Receiver
from node.receive.statuses import Status
from tests.certificates import authority
from tests.instances import dataset_bytes, write_instance
from tests.node.dimse.receiving import Node, running_node
from tests.node.fetch.archives import made, running_archive, running_dcmqrscp, study
from tests.peers import running_orthanc

CT = str(CTImageStorage)
SERIES = Order("2.25.2", "2.25.2.0")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with running_node(tmp_path / "node") as one:
        yield one


def receiver(node: Node) -> Receiver:
    return Receiver(node.store, node.records.append, node.quarantined.append, system_clock)


def got(node: Node, peer: Peer, *orders: Order, watch: Watch | None = None) -> list[Outcome]:
    return list(retrieve.get(orders, [CT], peer, receiver(node), watch or Watch()))


def uids(node: Node) -> list[str]:
    return sorted(one.attributes.sop_instance_uid for one in node.records)


def matches(peer: Peer, level: str, **keys: str) -> list[Dataset]:
    with query.asking(peer) as ask:
        return list(ask.matches(level, keys))


# --- query ----------------------------------------------------------------------------------------


def test_several_queries_go_over_one_association_level_by_level() -> None:
    with running_archive(study(1, 3, series=2)) as archive, query.asking(archive.peer) as ask:
        (one,) = ask.matches("STUDY", {"AccessionNumber": "A1", "StudyInstanceUID": ""})
        series = list(
            ask.matches(
                "SERIES", {"StudyInstanceUID": one.StudyInstanceUID, "SeriesInstanceUID": ""}
            )
        )
        images = list(
            ask.matches(
                "IMAGE",
                {
                    "StudyInstanceUID": one.StudyInstanceUID,
                    "SeriesInstanceUID": series[0].SeriesInstanceUID,
                    "SOPInstanceUID": "",
                },
            )
        )
    assert (len(series), len(images)) == (2, 3)


def test_a_failed_query_and_a_peer_without_queries_are_named_errors(node: Node) -> None:
    with (
        running_archive(study(1, 2), find_status=0xA700) as archive,
        pytest.raises(QueryRefused, match="0xA700"),
    ):
        matches(archive.peer, "STUDY", StudyInstanceUID="")
    with pytest.raises(PeerUnavailable, match="no connection"):
        matches(Peer("gone", "GONE", "127.0.0.1", 1, "WETREAD"), "STUDY", StudyInstanceUID="")


def test_a_cancelled_query_ends_before_all_matches_came() -> None:
    held = [one for number in range(40) for one in study(number, 1)]
    asked = threading.Event()
    with (
        running_archive(held) as archive,
        query.asking(archive.peer, asked.is_set) as ask,
    ):
        found = 0
        for _ in ask.matches("STUDY", {"StudyInstanceUID": ""}):
            found += 1
            asked.set()
    assert found < 40


# --- C-GET ----------------------------------------------------------------------------------------


def test_instances_come_over_the_same_association_and_are_stored_as_others_are(node: Node) -> None:
    with running_archive(study(1, 5, series=2)) as archive:
        (outcome,) = got(node, archive.peer, SERIES)
    assert (outcome.status, outcome.completed) == (0, 5)
    assert uids(node) == [f"2.25.2.0.{one}" for one in range(5)]
    assert {one.calling_ae for one in node.records} == {"ARCHIVE"}
    assert all(node.dataset_bytes(one) for one in node.records)


def test_some_instances_are_asked_for_by_a_list(node: Node) -> None:
    with running_archive(study(1, 5)) as archive:
        wanted = replace(SERIES, sop_instance_uids=("2.25.2.0.1", "2.25.2.0.3"))
        got(node, archive.peer, wanted)
    assert uids(node) == ["2.25.2.0.1", "2.25.2.0.3"]


def test_what_a_peer_cannot_send_is_counted_and_the_rest_comes(node: Node) -> None:
    with running_archive(study(1, 4), hidden=frozenset({"2.25.2.0.2"})) as archive:
        (outcome,) = got(node, archive.peer, SERIES)
    assert (outcome.status, outcome.completed, outcome.failed) == (0xB000, 3, 1)
    assert not outcome.is_refused
    assert len(node.records) == 3


def test_every_answer_is_told_with_the_instance_it_was_for(node: Node) -> None:
    told: dict[str, Status] = {}
    with running_archive(study(1, 3)) as archive:
        got(node, archive.peer, SERIES, watch=Watch(on_answered=told.__setitem__))
    assert sorted(told) == uids(node)
    assert all(one.is_success for one in told.values())


def test_a_peer_without_c_get_says_so_before_anything_is_asked(node: Node) -> None:
    with (
        running_archive(study(1, 1), serves_get=False) as archive,
        pytest.raises(NotServed, match="archive"),
    ):
        got(node, archive.peer, SERIES)


def test_a_peer_that_aborts_in_the_middle_leaves_what_came(node: Node) -> None:
    with (
        running_archive(study(1, 5), abort_at=2) as archive,
        pytest.raises(PeerUnavailable, match="aborted"),
    ):
        got(node, archive.peer, SERIES)
    assert len(node.records) == 2


def test_a_peer_whose_connection_breaks_is_not_waited_for(node: Node) -> None:
    with running_archive(study(1, 3), gate=threading.Event()) as archive:
        killed = threading.Thread(target=lambda: (archive.waits.wait(30), archive.kill()))
        killed.start()
        with pytest.raises(PeerUnavailable):
            got(node, archive.peer, SERIES)
        killed.join()
    assert len(node.records) == 1


def test_a_peer_that_falls_silent_is_left(node: Node) -> None:
    with running_archive(study(1, 3), gate=threading.Event()) as archive:
        quick = Timeouts(response_s=0.6)
        with pytest.raises(PeerUnavailable, match="nothing was heard"):
            list(retrieve.get([SERIES], [CT], archive.peer, receiver(node), Watch(), quick))


def test_a_cancelled_c_get_keeps_what_came_and_ends_with_the_peers_word(node: Node) -> None:
    stop = threading.Event()
    with running_archive(study(1, 5), gate=threading.Event()) as archive:

        def came(uid: str, status: Status) -> None:
            stop.set()

        watch = Watch(came, stop.is_set)
        outcomes = got(node, archive.peer, SERIES, SERIES, watch=watch)
    assert [one.status for one in outcomes] == [0xFE00]
    assert len(node.records) == 1


def test_a_full_disk_is_answered_to_the_peer_and_counted_as_failed(tmp_path: Path) -> None:
    with running_node(tmp_path / "node") as node, running_archive(study(1, 2)) as archive:
        full = replace(receiver(node), min_free_bytes=2**62)
        (outcome,) = retrieve.get([SERIES], [CT], archive.peer, full, Watch())
    assert (outcome.completed, outcome.failed) == (0, 2)
    assert outcome.is_refused


def test_an_instance_without_end_ends_the_association_by_name(node: Node) -> None:
    endless = made(1, 0, 1)
    endless.PixelData = bytes(100_000)
    limited = replace(receiver(node), max_instance_bytes=10_000)
    with (
        running_archive([made(1, 0, 0), endless]) as archive,
        pytest.raises(PeerUnavailable, match="an instance has no end"),
    ):
        list(retrieve.get([SERIES], [CT], archive.peer, limited, Watch()))
    assert uids(node) == ["2.25.2.0.0"]


def test_instances_come_over_tls(node: Node, tmp_path: Path) -> None:
    hospital = authority(tmp_path)
    shown = hospital.issue("archive")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(shown.certificate, shown.key)
    with running_archive(study(1, 3), ssl_context=context) as archive:
        peer = replace(archive.peer, tls=TlsFiles(ca=hospital.ca), tls_name="archive")
        (outcome,) = got(node, peer, SERIES)
    assert outcome.completed == 3


# --- C-MOVE ---------------------------------------------------------------------------------------


def test_instances_are_moved_to_who_is_known_by_the_title(node: Node) -> None:
    with running_archive(study(1, 3), destinations={"WETREAD": node.port}) as archive:
        (outcome,) = retrieve.move([SERIES], "WETREAD", archive.peer, Watch())
        (unknown,) = retrieve.move([SERIES], "NOBODY", archive.peer, Watch())
    assert (outcome.status, outcome.completed) == (0, 3)
    assert len(node.records) == 3
    assert unknown.is_refused and "0xA801" in unknown.in_words()


# --- archives that others wrote -------------------------------------------------------------------


def filled(folder: Path, peer: Peer) -> list[Path]:
    images = [write_instance(folder / f"{n}.dcm", one) for n, one in enumerate(study(1, 6))]
    outcomes: list[int | None] = []
    send(images, peer, lambda _, result: outcomes.append(result.status))
    assert outcomes == [0] * len(images)
    return images


def prove_all_ways(node: Node, peer: Peer, images: list[Path]) -> None:
    (found,) = matches(peer, "STUDY", AccessionNumber="A1", StudyInstanceUID="")
    assert found.StudyInstanceUID == "2.25.2"
    assert (
        len(
            matches(
                peer,
                "IMAGE",
                StudyInstanceUID="2.25.2",
                SeriesInstanceUID="2.25.2.0",
                SOPInstanceUID="",
            )
        )
        == 6
    )
    assert got(node, peer, SERIES)[0].completed == 6
    stored = {one.attributes.sop_instance_uid: node.dataset_bytes(one) for one in node.records}
    for path in images:
        assert stored[str(dcmread(path).SOPInstanceUID)] == dataset_bytes(path)
    some = replace(SERIES, sop_instance_uids=("2.25.2.0.1", "2.25.2.0.4"))
    assert got(node, peer, some)[0].completed == 2
    before = len(node.records)
    (moved,) = retrieve.move([SERIES], "WETREAD", peer, Watch())
    assert (moved.completed, len(node.records) - before) == (6, 6)


@pytest.mark.interop
def test_orthanc_is_asked_and_sends_by_c_get_and_c_move(node: Node, tmp_path: Path) -> None:
    with running_orthanc(tmp_path) as orthanc:
        orthanc.name_modality("wetread", "WETREAD", node.port)
        peer = Peer("orthanc", "ORTHANC", "127.0.0.1", orthanc.port, "WETREAD")
        prove_all_ways(node, peer, filled(tmp_path, peer))


@pytest.mark.interop
def test_dcmqrscp_is_asked_and_sends_by_c_get_and_c_move(node: Node, tmp_path: Path) -> None:
    with running_dcmqrscp(tmp_path / "archive", {"WETREAD": node.port}) as peer:
        prove_all_ways(node, peer, filled(tmp_path, peer))


def test_each_usual_transfer_syntax_has_a_context_of_its_own_and_the_last_all_others() -> None:
    contexts = retrieve.storage_contexts([CT, "1.2.840.10008.5.1.4.1.1.4"], 126)
    alone = [one for one in contexts if one.transfer_syntax == [JPEG2000Lossless]]
    assert len(alone) == 2
    assert len(contexts) <= 126
    offered = {syntax for one in contexts for syntax in one.transfer_syntax}
    assert offered <= TRANSFER_SYNTAXES and len(offered) > 40
    crowded = retrieve.storage_contexts([f"1.2.3.{one}" for one in range(60)], 126)
    assert len(crowded) <= 126
