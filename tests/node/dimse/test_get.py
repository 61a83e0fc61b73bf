"""C-GET (PS3.4 C.4.3): what is held goes back over the association that asks for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association

from node.config.dimse import PeerSettings
from node.config.tables import QuerySettings
from node.dimse.services import retrieving
from node.dimse.wire.commands import decode_answer
from storage import holdings, schema
from storage.errors import DatabaseUnavailable
from tests.instances import dataset_bytes, make_dataset, write_instance
from tests.node.dimse.holding import Holder, running_holder
from tests.node.dimse.retrieving import (
    PATIENT_GET,
    STUDY_GET,
    Answer,
    Requestor,
    answers,
    identifier,
)
from tests.peers import dcmtk
from tests.waiting import until

STUDY = str(make_dataset(1).StudyInstanceUID)
SERIES = str(make_dataset(1).SeriesInstanceUID)


PDU_AND_ITEM_BYTES = 12
"""Before the first command set of a P-DATA-TF. PS3.8 9.3.5."""
ONE_STUDY = {"StudyInstanceUID": STUDY}


def uid_of(number: int) -> str:
    return str(make_dataset(number).SOPInstanceUID)


@pytest.fixture
def holder(tmp_path: Path, images: list[Path]) -> Iterator[Holder]:
    """It holds three images of a study."""
    with running_holder(tmp_path / "node") as one:
        one.put(images[:3])
        yield one


def test_a_study_comes_byte_for_byte_with_counts_in_every_answer(holder: Holder) -> None:
    asker = Requestor()
    given = asker.get(holder.port, StudyInstanceUID=STUDY)
    assert given == [
        Answer(0xFF00, 2, 1, 0, 0),
        Answer(0xFF00, 1, 2, 0, 0),
        Answer(0xFF00, 0, 3, 0, 0),
        Answer(0x0000, None, 3, 0, 0),
    ]
    for raw, dataset in zip(asker.raw, asker.received, strict=True):
        assert raw == dataset_bytes(holder.path_of(str(dataset.SOPInstanceUID)))


@pytest.mark.parametrize(
    ("model_is_patient", "level", "keys", "numbers"),
    [
        (True, "PATIENT", {"PatientID": "SECRET-ID"}, [1, 2, 3]),
        (True, "STUDY", {"PatientID": "SECRET-ID", "StudyInstanceUID": STUDY}, [1, 2, 3]),
        (True, "STUDY", {"PatientID": "somebody else", "StudyInstanceUID": STUDY}, []),
        (False, "SERIES", {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}, [1, 2, 3]),
        (False, "SERIES", {"SeriesInstanceUID": ["1.2.3", SERIES]}, [1, 2, 3]),
        (False, "IMAGE", {"SOPInstanceUID": [uid_of(3), uid_of(1)]}, [1, 3]),
        (True, "IMAGE", {"SOPInstanceUID": [uid_of(2)] + [f"1.2.{n}" for n in range(2000)]}, [2]),
    ],
)
def test_every_level_of_both_models_may_be_asked_for_with_or_without_the_upper_keys(
    holder: Holder, model_is_patient: bool, level: str, keys: dict[str, str], numbers: list[int]
) -> None:
    asker = Requestor()
    model = {"model": PATIENT_GET} if model_is_patient else {}
    given = asker.get(holder.port, level=level, **model, **keys)
    assert sorted(one.InstanceNumber for one in asker.received) == numbers
    assert given[-1] == Answer(0x0000, None, len(numbers), 0, 0)


def test_results_of_the_node_come_with_the_images(holder: Holder) -> None:
    own = make_dataset(50, SeriesInstanceUID="1.2.3.50")
    holder.put_result(own)
    asker = Requestor()
    assert asker.get(holder.port, StudyInstanceUID=STUDY)[-1].completed == 4
    assert str(own.SOPInstanceUID) in {str(one.SOPInstanceUID) for one in asker.received}
    assert Requestor().get(holder.port, level="SERIES", SeriesInstanceUID="1.2.3.50")[-1] == Answer(
        0x0000, None, 1, 0, 0
    )


def test_where_nothing_is_held_it_is_success_with_counts_of_zero(holder: Holder) -> None:
    assert Requestor().get(holder.port, StudyInstanceUID="1.2.3") == [Answer(0x0000, None, 0, 0, 0)]


def test_more_than_a_page_of_the_index_is_sent_once_each(
    tmp_path: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieving, "_PAGE", 2)
    with running_holder(tmp_path / "node") as holder:
        for number in (4, 5):  # whole pages, and half of one more
            holder.put(images[:number])
            asker = Requestor()
            given = asker.get(holder.port, StudyInstanceUID=STUDY)
            assert given[-1] == Answer(0x0000, None, number, 0, 0)
            got = sorted(one.InstanceNumber for one in asker.received)
            assert got == list(range(1, number + 1))


def test_what_comes_while_a_retrieve_runs_is_not_among_what_was_counted(
    tmp_path: Path, images: list[Path]
) -> None:
    with running_holder(tmp_path / "node") as holder:
        holder.put(images[:2])
        asker = Requestor(on_store=lambda association, number: holder.put(images[2:]))
        assert asker.get(holder.port, StudyInstanceUID=STUDY)[-1].completed == 2
        assert Requestor().get(holder.port, StudyInstanceUID=STUDY)[-1].completed == 5


def test_what_is_deleted_after_it_was_counted_has_failed(
    tmp_path: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieving, "_PAGE", 2)  # the first page is read when they are deleted
    with running_holder(tmp_path / "node") as holder:
        holder.put(images)
        asker = Requestor(on_store=lambda association, number: forget(holder, 4, 5))
        given = asker.get(holder.port, StudyInstanceUID=STUDY)
        assert given[-1] == Answer(0xB000, None, 3, 2, 0, [])


@pytest.mark.parametrize(
    ("error", "status"), [(DatabaseUnavailable("away"), 0xA701), (ValueError(), 0xC000)]
)
def test_a_fault_in_the_middle_is_answered_with_what_was_sent_before(
    tmp_path: Path,
    images: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
) -> None:
    monkeypatch.setattr(retrieving, "_PAGE", 2)
    with running_holder(tmp_path / "node") as holder:
        holder.put(images)

        def break_index(association: Association, number: int) -> None:
            def select(*given: object) -> list[holdings.Held]:
                raise error

            monkeypatch.setattr(holdings, "select", select)

        asker = Requestor(statuses=lambda number: [0xA700, 0x0000][number], on_store=break_index)
        last = asker.get(holder.port, StudyInstanceUID=STUDY)[-1]
        assert (last.status, last.completed, last.failed) == (status, 1, 4)
        assert last.failed_uids == [str(asker.received[0].SOPInstanceUID)]


def forget(holder: Holder, *numbers: int) -> None:
    """Take images out of the index."""
    instances = schema.instances
    with holder.database.write() as tx:
        for uid in map(uid_of, numbers):
            tx.execute(sa.delete(instances).where(instances.c.sop_instance_uid == uid))


def test_what_the_peer_refuses_is_counted_and_listed_whatever_part_it_is(holder: Holder) -> None:
    two = [uid_of(1), uid_of(2)]
    one_fails = Requestor(statuses=lambda number: [0xA700, 0x0000][number])
    given = one_fails.get(holder.port, level="IMAGE", SOPInstanceUID=two)
    failed = str(one_fails.received[0].SOPInstanceUID)
    assert given[-1] == Answer(0xB000, None, 1, 1, 0, [failed])

    all_fail = Requestor(statuses=lambda number: 0xC000)
    given = all_fail.get(holder.port, level="IMAGE", SOPInstanceUID=two)
    assert (given[-1].status, given[-1].failed) == (0xA702, 2)
    assert sorted(given[-1].failed_uids or []) == sorted(two)

    warned = Requestor(statuses=lambda number: [0xB000, 0x0000][number])
    given = warned.get(holder.port, level="IMAGE", SOPInstanceUID=two)
    assert given[-1] == Answer(0xB000, None, 1, 0, 1, [])


def test_a_cancel_after_the_first_stops_within_one_more_and_says_what_remains(
    tmp_path: Path, images: list[Path]
) -> None:
    def cancel(association: Association, number: int) -> None:
        if number == 0:
            association.send_c_cancel(1, query_model=STUDY_GET)

    with running_holder(tmp_path / "node") as holder:
        holder.put(images)
        asker = Requestor(on_store=cancel)
        given = asker.get(holder.port, StudyInstanceUID=STUDY)
        last = given[-1]
        assert last.status == 0xFE00
        assert last.completed == len(asker.received) <= 2
        assert last.remaining == 5 - len(asker.received)
        assert Requestor().get(holder.port, StudyInstanceUID=STUDY)[-1].completed == 5


@pytest.mark.parametrize(
    ("keys", "offending"),
    [
        ({"level": "", "StudyInstanceUID": STUDY}, 0x00080052),
        ({"level": "PATIENT", "PatientID": "SECRET-ID"}, 0x00080052),
        ({"level": "FRAME", "StudyInstanceUID": STUDY}, 0x00080052),
        ({"level": "STUDY"}, 0x0020000D),
        ({"level": "STUDY", "StudyInstanceUID": STUDY, "SOPInstanceUID": "1.2"}, 0x00080018),
    ],
)
def test_an_identifier_that_does_not_fit_is_refused_and_the_element_named(
    holder: Holder, keys: dict[str, str], offending: int
) -> None:
    (given,) = Requestor().get(holder.port, **keys)
    assert (given.status, given.offending) == (0xA900, offending)
    assert given.failed_uids == []


def test_with_strict_hierarchy_the_upper_keys_have_to_be_given(
    tmp_path: Path, images: list[Path]
) -> None:
    with running_holder(tmp_path / "node", query=QuerySettings(strict_hierarchy=True)) as holder:
        holder.put(images[:1])
        (given,) = Requestor().get(holder.port, level="SERIES", SeriesInstanceUID=SERIES)
        assert (given.status, given.offending) == (0xA900, 0x0020000D)
        keys = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}
        assert Requestor().get(holder.port, level="SERIES", **keys)[-1].completed == 1


def answer_out_of_order(association: Association, number: int) -> None:
    """From the first C-STORE on its responses begin with what should come last."""
    if number:
        return
    connection: Any = association.dul.socket
    send, start = connection.send, PDU_AND_ITEM_BYTES

    def sent(raw: bytes) -> None:
        if decode_answer(bytes(raw[start:])) is not None:
            length, body = raw[start : start + 12], raw[start + 12 :]
            first = 8 + int.from_bytes(body[4:8], "little")
            raw = raw[:start] + length + body[first:] + body[:first]
        send(raw)

    connection.send = sent


def test_who_answers_a_c_store_in_an_odd_way_is_understood(holder: Holder) -> None:
    asker = Requestor(on_store=answer_out_of_order)
    assert asker.get(holder.port, StudyInstanceUID=STUDY)[-1] == Answer(0x0000, None, 3, 0, 0)


def test_who_never_answers_a_c_store_is_given_up(tmp_path: Path, images: list[Path]) -> None:
    over = threading.Event()

    def say_nothing(association: Association, number: int) -> None:
        over.wait(30)
        association.acse_timeout = 0.1  # nobody will answer its release

    with running_holder(tmp_path / "node", network_timeout_s=0.5) as holder:
        holder.put(images[:1])
        asker = Requestor(on_store=say_nothing)
        thread = threading.Thread(target=asker.get, args=(holder.port,), kwargs=ONE_STUDY)
        thread.start()
        until(lambda: asker.received)
        until(lambda: not holder.server.associations())
        over.set()
        thread.join(30)


def test_an_instance_goes_in_another_native_syntax_where_the_peer_takes_no_other(
    holder: Holder,
) -> None:
    asker = Requestor(syntaxes=(ImplicitVRLittleEndian,))
    assert asker.get(holder.port, StudyInstanceUID=STUDY)[-1].completed == 3
    for one in asker.received:
        stored = dcmread(holder.path_of(str(one.SOPInstanceUID)))
        assert one[0x00091001].value.rstrip() == b"private"  # of no VR that anybody knows
        del one[0x00091001], stored[0x00091001]
        assert one == stored


def test_what_the_peer_has_no_context_for_fails_and_the_rest_is_sent(
    tmp_path: Path, images: list[Path]
) -> None:
    mr = make_dataset(9, SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    with running_holder(tmp_path / "node") as holder:
        holder.put([*images[:1], write_instance(tmp_path / "mr.dcm", mr)])
        given = Requestor().get(holder.port, StudyInstanceUID=STUDY)
        assert given[-1] == Answer(0xB000, None, 1, 1, 0, [str(mr.SOPInstanceUID)])


def test_what_is_gone_from_the_disk_fails_and_the_rest_is_sent(holder: Holder) -> None:
    holder.path_of(uid_of(2)).unlink()
    given = Requestor().get(holder.port, StudyInstanceUID=STUDY)
    assert given[-1] == Answer(0xB000, None, 2, 1, 0, [uid_of(2)])


def test_a_peer_without_the_right_gets_nothing(tmp_path: Path, images: list[Path]) -> None:
    stores_only = (PeerSettings(ae_title="ASKER", may=("store",)),)
    with running_holder(tmp_path / "node", peers=stores_only) as holder:
        holder.put(images[:1])
        asker = Requestor()
        (given,) = asker.get(holder.port, StudyInstanceUID=STUDY)
        assert (given.status, asker.received) == (0x0124, [])


def test_a_requestor_that_goes_away_leaves_the_node_as_it_was(holder: Holder) -> None:
    asker = Requestor(on_store=lambda association, number: association.abort())
    association = asker.associate(holder.port)
    association.dimse_timeout = 0.5
    answers(association.send_c_get(identifier(StudyInstanceUID=STUDY), STUDY_GET))
    assert Requestor().get(holder.port, StudyInstanceUID=STUDY)[-1].completed == 3


def test_getscu_gets_what_was_stored(holder: Holder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    dcmtk(
        "getscu", "-S", "-aec", "WETREAD", "-od", out, "-k", "QueryRetrieveLevel=STUDY",
        "-k", f"StudyInstanceUID={STUDY}", "127.0.0.1", str(holder.port),
    )  # fmt: skip
    got = {str(dcmread(path).SOPInstanceUID): path for path in out.iterdir()}
    assert sorted(got) == sorted(uid_of(n) for n in (1, 2, 3))
    for uid, path in got.items():
        stored = dcmread(holder.path_of(uid))
        assert dcmread(path).PixelData == stored.PixelData
        assert dcmread(path).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
