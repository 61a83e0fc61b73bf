"""Other people's tools on results from real images: dciodvfy, dcmqi, DCMTK."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel
import numpy as np
import pydicom
import pytest

from analyzers.contract import DerivedImage, Detection, Findings, Segmentation
from node.results.gate import validator
from node.results.write import write_notice, write_results
from node.series.read import read_series
from node.series.source import Source
from storage.kinds import ObjectKind
from storage.records import JobResults
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE

pytestmark = pytest.mark.interop

SINGLE_FRAME = {
    "CT": "ct_crlm_1004",
    "CT of 3 slices": "seg_dicom4qi5/image",
    "MR, oblique": "mr_hippocrop/Study1",
    "MR, T2": "longitudinal_cmbcrc_06489/SCAN_001/t2",
    "PET": "petctmr_STS_001/PET/image",
}
FORMS = (ObjectKind.REGIONS,)
MULTIFRAME = {"Enhanced MR": "mr_enhanced"}


def tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def real(test_data: Path, folder: str) -> Source:
    paths = sorted(p for p in (test_data / "studies" / folder).rglob("*") if p.is_file())
    if folder in MULTIFRAME.values():
        paths = [p for p in paths if pydicom.dcmread(p, stop_before_pixels=True).NumberOfFrames < 9]
        paths = paths[:1]
    else:
        paths = [p for p in paths if p.suffix in ("", ".dcm")]
    source = read_series(paths)
    for header in source.headers:  # too long for its VR: see test_gate for what becomes of such
        if len(header.get_item("StudyID").value or "") > 16:
            del header[0x00200010]
            header.StudyID = "1"
    return source


def marked(source: Source) -> Segmentation:
    """Structures 2 and 5 without any symmetry, on the grid of the images."""
    assert source.volume is not None
    slices, rows, columns = source.volume.shape
    labels = np.zeros(source.volume.shape, np.uint8)
    labels[: max(1, slices // 2), rows // 4 : rows // 2, columns // 5 : columns // 2] = 2
    labels[slices // 3 :, rows // 2 : rows - 4, columns // 2 + 2 : columns - 5] = 5
    labels[-1, rows - 2, columns // 2] = 5
    return Segmentation(labels, sources.lungs().segments, "Structures")


def findings(source: Source) -> Findings:
    finding = marked(source)
    assert source.volume is not None
    box = Detection("box", sources.NODULE, sources.ABNORMAL, (0, 3, 4), (1, 9, 11), 0.5)
    items: list[Any] = [finding, box]
    if source.frames[0].number is None:
        items.append(DerivedImage(source.volume.values() * 0.9, "Darker", sources.BLUR))
    return Findings(tuple(items), ("A remark.",))


@dataclass(frozen=True)
class Job:
    """A source and the results that were written from it, once for all tests."""

    source: Source
    results: JobResults
    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / "job" / name


@pytest.fixture(scope="module", params=[*SINGLE_FRAME, *MULTIFRAME])
def job(
    request: pytest.FixtureRequest, test_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Job:
    source = real(test_data, (SINGLE_FRAME | MULTIFRAME)[request.param])
    folder = tmp_path_factory.mktemp("results")
    results = write_results(source, findings(source), PROVENANCE, folder / "job", FORMS)
    return Job(source, results, folder)


def errors(path: Path) -> list[str]:
    done = subprocess.run(
        [tool("dciodvfy"), "-new", str(path)], capture_output=True, text=True, check=False
    )
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]


def test_dciodvfy_finds_no_error_in_any_object(job: Job) -> None:
    chosen = [item for item in job.results.objects if item.kind != "image"]
    chosen += [item for item in job.results.objects if item.kind == "image"][::20]
    for item in chosen:
        assert errors(job.folder / item.key) == []


@pytest.mark.parametrize("verdict", ["not applicable", "failed"])
def test_dciodvfy_finds_no_error_in_a_notice(job: Job, verdict: str, tmp_path: Path) -> None:
    write_notice(job.source, verdict, ["one reason", "another"], PROVENANCE, tmp_path / "job")
    assert errors(tmp_path / "job" / "report.dcm") == []


def test_dciodvfy_finds_no_error_where_nothing_was_found(job: Job, tmp_path: Path) -> None:
    write_results(job.source, Findings(), PROVENANCE, tmp_path / "job")
    assert errors(tmp_path / "job" / "report.dcm") == []


def test_dcmqi_reads_every_voxel_where_it_was(job: Job, tmp_path: Path) -> None:
    assert job.source.volume is not None
    finding = marked(job.source)
    out = tmp_path / "read"
    out.mkdir()
    command = [tool("segimage2itkimage"), "-t", "nii", "-p", "s", "--outputDirectory", str(out)]
    subprocess.run(
        [*command, "--inputDICOM", str(job.path("seg-0.dcm"))], check=True, capture_output=True
    )
    to_source = np.linalg.inv(job.source.volume.affine) @ np.diag([-1, -1, 1, 1])
    for number, value in ((1, 2), (2, 5)):
        image: Any = nibabel.load(out / f"s-{number}.nii.gz")
        places = np.argwhere(np.asarray(image.dataobj) != 0)
        matrix = to_source @ image.affine
        indices = np.rint(places @ matrix[:3, :3].T + matrix[:3, 3]).astype(int)
        found = np.zeros(finding.labels.shape, bool)
        found[tuple(indices.T)] = True
        np.testing.assert_array_equal(found, finding.labels == value)


def test_dcmqi_reads_the_measurements(job: Job, tmp_path: Path) -> None:
    command = [tool("tid1500reader"), "--outputMetadata", str(tmp_path / "read.json")]
    subprocess.run(
        [*command, "--inputDICOM", str(job.path("report.dcm"))], check=True, capture_output=True
    )
    groups = json.loads((tmp_path / "read.json").read_text())["Measurements"]
    right = next(g for g in groups if g["TrackingIdentifier"].endswith("right_lung"))
    assert right["ReferencedSegment"] == 1
    assert right["Laterality"]["CodeMeaning"] == "Right"
    assert [m["value"] for m in right["measurementItems"]] == ["1230", "-820"]
    assert right["segmentationSOPInstanceUID"] == str(
        pydicom.dcmread(job.path("seg-0.dcm")).SOPInstanceUID
    )


def test_dcmqi_reads_the_measurements_of_the_report_by_regions(job: Job, tmp_path: Path) -> None:
    command = [tool("tid1500reader"), "--outputMetadata", str(tmp_path / "read.json")]
    subprocess.run(
        [*command, "--inputDICOM", str(job.path("regions-0.dcm"))], check=True, capture_output=True
    )
    groups = json.loads((tmp_path / "read.json").read_text())["Measurements"]
    found = {group["TrackingIdentifier"].partition(":")[2]: group for group in groups}
    assert list(found) == ["right_lung", "left_lung", "box"]
    assert found["right_lung"]["FindingSite"]["CodeMeaning"] == "Lung"
    assert [m["value"] for m in found["right_lung"]["measurementItems"]] == ["1230", "-820"]
    assert not any("ReferencedSegment" in group for group in groups)


def test_highdicom_reads_the_regions_where_they_are(job: Job) -> None:
    for name in ("report.dcm", "regions-0.dcm"):
        document: Any = hd.sr.srread(job.path(name))
        found = document.content.get_planar_roi_measurement_groups()
        assert [one.tracking_identifier.partition(":")[2] for one in found] == [
            *("right_lung", "left_lung", "box")
        ]
        images = {str(header.SOPInstanceUID) for header in job.source.headers}
        for group in found:
            (selected,) = group.roi.ContentSequence
            assert str(selected.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) in images


def test_dcmtk_prints_the_report_for_a_reader(job: Job) -> None:
    printed = subprocess.run(
        [tool("dsrdump"), "+Pl", str(job.path("report.dcm"))],
        check=True,
        capture_output=True,
        text=True,
    )
    complaints = [line for line in printed.stderr.splitlines() if "VR checker" not in line]
    assert complaints == []  # DCMTK 3.6.7 cannot check values in UTF-8, and says so
    for line in (
        '"Volume")="1230" (mL,UCUM,"mL")',
        '"Comment")="Liver: looked for, not found."',
        '"Comment")="A remark."',
        '"Conclusion")="Found: Right lung (1.2 L, ',
        ". Looked for, not found: Liver.",
    ):
        assert line in printed.stdout


def test_dciodvfy_is_found_where_it_is_installed_and_is_no_script() -> None:
    tool("dciodvfy")
    found = Path(validator.program() or "")
    assert found.read_bytes()[:4] == b"\x7fELF"


def test_without_its_package_dciodvfy_is_found_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dciodvfy").write_bytes(b"\x7fELF")
    (tmp_path / "dciodvfy").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(validator, "find_spec", lambda name: None)
    assert validator.program.__wrapped__() == str(tmp_path / "dciodvfy")
