"""The phantom is what it says it is: anatomy, volumes, sides, valid files, the same every time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cc3d
import numpy as np
import pydicom
import pytest
from pydicom import uid

from analyzers.contract import NoParameters, Segmentation, Volume
from analyzers.segmentation.bones import BoneSegmentation
from node.demo.ct_files import CtFiles, CtSeries
from node.demo.phantom import ACQUISITIONS, ChestPhantom

DCIODVFY = shutil.which("dciodvfy", path=str(Path(sys.executable).parent))


@pytest.fixture(scope="module")
def fine() -> ChestPhantom:
    """Fine enough for small structures to be whole."""
    return ChestPhantom(shape=(100, 128, 128), spacing_mm=(3.0, 3.0, 3.0))


def test_the_right_lung_is_the_larger_one_and_both_have_the_size_of_lungs(
    fine: ChestPhantom,
) -> None:
    truth = fine.truth
    assert 1500 < truth.left_lung_ml < truth.right_lung_ml - 200 < 3000


def test_volumes_do_not_depend_on_how_the_patient_was_imaged(fine: ChestPhantom) -> None:
    for name in ("prone", "coronal", "sagittal", "oblique"):
        other = replace(fine, acquisition=ACQUISITIONS[name]).truth
        for organ in ("right_lung", "left_lung", "heart", "emphysema"):
            assert other.volumes_ml[organ] == pytest.approx(
                fine.truth.volumes_ml[organ], rel=0.03
            ), (name, organ)


def test_the_pocket_of_emphysema_is_all_that_lies_below_the_threshold(
    fine: ChestPhantom,
) -> None:
    truth = fine.truth
    lungs = truth.right_lung_ml + truth.left_lung_ml
    expected = 100 * truth.volumes_ml["emphysema"] / lungs
    assert truth.emphysema_percent["lungs"] == pytest.approx(expected, rel=0.01)
    assert truth.emphysema_percent["left_lung"] < 0.01
    healthy = replace(fine, emphysema_mm=0).truth
    assert healthy.emphysema_percent["lungs"] < 0.01


def test_tissues_have_the_hounsfield_units_of_textbooks(fine: ChestPhantom) -> None:
    mean = fine.truth.mean_hu
    assert -880 < mean["left_lung"] < -780
    assert mean["airways"] < -980
    assert 30 < mean["heart"] < 50 < mean["liver"] < 70 < 300 < mean["bone"]


def test_the_lower_side_of_the_lungs_is_the_denser_one(fine: ChestPhantom) -> None:
    for name, sign in (("supine", 1), ("prone", -1)):
        truth = replace(fine, acquisition=ACQUISITIONS[name], emphysema_mm=0).truth
        places = np.argwhere(truth.masks["left_lung"] & (truth.hu < -700))
        y = (truth.affine @ np.c_[places, np.ones(len(places))].T)[1]
        hu = truth.hu[tuple(places.T)]
        back, front = hu[y > np.median(y)].mean(), hu[y < np.median(y)].mean()
        assert sign * (back - front) > 15, name


def test_trachea_and_lungs_are_one_space_of_air_apart_from_the_gas_in_the_stomach(
    fine: ChestPhantom,
) -> None:
    truth = fine.truth
    air = (truth.hu < -500) & truth.masks["body"]
    labels = cc3d.connected_components(air, connectivity=6)
    inside = {
        name: int(np.bincount(labels[truth.masks[name] & air]).argmax())
        for name in ("right_lung", "left_lung", "airways", "stomach")
    }
    assert inside["right_lung"] == inside["left_lung"] == inside["airways"]
    assert inside["stomach"] not in (0, inside["airways"])


def test_masks_of_organs_do_not_overlap(fine: ChestPhantom) -> None:
    organs = ("right_lung", "left_lung", "airways", "bone", "heart", "aorta", "liver", "table")
    total = np.sum([fine.truth.masks[name] for name in organs], axis=0)
    assert total.max() == 1


def test_the_same_phantom_gives_the_same_files(phantom_paths: list[Path], tmp_path: Path) -> None:
    again = ChestPhantom.small().write(tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in phantom_paths]


def test_another_phantom_has_other_uids_and_another_study_has_them_all(
    phantom: ChestPhantom, phantom_paths: list[Path], tmp_path: Path
) -> None:
    mine = pydicom.dcmread(phantom_paths[0])
    seed = pydicom.dcmread(replace(phantom, seed=5).write(tmp_path / "a")[0])
    series = replace(phantom, series=CtSeries(study="2"))
    study = pydicom.dcmread(series.write(tmp_path / "b")[0])
    assert seed.StudyInstanceUID == mine.StudyInstanceUID != study.StudyInstanceUID
    assert len({image.SeriesInstanceUID for image in (mine, seed, study)}) == 3
    assert len({image.SOPInstanceUID for image in (mine, seed, study)}) == 3


def test_the_patient_is_plainly_synthetic(phantom_paths: list[Path]) -> None:
    image = pydicom.dcmread(phantom_paths[0])
    assert (image.PatientName, image.PatientID) == ("Phantom^Chest", "PHANTOM")


VARIANTS = {
    "unsigned": CtFiles(),
    "signed": CtFiles(signed=True),
    "implicit": CtFiles(transfer_syntax=uid.ImplicitVRLittleEndian),
    "RLE": CtFiles(transfer_syntax=uid.RLELossless),
    "JPEG-LS": CtFiles(transfer_syntax=uid.JPEGLSLossless),
    "JPEG 2000": CtFiles(transfer_syntax=uid.JPEG2000Lossless),
    "Enhanced": CtFiles(multiframe=True),
}


@pytest.mark.interop
@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["supine", "oblique", "decubitus right"])
def test_dciodvfy_finds_no_error_in_the_files(variant: str, name: str, tmp_path: Path) -> None:
    paths = ChestPhantom.small(ACQUISITIONS[name]).write(tmp_path, VARIANTS[variant])
    for path in paths[::10]:
        run = subprocess.run([str(DCIODVFY), "-new", path], capture_output=True, text=True)
        said = run.stdout + run.stderr
        assert "Error" not in said, said
        assert "CTImage" in said


def test_one_instance_has_one_uid(phantom_paths: list[Path], tmp_path: Path) -> None:
    doubled = ChestPhantom.small().write(tmp_path, CtFiles(duplicated=(3,)))
    for paths in (phantom_paths, doubled):
        images = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
        assert len({image.SOPInstanceUID for image in images}) == len(paths)
        assert all(
            image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID for image in images
        )


def test_the_bone_of_the_demo_measures_what_its_truth_says() -> None:
    phantom = ChestPhantom()
    truth, slices = phantom.truth, phantom.grid_shape[0]
    volume = Volume(truth.hu, phantom.affine, "CT", np.ones(slices), np.zeros(slices))
    (found,) = BoneSegmentation("cpu").analyze(volume, NoParameters()).items
    assert isinstance(found, Segmentation)
    measured = found.segments[0].measurements[0]
    assert measured.unit.value == "mL"
    assert measured.value == pytest.approx(truth.volumes_ml["bone"], rel=0.02)
    assert not (truth.masks["bone"] & truth.masks["discs"]).any()
