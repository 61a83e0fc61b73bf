"""Series whose images do not belong together: two patients, a screen save among slices, damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from analyzers import registry
from node.config.rules import RuleSettings
from node.intake.folder import read_folder
from node.intake.routing import route
from node.series.geometry import MixedPatients, UnreadableHeader
from node.series.read import read_series
from node.work import job
from node.work.executor import Ticket, Verdict
from storage import events, index
from storage.database import open_database
from storage.files.results import JobFolder
from tests import spliced
from tests.node.intake.test_completion import RULE, Ward

Change = Callable[[Dataset], None]
SCREEN = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture
def ward(tmp_path: Path, phantom_paths: list[Path]) -> Iterator[Ward]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    yield Ward(database, phantom_paths)
    database.close()


def enter(ward: Ward, changes: dict[int, Change], images: int = 6) -> None:
    read = {n: pydicom.dcmread(ward.paths[n], stop_before_pixels=True) for n in range(images)}
    for number, change in changes.items():
        change(read[number])
    for number, dataset in read.items():  # one after the other, as they may come
        ward.enter({number: dataset})


def setting(keyword: str, value: str) -> Change:
    return lambda dataset: setattr(dataset, keyword, value)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "ANOTHER"),
        ("PatientID", ""),
        ("PatientName", "Another^Person"),
        ("PatientBirthDate", "19010203"),
        ("PatientSex", "M"),
    ],
)
def test_images_of_two_patients_are_not_analyzed_and_raise_one_alarm(
    ward: Ward, keyword: str, value: str
) -> None:
    completion = ward.completion(RULE)
    ward.pass_s(10)
    other = {"PatientSex": "F", "PatientBirthDate": "19020304"}.get(keyword)
    changes = {3: setting(keyword, value), 4: setting(keyword, other or value)}
    enter(ward, changes)
    ward.pass_s(5)
    assert completion.step() == 1
    (entered,) = ward.jobs
    assert "do not agree on whom they show" in entered.refusals[0]
    assert keyword in entered.refusals[0]
    with ward.database.read() as tx:
        alarms = events.open_alarms(tx)
    assert len(alarms) == 1
    assert "do not agree on whom they show" in alarms[0].reason
    assert "ANOTHER" not in f"{alarms[0].reason} {entered.refusals}"


@pytest.mark.parametrize(
    ("keyword", "change"),
    [
        ("PatientName", lambda name: f"{str(name).upper()}^^^"),
        ("PatientBirthDate", lambda _: ""),
        ("PatientSex", lambda _: ""),
    ],
)
def test_the_same_patient_written_otherwise_is_the_same(
    ward: Ward, keyword: str, change: Callable[[object], str]
) -> None:
    def rewrite(dataset: Dataset) -> None:
        setattr(dataset, keyword, change(dataset.get(keyword)))

    completion = ward.completion(RULE)
    ward.pass_s(10)
    enter(ward, {3: rewrite})
    ward.pass_s(5)
    assert completion.step() == 1
    assert ward.jobs[0].refusals == ()


@pytest.mark.parametrize("keyword", ["PatientID", "PatientBirthDate", "PatientSex", "PatientName"])
def test_a_series_of_two_patients_is_refused_by_whoever_reads_it(
    keyword: str, tmp_path: Path
) -> None:
    paths = spliced.ct(tmp_path)
    values = {"PatientBirthDate": b"19010203", "PatientSex": b"M"}
    for path in paths[:3]:
        spliced.splice(path, keyword, values.get(keyword, b"Another"))
    with pytest.raises(MixedPatients) as raised:
        read_series(paths)
    assert "do not agree on whom they show" in str(raised.value)
    assert "Another" not in str(raised.value)


def screen_save(dataset: Dataset) -> None:
    dataset.SOPClassUID = SCREEN
    dataset.Modality, dataset.SamplesPerPixel = "OT", 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.SeriesDescription = "Screen save"
    del dataset.ImagePositionPatient


def test_a_screen_save_that_comes_first_does_not_decide_for_the_slices(ward: Ward) -> None:
    completion = ward.completion(RULE)
    ward.pass_s(10)
    enter(ward, {0: screen_save})
    ward.pass_s(5)
    assert completion.step() == 1
    with ward.database.read() as tx:
        (series,) = index.series_of(tx, ward.study.id)
    assert series.header["Modality"] == "CT"
    assert series.header["SOPClassUID"] != SCREEN
    assert series.header.get("SeriesDescription") != "Screen save"


def test_a_folder_is_routed_by_the_images_that_can_be_read(tmp_path: Path) -> None:
    paths = spliced.ct(tmp_path)
    spliced.splice(paths[0], "Modality", b"OT")
    spliced.splice(paths[0], "PhotometricInterpretation", b"RGB")
    (series,) = read_folder(tmp_path).series
    assert series.header["Modality"] == "CT"


def test_positions_that_are_no_numbers_are_named_before_slices_are_counted(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    paths = spliced.ct(folder)
    for number, path in enumerate(paths):
        spliced.splice(path, "ImagePositionPatient", f"-188,0\\-201,0\\{number},0".encode())
    (series,) = read_folder(folder).series
    rule = RuleSettings(name="r", when={"Modality": "CT"}, analyzers=("lung_segmentation",))
    info = registry.info("lung_segmentation")
    (decision,) = route([series], [rule], {info.name: info})
    assert decision.chosen is not None
    with pytest.raises(UnreadableHeader, match="ImagePositionPatient is not a number"):
        read_series(paths)
    ticket = Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer=info.name,
        analyzer_version=info.version,
        parameters=dict(info.defaults),
        instances=tuple(paths),
        place=JobFolder(tmp_path / "out"),
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    outcome = job.perform(ticket, "cpu")
    assert outcome.verdict is Verdict.NOT_APPLICABLE
    assert "ImagePositionPatient is not a number" in outcome.reason
    assert "188" not in outcome.reason
