"""Radiographs become volumes of one slice, brighter is denser; what a header says of the person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

from analyzers.contract import InputContract, NotApplicable
from node.series.examined import subject
from node.series.geometry import SeveralRadiographs
from node.series.read import read_series
from node.series.uptake import suv_factor


def radiograph(path: Path, pixels: NDArray[np.uint16], **attributes: object) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = generate_uid()
    dataset.Modality = "CR"
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.SamplesPerPixel = 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4) * 300


def test_a_radiograph_is_one_slice_with_its_pixel_spacing(tmp_path: Path) -> None:
    path = radiograph(tmp_path / "a.dcm", PIXELS, ImagerPixelSpacing=[0.2, 0.3], PatientAge="061Y")
    volume = read_series([path]).volume
    assert volume is not None
    assert volume.projection
    assert volume.shape == (1, 3, 4)
    assert volume.spacing_mm.tolist() == pytest.approx([1.0, 0.2, 0.3])
    assert np.array_equal(volume.values()[0], PIXELS)
    assert volume.subject.age_years == 61
    assert volume.facts is not None
    assert volume.facts.modality == "CR"
    assert InputContract(modalities=frozenset({"CR"})).refusals(volume.facts) == ()


def test_a_contract_asks_for_view_and_age_where_the_header_gives_them(tmp_path: Path) -> None:
    contract = InputContract(
        modalities=frozenset({"CR"}), views=frozenset({"AP", "PA"}), youngest_years=18
    )

    def refused(**header: object) -> str:
        volume = read_series([radiograph(tmp_path / "a.dcm", PIXELS, **header)]).volume
        assert volume is not None
        assert volume.facts is not None
        try:
            contract.require_age(volume)
        except NotApplicable as error:
            return str(error)
        return "; ".join(contract.refusals(volume.facts))

    assert refused() == ""
    assert refused(ViewPosition="PA", PatientAge="018Y") == ""
    assert refused(ViewPosition="LL") == "its view is LL, AP or PA is needed"
    assert refused(ViewPosition="DOE JANE") == "its view is another, AP or PA is needed"
    assert refused(PatientAge="009M").startswith("The person was younger than 18 years")
    born = {"PatientBirthDate": "20100501", "StudyDate": "20240101"}
    assert refused(**born).startswith("The person was younger than 18 years")
    assert refused(**born | {"StudyDate": "20280601"}) == ""


def test_where_rows_and_columns_run_to_is_known_of_what_was_read(tmp_path: Path) -> None:
    path = radiograph(tmp_path / "a.dcm", PIXELS, PatientOrientation=["L", "F"])
    volume = read_series([path]).volume
    assert volume is not None
    assert volume.facts is not None
    assert volume.facts.orientation == ("L", "F")


def test_monochrome1_is_turned_over(tmp_path: Path) -> None:
    path = radiograph(tmp_path / "a.dcm", PIXELS, PhotometricInterpretation="MONOCHROME1")
    volume = read_series([path]).volume
    assert volume is not None
    assert np.array_equal(volume.values()[0], 4095.0 - PIXELS)


def test_two_radiographs_of_one_series_are_refused_by_name(tmp_path: Path) -> None:
    paths = [radiograph(tmp_path / f"{name}.dcm", PIXELS) for name in "ab"]
    with pytest.raises(SeveralRadiographs, match="2 radiographs"):
        read_series(paths)


def test_a_real_digital_radiograph_is_read(test_data: Path) -> None:
    volume = read_series([test_data / "studies/highdicom_testfiles/dx_image.dcm"]).volume
    assert volume is not None
    assert volume.projection
    assert volume.shape[0] == 1


@pytest.mark.parametrize(
    ("given", "years"),
    [
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientAge": "070Y", "PatientBirthDate": "20000101"}, 70),
        ({"PatientBirthDate": "19600701", "StudyDate": "20200701"}, 60.0),
        ({"PatientBirthDate": "20210701", "StudyDate": "20200701"}, None),
        ({}, None),
    ],
)
def test_the_age_is_stated_or_counted(given: dict[str, str], years: float | None) -> None:
    header = Dataset()
    for keyword, value in given.items():
        setattr(header, keyword, value)
    found = subject(header).age_years
    assert found == (None if years is None else pytest.approx(years, abs=0.01))


def pet(**attributes: object) -> Dataset:
    header = Dataset()
    header.Units = "BQML"
    header.CorrectedImage = ["ATTN", "DECY"]
    header.DecayCorrection = "START"
    header.PatientWeight = 70.0
    header.SeriesDate = header.AcquisitionDate = "20200102"
    header.SeriesTime = header.AcquisitionTime = "110000"
    isotope = Dataset()
    isotope.RadionuclideTotalDose = 350e6
    isotope.RadionuclideHalfLife = 6600.0
    isotope.RadiopharmaceuticalStartTime = "100000"
    for keyword, value in attributes.items():
        setattr(isotope if keyword.startswith("Radio") else header, keyword, value)
    header.RadiopharmaceuticalInformationSequence = [isotope]
    return header


def test_the_dose_is_decayed_to_the_start_of_the_scan() -> None:
    expected = 70_000 / (350e6 * 2 ** (-3600 / 6600))
    assert suv_factor([pet()]) == pytest.approx(expected)
    assert suv_factor([pet(DecayCorrection="ADMIN")]) == pytest.approx(70_000 / 350e6)
    assert suv_factor([pet(Units="GML")]) == 1.0


def test_an_injection_before_midnight_and_a_series_written_later_are_understood() -> None:
    night = pet(SeriesTime="003000", AcquisitionTime="003000")
    night.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime = "233000"
    assert suv_factor([night]) == pytest.approx(suv_factor([pet()]) or 0)
    assert suv_factor([pet(SeriesTime="150000")]) == pytest.approx(suv_factor([pet()]) or 0)


@pytest.mark.parametrize(
    "change",
    [
        {"Units": "CNTS"},
        {"Units": "GML", "SUVType": "LBM"},
        {"CorrectedImage": ["ATTN"]},
        {"PatientWeight": 0},
        {"DecayCorrection": "NONE"},
        {"RadionuclideTotalDose": 0},
        {"RadiopharmaceuticalStartTime": ""},
    ],
)
def test_what_a_header_lacks_leaves_no_factor(change: dict[str, object]) -> None:
    assert suv_factor([pet(**change)]) is None
