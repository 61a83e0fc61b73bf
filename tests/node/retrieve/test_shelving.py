"""The shelf of metadata: made once, never out of date, gone with its study."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from node.news import News
from node.retrieve import shelving
from node.retrieve.series_metadata import WORTH_INSTANCES, SeriesMetadata, series_of
from node.retrieve.shelving import BEHIND_S, Shelving
from storage import deletions, index
from storage.database import Database, open_database
from storage.deletions import NewDeletion, Scope
from storage.files.archive import Archive
from storage.files.blobs import Files
from storage.files.metadata_shelf import MetadataShelf
from storage.header.reading import read_attributes
from storage.holdings import Held
from storage.records import InstanceRecord, Placement, PutOutcome
from tests.instances import make_dataset, write_instance
from tests.storage.samples import NOON

STUDY, SERIES = "1.2.3", "1.2.3.1"
ORIGIN = "http://node"


@dataclass
class House:
    """Images in an index, and the shelf beside them."""

    database: Database
    folder: Path
    has_room: bool = True
    is_receiving: bool = False
    rests: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.images = Files(self.folder / "images")
        self.images.root.mkdir()
        self.shelf = MetadataShelf(self.folder / "metadata", lambda: self.has_room)
        archive = Archive(self.images, Files(self.folder / "results"))
        self.metadata = SeriesMetadata(self.database, archive, self.shelf)

    def shelving(self) -> Shelving:
        return Shelving(
            self.database,
            self.metadata,
            self.shelf,
            lambda: self.is_receiving,
            self.rests.append,
        )

    def hold(self, *seeds: int, series: str = SERIES, study: str = STUDY) -> None:
        records = []
        for seed in seeds:
            name = f"{series}.{seed}"
            dataset = make_dataset(
                seed, 2, SOPInstanceUID=name, StudyInstanceUID=study, SeriesInstanceUID=series
            )
            path = write_instance(self.images.path(f"{name}.dcm"), dataset)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            size = path.stat().st_size
            placed = Placement(PutOutcome.NEW, path.name, size, digest, "")
            records.append(InstanceRecord(read_attributes(path), placed, NOON, "CT1"))
        with self.database.write() as tx:
            index.add(tx, records)

    def complete(self) -> None:
        with self.database.write() as tx:
            found = index.find_study(tx, STUDY)
            assert found is not None
            assert index.complete(tx, found.id, NOON, found.last_received_at)

    def series(self, series: str = SERIES) -> list[Held]:
        with self.database.read() as tx:
            return series_of(tx, STUDY, series)

    def told(self, series: str = SERIES) -> list[Any]:
        """The metadata as they are sent."""
        packed = b"".join(self.metadata.packed(self.series(series), ORIGIN))
        found: list[Any] = json.loads(gzip.decompress(packed))
        return found

    def files(self) -> list[Path]:
        return sorted((self.folder / "metadata").glob("??/*/*"))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    yield House(database, tmp_path)
    database.close()


ALL = range(1, WORTH_INSTANCES + 1)


def test_a_complete_study_is_shelved_in_the_background(house: House) -> None:
    house.hold(*ALL)
    made = house.shelving()
    made.step()
    assert house.files() == []
    house.complete()
    made.step()
    assert house.metadata.is_shelved(house.series())
    (file,) = house.files()
    assert len(json.loads(gzip.decompress(file.read_bytes()))) == len(ALL)
    assert not made.step()


def test_all_are_asked_about_in_turn_though_nothing_else_is_written(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelving, "AT_ONCE", 1)
    house.hold(1, series="1.2.2.1", study="1.2.2")
    house.hold(*ALL)
    made = house.shelving()
    news = News(house.database, made.is_settled)
    news.have(made.step)
    house.complete()
    for _ in range(3):
        news.have(made.step)
    assert house.metadata.is_shelved(house.series())


def test_what_is_shelved_is_told_without_reading_the_images(house: House) -> None:
    house.hold(*ALL)
    first = house.told()
    for held in house.series():
        house.images.path(held.key).unlink()
    assert house.told() == first
    assert [one["00080018"]["Value"] for one in first] == [[f"{SERIES}.{n}"] for n in ALL]


def test_urls_begin_with_the_origin_by_which_the_node_is_asked(house: House) -> None:
    house.hold(*ALL)
    house.complete()
    house.shelving().step()
    (made_before,) = house.files()
    for held in house.series():
        house.images.path(held.key).unlink()
    expected = f"{ORIGIN}/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}"
    bulk = [one["7FE00010"]["BulkDataURI"] for one in house.told()]
    assert bulk == [f"{expected}.{number}/bulkdata/7FE00010" for number in ALL]
    assert house.files() == [made_before]


def test_what_is_made_beforehand_is_told_as_was_asked_last(house: House) -> None:
    house.hold(*ALL)
    house.told()
    house.hold(*ALL, series="1.2.3.2")
    house.complete()
    house.shelving().step()
    (packed,) = {
        gzip.decompress(one.read_bytes()).count(f'"{ORIGIN}/dicom-web'.encode())
        for one in house.files()
    }
    assert packed == len(ALL)


def test_no_name_on_the_shelf_holds_a_uid(house: House) -> None:
    house.hold(*ALL)
    house.told()
    assert not any("1.2.3" in str(path.relative_to(house.folder)) for path in house.files())


def test_a_late_image_makes_the_file_anew_and_the_old_one_goes(house: House) -> None:
    house.hold(*ALL)
    house.told()
    (old,) = house.files()
    house.hold(99)
    assert not house.metadata.is_shelved(house.series())
    assert len(house.told()) == len(ALL) + 1
    (new,) = house.files()
    assert new != old


def test_other_bytes_of_an_image_are_never_told_from_the_file(house: House) -> None:
    house.hold(*ALL)
    house.told()
    changed = make_dataset(
        1, 2, SOPInstanceUID=f"{SERIES}.1", StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES
    )
    changed.PatientID = "CORRECTED"
    path = write_instance(house.images.path(f"{SERIES}.1.dcm"), changed)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    placed = Placement(PutOutcome.NEW, path.name, path.stat().st_size, digest, "")
    with house.database.write() as tx:
        index.correct(tx, [InstanceRecord(read_attributes(path), placed, NOON, "CT1")])
    assert house.told()[0]["00100020"]["Value"] == ["CORRECTED"]


def test_another_series_of_the_study_leaves_the_file_as_it_is(house: House) -> None:
    house.hold(*ALL)
    house.told()
    before = house.files()
    house.hold(1, series="1.2.3.2")
    house.told("1.2.3.2")
    assert house.files() == before


def test_a_few_small_images_are_not_worth_a_file(house: House) -> None:
    house.hold(1, 2, 3)
    assert len(house.told()) == 3
    assert house.files() == []


def test_without_room_all_is_told_and_nothing_kept(house: House) -> None:
    house.hold(*ALL)
    house.has_room = False
    assert len(house.told()) == len(ALL)
    assert house.files() == []


def test_a_client_that_leaves_leaves_no_half_a_file(house: House) -> None:
    house.hold(*ALL)
    pieces = house.metadata.packed(house.series(), ORIGIN)
    next(pieces)
    pieces.close()
    assert house.files() == []


def test_an_image_that_was_deleted_meanwhile_is_left_out(house: House) -> None:
    house.hold(*ALL)
    house.images.path(house.series()[3].key).unlink()
    assert len(house.told()) == len(ALL) - 1


def test_what_is_made_while_the_study_is_deleted_goes_with_it(house: House) -> None:
    house.hold(*ALL)
    house.complete()
    series = house.series()

    def delete() -> None:
        with house.database.write() as tx:
            found = index.find_study(tx, STUDY)
            if found is None:
                return
            deletions.ask(tx, NewDeletion(found.id, Scope.STUDY, "", "test"), NOON)
            (asked,) = deletions.open_ones(tx)
            assert deletions.begin(tx, asked) == []
            while deletions.take_slice(tx, asked):
                pass
            deletions.finish(tx, asked, NOON)

    house.metadata.shelve(series, delete)
    assert house.files() == []


def test_a_start_deletes_what_belongs_to_no_study_and_halves_of_files(house: House) -> None:
    house.hold(*ALL)
    house.told()
    kept = house.files()
    orphan = house.folder / "metadata" / "aa" / ("a" * 32)
    orphan.mkdir(parents=True)
    (orphan / "b.json.gz").write_bytes(b"x")
    (kept[0].parent / "c.part").write_bytes(b"x")
    house.shelving().step()
    assert house.files() == kept
    assert house.shelf.size_bytes() == kept[0].stat().st_size


def test_shelving_rests_after_every_image_while_others_come(house: House) -> None:
    house.hold(*ALL)
    house.complete()
    house.is_receiving = True
    house.shelving().step()
    assert len(house.files()) == 1
    assert house.rests and set(house.rests) == {BEHIND_S}


def test_what_cannot_be_read_is_said_and_leaves_the_others(house: House) -> None:
    house.hold(*ALL)
    house.hold(*ALL, series="1.2.3.2")
    house.complete()
    broken = house.images.path(house.series()[0].key)
    broken.unlink()
    broken.mkdir()
    with capture_logs() as lines:
        house.shelving().step()
    assert len(house.files()) == 1
    assert [one["event"] for one in lines] == ["metadata_not_shelved"]
