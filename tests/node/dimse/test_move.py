"""C-MOVE (PS3.4 C.4.2): what is held goes to a third party at a peer's wish."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from node.config.dimse import PeerSettings
from node.retrieve import transcode
from node.retrieve.encoded import Encoded
from storage.files.blobs import Blob
from tests.instances import dataset_bytes, make_dataset
from tests.node.dimse.holding import running_holder
from tests.node.dimse.retrieving import (
    PATIENT_MOVE,
    STUDY_MOVE,
    Answer,
    Requestor,
    answers,
    identifier,
)
from tests.peers import FakePacs, dcmtk, free_port, running_pacs, running_storescp
from tests.waiting import until

STUDY = str(make_dataset(1).StudyInstanceUID)


def moved(port: int, to: str = "DEST", model: str = STUDY_MOVE, **keys: Any) -> list[Answer]:
    return Requestor().move(port, to, model, **(keys or {"StudyInstanceUID": STUDY}))


def test_a_study_goes_to_the_destination_byte_for_byte_in_the_name_of_who_asked(
    tmp_path: Path, images: list[Path]
) -> None:
    origins: list[tuple[str, int]] = []

    class Noting(FakePacs):
        def _store(self, event: Any) -> Any:
            request = event.request
            title = str(request.MoveOriginatorApplicationEntityTitle)
            origins.append((title, request.MoveOriginatorMessageID))
            return super()._store(event)

    pacs = Noting()
    pacs.start()
    try:
        with running_holder(tmp_path / "node", {"DEST": pacs.port}) as holder:
            holder.put(images[:2])
            given = moved(holder.port)
            assert given == [
                Answer(0xFF00, 1, 1, 0, 0),
                Answer(0xFF00, 0, 2, 0, 0),
                Answer(0x0000, None, 2, 0, 0),
            ]
            for uid, raw in pacs.raw.items():
                assert raw == dataset_bytes(holder.path_of(uid))
        assert origins == [("ASKER", 7)] * 2
    finally:
        pacs.stop()


def test_every_model_and_level_may_be_moved(tmp_path: Path, images: list[Path]) -> None:
    one = make_dataset(2)
    with running_pacs() as pacs, running_holder(tmp_path / "n", {"DEST": pacs.port}) as holder:
        holder.put(images[:3])
        given = moved(holder.port, model=PATIENT_MOVE, level="PATIENT", PatientID="SECRET-ID")
        assert given[-1] == Answer(0x0000, None, 3, 0, 0)
        given = moved(holder.port, level="SERIES", SeriesInstanceUID=str(one.SeriesInstanceUID))
        assert given[-1] == Answer(0x0000, None, 3, 0, 0)
        given = moved(holder.port, level="IMAGE", SOPInstanceUID=str(one.SOPInstanceUID))
        assert given[-1] == Answer(0x0000, None, 1, 0, 0)
        assert moved(holder.port, StudyInstanceUID="1.2") == [Answer(0x0000, None, 0, 0, 0)]
        assert pacs.associations == 3  # for nothing the destination is not called


@pytest.mark.parametrize(
    ("statuses", "last"),
    [
        ({2: 0xA700}, Answer(0xB000, None, 1, 1, 0, [str(make_dataset(2).SOPInstanceUID)])),
        ({1: 0xB000}, Answer(0xB000, None, 1, 0, 1, [])),
        (
            {1: 0xC000, 2: 0x0110},
            Answer(0xA702, None, 0, 2, 0, [str(make_dataset(n).SOPInstanceUID) for n in (1, 2)]),
        ),
    ],
)
def test_what_the_destination_answers_is_counted_and_listed(
    tmp_path: Path, images: list[Path], statuses: dict[int, int], last: Answer
) -> None:
    answered = {str(make_dataset(n).SOPInstanceUID): status for n, status in statuses.items()}
    with (
        running_pacs(statuses=answered) as pacs,
        running_holder(tmp_path / "node", {"DEST": pacs.port}) as holder,
    ):
        holder.put(images[:2])
        assert moved(holder.port)[-1] == last


@pytest.mark.parametrize(("number", "associations"), [(1, 2), (2, 2), (3, 1)])
def test_a_file_that_ends_early_fails_alone_and_the_rest_goes_over_a_new_association(
    tmp_path: Path,
    images: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    associations: int,
) -> None:
    uid = str(make_dataset(number).SOPInstanceUID)
    encoded = transcode.encoded
    with running_pacs() as pacs, running_holder(tmp_path / "n", {"DEST": pacs.port}) as holder:
        holder.put(images[:3])
        cut = holder.path_of(uid)

        @contextmanager
        def announced_longer(source: Blob, stored: str, wanted: str) -> Iterator[Encoded]:
            with encoded(source, stored, wanted) as made:
                more = 1000 if holder.store.path(source.key) == cut else 0
                yield Encoded(made.file, made.length + more)

        monkeypatch.setattr(transcode, "encoded", announced_longer)
        assert moved(holder.port)[-1] == Answer(0xB000, None, 2, 1, 0, [uid])
        assert len(pacs.received) == 2
        assert pacs.associations == associations


def test_an_unknown_destination_and_one_that_is_not_allowed_are_refused_alike(
    tmp_path: Path, images: list[Path]
) -> None:
    peers = (
        PeerSettings(ae_title="ASKER", retrieve_to=("WS1",)),
        PeerSettings(ae_title="DEST", host="127.0.0.1", port=free_port()),
    )
    with running_holder(tmp_path / "node", peers=peers) as holder:
        holder.put(images[:1])
        (unknown,), (forbidden,) = moved(holder.port, to="NOBODY"), moved(holder.port)
        assert unknown == forbidden
        assert (unknown.status, unknown.failed_uids) == (0xA801, [])


def test_a_dead_destination_fails_all_and_takes_no_other_peer_with_it(
    tmp_path: Path, images: list[Path]
) -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # it accepts, and never says a word
    ports = {"DEAD": free_port(), "SILENT": silent.getsockname()[1]}
    with silent, running_holder(tmp_path / "node", ports) as holder:
        holder.put(images[:2])
        given = moved(holder.port, to="DEAD")
        assert (given[-1].status, given[-1].failed) == (0xA702, 2)
        assert len(given[-1].failed_uids or []) == 2

        waiting = Requestor().associate(holder.port)
        wanted = identifier(StudyInstanceUID=STUDY)
        waiting.dimse_timeout = 0.2
        answers(waiting.send_c_move(wanted, "SILENT", STUDY_MOVE))  # not answered yet
        assert Requestor().get(holder.port, StudyInstanceUID=STUDY)[-1].completed == 2


def test_a_requestor_that_goes_away_ends_the_association_with_the_destination(
    tmp_path: Path, images: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with running_pacs() as pacs, running_holder(tmp_path / "n", {"DEST": pacs.port}) as holder:
        holder.put(images)
        pacs.gate.clear()  # the first C-STORE waits for its answer
        asker = Requestor().associate(holder.port)
        asker.dimse_timeout = 0.3
        answers(asker.send_c_move(identifier(StudyInstanceUID=STUDY), "DEST", STUDY_MOVE))
        asker.abort()
        until(lambda: not holder.server.associations())
        pacs.gate.set()
        until(lambda: not pacs._server.active_associations)
        assert len(pacs.received) <= 1
    said = capfd.readouterr().out
    assert "retrieve_abandoned" in said and "move_destination_failed" not in said


def test_a_cancel_stops_within_one_more_and_closes_the_association_to_the_destination(
    tmp_path: Path, images: list[Path]
) -> None:
    with running_pacs() as pacs, running_holder(tmp_path / "n", {"DEST": pacs.port}) as holder:
        holder.put(images)
        asker = Requestor().associate(holder.port)

        def cancel() -> None:
            asker.send_c_cancel(1, query_model=STUDY_MOVE)
            pacs.on_stored = lambda: None

        pacs.on_stored = cancel
        responses = asker.send_c_move(identifier(StudyInstanceUID=STUDY), "DEST", STUDY_MOVE)
        last = answers(responses)[-1]
        asker.release()
        assert last.status == 0xFE00
        assert last.completed == len(pacs.received) <= 2
        assert last.remaining == 5 - len(pacs.received)
        until(lambda: not pacs._server.active_associations)


def test_a_destination_that_takes_only_implicit_gets_implicit(
    tmp_path: Path, images: list[Path]
) -> None:
    with (
        running_pacs(transfer_syntaxes=(ImplicitVRLittleEndian,)) as pacs,
        running_holder(tmp_path / "node", {"DEST": pacs.port}) as holder,
    ):
        holder.put(images[:1])
        assert moved(holder.port)[-1].status == 0x0000
        assert set(pacs.syntaxes.values()) == {ImplicitVRLittleEndian}


def test_movescu_moves_to_storescp(tmp_path: Path, images: list[Path]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with (
        running_storescp(out) as port,
        running_holder(tmp_path / "node", {"DEST": port}) as holder,
    ):
        holder.put(images[:3])
        dcmtk(
            "movescu", "-S", "-aec", "WETREAD", "-aem", "DEST", "-k", "QueryRetrieveLevel=STUDY",
            "-k", f"StudyInstanceUID={STUDY}", "127.0.0.1", str(holder.port),
        )  # fmt: skip
        assert len(list(out.iterdir())) == 3
        dcmtk(
            "movescu", "-P", "-aec", "WETREAD", "-aem", "DEST", "-k", "QueryRetrieveLevel=IMAGE",
            "-k", f"SOPInstanceUID={make_dataset(1).SOPInstanceUID}", "127.0.0.1",
            str(holder.port),
        )  # fmt: skip
