"""Pixels decoded while their study comes: the same values, never another's, gone with the study."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, uid
from structlog.testing import capture_logs

from node.demo.ct_files import CtFiles
from node.demo.phantom import ChestPhantom
from node.news import News
from node.series.decoded import Shelf
from node.series.read import read_series
from node.work.ahead import AT_ONCE, UNUSED_STEPS, Ahead, decode
from node.work.worker import Allowance, Done, Worker
from storage import index
from storage.database import Database, open_database
from storage.files.blobs import Blob, Files
from storage.files.decoded_shelf import PREFIX, DecodedShelf
from storage.files.metadata_shelf import MetadataShelf
from storage.files.seal import read_seal, seal_file
from storage.header.reading import read_attributes
from storage.records import InstanceRecord, Placement, PutOutcome
from tests.storage.samples import NOON

MOST = 1 << 30


class Here(Worker):
    """Does what a process would, in this one."""

    def __init__(self) -> None:
        self.is_closed = False

    def ask(
        self, task: object, args: tuple[object, ...], within: Allowance, told: object = None
    ) -> Done:
        images, shelf = args
        return Done(_Answer(decode(images, shelf)), None)  # type: ignore[arg-type]

    def close(self) -> None:
        self.is_closed = True

    def kill(self) -> None:
        self.is_closed = True


@dataclass
class _Answer:
    value: object


@dataclass
class House:
    """A study of a phantom in an index, and the shelf."""

    database: Database
    folder: Path
    phantom: ChestPhantom
    syntax: str = uid.JPEGLSLossless
    is_reading: bool = False
    shelf: DecodedShelf = field(init=False)

    def __post_init__(self) -> None:
        self.shelf = DecodedShelf(self.folder / "metadata", MOST)
        self.files = Files(self.folder / "images")
        files = CtFiles(transfer_syntax=self.syntax)
        self.paths = self.phantom.write(self.files.root, files)
        for path in self.paths:
            seal_file(path, dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        self.study = str(dcmread(self.paths[0], stop_before_pixels=True).StudyInstanceUID)

    @property
    def blobs(self) -> list[Blob]:
        return [Blob(self.files, path.name) for path in self.paths]

    def ahead(self, worker: type[Worker] = Here, fast: int = 1000) -> Ahead:
        made = Ahead(
            self.database, self.files, self.shelf, lambda: self.is_reading, worker, fast=fast
        )
        made.step()  # from here on
        return made

    def index(self) -> None:
        records = []
        for path in self.paths:
            seal = read_seal(path)
            assert seal is not None
            placed = Placement(PutOutcome.NEW, path.name, path.stat().st_size, seal.sha256, "")
            records.append(InstanceRecord(read_attributes(path), placed, NOON, "CT1"))
        with self.database.write() as tx:
            index.add(tx, records)

    def complete(self) -> None:
        with self.database.write() as tx:
            found = index.find_study(tx, self.study)
            assert found is not None
            assert index.complete(tx, found.id, NOON, found.last_received_at)

    def kept(self) -> list[Path]:
        return sorted(self.shelf.root.glob(f"??/*/{PREFIX}*"))

    def read(self) -> Shelf:
        """As a job reads it; the values are those of the phantom, whatever lies on the shelf."""
        shelf = Shelf(self.shelf)
        source, alone = read_series(self.blobs, shelf), read_series(self.blobs)
        assert source.volume is not None and alone.volume is not None
        np.testing.assert_array_equal(source.volume.stored, alone.volume.stored)
        np.testing.assert_array_equal(source.volume.values(), self.phantom.truth.hu)
        assert source.decoder == alone.decoder
        return shelf


@pytest.fixture
def house(tmp_path: Path, phantom: ChestPhantom) -> Iterator[House]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    yield House(database, tmp_path, phantom)
    database.close()


def all_steps(ahead: Ahead) -> None:
    while ahead.step():
        pass


def test_nothing_is_decoded_while_images_come_fast(house: House) -> None:
    ahead = house.ahead(fast=len(house.paths) - 1)
    house.index()
    assert not ahead.step()
    assert house.kept() == []
    all_steps(ahead)  # no more have come since
    assert house.read().misses == 0


def test_a_job_finds_what_came_decoded_and_the_same_voxels(house: House) -> None:
    ahead = house.ahead()
    house.index()
    all_steps(ahead)
    found = house.read()
    assert (found.hits, found.misses) == (len(house.paths), 0)
    assert ahead.counts.numbers()["kept"] == len(house.paths)
    assert ahead.counts.numbers()["bytes"] == house.shelf.size_bytes() > 0


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.RLELossless, uid.JPEGLSLossless])
def test_what_is_kept_is_what_the_decoder_gives(
    syntax: str, tmp_path: Path, phantom: ChestPhantom
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    house = House(database, tmp_path, phantom, syntax)
    decode(tuple(house.blobs), house.shelf)
    assert house.read().misses == 0
    database.close()


def test_uncompressed_images_are_not_kept_a_second_time(
    tmp_path: Path, phantom: ChestPhantom
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    house = House(database, tmp_path, phantom, uid.ExplicitVRLittleEndian)
    ahead = house.ahead()
    house.index()
    all_steps(ahead)
    assert decode(tuple(house.blobs), house.shelf).images == 0
    found = house.read()
    assert (house.kept(), found.hits, found.misses) == ([], 0, 0)
    database.close()


def test_nothing_is_decoded_while_a_job_reads_nor_of_a_study_that_is_complete(
    house: House,
) -> None:
    ahead = house.ahead()
    house.index()
    house.is_reading = True
    assert not ahead.step()
    assert house.kept() == []
    house.is_reading = False
    assert ahead.step()
    assert len(house.kept()) == AT_ONCE
    house.complete()
    all_steps(ahead)
    assert len(house.kept()) == AT_ONCE
    assert house.read().misses == len(house.paths) - AT_ONCE


def test_the_process_ends_when_it_has_had_nothing_to_do(house: House) -> None:
    made: list[Here] = []

    class Seen(Here):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    ahead = house.ahead(Seen)
    house.index()
    all_steps(ahead)
    for _ in range(UNUSED_STEPS):
        ahead.step()
    assert [one.is_closed for one in made] == [True]


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "longer"])
def test_a_torn_file_is_never_used_and_goes(damage: str, house: House) -> None:
    decode(tuple(house.blobs), house.shelf)
    torn = house.kept()[3]
    whole = bytearray(torn.read_bytes())
    whole[len(whole) // 2] ^= 1
    cut = {"cut": whole[:-100], "empty": bytearray(), "flipped": whole, "longer": whole + b"\0"}
    torn.write_bytes(cut[damage])
    assert house.read().misses == 1
    assert torn not in house.kept()


def test_another_image_under_the_same_uid_is_decoded_anew(house: House) -> None:
    decode(tuple(house.blobs), house.shelf)
    first, second = house.paths[0], house.paths[1]
    changed, other = dcmread(first), dcmread(second)
    changed.PixelData = other.PixelData
    changed.save_as(first)
    seal_file(first, changed.SOPInstanceUID)
    shelf = Shelf(house.shelf)
    read, alone = read_series(house.blobs, shelf), read_series(house.blobs)
    assert read.volume is not None and alone.volume is not None
    np.testing.assert_array_equal(read.volume.stored, alone.volume.stored)
    assert shelf.misses == 1


def test_a_file_without_a_seal_or_with_that_of_another_instance_is_decoded_by_the_job(
    house: House,
) -> None:
    decode(tuple(house.blobs), house.shelf)
    seal = house.paths[1].read_bytes()[:128]
    house.paths[0].write_bytes(seal + house.paths[0].read_bytes()[128:])
    house.paths[2].write_bytes(bytes(128) + house.paths[2].read_bytes()[128:])
    read, shelf = house.read(), Shelf(house.shelf)
    assert (read.hits, read.misses, shelf.misses) == (len(house.paths) - 2, 0, 0)


def test_it_goes_with_the_study_and_what_no_study_has_goes_at_the_next_start(house: House) -> None:
    decode(tuple(house.blobs), house.shelf)
    beside = MetadataShelf(house.shelf.root)
    beside.discard(house.study)
    assert house.kept() == []
    decode(tuple(house.blobs), house.shelf)
    half = house.kept()[0].with_name("0123.part")
    half.write_bytes(b"WETPIXL1")
    assert beside.discard_others([]) == 1
    assert list(house.shelf.root.rglob("*.*")) == house.kept() == []


def test_an_image_that_is_deleted_while_it_is_decoded_leaves_nothing(house: House) -> None:
    for path in house.paths[:2]:
        path.unlink()
    kept = decode(tuple(house.blobs), house.shelf)
    assert (kept.images, kept.fault) == (len(house.paths) - 2, "")


def test_beyond_the_limit_what_was_unused_longest_goes_first(house: House) -> None:
    decode(tuple(house.blobs), house.shelf)
    for age, path in enumerate(house.kept()):
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    total, newest = house.shelf.size_bytes(), house.kept()[0]
    small = DecodedShelf(house.shelf.root, total // 2)
    left = small.make_room()
    assert left == small.size_bytes() <= total // 2
    assert newest in house.kept()
    house.read()


def test_without_room_on_the_disk_it_is_said_once_and_the_job_decodes(house: House) -> None:
    house.shelf = DecodedShelf(house.shelf.root, MOST, least_free_bytes=1 << 62)
    ahead = house.ahead()
    house.index()
    with capture_logs() as said:
        all_steps(ahead)
    told = [(one["event"], one["reason"]) for one in said if one["log_level"] == "warning"]
    assert told == [("not_decoded_ahead", "the disk is full")]
    assert house.read().hits == 0


def test_a_fault_of_the_disk_is_said_once_and_the_job_decodes(house: House) -> None:
    ahead = house.ahead()
    house.index()
    house.shelf.root.write_bytes(b"no folder")
    with capture_logs() as said:
        all_steps(ahead)
    assert [one["event"] for one in said] == ["not_decoded_ahead"]
    assert house.read().hits == 0


def test_the_process_may_be_killed_at_any_time_and_another_goes_on(house: House) -> None:
    started: list[Worker] = []

    class Seen(Worker):
        def __init__(self) -> None:
            super().__init__()
            started.append(self)

    ahead = house.ahead(Seen)
    house.index()
    assert ahead.step()
    os.kill(started[0].pid, signal.SIGKILL)
    with capture_logs() as said:
        all_steps(ahead)
    ahead.stop()
    ahead.close()
    assert [one["event"] for one in said] == ["not_decoded_ahead"]
    assert len(started) == 2
    assert house.read().misses == AT_ONCE
    assert not list(house.shelf.root.rglob("*.part"))


def test_what_was_put_off_is_decoded_though_nothing_more_comes(house: House) -> None:
    ahead = house.ahead()
    news = News(house.database, ahead.is_settled)
    news.have(ahead.step)
    house.is_reading = True
    house.index()
    news.have(ahead.step)
    assert house.kept() == []
    house.is_reading = False
    while news.have(ahead.step):
        pass
    assert len(house.kept()) == len(house.paths)
