"""The way from findings to files: complete, repeatable, accounted for."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import DigitalXRayImageStorageForPresentation

from analyzers.contract import (
    Classification,
    Code,
    DerivedImage,
    Detection,
    Findings,
    Measurement,
    Segmentation,
)
from node.results.errors import GateRefused
from node.results.write import write_notice, write_results
from storage.records import JobResults
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, lungs, one_slice, single

BOX = Detection(
    "nodule_1", sources.NODULE, sources.ABNORMAL, (2, 5, 6), (4, 9, 11), 0.87, sources.RIGHT
)


def everything() -> Findings:
    source = ct_source()
    assert source.volume is not None
    return Findings(
        (
            lungs(),
            BOX,
            DerivedImage(source.volume.values() + 1, "Brighter", sources.BLUR),
            single(),
            Measurement(sources.VOLUME, 2469.13578, sources.ML),
            Classification(Code("87433001", "SCT", "Emphysema"),
                           Code("52101004", "SCT", "Present"), 0.9),
        ),
        ("The apices are cut off.",),
    )  # fmt: skip


def contents(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``first`` is written, in ``job1``. Shared: do not write to it."""
    return tmp_path_factory.mktemp("first")


@pytest.fixture(scope="module")
def first(folder: Path) -> JobResults:
    return write_results(ct_source(), everything(), PROVENANCE, folder / "job1")


def test_every_object_is_written_and_accounted_for(first: JobResults, folder: Path) -> None:
    kinds = [item.kind for item in first.objects]
    assert kinds == ["seg", "seg", *["image"] * sources.SHAPE[0], "sr"]
    for item in first.objects:
        path = folder / item.key
        assert item.key.startswith("job1/")
        assert path.stat().st_size == item.size_bytes
        assert hashlib.sha256(path.read_bytes()).hexdigest() == item.sha256
        dataset = pydicom.dcmread(path)
        assert dataset.SOPInstanceUID == item.sop_instance_uid
        assert dataset.SOPClassUID == item.sop_class_uid
        assert dataset.SeriesInstanceUID == item.series_instance_uid
        assert dataset.file_meta.TransferSyntaxUID == item.transfer_syntax_uid
    assert all((folder / key).read_bytes().startswith(b"\x89PNG") for key in first.previews)
    written = {path.name for path in (folder / "job1").iterdir()}
    assert written == {Path(i.key).name for i in first.objects} | {
        Path(key).name for key in first.previews
    }


def test_a_repeat_gives_the_same_bytes(first: JobResults, folder: Path, tmp_path: Path) -> None:
    second = write_results(ct_source(), everything(), PROVENANCE, tmp_path / "job1")
    assert first == second
    assert contents(folder / "job1") == contents(tmp_path / "job1")


def test_who_reads_an_object_while_it_is_made_again_reads_it_whole(tmp_path: Path) -> None:
    first = write_notice(ct_source(), "failed", ("the first run",), PROVENANCE, tmp_path / "job1")
    path = tmp_path / first.objects[0].key
    with path.open("rb") as reading:
        begun = reading.read(200)
        write_notice(ct_source(), "failed", ("the second run",), PROVENANCE, tmp_path / "job1")
        whole = begun + reading.read()
    assert hashlib.sha256(whole).hexdigest() == first.objects[0].sha256
    assert hashlib.sha256(path.read_bytes()).hexdigest() != first.objects[0].sha256
    assert [one.name for one in path.parent.iterdir()] == ["report.dcm"]


@pytest.mark.usefixtures("first")
def test_a_repeat_on_another_card_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(PROVENANCE, device="cuda:0")
    write_results(ct_source(), everything(), other, tmp_path / "b")
    assert contents(folder / "job1") == contents(tmp_path / "b")


def test_another_job_shares_no_uid(first: JobResults, tmp_path: Path) -> None:
    def uids(results: JobResults) -> set[str]:
        return {i.sop_instance_uid for i in results.objects} | {
            i.series_instance_uid for i in results.objects
        }

    other = dataclasses.replace(PROVENANCE, key="cd" * 32)
    second = write_results(ct_source(), everything(), other, tmp_path / "b")
    assert not uids(first) & uids(second)


