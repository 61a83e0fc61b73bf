"""A modality pushes a study; SEG and SR arrive in a real PACS, in the right study, and are right."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from node.demo.ct_files import CtFiles
from node.demo.phantom import ACQUISITIONS, Acquisition, ChestPhantom
from storage.records import DeliveryState, JobState
from tests.node_process import Node, State, destination, rule, running_node
from tests.peers import Orthanc, dcmtk, running_orthanc

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
REPORT = "1.2.840.10008.5.1.4.1.1.88.34"


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as one:
        yield one


@pytest.fixture(scope="module")
def node(pacs: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    text = destination(pacs.port) + rule("lung_segmentation")
    with running_node(tmp_path_factory.mktemp("node"), text) as one:
        yield one


def push(node: Node, folder: Path) -> None:
    dcmtk(
        "dcmsend", "--scan-directories", "--recurse", "--decompress-never",
        "-aec", "WETREAD", "127.0.0.1", str(node.port), folder, timeout_s=300,
    )  # fmt: skip


def in_pacs(pacs: Orthanc, study_instance_uid: str) -> list[Dataset]:
    found = pacs.rest.post(
        "/tools/find",
        json={"Level": "Instance", "Query": {"StudyInstanceUID": study_instance_uid}},
    ).json()
    return [pydicom.dcmread(io.BytesIO(pacs.file(one))) for one in found]


def of_class(objects: list[Dataset], sop_class: str) -> list[Dataset]:
    return [one for one in objects if one.SOPClassUID == sop_class]


def left_and_right_ml(report: Dataset) -> dict[str, float]:
    """Volumes by laterality, read from the measurement groups of a TID 1500 report."""
    found: dict[str, float] = {}
    for group in highdicom.sr.srread(io.BytesIO(_bytes(report))).content.get_volumetric_roi_measurement_groups():
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
    return str(pydicom.dcmread(next(folder.rglob("*.dcm")), stop_before_pixels=True).StudyInstanceUID)


def validator_errors(path: Path) -> list[str]:
    tool = Path(sys.executable).with_name("dciodvfy")
    done = subprocess.run([tool, "-new", path], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.interop
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", sorted(ACQUISITIONS))
def test_left_is_left_and_volumes_are_right_however_the_patient_lay(
    node: Node, pacs: Orthanc, tmp_path: Path, name: str
) -> None:
    phantom = ChestPhantom(
        shape=(60, 128, 128), spacing_mm=(5.0, 3.0, 3.0), acquisition=ACQUISITIONS[name]
    )
    phantom.write(tmp_path)
    uid = study_uid(tmp_path)
    push(node, tmp_path)
    state = finished(node, uid)
    job = next(job for job in state.jobs if job.study_instance_uid == uid)
    if job.state is JobState.NOT_APPLICABLE:
        assert "plane is" in job.reason
        return
    assert job.state is JobState.DONE, job.reason
    results = in_pacs(pacs, uid)
    (report,) = of_class(results, REPORT)
    volumes = left_and_right_ml(report)
    assert volumes["Left"] == pytest.approx(phantom.truth.left_lung_ml, rel=0.03)
    assert volumes["Right"] == pytest.approx(phantom.truth.right_lung_ml, rel=0.03)


@pytest.mark.interop
@pytest.mark.timeout(240)
def test_results_lie_in_the_study_validate_and_are_the_masks_that_were_found(
    node: Node, pacs: Orthanc, tmp_path: Path
) -> None:
    phantom = ChestPhantom(shape=(40, 96, 96), spacing_mm=(7.5, 4.0, 4.0), seed=2)
    phantom.write(tmp_path / "study")
    uid = study_uid(tmp_path / "study")
    push(node, tmp_path / "study")
    state = finished(node, uid)
    assert all(one.state is DeliveryState.SENT for one in state.deliveries)
    results = in_pacs(pacs, uid)
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
    node: Node, pacs: Orthanc, tmp_path: Path
) -> None:
    phantom = ChestPhantom(shape=(30, 64, 64), spacing_mm=(10.0, 6.0, 6.0), seed=3)
    files = phantom.write(tmp_path / "first")
    late = tmp_path / "late"
    late.mkdir()
    files[-1].rename(late / files[-1].name)
    uid = study_uid(tmp_path / "first")
    push(node, tmp_path / "first")
    finished(node, uid)
    (first,) = of_class(in_pacs(pacs, uid), REPORT)
    push(node, late)
    node.wait(
        lambda state: (
            sum(job.study_instance_uid == uid for job in state.jobs) == 2 and state.is_settled
        )
    )
    reports = of_class(in_pacs(pacs, uid), REPORT)
    assert len(reports) == 2
    second = next(one for one in reports if one.SOPInstanceUID != first.SOPInstanceUID)
    predecessor = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert predecessor.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert tracking_uids(second) == tracking_uids(first)


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
