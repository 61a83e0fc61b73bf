"""The index can be lost: the files are enough to make it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from storage import holdings, index, schema
from storage.database import Database, open_database
from storage.errors import UnreadableInstance
from storage.files.blobs import Blob, sha256_of
from storage.files.instances import InstanceStore
from storage.files.results import ResultStore
from storage.header.attributes import extract
from storage.holdings import Selection
from storage.records import FoundResults, InstanceRecord, Placement, ResultObject
from storage.reindex import ReindexReport, record_of, reindex, reindex_results
from tests.storage.samples import NOON, result

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

PIXELS_BYTES = 2 * 16 * 16


def image(number: int, study: str = "1.2", **values: Any) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = f"{study}.1.{number}"
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = f"{study}.1"
    dataset.Modality, dataset.PatientID, dataset.InstanceNumber = "CT", "P1", number
    dataset.Rows = dataset.Columns = 16
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = np.arange(256, dtype="<u2").tobytes()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return dataset


def receive(store: InstanceStore, dataset: Dataset, uid: str = "") -> tuple[Placement, Path]:
    """Store a data set the way the receiver does."""
    scratch = store.root / "scratch"
    dataset.save_as(scratch, enforce_file_format=True)
    whole = scratch.read_bytes()
    scratch.unlink()
    start = 144 + int.from_bytes(whole[140:144], "little")
    with store.open_incoming() as file:
        file.write_header(whole[:start])
        file.write(whole[start:])
        placement = file.place(uid or dataset.SOPInstanceUID)
    return placement, store.path(placement.key)


def enter(database: Database, store: InstanceStore, datasets: list[Dataset]) -> list[Placement]:
    placements = [receive(store, dataset)[0] for dataset in datasets]
    records = [
        InstanceRecord(extract(dataset), placement, datetime.now(UTC), "CT1")
        for dataset, placement in zip(datasets, placements, strict=True)
    ]
    with database.write() as tx:
        index.add(tx, records)
    return placements


TIMES = {"received_at", "first_received_at", "last_received_at", "calling_ae"}


def rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Patients, studies, series and instances, without row ids and what files do not hold."""
    keys = {"patients": "key", "studies": "study_instance_uid"}
    keys |= {"series": "series_instance_uid", "instances": "sop_instance_uid"}
    found = {}
    with database.read() as tx:
        for name, key in keys.items():
            table = schema.metadata.tables[name]
            columns = [
                column
                for column in table.c
                if column.name not in TIMES and not column.primary_key and not column.foreign_keys
            ]
            query = sa.select(*columns).order_by(table.c[key])
            found[name] = [dict(row._mapping) for row in tx.execute(query)]
    return found


@pytest.fixture
def fresh(make_url: Any) -> Iterator[Database]:
    """The database after it was lost."""
    opened = open_database(make_url(True))
    yield opened
    opened.close()


def test_a_lost_index_is_rebuilt_row_for_row(
    database: Database, fresh: Database, store: InstanceStore
) -> None:
    datasets = [image(n, study) for study in ("1.2", "1.3") for n in range(1, 4)]
    placements = enter(database, store, datasets)
    steps: list[tuple[int, int]] = []
    report = reindex(fresh, store, lambda done, total: steps.append((done, total)))
    assert (report.found, report.added, report.unreadable) == (6, 6, ())
    assert steps == [(6, 6)]
    assert rows(fresh) == rows(database)
    assert len(rows(fresh)["instances"]) == 6
    with fresh.read() as tx:
        study = index.find_study(tx, "1.2")
        assert study is not None and abs(study.last_received_at - datetime.now(UTC)).days == 0
        [series] = index.series_of(tx, study.id)
    assert all(store.verify(one.key, one.sha256) for one in series.instances)
    assert {one.key for one in series.instances} <= {one.key for one in placements}


def test_repeating_it_adds_nothing(database: Database, store: InstanceStore) -> None:
    enter(database, store, [image(1), image(2)])
    before = rows(database)
    receive(store, image(3))
    assert reindex(database, store).added == 1
    report = reindex(database, store)
    assert (report.found, report.added, report.unreadable) == (3, 0, ())
    assert rows(database)["instances"][:2] == before["instances"]


def test_damaged_files_are_named_and_kept_and_the_rest_is_entered(
    database: Database, store: InstanceStore
) -> None:
    good, _ = receive(store, image(1))
    damaged = {}
    for number, spoil in enumerate(SPOILS.values(), start=2):
        placement, path = receive(store, image(number))
        path.write_bytes(spoil(path.read_bytes()))
        damaged[placement.key] = path.read_bytes()
    compressed = image(90, PixelData=encapsulate([b"x" * 500]))
    compressed.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless
    compressed["PixelData"].VR = "OB"
    compressed["PixelData"].is_undefined_length = True
    whole, _ = receive(store, compressed)
    compressed.SOPInstanceUID = "1.2.1.91"
    placement, path = receive(store, compressed)
    path.write_bytes(path.read_bytes()[:-20])
    damaged[placement.key] = path.read_bytes()
    report = reindex(database, store)
    assert set(report.unreadable) == set(damaged)
    assert (report.found, report.added) == (2 + len(damaged), 2)
    with database.read() as tx:
        [series] = index.series_of(tx, 1)
    assert {one.key for one in series.instances} == {good.key, whole.key}
    assert {key: store.path(key).read_bytes() for key in damaged} == damaged