def test_all_objects_belong_to_the_study_and_patient(first: JobResults, folder: Path) -> None:
    for item in first.objects:
        dataset = pydicom.dcmread(folder / item.key)
        assert dataset.StudyInstanceUID == "2.25.71"
        assert str(dataset.PatientName) == "Müller^Jürgen"
        assert (dataset.PatientID, dataset.AccessionNumber) == ("4711-0815", "ACC77")


def test_the_time_point_of_a_trial_stands_in_every_object(tmp_path: Path) -> None:
    source = ct_source(
        LongitudinalTemporalOffsetFromEvent=17.0, LongitudinalTemporalEventType="ENROLLMENT"
    )
    for item in write_results(source, everything(), PROVENANCE, tmp_path / "job").objects:
        saved = pydicom.dcmread(tmp_path / item.key)
        assert saved.LongitudinalTemporalOffsetFromEvent == 17.0
        assert saved.LongitudinalTemporalEventType == "ENROLLMENT"


def test_where_no_structure_has_a_voxel_there_is_a_report_and_no_segmentation(
    tmp_path: Path,
) -> None:
    results = write_results(ct_source(), Findings((sources.empty(),)), PROVENANCE, tmp_path / "j")
    assert [item.kind for item in results.objects] == ["sr"]
    assert {row.text for row in results.findings} == {"looked for, not found"}
    assert results.previews == ()


def test_findings_are_listed_for_people(first: JobResults) -> None:
    lines = {(row.structure, row.name): row for row in first.findings}
    assert lines[("Right lung", "Volume")].value == 1234.57
    assert lines[("Right lung", "Attenuation Coefficient (mean)")].unit == "HU"
    assert lines[("Liver", "Presence")].text == "looked for, not found"
    assert lines[("Nodule, right", "Certainty")].value == 87
    assert lines[("", "Emphysema")].text == "Present (certainty 90%)"
    assert first.remarks == ("The apices are cut off.",)


@pytest.mark.parametrize("verdict", ["not applicable", "failed"])
def test_a_notice_is_one_report_with_a_cleaned_reason(verdict: str, tmp_path: Path) -> None:
    reasons = ["Müller^Jürgen has 3 slices"]
    results = write_notice(ct_source(), verdict, reasons, PROVENANCE, tmp_path / "job")
    assert [item.key for item in results.objects] == ["job/report.dcm"]
    assert results.remarks == ("[removed] has 3 slices",)


def test_a_notice_needs_no_volume(tmp_path: Path) -> None:
    source = dataclasses.replace(ct_source(), volume=None, frames=())
    results = write_notice(source, "not applicable", ["no position"], PROVENANCE, tmp_path / "j")
    assert len(results.objects) == 1


def test_file_names_say_nothing_of_the_patient(tmp_path: Path) -> None:
    write_results(ct_source(), everything(), PROVENANCE, tmp_path / "j")
    names = " ".join(path.name for path in (tmp_path / "j").iterdir())
    assert not {"müller", "4711", "acc77", "2.25"} & set(names.lower().replace("-", " ").split())


def test_odd_values_in_the_headers_raise_no_warning(tmp_path: Path) -> None:
    source = ct_source()
    for header in source.headers:
        with pytest.warns(UserWarning, match="VR SH"):
            header.StudyID = "S1-LONGER-THAN-16-CHARACTERS"
    write_results(source, everything(), PROVENANCE, tmp_path / "j")
    saved = pydicom.dcmread(tmp_path / "j" / "report.dcm")
    with pytest.warns(UserWarning, match="VR SH"):
        assert saved.StudyID == "S1-LONGER-THAN-16-CHARACTERS"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("AccessionNumber", "A" * 20),
        ("BodyPartExamined", "chest"),
        ("FrameOfReferenceUID", "1.2.03.4"),
        ("ImageOrientationPatient", "1\\0\\0\\0\\0.99999999999999999999\\0"),
        ("PositionReferenceIndicator", "p" * 70),
        ("ProtocolName", "P" * 70),
        ("StudyInstanceUID", "1.2.03.4"),
        ("TimezoneOffsetFromUTC", "+9900"),
        ("WindowWidth", "0"),
        ("XRayTubeCurrent", "250.5"),
    ],
)
def test_values_that_break_their_representation_stop_no_result(
    keyword: str, value: str, tmp_path: Path
) -> None:
    source = ct_source()
    for header in source.headers:
        _set_raw(header, keyword, value)
    results = write_results(source, everything(), PROVENANCE, tmp_path / "j")
    assert {item.kind for item in results.objects} == {"seg", "image", "sr"}
    assert write_notice(source, "failed", ["reason"], PROVENANCE, tmp_path / "notice").objects


