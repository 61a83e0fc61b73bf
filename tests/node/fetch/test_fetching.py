"""Fetching from an archive: what is found, what comes, what is missing, and that it is said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.clock import system_clock
from node.dimse.scu.sender import Peer, send
from node.fetch.arrivals import Arriving
from node.fetch.source import Ends, FoundStudy
from storage import fetches
from storage.fetches import Counts, FetchState, Wanted
from tests.instances import write_instance
from tests.node.fetch.archives import running_archive, running_dcmqrscp, study
from tests.node.fetch.ward import Ward, running_ward
from tests.peers import running_orthanc
from tests.waiting import until


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with running_ward(tmp_path / "ward") as one:
        yield one


# --- what comes -----------------------------------------------------------------------------------


def test_all_instances_of_an_accession_come_and_are_counted(ward: Ward) -> None:
    held = [*study(1, 4, series=2), *study(2, 3)]
    with running_archive(held) as archive:
        fetch = ward.fetched(ward.dimse(archive.peer), accession_number="A1")
    assert fetch.state is FetchState.DONE
    assert fetch.counts == Counts(studies=1, expected=8, held=0, received=8)
    assert fetch.reason == "8 instances in 1 study: 8 came"
    until(lambda: ward.instances() == 8)
    assert "2.25.2" not in fetch.reason


def test_what_is_here_already_is_not_sent_again(ward: Ward) -> None:
    with running_archive(study(1, 3)) as archive:
        ward.fetched(ward.dimse(archive.peer), accession_number="A1")
        until(lambda: ward.instances() == 3)
        before = len(archive.requests)
        again = ward.fetched(ward.dimse(archive.peer), accession_number="A1")
        levels = [one.QueryRetrieveLevel for one in archive.requests[before:]]
        archive.held += study(1, 5)[3:]
        third = ward.fetched(ward.dimse(archive.peer), accession_number="A1")
        asked = archive.requests[-1]
    assert again.state is FetchState.DONE
    assert again.counts == Counts(studies=1, expected=3, held=3, received=0)
    assert levels == ["STUDY", "SERIES", "IMAGE"]
    assert third.counts == Counts(studies=1, expected=5, held=3, received=2)
    assert list(asked.SOPInstanceUID) == ["2.25.2.0.3", "2.25.2.0.4"]


def test_all_studies_of_an_accession_come_and_are_listed(ward: Ward) -> None:
    held = [*study(1, 2), *study(2, 3)]
    for one in held:
        one.AccessionNumber = "SAME"
    with running_archive(held) as archive:
        fetch = ward.fetched(ward.dimse(archive.peer), accession_number="SAME")
    assert fetch.counts.studies == 2
    assert [(one.expected, one.missing) for one in ward.studies(fetch.id)] == [(2, 0), (3, 0)]


def test_series_and_modality_choose_what_comes(ward: Ward) -> None:
    held = study(1, 2, series=3)
    for one in held:
        if one.SeriesInstanceUID == "2.25.2.2":
            one.Modality = "SR"
    with running_archive(held) as archive:
        by_series = ward.fetched(ward.dimse(archive.peer), series_uids=("2.25.2.1",))
        by_modality = ward.fetched(ward.dimse(archive.peer), accession_number="A1", modality="CT")
    assert by_series.counts.expected == 2
    assert by_modality.counts == Counts(studies=1, expected=4, held=2, received=2)


def test_a_peer_that_tells_no_sop_classes_is_fetched_from_too(ward: Ward) -> None:
    with running_archive(study(1, 3), tells_classes=False) as archive:
        fetch = ward.fetched(ward.dimse(archive.peer), accession_number="A1")
    assert fetch.counts.received == 3


def test_without_c_get_the_archive_moves_to_this_node(ward: Ward) -> None:
    there = {"WETREAD": ward.server.port}
    with running_archive(study(1, 4), serves_get=False, destinations=there) as archive:
        fetch = ward.fetched(ward.dimse(archive.peer), accession_number="A1")
    assert fetch.state is FetchState.DONE
    assert fetch.counts.received == 4


def test_an_archive_that_can_reach_this_node_in_no_way_is_quoted(ward: Ward) -> None:
    with running_archive(study(1, 4), serves_get=False) as archive:
        fetch = ward.fetched(ward.dimse(archive.peer), accession_number="A1")
    assert fetch.state is FetchState.FAILED
    assert (
        "it has no C-GET; C-MOVE: 0xA801, move destination unknown (0 sent, 0 failed)"
        in fetch.reason
    )


def test_a_study_counts_as_arriving_while_it_is_fetched(ward: Ward) -> None:
    with running_archive(study(1, 3), gate=threading.Event()) as archive:
        number = ward.ask("archive", accession_number="A1")
        thread = threading.Thread(target=ward.fetching(ward.dimse(archive.peer)).step)
        thread.start()
        archive.waits.wait(30)
        assert ward.arrivals.studies() == {"2.25.2"}
        until(lambda: ward.look(number).counts.received == 1)
        archive.gate.set()
        thread.join()
    assert ward.arrivals.studies() == frozenset()
    assert ward.look(number).state is FetchState.DONE


# --- what does not --------------------------------------------------------------------------------


def test_nothing_found_is_said(ward: Ward) -> None:
    with running_archive(study(1, 1)) as archive:
        fetch = ward.fetched(ward.dimse(archive.peer), accession_number="A9")
    assert fetch.state is FetchState.NOTHING
    assert fetch.reason == "the source has nothing of the kind"


def test_a_source_that_is_away_is_named(ward: Ward) -> None:
    fetch = ward.fetched(ward.dimse(Peer("gone", "GONE", "127.0.0.1", 1, "W")), patient_id="P")
    assert fetch.state is FetchState.FAILED
    assert "no connection to 127.0.0.1:1" in fetch.reason


@pytest.mark.parametrize(("aborts", "state"), [(1, "done"), (2, "failed")])
def test_an_archive_that_is_too_busy_for_an_association_is_asked_once_more(
    ward: Ward, aborts: int, state: str
) -> None:
    with running_archive(study(1, 3), aborts=aborts) as archive:
        fetch = ward.fetched(ward.dimse(archive.peer), accession_number="A1")
    assert fetch.state.value == state


def test_instances_that_the_archive_cannot_send_are_missing_and_said(ward: Ward) -> None:
    hidden = frozenset({"2.25.2.0.1"})
    with running_archive(study(1, 4), hidden=hidden) as archive:
        fetch = ward.fetched(ward.dimse(archive.peer), accession_number="A1")
    assert fetch.state is FetchState.PARTIAL
    assert fetch.counts.missing == 1
    assert fetch.reason.startswith("4 instances in 1 study: 3 came, 1 is missing")
    assert "C-GET: 0xB000, some sub-operations failed (3 sent, 1 failed)" in fetch.reason
    assert [one.missing for one in ward.studies(fetch.id)] == [1]


def test_a_source_that_dies_in_the_middle_leaves_a_partial_fetch_that_says_so(ward: Ward) -> None:
    with running_archive(study(1, 5), abort_at=2) as archive:
        fetch = ward.fetched(ward.dimse(archive.peer), accession_number="A1")
        archive.abort_at = -1
        again = ward.fetched(ward.dimse(archive.peer), accession_number="A1")
    assert (fetch.state, fetch.counts.received, fetch.counts.missing) == (FetchState.PARTIAL, 2, 3)
    assert "aborted" in fetch.reason
    assert again.counts == Counts(studies=1, expected=5, held=2, received=3)


def test_an_archive_that_does_not_know_a_key_gives_nothing_instead_of_everything(
    ward: Ward,
) -> None:
    with running_archive(study(1, 2), ignores=("PatientID",)) as archive:
        fetch = ward.fetched(ward.dimse(archive.peer), patient_id="ANOTHER")
        archive.forgets = ("PatientID",)
        blind = ward.fetched(ward.dimse(archive.peer), patient_id="ANOTHER")
    assert fetch.state is FetchState.NOTHING
    assert blind.state is FetchState.FAILED
    assert "does not look for studies by PatientID" in blind.reason


class Broken:
    """A source with a fault of ours."""

    name = "broken"

    def find(self, wanted: Wanted, ends: Ends) -> list[FoundStudy]:
        raise ZeroDivisionError

    def bring(
        self, missing: FoundStudy, whole: frozenset[str], arriving: Arriving, ends: Ends
    ) -> str:
        raise ZeroDivisionError


def test_a_fault_of_the_node_ends_the_fetch_and_not_the_next_one(ward: Ward) -> None:
    fetch = ward.fetched(Broken(), accession_number="A1")
    assert fetch.state is FetchState.FAILED
    assert fetch.reason == "a fault of this node (ZeroDivisionError), see its log"
    assert ward.fetching(Broken()).step() is False


# --- ended, cut off, taken up ---------------------------------------------------------------------


def test_a_cancelled_fetch_ends_and_keeps_what_came(ward: Ward) -> None:
    with running_archive(study(1, 5), gate=threading.Event()) as archive:
        number = ward.ask("archive", "quality", accession_number="A1")
        thread = threading.Thread(target=ward.fetching(ward.dimse(archive.peer)).step)
        thread.start()
        archive.waits.wait(30)
        with ward.database.write() as tx:
            fetches.cancel(tx, number, system_clock())
        thread.join()
    fetch = ward.look(number)
    assert (fetch.state, fetch.counts.received) == (FetchState.CANCELLED, 1)
    assert [one.analysis for one in ward.studies(number)] == [""]


def test_one_that_has_not_begun_is_cancelled_at_once(ward: Ward) -> None:
    number = ward.ask("archive", accession_number="A1")
    with ward.database.write() as tx:
        fetches.cancel(tx, number, system_clock())
    assert ward.look(number).state is FetchState.CANCELLED


def test_a_fetch_that_the_end_of_the_node_cuts_off_is_taken_up_again(ward: Ward) -> None:
    with running_archive(study(1, 4), gate=threading.Event()) as archive:
        number = ward.ask("archive", accession_number="A1")
        first = ward.fetching(ward.dimse(archive.peer))
        thread = threading.Thread(target=first.step)
        thread.start()
        archive.waits.wait(30)
        first.stopping.set()
        thread.join()
        assert ward.look(number).state is FetchState.RUNNING
        until(lambda: ward.instances() == 1)
        archive.gate.set()
        assert ward.fetching(ward.dimse(archive.peer)).step()
    fetch = ward.look(number)
    assert fetch.state is FetchState.DONE
    assert fetch.counts == Counts(studies=1, expected=4, held=1, received=3)


# --- archives that others wrote -------------------------------------------------------------------


def prove(ward: Ward, peer: Peer, folder: Path) -> None:
    held = [*study(1, 6, series=2), *study(2, 2)]
    images = [write_instance(folder / f"{n}.dcm", one) for n, one in enumerate(held)]
    outcomes: list[int | None] = []
    send(images, peer, lambda _, result: outcomes.append(result.status))
    assert outcomes == [0] * len(images)
    fetch = ward.fetched(ward.dimse(peer), accession_number="A1")
    assert (fetch.state, fetch.counts.received) == (FetchState.DONE, 12)
    more = ward.fetched(ward.dimse(peer), study_uids=("2.25.2", "2.25.3"))
    assert (more.counts.held, more.counts.received) == (12, 2)
    by_patient = ward.fetched(ward.dimse(peer), patient_id="SECRET-ID", study_date="20260101-")
    assert (by_patient.state, by_patient.counts.held) == (FetchState.DONE, 14)


@pytest.mark.interop
def test_orthanc_is_fetched_from(ward: Ward, tmp_path: Path) -> None:
    with running_orthanc(tmp_path) as orthanc:
        orthanc.name_modality("wetread", "WETREAD", ward.server.port)
        peer = Peer("orthanc", "ORTHANC", "127.0.0.1", orthanc.port, "WETREAD")
        prove(ward, peer, tmp_path)


@pytest.mark.interop
def test_dcmqrscp_is_fetched_from(ward: Ward, tmp_path: Path) -> None:
    with running_dcmqrscp(tmp_path / "archive", {"WETREAD": ward.server.port}) as peer:
        prove(ward, peer, tmp_path)