SPOILS = {
    "pixels cut off": lambda data: data[: -PIXELS_BYTES // 2],
    "one byte short": lambda data: data[:-1],
    "no pixels": lambda data: data[: -PIXELS_BYTES - 12],
    "cut within an element's head": lambda data: data[: -PIXELS_BYTES - 6],
    "cut within the identity": lambda data: data[:400],
    "cut within the meta information": lambda data: data[:200],
    "empty": lambda data: b"",
    "zeros": lambda data: b"\0" * len(data),
    "not DICOM": lambda data: b"rubbish" * 100,
}


def test_a_file_under_the_name_of_another_instance_is_named(
    database: Database, store: InstanceStore
) -> None:
    receive(store, image(1))
    stray, _ = receive(store, image(1), uid="9.9.9")
    report = reindex(database, store)
    assert (report.found, report.added, report.unreadable) == (2, 1, (stray.key,))


def test_images_without_pixels_of_their_own_are_no_damage(
    database: Database, store: InstanceStore
) -> None:
    report_like = image(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33")
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(report_like, keyword)
    receive(store, report_like)
    assert reindex(database, store).added == 1


def test_what_a_crash_left_between_store_and_index_is_recovered(
    database: Database, store: InstanceStore
) -> None:
    placement, _ = receive(store, image(1))
    with store.open_incoming() as half:
        half.write(b"half")
        half.flush()
        again = InstanceStore(store.root, store.quarantine)
        [(name, path)] = again.unindexed()
    record = record_of(again, path, name)
    with database.write() as tx:
        assert index.add(tx, [record]) == 1
    again.forget_incoming(name)
    assert (record.placement.key, record.placement.sha256) == (placement.key, placement.sha256)
    assert record.placement.incoming == name == placement.incoming
    assert again.unindexed() == []


def test_a_copy_in_the_incoming_folder_is_not_taken_for_a_stored_instance(
    store: InstanceStore, tmp_path: Path
) -> None:
    image(1).save_as(tmp_path / "copy", enforce_file_format=True)
    with pytest.raises(UnreadableInstance, match="cannot be read"):
        record_of(store, tmp_path / "copy")
    receive(store, image(1))
    with pytest.raises(UnreadableInstance, match="another instance"):
        record_of(store, tmp_path / "copy")


# --- results --------------------------------------------------------------------------------------


def left_result(results: ResultStore, job: str, uid: str, study: str = "1.2") -> ResultObject:
    """The file of a result, and what the record beside it says."""
    made = image(1, study, SOPInstanceUID=uid, SeriesInstanceUID=f"{uid}.0")
    made.save_as(results.folder(job) / "seg.dcm", enforce_file_format=True)
    key = f"{job}/seg.dcm"
    digest = sha256_of(Blob(results.blobs, key))
    size = results.blobs.size(key)
    return replace(result(uid), key=key, sha256=digest, size_bytes=size, attributes=None)


def test_results_are_entered_again_behind_the_instances_as_the_nodes_own(
    fresh: Database, store: InstanceStore, tmp_path: Path
) -> None:
    results = ResultStore(tmp_path / "results")
    receive(store, image(1))
    records = {
        "job": FoundResults((left_result(results, "job", "9.1"),), NOON),
        "homeless": FoundResults((left_result(results, "homeless", "9.2", "7.7"),), NOON),
        "damaged": FoundResults((left_result(results, "damaged", "9.3"),), NOON),
    }
    left_result(results, "unfinished", "9.4")
    (tmp_path / "results" / "damaged" / "seg.dcm").write_bytes(b"other bytes")
    steps: list[tuple[int, int]] = []

    def again() -> ReindexReport:
        return reindex_results(
            fresh, results, lambda place: records.get(place.name), lambda *at: steps.append(at)
        )

    reindex(fresh, store)
    report = again()
    assert (report.found, report.added, report.without_study) == (2, 1, 1)
    assert report.unreadable == ("damaged/seg.dcm",)
    assert steps == [(number, 4) for number in (1, 2, 3, 4)]
    with fresh.read() as tx:
        held = [one for one in holdings.select(tx, Selection(study_uids=("1.2",))) if one.own]
        study = index.find_study(tx, "1.2")
    assert [(one.sop_instance_uid, one.received_at) for one in held] == [("9.1", NOON)]
    assert study is not None and (study.instances, study.results) == (1, 1)
    assert again().added == 0
