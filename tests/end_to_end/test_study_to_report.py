"""A modality pushes a study; SEG and SR arrive in a real PACS, in the right study and right."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from node.demo.ct_files import CtFiles, CtSeries
from node.demo.phantom import ACQUISITIONS, ChestPhantom
from node.dimse.scu.sender import Peer, send
from storage.files.shelves import key_of
from storage.records import DeliveryState, JobState
from tests.node_process import Node, State, destination, rule, running_node
from tests.peers import Orthanc, dcmtk
from tests.waiting import until

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
REPORT = "1.2.840.10008.5.1.4.1.1.88.34"


@pytest.fixture(scope="module")
def node(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    text = destination(orthanc.port) + rule("lung_segmentation")
    with running_node(tmp_path_factory.mktemp("node"), text) as one:
        yield one


def push(node: Node, folder: Path) -> None:
    dcmtk(
        "dcmsend", "--scan-directories", "--recurse", "--scan-pattern", "*.dcm",
        "--decompress-never", "-aec", "WETREAD", "127.0.0.1", str(node.port), folder,
        timeout_s=300,
    )  # fmt: skip


def in_pacs(orthanc: Orthanc, study_instance_uid: str) -> list[Dataset]:
    found = orthanc.rest.post(
        "/tools/find",
        json={"Level": "Instance", "Query": {"StudyInstanceUID": study_instance_uid}},
    ).json()
    return [pydicom.dcmread(io.BytesIO(orthanc.file(one))) for one in found]


def of_class(objects: list[Dataset], sop_class: str) -> list[Dataset]:
    return [one for one in objects if one.SOPClassUID == sop_class]


def left_and_right_ml(report: Dataset) -> dict[str, float]:
    """Volumes by laterality, read from the measurement groups of a TID 1500 report."""
    found: dict[str, float] = {}
    for group in highdicom.sr.srread(
        io.BytesIO(_bytes(report))
    ).content.get_volumetric_roi_measurement_groups():
        side = group.finding_sites[0].laterality
        for measurement in group.get_measurements():
            if measurement.name.meaning == "Volume":
                found[side.meaning] = float(measurement.value)
    return found


def _bytes(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def finished(node: Node, study_instance_uid: str, timeout_s: float = 90) -> State:
    def is_done(state: State) -> bool:
        of_study = [job for job in state.jobs if job.study_instance_uid == study_instance_uid]
        return bool(of_study) and state.is_settled

    return node.wait(is_done, timeout_s)


def study_uid(folder: Path) -> str:
    return str(
        pydicom.dcmread(next(folder.rglob("*.dcm")), stop_before_pixels=True).StudyInstanceUID
    )


def validator_errors(path: Path) -> list[str]:
    tool = Path(sys.executable).with_name("dciodvfy")
    done = subprocess.run([tool, "-new", path], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.interop
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", sorted(ACQUISITIONS))
def test_left_is_left_and_volumes_are_right_however_the_patient_lay(
    node: Node, orthanc: Orthanc, tmp_path: Path, name: str
) -> None:
    phantom = ChestPhantom(
        shape=(60, 128, 128),
        spacing_mm=(5.0, 3.0, 3.0),
        acquisition=ACQUISITIONS[name],
        series=CtSeries(study=f"{zlib.crc32(name.encode()):x}"),
    )
    phantom.write(tmp_path)
    uid = study_uid(tmp_path)
    push(node, tmp_path)
    state = finished(node, uid)
    job = next(job for job in state.jobs if job.study_instance_uid == uid)
    assert job.state is JobState.DONE, job.reason
    results = in_pacs(orthanc, uid)
    (report,) = of_class(results, REPORT)
    volumes = left_and_right_ml(report)
    assert volumes["Left"] == pytest.approx(phantom.truth.left_lung_ml, rel=0.01)
    assert volumes["Right"] == pytest.approx(phantom.truth.right_lung_ml, rel=0.01)


@pytest.mark.interop
@pytest.mark.timeout(240)
def test_results_lie_in_the_study_validate_and_are_the_masks_that_were_found(
    node: Node, orthanc: Orthanc, tmp_path: Path
) -> None:
    phantom = ChestPhantom(
        shape=(40, 96, 96), spacing_mm=(7.5, 4.0, 4.0), series=CtSeries(study="masks")
    )
    phantom.write(tmp_path / "study")
    uid = study_uid(tmp_path / "study")
    push(node, tmp_path / "study")
    state = finished(node, uid)
    assert all(one.state is DeliveryState.SENT for one in state.deliveries)
    results = in_pacs(orthanc, uid)
    (segmentation,) = of_class(results, SEGMENTATION)
    (report,) = of_class(results, REPORT)
    for one in (segmentation, report):
        path = tmp_path / f"{one.Modality}.dcm"
        one.save_as(path)
        assert validator_errors(path) == []
    read = highdicom.seg.segread(tmp_path / "SEG.dcm")
    volume = read.get_volume(combine_segments=True).to_patient_orientation("LPH")
    truth = phantom.truth
    for number, label in ((1, "right_lung"), (2, "left_lung")):
        described = read.get_segment_description(number).SegmentLabel
        assert described.lower().replace(" ", "_") == label
        voxels = int((volume.array == number).sum())
        ml = voxels * float(np.prod(volume.spacing)) / 1000
        assert ml == pytest.approx(truth.volumes_ml[label], rel=0.05)


@pytest.mark.interop
@pytest.mark.timeout(240)
def test_a_late_image_reopens_the_study_and_new_results_supersede_the_old(
    node: Node, orthanc: Orthanc, tmp_path: Path
) -> None:
    phantom = ChestPhantom(
        shape=(30, 64, 64), spacing_mm=(10.0, 6.0, 6.0), series=CtSeries(study="late")
    )
    files = phantom.write(tmp_path / "first")
    late = tmp_path / "late"
    late.mkdir()
    files[-1].rename(late / files[-1].name)
    uid = study_uid(tmp_path / "first")
    push(node, tmp_path / "first")
    finished(node, uid)
    (first,) = of_class(in_pacs(orthanc, uid), REPORT)
    push(node, late)
    node.wait(
        lambda state: (
            sum(job.study_instance_uid == uid for job in state.jobs) == 2 and state.is_settled
        )
    )
    reports = of_class(in_pacs(orthanc, uid), REPORT)
    assert len(reports) == 2
    second = next(one for one in reports if one.SOPInstanceUID != first.SOPInstanceUID)
    predecessor = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert predecessor.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert tracking_uids(second) == tracking_uids(first)


@pytest.mark.interop
@pytest.mark.timeout(240)
def test_a_pacs_that_sends_everything_back_changes_nothing(
    node: Node, orthanc: Orthanc, tmp_path: Path
) -> None:
    phantom = ChestPhantom(
        shape=(30, 64, 64), spacing_mm=(10.0, 6.0, 6.0), series=CtSeries(study="echo")
    )
    images = phantom.write(tmp_path / "study")
    uid = study_uid(tmp_path / "study")
    push(node, tmp_path / "study")
    finished(node, uid)
    before = node.state()
    orthanc.name_modality("node", "WETREAD", node.port)
    results = orthanc_ids(orthanc, uid)
    assert orthanc.send(results, "node")["FailedInstancesCount"] == 0
    changed = coerced(orthanc, results, tmp_path / "changed")
    peer = Peer("node", "WETREAD", "127.0.0.1", node.port, calling_ae="ORTHANC")
    answers: list[int | None] = []
    send(changed, peer, lambda index, result: answers.append(result.status))
    assert answers == [0, 0]
    aside = node.var / "quarantine"
    until(lambda: len(list(aside.glob("returned-*.dcm"))) == 2)  # the others came before
    after = node.state()
    (study,) = [one for one in after.studies if one.study_instance_uid == uid]
    assert study in before.studies
    assert (study.generation, study.instances, study.results) == (1, len(images), 2)
    assert after.alarms == before.alarms
    assert {job.id for job in after.jobs} == {job.id for job in before.jobs}
    store = node.var / "instances"
    assert not [one for one in results_of(changed) if (store / key_of(one)).exists()]


def orthanc_ids(orthanc: Orthanc, study_instance_uid: str) -> list[str]:
    query = {"Level": "Instance", "Query": {"StudyInstanceUID": study_instance_uid}}
    found: list[str] = orthanc.rest.post("/tools/find", json=query).json()
    return found


def coerced(orthanc: Orthanc, instances: list[str], folder: Path) -> list[Path]:
    """The same objects as a PACS gives them that keeps names in another way."""
    folder.mkdir()
    for one in instances:
        dataset = pydicom.dcmread(io.BytesIO(orthanc.file(one)))
        dataset.PatientName = "COERCED^BY THE PACS"
        dataset.save_as(folder / f"{one}.dcm", enforce_file_format=True)
    return sorted(folder.iterdir())


def results_of(files: list[Path]) -> list[str]:
    return [str(pydicom.dcmread(one, stop_before_pixels=True).SOPInstanceUID) for one in files]


def tracking_uids(report: Dataset) -> set[str]:
    return {
        str(item.UID)
        for item in walk(report)
        if item.get("ValueType") == "UIDREF"
        and item.ConceptNameCodeSequence[0].CodeMeaning == "Tracking Unique Identifier"
    }


def walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from walk(child)


REAL_CT = {
    "ct_lidc_idri_0314": JobState.DONE,
    "ct_crlm_1004": JobState.DONE,
    "ct_head_gantrytilt_ge": JobState.NOT_APPLICABLE,
}


@pytest.mark.interop
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(REAL_CT))
def test_real_ct_series_come_out_as_results_or_as_a_named_refusal(
    node: Node, orthanc: Orthanc, test_data: Path, tmp_path: Path, name: str
) -> None:
    folder = test_data / "studies" / name
    uid = study_uid(folder)
    push(node, folder)
    state = finished(node, uid, timeout_s=200)
    (job,) = [job for job in state.jobs if job.study_instance_uid == uid]
    assert job.state is REAL_CT[name], job.reason
    if job.state is JobState.NOT_APPLICABLE:
        assert "tilt" in job.reason
        return  # stands on the page; nothing is sent unless the rule wants it
    results = in_pacs(orthanc, uid)
    (report,) = of_class(results, REPORT)
    (segmentation,) = of_class(results, SEGMENTATION)
    for one in (report, segmentation):
        path = tmp_path / f"{one.Modality}.dcm"
        one.save_as(path)
        assert validator_errors(path) == []


@pytest.mark.interop
@pytest.mark.timeout(300)
def test_compressed_images_with_empty_uids_are_refused_and_run_once_filled(
    node: Node, orthanc: Orthanc, test_data: Path, tmp_path: Path
) -> None:
    """The set's data sets have no UIDs: a node must say so; copies that have them are read."""
    source = sorted((test_data / "studies" / "ct_totalseg_j2k" / "dicom").iterdir())
    answer = subprocess.run(
        ["/usr/bin/storescu", "-xw", "-aec", "WETREAD", "127.0.0.1", str(node.port), source[0]],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode != 0
    uid = "2.25.7700"
    for number, path in enumerate(source):
        dataset = pydicom.dcmread(path)
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CT_IMAGE
        dataset.SOPInstanceUID = f"{uid}.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid, f"{uid}.1"
        dataset.FrameOfReferenceUID, dataset.PatientID = f"{uid}.2", "FILLED"
        dataset.save_as(tmp_path / f"{number}.dcm")
    push(node, tmp_path)
    state = finished(node, uid)
    (job,) = [job for job in state.jobs if job.study_instance_uid == uid]
    assert job.state in (JobState.DONE, JobState.NOT_APPLICABLE), job.reason
    if job.state is JobState.DONE:
        assert len(of_class(in_pacs(orthanc, uid), REPORT)) == 1


CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.interop
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "files",
    [
        CtFiles(transfer_syntax="1.2.840.10008.1.2.5"),
        CtFiles(transfer_syntax="1.2.840.10008.1.2.4.80"),
        CtFiles(transfer_syntax="1.2.840.10008.1.2.4.90"),
        CtFiles(transfer_syntax="1.2.840.10008.1.2.1.99"),
        CtFiles(multiframe=True),
        CtFiles(file_order="shuffled", reversed_numbers=True),
    ],
    ids=["RLE", "JPEG-LS", "JPEG 2000", "deflated", "Enhanced", "shuffled"],
)
def test_however_a_series_is_stored_its_volumes_are_the_same(
    node: Node, orthanc: Orthanc, tmp_path: Path, files: CtFiles
) -> None:
    number = zlib.crc32(repr(files).encode())
    phantom = ChestPhantom(
        shape=(60, 128, 128), spacing_mm=(5.0, 3.0, 3.0), series=CtSeries(study=str(number))
    )
    phantom.write(tmp_path, files)
    uid = study_uid(tmp_path)
    push(node, tmp_path)
    state = finished(node, uid)
    (job,) = [job for job in state.jobs if job.study_instance_uid == uid]
    assert job.state is JobState.DONE, job.reason
    (report,) = of_class(in_pacs(orthanc, uid), REPORT)
    volumes = left_and_right_ml(report)
    assert volumes["Left"] == pytest.approx(phantom.truth.left_lung_ml, rel=0.01)
    assert volumes["Right"] == pytest.approx(phantom.truth.right_lung_ml, rel=0.01)


