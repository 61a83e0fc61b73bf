"""What is copied from the images is never the node's to be judged by; what is its own always is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from analyzers.contract import ColorImage, DerivedImage, Findings
from node.results import prepared
from node.results.errors import GateRefused
from node.results.gate import gate, validator
from node.results.objects import seg
from node.results.write import write_notice, write_results
from node.series.source import Source
from tests.node.results.sources import BLUR, FIRST, PROVENANCE, ct_source, lungs

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(validator.program() is None, reason="dciodvfy is not installed"),
]


@pytest.fixture(autouse=True)
def odd_values_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    for mode in ("reading_validation_mode", "writing_validation_mode"):
        monkeypatch.setattr(pydicom.config.settings, mode, pydicom.config.IGNORE)


def with_uids(root: str) -> Source:
    """Images whose every UID begins with ``root``."""
    source = ct_source(
        StudyInstanceUID=f"{root}.1", SeriesInstanceUID=f"{root}.2", FrameOfReferenceUID=root
    )
    for index, header in enumerate(source.headers):
        header.SOPInstanceUID = f"{root}.3.{index}"
    return source


def findings(source: Source) -> Findings:
    assert source.volume is not None
    image = DerivedImage(source.volume.values() * 0.9, "Darker", BLUR)
    grey = (source.volume.stored // 8).astype("uint8")
    color = ColorImage(grey[..., None].repeat(3, axis=3), "Shown", BLUR)
    return Findings((lungs(), image, color))


@pytest.mark.parametrize(
    "root", ["999.999", "1.113654", "4.5.6", "3.1", "2.7.1", "0.5", "1.4.5", "1.2.0003"]
)
def test_results_leave_whatever_roots_the_uids_of_the_images_have(
    root: str, tmp_path: Path
) -> None:
    source = with_uids(root)
    results = write_results(source, findings(source), PROVENANCE, tmp_path / "job")
    assert {item.kind for item in results.objects} == {"seg", "image", "sr"}
    report = pydicom.dcmread(tmp_path / "job" / "report.dcm")
    assert report.StudyInstanceUID == f"{root}.1"


@pytest.mark.parametrize("verdict", ["failed", "not applicable"])
@pytest.mark.parametrize("root", ["999.999", "1.113654", "4.5.6"])
def test_a_notice_leaves_whatever_roots_the_uids_of_the_images_have(
    root: str, verdict: str, tmp_path: Path
) -> None:
    results = write_notice(with_uids(root), verdict, ["why"], PROVENANCE, tmp_path / "job")
    assert [item.kind for item in results.objects] == ["sr"]


ODD: dict[str, dict[str, Any]] = {
    "sex in words": {"PatientSex": "male"},
    "age without a unit": {"PatientAge": "47"},
    "description of 80 characters": {"StudyDescription": "x" * 80},
    "side that is none": {"Laterality": "Q"},
    "date that is none": {"StudyDate": "20201345"},
    "trial without its protocol": {"ClinicalTrialSponsorName": "Sponsor"},
    "rescale of another type": {"RescaleType": "hounsfield"},
    "position that is none": {"PatientPosition": "LYING"},
    "compression without its method": {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": 10,
    },
    "compression of neither kind": {"LossyImageCompression": "XX"},
    "window function that is none": {"VOILUTFunction": "STEEP"},
    "route without its meaning": {"ContrastBolusRoute": "r" * 70},
}


@pytest.mark.parametrize("odd", list(ODD))
def test_results_leave_whatever_values_are_copied(odd: str, tmp_path: Path) -> None:
    source = ct_source(**ODD[odd])
    assert write_results(source, findings(source), PROVENANCE, tmp_path / "job").objects
    assert write_notice(source, "failed", ["why"], PROVENANCE, tmp_path / "notice").objects


def test_results_leave_with_the_incomplete_items_of_the_images(tmp_path: Path) -> None:
    source = ct_source()
    for header in source.headers:
        header.OtherPatientIDsSequence = [Dataset()]
        header.OtherPatientIDsSequence[0].PatientID = ""
        code = Dataset()
        code.CodeValue = "1"
        maker = Dataset()
        maker.Manufacturer, maker.DeviceUID = "A maker", "3.9"
        maker.PurposeOfReferenceCodeSequence = [code]
        header.ContributingEquipmentSequence = [maker]
    assert write_results(source, findings(source), PROVENANCE, tmp_path / "job").objects


# --- what is ours --------------------------------------------------------------------------------


def _type(dataset: Any) -> None:
    dataset.SegmentationType = "SECRET"


def _uid(dataset: Any) -> None:
    dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID = "3.9"


def _reference(dataset: Any) -> None:
    dataset.SourceImageSequence[0].ReferencedSOPInstanceUID = "999.999.77"


def _tracking(dataset: Any) -> None:
    dataset.SegmentSequence[0].TrackingUID = "4.5.7"


def _image_type(dataset: Any) -> None:
    dataset.ImageType = ["COPIED", "PRIMARY"]


def _equipment(dataset: Any) -> None:
    dataset.ContributingEquipmentSequence[-1].DeviceUID = "3.9"


@pytest.mark.parametrize("change", [_type, _uid, _reference, _tracking, _image_type, _equipment])
@pytest.mark.parametrize("root", ["2.25.7", "999.999"])
def test_what_the_node_writes_itself_is_judged_as_ever(
    root: str, change: Callable[[Any], None], tmp_path: Path
) -> None:
    source = with_uids(root)
    for header in source.headers:
        header.ImageType = ["COPIED", "PRIMARY"]
    with (tmp_path / "seg.dcm").open("wb") as file:
        prepared.write(file, seg.build(source, lungs(), PROVENANCE, FIRST))
    dataset = pydicom.dcmread(tmp_path / "seg.dcm")
    gate.check_required(tmp_path / "seg.dcm", source)
    change(dataset)
    pydicom.dcmwrite(tmp_path / "seg.dcm", dataset, enforce_file_format=True)
    with pytest.raises(GateRefused, match="dciodvfy"):
        gate.check_required(tmp_path / "seg.dcm", source)
