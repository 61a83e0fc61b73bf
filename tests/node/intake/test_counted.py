"""A study is complete when as many images are there as they say themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.config.tables import CompletionSettings
from node.intake.completion import COUNTED, QUIET, Completion
from node.intake.counted import Counted
from node.intake.planning import Planner
from storage import events, index
from storage.database import Database, open_database
from storage.files.blobs import Files
from storage.header.attributes import extract
from storage.records import InstanceRecord, Placement, PutOutcome, StudyState
from tests.instances import make_dataset, write_instance

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUIET_S = 5


@dataclass
class Ward:
    """A database, files, a clock that is moved, and who is still sending."""

    database: Database
    folder: Path
    now: datetime = START
    sending: set[str] = field(default_factory=set)
    received: int = 0

    def __post_init__(self) -> None:
        counted = Counted(self.database, Files(self.folder), lambda: self.sending)
        self.completion = Completion(
            self.database,
            CompletionSettings(quiet_period_s=QUIET_S),
            Planner((), {}),
            lambda: self.sending,
            lambda: self.now,
            counted=counted.vouched,
        )

    def receive(self, *images: Dataset) -> None:
        records = []
        for image in images:
            self.received += 1
            key = f"{self.received}.dcm"
            write_instance(self.folder / key, image)
            placement = Placement(PutOutcome.NEW, key, 1, f"{self.received:064d}", "")
            records.append(InstanceRecord(extract(image), placement, self.now, "CT1"))
        with self.database.write() as tx:
            index.add(tx, records)

    def state(self) -> StudyState:
        """After a step, no time having passed."""
        self.completion.step()
        with self.database.read() as tx:
            return index.list_studies(tx)[0].state

    def evidence(self) -> list[str]:
        with self.database.read() as tx:
            found = events.list_events(tx)
        return sorted(one.reason for one in found if one.reason in (COUNTED, QUIET))


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    (tmp_path / "files").mkdir()
    yield Ward(database, tmp_path / "files")
    database.close()


def series(count: int, number: int = 1, first: int = 1, **said: object) -> list[Dataset]:
    """Images of one series of the one study; ``said`` by each of them."""
    made = []
    for instance_number in range(first, first + count):
        image = make_dataset(instance_number, rows=2)
        image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3", f"1.2.3.{number}"
        image.SOPInstanceUID = f"1.2.3.{number}.{instance_number}"
        image.Modality, image.InstanceNumber = "CT", instance_number
        for keyword, value in said.items():
            setattr(image, keyword, value)
        made.append(image)
    return made


_PET = {"Modality": "PT", "NumberOfSlices": 2}


@pytest.mark.parametrize(
    "said",
    [
        {"NumberOfStudyRelatedInstances": 4},
        {"NumberOfSeriesRelatedInstances": 4},
        {"ImagesInAcquisition": 4},
        {"ImagesInAcquisition": 4, "AcquisitionNumber": 7},
        {**_PET, "NumberOfSlices": 4, "SeriesType": ["WHOLE BODY", "IMAGE"]},
        {**_PET, "NumberOfTimeSlices": 2, "SeriesType": ["DYNAMIC", "IMAGE"]},
        {**_PET, "NumberOfRRIntervals": 1, "NumberOfTimeSlots": 2, "SeriesType": ["GATED"]},
    ],
)
def test_nothing_is_waited_for_once_as_many_are_there_as_they_say(
    said: dict[str, object], ward: Ward
) -> None:
    images = series(4, **said)
    ward.receive(*images[:3])
    assert ward.state() is StudyState.RECEIVING
    ward.receive(images[3])
    assert ward.state() is StudyState.COMPLETE
    assert ward.evidence() == [COUNTED]


def test_a_sender_that_has_not_disconnected_may_have_more(ward: Ward) -> None:
    ward.sending.add("1.2.3")
    ward.receive(*series(3, NumberOfSeriesRelatedInstances=3))
    assert ward.state() is StudyState.RECEIVING
    ward.sending.clear()
    assert ward.state() is StudyState.COMPLETE


@pytest.mark.parametrize(
    "images",
    [
        series(3),
        series(3, ImagesInAcquisition=4),
        series(3, ImagesInAcquisition=2),
        series(3, ImagesInAcquisition=0),
        series(3, first=2, ImagesInAcquisition=3),
        series(2, ImagesInAcquisition=3) + series(1, first=4, ImagesInAcquisition=3),
        series(2, AcquisitionNumber=1, ImagesInAcquisition=3)
        + series(1, first=3, AcquisitionNumber=2, ImagesInAcquisition=3),
        series(3, NumberOfStudyRelatedInstances=4, NumberOfSeriesRelatedInstances=3),
        series(3, NumberOfSeriesRelatedInstances=2, ImagesInAcquisition=3),
        series(3, NumberOfSeriesRelatedInstances=3) + series(2, 2),
        series(3, NumberOfStudyRelatedInstances=5) + series(2, 2, NumberOfStudyRelatedInstances=6),
        series(3, Modality="PT", NumberOfSlices=3),
        series(3, Modality="PT", NumberOfSlices=3, SeriesType=["DYNAMIC"]),
        series(3, Modality="PT", ImagesInAcquisition=3, SeriesType=["STATIC"]),
        series(1, NumberOfFrames=1, Modality="US"),
    ],
)  # fmt: skip
def test_numbers_that_are_missing_or_not_met_leave_a_study_to_the_quiet_period(
    images: list[Dataset], ward: Ward
) -> None:
    ward.receive(*images)
    assert ward.state() is StudyState.RECEIVING
    ward.now += timedelta(seconds=QUIET_S)
    assert ward.state() is StudyState.COMPLETE
    assert ward.evidence() == [QUIET]


def test_every_series_has_to_have_its_own(ward: Ward) -> None:
    ward.receive(*series(2, NumberOfSeriesRelatedInstances=2))
    ward.receive(*series(1, 2, ImagesInAcquisition=2))
    assert ward.state() is StudyState.RECEIVING
    ward.receive(*series(1, 2, first=2, ImagesInAcquisition=2))
    assert ward.state() is StudyState.COMPLETE


def test_a_number_that_was_too_small_costs_a_second_completion_and_no_image(ward: Ward) -> None:
    ward.receive(*series(2, ImagesInAcquisition=2))
    assert ward.state() is StudyState.COMPLETE
    ward.receive(*series(1, first=3, ImagesInAcquisition=2))
    assert ward.state() is StudyState.RECEIVING
    ward.now += timedelta(seconds=QUIET_S)
    assert ward.state() is StudyState.COMPLETE
    assert ward.evidence() == [COUNTED, QUIET]


def test_an_image_that_cannot_be_read_says_nothing(ward: Ward) -> None:
    ward.receive(*series(2, ImagesInAcquisition=2))
    for path in ward.folder.iterdir():
        path.write_bytes(b"no image")
    assert ward.state() is StudyState.RECEIVING


def test_a_study_is_looked_at_again_only_when_images_have_come(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    counted = index.counted
    monkeypatch.setattr(
        index, "counted", lambda tx, study: asked.append(study) or counted(tx, study)
    )
    ward.receive(*series(2, ImagesInAcquisition=3))
    for _ in range(3):
        assert ward.state() is StudyState.RECEIVING
    assert len(asked) == 1
    ward.receive(*series(1, first=3, ImagesInAcquisition=3))
    assert ward.state() is StudyState.COMPLETE
    assert len(asked) == 2