@pytest.mark.interop
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("phantom", "files", "reason"),
    [
        (ChestPhantom(shape=(40, 64, 64), spacing_mm=(7.5, 6.0, 6.0), gantry_tilt_degrees=12.0),
         CtFiles(), "tilt"),
        (ChestPhantom(shape=(40, 64, 64), spacing_mm=(7.5, 6.0, 6.0)), CtFiles(missing=(20,)),
         "missing"),
        (ChestPhantom(shape=(40, 64, 64), spacing_mm=(7.5, 6.0, 6.0)), CtFiles(duplicated=(20,)),
         "already"),
    ],
    ids=["gantry tilt", "missing slice", "doubled slice"],
)  # fmt: skip
def test_a_series_that_is_no_regular_grid_is_refused_by_name(
    node: Node, tmp_path: Path, phantom: ChestPhantom, files: CtFiles, reason: str
) -> None:
    study = CtSeries(study=str(zlib.crc32(reason.encode())))
    replace(phantom, series=study).write(tmp_path, files)
    uid = study_uid(tmp_path)
    push(node, tmp_path)
    state = finished(node, uid)
    (job,) = [job for job in state.jobs if job.study_instance_uid == uid]
    assert job.state is JobState.NOT_APPLICABLE
    assert reason in job.reason