def _set_raw(header: Dataset, keyword: str, value: str) -> None:
    """As a file holds it: pydicom itself would not write such values."""
    tag = Tag(keyword)
    raw = value.encode()
    header[tag] = RawDataElement(tag, dictionary_VR(tag), len(raw), raw, 0, False, True)


def test_headers_that_contradict_the_volume_are_stopped_by_the_gate(tmp_path: Path) -> None:
    source = ct_source()
    assert source.volume is not None
    affine = source.volume.affine.copy()
    affine[0, 3] += 5 * 1.1
    moved = dataclasses.replace(source, volume=dataclasses.replace(source.volume, affine=affine))
    with pytest.raises(GateRefused, match="Dice"):
        write_results(moved, Findings((lungs(),)), PROVENANCE, tmp_path / "j")


def test_headers_are_not_changed(tmp_path: Path) -> None:
    source = ct_source()
    before = [header.to_json() for header in source.headers]
    write_results(source, everything(), PROVENANCE, tmp_path / "j")
    assert [header.to_json() for header in source.headers] == before
    assert np.array_equal(source.volume.stored, ct_source().volume.stored)  # type: ignore[union-attr]


def test_a_radiograph_without_a_place_in_space_can_be_segmented(tmp_path: Path) -> None:
    source = one_slice(
        ct_source(
            Modality="DX",
            SOPClassUID=DigitalXRayImageStorageForPresentation,
            ImagePositionPatient=None,
            ImageOrientationPatient=None,
            FrameOfReferenceUID=None,
        )
    )
    results = write_results(source, Findings((one_plane(),)), PROVENANCE, tmp_path / "j")
    assert [item.kind for item in results.objects] == ["seg", "sr"]


def test_a_single_slice_can_be_segmented(tmp_path: Path) -> None:
    source = one_slice(ct_source())
    results = write_results(source, Findings((one_plane(),)), PROVENANCE, tmp_path / "j")
    assert [item.kind for item in results.objects] == ["seg", "sr"]


@pytest.mark.parametrize("distance", [-99, 0, 7.5])
def test_a_wrong_distance_between_slices_in_the_header_is_not_believed(
    distance: float, tmp_path: Path
) -> None:
    source = ct_source(SpacingBetweenSlices=distance, SliceThickness=None)
    write_results(source, Findings((lungs(),)), PROVENANCE, tmp_path / "j")
    shared = pydicom.dcmread(tmp_path / "j" / "seg-0.dcm").SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].SpacingBetweenSlices == 2.5


@pytest.mark.parametrize(
    ("declared", "written", "name"),
    [
        (None, "ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 999", "ISO_IR 192", "Mueller^J"),
        ("GB18030", "GB18030", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 149"], ["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_every_object_can_be_read_in_the_character_set_it_declares(
    declared: str | list[str] | None, written: str | list[str], name: str, tmp_path: Path
) -> None:
    source = ct_source(
        SpecificCharacterSet=declared, PatientName=name, ReferringPhysicianName="A^B"
    )
    for item in write_results(source, everything(), PROVENANCE, tmp_path / "j").objects:
        dataset = pydicom.dcmread(tmp_path / item.key)
        assert dataset.SpecificCharacterSet == written
        assert str(dataset.PatientName) == name


def one_plane() -> Segmentation:
    return dataclasses.replace(lungs(), labels=lungs().labels[3:4])
