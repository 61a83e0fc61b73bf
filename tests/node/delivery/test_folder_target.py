"""Results as files in a folder: each whole or not there, none over another, none twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from node.config.destinations import FolderDestinationSettings
from node.config.file_names import DEFAULT_TEMPLATE
from node.delivery.targets.folder import FolderTarget
from node.delivery.targets.port import Telling
from node.dimse.errors import PeerUnavailable
from storage import outbox
from storage.records import DeliveryState
from tests.disks import mounted, resize
from tests.node.delivery.outboxes import Outbox, courier_of
from tests.node.delivery.test_doubt import die_before_recording, reasons

PENDING, SENT = DeliveryState.PENDING, DeliveryState.SENT


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    return folder


def target_in(folder: Path, template: str = DEFAULT_TEMPLATE) -> FolderTarget:
    return FolderTarget("pacs", folder, template)


def files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.is_file())


def test_every_object_is_a_file_with_its_bytes_and_nothing_else_is_left(
    box: Outbox, export: Path
) -> None:
    box.finish_job()
    assert courier_of(box, target_in(export)).deliver_once()
    assert box.states() == [SENT, SENT]
    keys = [one.object.key for one in box.deliveries().values()]
    assert files(export) == sorted(export / key for key in keys)
    for key in keys:
        assert (export / key).read_bytes() == box.results.path(key).read_bytes()


def test_names_are_made_of_what_tells_nothing_of_a_patient(box: Outbox, export: Path) -> None:
    box.finish_job()
    template = "{date}/{study}/{modality}-{object}-{digest}.dcm"
    courier_of(box, target_in(export, template)).deliver_once()
    headers = [dcmread(one) for one in files(export)]
    named = [str(one.relative_to(export)) for one in files(export)]
    assert len(named) == 2
    for header, name in zip(headers, named, strict=True):
        assert str(header.PatientID) not in name
        assert str(header.StudyInstanceUID) not in name
        assert name.count("/") == 2


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{PatientID}/{digest}.dcm", "{PatientID} does not enter a file name"),
        ("{patient_name}-{digest}.dcm", "may tell of a patient"),
        ("{sop_instance_uid}.dcm", "use {job}, {object}"),
        ("{date}.dcm", "names many files alike"),
        ("{object}.dcm", "files of many jobs alike"),
        ("/{digest}.dcm", "is a path below the folder"),
        ("../{digest}.dcm", "is a path below the folder"),
        (".{digest}.dcm", "no part begins with a dot"),
        ("{digest!r}.dcm", "more than its name"),
        ("{digest", "is no template"),
    ],
)
def test_a_template_that_would_tell_of_a_patient_or_lose_files_is_refused_by_name(
    template: str, why: str
) -> None:
    with pytest.raises(ValueError, match="template") as refused:
        FolderDestinationSettings(
            name="export", kind="folder", path=Path("/export"), template=template
        )
    assert why in str(refused.value)


def test_another_file_of_that_name_stays_and_the_new_one_gets_a_number(
    box: Outbox, export: Path
) -> None:
    box.finish_job(("sr",))
    key = box.deliveries()["sr"].object.key
    (export / key).parent.mkdir()
    (export / key).write_bytes(b"somebody else's")
    courier_of(box, target_in(export)).deliver_once()
    assert box.states() == [SENT]
    assert (export / key).read_bytes() == b"somebody else's"
    numbered = (export / key).with_name("sr-2.dcm")
    assert numbered.read_bytes() == box.results.path(key).read_bytes()


def test_what_a_killed_node_had_written_is_found_by_its_bytes_and_not_written_again(
    box: Outbox, export: Path
) -> None:
    box.finish_job()
    die_before_recording(box, courier_of(box, target_in(export)))
    before = {one: one.stat().st_ino for one in files(export)}
    assert courier_of(box, target_in(export)).deliver_once()
    assert box.states() == [SENT, SENT]
    assert len(reasons(box)) == 2
    assert all(reasons(box))
    assert {one: one.stat().st_ino for one in files(export)} == before


def test_half_a_file_of_a_killed_node_is_no_file_and_is_written_over(
    box: Outbox, export: Path
) -> None:
    box.finish_job(("sr",))
    key = box.deliveries()["sr"].object.key
    (export / key).parent.mkdir()
    (export / key).with_name(".sr.dcm.part").write_bytes(b"half")
    with box.database.write() as tx:
        outbox.claim(tx, "pacs", box.clock())
        outbox.release_sending(tx, box.clock())
    courier_of(box, target_in(export)).deliver_once()
    assert reasons(box) == [""], "it was not there"
    assert files(export) == [export / key]


def test_a_folder_that_is_not_mounted_is_waited_for_and_not_made(
    box: Outbox, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    box.finish_job()
    courier = courier_of(box, target_in(away))
    courier.deliver_once()
    assert not away.exists()
    assert box.states() == [PENDING, PENDING]
    for delivery in box.deliveries().values():
        assert "is not there" in delivery.reason
        assert delivery.attempts == 0
    away.mkdir()
    box.clock.advance(10)
    courier.deliver_once()
    assert box.states() == [SENT, SENT]


def test_a_full_disk_is_waited_for_and_leaves_no_half_file(box: Outbox, tmp_path: Path) -> None:
    box.finish_job(("sr",))
    with mounted(tmp_path / "small", 1) as small:
        (small / "filler").write_bytes(bytes(1024 * 1024 - 8192))
        courier = courier_of(box, target_in(small))
        courier.deliver_once()
        assert box.states() == [PENDING]
        assert "No space left" in box.deliveries()["sr"].reason
        assert files(small) == [small / "filler"]
        resize(small, 16)
        box.clock.advance(10)
        courier.deliver_once()
        assert box.states() == [SENT]


def test_a_folder_is_probed_by_writing_and_takes_everything(export: Path, tmp_path: Path) -> None:
    target = target_in(export)
    assert target.probe() >= 0
    assert not files(export)
    assert target.abilities([]).telling is Telling.ALL
    with pytest.raises(PeerUnavailable, match="is not there"):
        target_in(tmp_path / "away").probe()
