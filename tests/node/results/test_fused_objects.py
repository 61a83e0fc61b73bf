"""A companion on the grid of the images: its series, registration and blending are read back."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import (
    BlendingSoftcopyPresentationStateStorage,
    PositronEmissionTomographyImageStorage,
    SpatialRegistrationStorage,
)

from analyzers.contract import (
    Blending,
    Code,
    DerivedImage,
    Findings,
    Registration,
    Shades,
)
from node.results.errors import FindingsContradictImages, GateRefused
from node.results.gate import gate
from node.results.modules.origin import companion, volume_of
from node.results.objects import registration
from node.results.write import write_results
from node.series.read import read_series
from node.series.source import Source
from tests.node.results.test_maps_and_colors import PROVENANCE

RESAMPLED = Code("113085", "DCM", "Spatial resampling")
SERIES, FRAME = "1.2.826.0.1.3680043.8.498.7", "1.2.826.0.1.3680043.8.498.8"
PET = {
    "SOPClassUID": PositronEmissionTomographyImageStorage,
    "SeriesInstanceUID": SERIES,
    "FrameOfReferenceUID": FRAME,
    "Modality": "PT",
    "Units": "BQML",
    "CountsSource": "EMISSION",
    "SeriesType": ["STATIC", "IMAGE"],
    "NumberOfSlices": 3,
    "DecayCorrection": "START",
    "FrameReferenceTime": "1000",
    "DecayFactor": "1.1",
    "SeriesDate": "20260101",
    "SeriesTime": "101500",
}


@pytest.fixture(scope="module")
def source(phantom_paths: list[Path]) -> Source:
    """A CT with a PET of every second slice beside it, in another frame of reference."""
    ct = read_series(phantom_paths)
    headers = [deepcopy(ct.headers[frame.header]) for frame in ct.frames[::2]]
    for number, header in enumerate(headers):
        for keyword, value in PET.items():
            setattr(header, keyword, value)
        header.SOPInstanceUID = f"{SERIES}.{number}"
        header.AcquisitionTime = f"1015{number:02d}"
    volume = volume_of(ct)
    affine = volume.affine.copy()
    affine[:3, 0] *= 2
    pet = replace(
        volume,
        stored=volume.stored[::2],
        slope=np.linspace(1, 2, len(headers)),
        intercept=np.zeros(len(headers)),
        affine=affine,
        modality="PT",
    )
    frames = tuple(replace(ct.frames[0], header=number) for number in range(len(headers)))
    return replace(ct, companions={"pet": Source(tuple(headers), frames, pet)})


def shifted(mm: float) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[2, 3] = mm
    return matrix


def uptake(source: Source) -> DerivedImage:
    shape = volume_of(source).shape
    values = np.random.default_rng(3).uniform(0, 5e4, shape).astype(np.float32)
    return DerivedImage(values, "PET on the grid of the CT", RESAMPLED, "", "pet")


def blend(opacity: float = 0.4) -> Blending:
    palette = np.stack([np.arange(256), np.arange(256), np.arange(256)[::-1]], axis=1)
    shades = Shades(-160, 240), Shades(0, 5e4)
    return Blending("pet", palette.astype(np.uint8), opacity, *shades, "PET over CT")


def findings(source: Source, mm: float = 3.0) -> Findings:
    moved = Registration("pet", shifted(mm), "PET to CT")
    return Findings((uptake(source), moved, blend()))


@pytest.fixture(scope="module")
def written(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fused") / "out"
    results = write_results(source, findings(source), PROVENANCE, folder)
    kinds = {one.kind for one in results.objects}
    assert kinds == {"image", "reg", "pr", "record"}
    assert {"Registration", "Presentation state"} <= {row.name for row in results.findings}
    return folder


def test_a_companion_keeps_its_kind_and_units_on_the_grid_of_the_images(
    source: Source, written: Path
) -> None:
    image = uptake(source)
    for index, plane in enumerate(image.values):
        dataset = pydicom.dcmread(written / f"image-0-{index:05d}.dcm")
        header = source.headers[source.frames[index].header]
        assert dataset.SOPClassUID == PositronEmissionTomographyImageStorage
        assert dataset.Units == "BQML"
        assert dataset.FrameOfReferenceUID == header.FrameOfReferenceUID
        assert dataset.ImagePositionPatient == header.ImagePositionPatient
        assert dataset.SourceImageSequence[0].SpatialLocationsPreserved == "NO"
        assert (dataset.NumberOfSlices, dataset.ImageIndex) == (len(image.values), index + 1)
        assert float(dataset.RescaleIntercept) == 0
        back = dataset.pixel_array * float(dataset.RescaleSlope)
        np.testing.assert_allclose(back, plane, atol=float(dataset.RescaleSlope))


def test_a_slice_has_its_acquisition_from_the_nearest_of_the_companion(source: Source) -> None:
    step = float(np.linalg.norm(volume_of(source).affine[:3, 0]))
    assert companion(source, "pet", np.eye(4)).slices[:5:2] == (0, 1, 2)
    moved = companion(source, "pet", shifted(2 * step))
    assert moved.slices[:5:2] == (0, 0, 1)
    assert moved.header(4).AcquisitionTime == "101501"


def test_the_registration_names_both_series_and_the_matrix(source: Source, written: Path) -> None:
    dataset = pydicom.dcmread(written / "registration-0.dcm")
    assert dataset.SOPClassUID == SpatialRegistrationStorage
    own, other = dataset.RegistrationSequence
    assert own.FrameOfReferenceUID == dataset.FrameOfReferenceUID
    assert other.FrameOfReferenceUID == FRAME
    assert len(other.ReferencedImageSequence) == len(source.companions["pet"].headers)
    assert np.array_equal(registration.read_matrix(dataset), shifted(3.0))


def test_the_blending_puts_the_derived_series_above_the_images(
    source: Source, written: Path
) -> None:
    dataset = pydicom.dcmread(written / "blending-0.dcm")
    assert dataset.SOPClassUID == BlendingSoftcopyPresentationStateStorage
    under, above = dataset.BlendingSequence
    assert (under.BlendingPosition, above.BlendingPosition) == ("UNDERLYING", "SUPERIMPOSED")
    image = pydicom.dcmread(written / "image-0-00000.dcm")
    (series,) = above.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == image.SeriesInstanceUID
    assert len(series.ReferencedImageSequence) == len(source.frames)
    assert above.RescaleSlope == image.RescaleSlope
    (window,) = under.SoftcopyVOILUTSequence
    assert (float(window.WindowCenter), float(window.WindowWidth)) == (40, 400)
    assert dataset.RelativeOpacity == pytest.approx(0.4)
    red = np.frombuffer(dataset.RedPaletteColorLookupTableData, np.uint8)
    assert np.array_equal(red, blend().palette[:, 0])


def test_the_report_rests_on_both_series(source: Source, written: Path) -> None:
    report = pydicom.dcmread(written / "report.dcm")
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    listed = {series.SeriesInstanceUID for series in study.ReferencedSeriesSequence}
    assert {SERIES, source.headers[0].SeriesInstanceUID} <= listed


def test_the_same_findings_give_the_same_bytes(
    source: Source, written: Path, tmp_path: Path
) -> None:
    write_results(source, findings(source), PROVENANCE, tmp_path / "again")
    for name in ("blending-0.dcm", "registration-0.dcm", "image-0-00003.dcm"):
        assert (tmp_path / "again" / name).read_bytes() == (written / name).read_bytes()


def test_no_blending_where_the_rescale_changes_from_slice_to_slice(
    source: Source, tmp_path: Path
) -> None:
    volume = volume_of(source)
    uneven = replace(volume, slope=np.linspace(1, 2, len(volume.slope)))
    results = write_results(
        replace(source, volume=uneven), findings(source), PROVENANCE, tmp_path / "out"
    )
    assert "pr" not in {one.kind for one in results.objects}
    assert any("No blending presentation state" in remark for remark in results.remarks)
    report = pydicom.dcmread(tmp_path / "out" / "report.dcm").to_json()
    assert "rescale of the images changes" in report
    assert "Presentation states were made" not in report


def broken(source: Source) -> list[Findings]:
    sheared = shifted(0.0)
    sheared[0, 1] = 0.1
    return [
        Findings((Registration("mr", np.eye(4), "no such companion"),)),
        Findings((Registration("pet", sheared, "not rigid"),)),
        Findings((replace(uptake(source), role="mr"),)),
        Findings((blend(),)),
        Findings((uptake(source), blend(1.5))),
    ]


@pytest.mark.parametrize("case", range(5))
def test_what_breaks_the_contract_is_refused(source: Source, tmp_path: Path, case: int) -> None:
    with pytest.raises(FindingsContradictImages):
        write_results(source, broken(source)[case], PROVENANCE, tmp_path / "out")


def test_the_gate_refuses_another_matrix(written: Path) -> None:
    with pytest.raises(GateRefused, match="matrix"):
        gate.check_registration(
            written / "registration-0.dcm", Registration("pet", shifted(3.1), "PET to CT")
        )
