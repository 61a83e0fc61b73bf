"""Series from real scanners: volumes where they are volumes, and the right name where not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from node.series.geometry import (
    GantryTilt,
    NonlinearValues,
    NoPixels,
    NotGreyscale,
    SeveralVolumes,
    UnsupportedSeries,
)
from node.series.read import read_series

VOLUMES = {
    "ct_crlm_1004": ((41, 512, 512), "[hnsf'U]", 5.0),
    "ct_lidc_idri_0314": ((160, 512, 512), "[hnsf'U]", 1.0),
    "ct_totalseg_j2k/dicom": ((20, 512, 512), "[hnsf'U]", 2.0),
    "longitudinal_cmbcrc_06489/SCAN_001/adc": ((36, 288, 256), None, 7.0),
    "longitudinal_cmbcrc_06489/SCAN_001/t2": ((33, 512, 584), None, 8.0),
    "longitudinal_cmbcrc_06489/SCAN_002/adc": ((45, 288, 256), None, 6.0),
    "longitudinal_cmbcrc_06489/SCAN_002/t2": ((37, 512, 536), None, 8.0),
    "mr_head_pddl": ((384, 384, 274), None, 2 / 3),
    "mr_hippocrop/Study1": ((32, 51, 35), None, 1.0),
    "mr_hippocrop/Study2": ((35, 48, 36), None, 1.0),
    "mr_hippocrop/Study3": ((40, 50, 34), None, 1.0),
    "petctmr_STS_001/CT/image": ((59, 202, 198), "[hnsf'U]", 3.27),
    "petctmr_STS_001/MR_T1/image": ((59, 158, 174), None, 3.27),
    "petctmr_STS_001/PET/image": ((59, 43, 41), "g/ml", 3.27),
    "petctmr_STS_002/PET/image": ((48, 27, 30), "g/ml", 3.27),
    "petctmr_STS_003/PET/image": ((51, 30, 29), "g/ml", 3.27),
    "petctmr_STS_025/PET/image": ((47, 34, 37), "g/ml", 3.27),
    "seg_dcmqi/24x38x3/image": ((3, 38, 24), None, 2.5),
    "seg_dcmqi/24x38x3/multiframe": ((3, 38, 24), None, 2.5),
}

REFUSALS = {
    "ct_head_gantrytilt_ge/*": (GantryTilt(18.5), "18.5 degrees"),
    "mr_breast_ucsf06/dce/*": (SeveralVolumes(3, 60), "3 volumes of 60 slices"),
    "petctmr_STS_001/CT/rtstruct/*": (NoPixels(1), "no images"),
    "mr_breast_ucsf06/seg/*": (NoPixels(1), "no images"),
    "sr_dcmqi/*": (NoPixels(1), "no images"),
    "pydicom_data_store/mlut_18.dcm": (NonlinearValues(), "Modality LUT"),
    "pydicom_data_store/OBXXXX1A.dcm": (NotGreyscale("PALETTE COLOR"), "PALETTE COLOR"),
}


def images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix != ".json" and path.is_file())


def dicom_files(folder: Path) -> list[Path]:
    return [path for path in images(folder) if path.read_bytes()[128:132] == b"DICM"]


@pytest.mark.parametrize("folder", VOLUMES)
def test_a_series_from_a_scanner_is_a_volume(folder: str, test_data: Path) -> None:
    shape, units, spacing_mm = VOLUMES[folder]
    source = read_series(dicom_files(test_data / "studies" / folder))
    volume = source.volume
    assert volume is not None
    assert volume.shape == shape
    assert (volume.units and volume.units.value) == units
    assert volume.spacing_mm[0] == pytest.approx(spacing_mm, abs=1e-4)
    assert len(source.frames) == shape[0]


@pytest.mark.parametrize(
    "folder", ["ct_lidc_idri_0314", "mr_head_pddl", "petctmr_STS_001/PET/image"]
)
def test_every_slice_has_the_values_and_the_place_of_its_own_file(
    folder: str, test_data: Path
) -> None:
    source = read_series(dicom_files(test_data / "studies" / folder)[::-1])
    volume = source.volume
    assert volume is not None
    values = volume.values(np.float64)
    for index in range(0, volume.shape[0], 20):
        image = pydicom.dcmread(source.headers[index].filename)
        rescaled = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
        np.testing.assert_allclose(values[index], rescaled)
        corner = (volume.affine @ [index, 0, 0, 1])[:3]
        np.testing.assert_allclose(corner, np.array(image.ImagePositionPatient, float), atol=0.01)


@pytest.mark.parametrize("pattern", REFUSALS)
def test_what_is_no_volume_is_refused_by_name(pattern: str, test_data: Path) -> None:
    expected, words = REFUSALS[pattern]
    found = sorted((test_data / "studies").glob(pattern))
    if not found:
        pytest.skip(f"{pattern} is not in this copy of the real images")
    with pytest.raises(UnsupportedSeries, match=words) as raised:
        read_series([path for path in found if path.read_bytes()[128:132] == b"DICM"])
    assert type(raised.value) is type(expected)


def test_a_philips_enhanced_mr_with_two_kinds_of_image_is_several_volumes(test_data: Path) -> None:
    refused = []
    for path in dicom_files(test_data / "studies" / "mr_enhanced"):
        try:
            read_series([path])
        except SeveralVolumes as error:
            refused.append((error.volumes, error.slices))
    assert (2, 32) in refused
