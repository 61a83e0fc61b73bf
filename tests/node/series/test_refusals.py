"""What is no volume is refused by name, with numbers and without patient data."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.demo.ct_files import CtFiles
from node.demo.phantom import ACQUISITIONS, ChestPhantom
from node.series import read as series_module
from node.series.geometry import (
    DuplicateSlices,
    GantryTilt,
    IrregularSpacing,
    MissingSlices,
    MixedFramesOfReference,
    MixedGrids,
    MixedOrientations,
    NoGeometry,
    NonlinearValues,
    NoPixels,
    NotGreyscale,
    SeveralVolumes,
    ShiftedSlices,
    TooLarge,
    UndecodablePixels,
    UnreadableHeader,
    UnsupportedSeries,
)
from node.series.read import read_series

Change = Callable[[Dataset], None]


def refusal(paths: list[Path]) -> UnsupportedSeries:
    with pytest.raises(UnsupportedSeries) as raised:
        read_series(paths)
    assert "Phantom" not in str(raised.value)
    assert "PHANTOM" not in str(raised.value)
    return raised.value


def written(folder: Path, **options: Any) -> list[Path]:
    return ChestPhantom.small().write(folder, CtFiles(**options))


def changed(paths: list[Path], folder: Path, change: Change, which: int = 3) -> list[Path]:
    """The first eight images, one of them changed."""
    image = pydicom.dcmread(paths[which])
    change(image)
    image.save_as(folder / "changed.dcm")
    return [path for i, path in enumerate(paths[:8]) if i != which] + [folder / "changed.dcm"]


def test_missing_slices_are_counted(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, missing=(5, 6, 20)))
    assert isinstance(error, MissingSlices)
    assert (error.missing, error.gaps) == (3, 2)
    assert error.spacing_mm == pytest.approx(10)
    assert "3 slices are missing in 2 gaps" in str(error)


def test_missing_slices_of_an_enhanced_image_are_counted(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, missing=(9,), multiframe=True))
    assert isinstance(error, MissingSlices)
    assert error.missing == 1


def test_duplicate_slices_are_counted(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, duplicated=(4, 17)))
    assert isinstance(error, DuplicateSlices)
    assert error.duplicates == 2


def test_irregular_spacing_is_measured(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, shift_mm=3.7))
    assert isinstance(error, IrregularSpacing)
    assert error.least_mm == pytest.approx(10)
    assert error.most_mm == pytest.approx(13.7)


@pytest.mark.parametrize("degrees", [-20.0, 2.0, 12.5])
def test_a_tilted_gantry_is_measured(degrees: float, tmp_path: Path) -> None:
    phantom = ChestPhantom(
        shape=(30, 64, 48), spacing_mm=(10.0, 6.0, 8.0), gantry_tilt_degrees=degrees
    )
    error = refusal(phantom.write(tmp_path))
    assert isinstance(error, GantryTilt)
    assert error.degrees == pytest.approx(abs(degrees), abs=0.05)


def test_several_volumes_in_one_series_are_counted(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, duplicated=tuple(range(30)) * 2))
    assert isinstance(error, SeveralVolumes)
    assert (error.volumes, error.slices) == (3, 30)


def test_a_localizer_among_the_slices_is_another_orientation(tmp_path: Path) -> None:
    axial = ChestPhantom.small().write(tmp_path / "axial")
    coronal = ChestPhantom(
        shape=(48, 48, 48), spacing_mm=(8, 8, 8), acquisition=ACQUISITIONS["coronal"]
    )
    square = ChestPhantom(shape=(48, 48, 48), spacing_mm=(8, 8, 8))
    paths = square.write(tmp_path / "square") + coronal.write(tmp_path / "coronal")[:1]
    for path in paths:
        image = pydicom.dcmread(path)
        image.FrameOfReferenceUID = pydicom.dcmread(axial[0]).FrameOfReferenceUID
        image.save_as(path)
    error = refusal(paths)
    assert isinstance(error, MixedOrientations)
    assert error.orientations == 2


def test_slices_shifted_within_their_plane_are_refused(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    def shift(image: Dataset) -> None:
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x + 9, y, z]

    error = refusal(changed(phantom_paths, tmp_path, shift))
    assert isinstance(error, ShiftedSlices)
    assert error.shift_mm == pytest.approx(9, abs=0.1)


def set_to(keyword: str, value: object) -> Change:
    return lambda image: setattr(image, keyword, value)


def without(keyword: str) -> Change:
    return lambda image: delattr(image, keyword)


def test_other_pixel_spacing_is_another_grid(phantom_paths: list[Path], tmp_path: Path) -> None:
    error = refusal(changed(phantom_paths, tmp_path, set_to("PixelSpacing", ["6", "8.1"])))
    assert isinstance(error, MixedGrids)
    assert error.attribute == "Pixel Spacing"


def test_another_matrix_is_another_grid(phantom_paths: list[Path], tmp_path: Path) -> None:
    error = refusal(changed(phantom_paths, tmp_path, set_to("Rows", 32)))
    assert isinstance(error, MixedGrids)
    assert error.attribute == "Rows and Columns"


def test_another_frame_of_reference_is_refused(phantom_paths: list[Path], tmp_path: Path) -> None:
    error = refusal(changed(phantom_paths, tmp_path, set_to("FrameOfReferenceUID", "2.25.1")))
    assert isinstance(error, MixedFramesOfReference)
    assert error.frames_of_reference == 2


@pytest.mark.parametrize(
    "change",
    [
        without("ImagePositionPatient"),
        without("ImageOrientationPatient"),
        without("PixelSpacing"),
        set_to("ImagePositionPatient", ["1", "2"]),
        set_to("ImageOrientationPatient", ["1", "0", "0", "1", "0", "0"]),
        set_to("ImageOrientationPatient", ["2", "0", "0", "0", "1", "0"]),
        set_to("PixelSpacing", ["0", "0"]),
    ],
    ids=["no position", "no orientation", "no spacing", "2-D", "parallel", "long", "zero spacing"],
)
def test_an_image_without_a_place_in_the_patient_is_refused(
    change: Change, phantom_paths: list[Path], tmp_path: Path
) -> None:
    assert isinstance(refusal(changed(phantom_paths, tmp_path, change)), NoGeometry)


def test_a_single_slice_of_unknown_thickness_has_no_depth(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    paths = changed(phantom_paths, tmp_path, without("SliceThickness"))
    assert isinstance(refusal(paths[-1:]), NoGeometry)


def test_colour_is_not_greyscale(phantom_paths: list[Path], tmp_path: Path) -> None:
    paths = changed(phantom_paths, tmp_path, set_to("PhotometricInterpretation", "RGB"))
    error = refusal(paths)
    assert isinstance(error, NotGreyscale)
    assert error.photometric_interpretation == "RGB"


def test_a_modality_lut_is_not_linear(phantom_paths: list[Path], tmp_path: Path) -> None:
    paths = changed(phantom_paths, tmp_path, set_to("ModalityLUTSequence", Sequence([Dataset()])))
    assert isinstance(refusal(paths), NonlinearValues)


def test_a_report_among_the_images_is_no_image(phantom_paths: list[Path], tmp_path: Path) -> None:
    def strip(image: Dataset) -> None:
        for element in list(image.group_dataset(0x0028)):
            del image[element.tag]
        del image.PixelData

    error = refusal(changed(phantom_paths, tmp_path, strip))
    assert isinstance(error, NoPixels)
    assert error.objects == 1


def test_no_files_are_no_series() -> None:
    assert isinstance(refusal([]), NoPixels)


def test_a_file_that_is_not_dicom_is_named_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not an image " * 20)
    assert isinstance(refusal([path]), UnreadableHeader)


def test_numbers_that_are_none_are_an_unreadable_header(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    data = phantom_paths[3].read_bytes()
    path = tmp_path / "damaged.dcm"
    position = data.index(struct.pack("<HH", 0x0020, 0x0032)) + 8
    path.write_bytes(data[:position] + b"x" + data[position + 1 :])
    assert isinstance(refusal([*phantom_paths[:3], path]), UnreadableHeader)


@pytest.mark.parametrize("cut", [1, 1000, 6144])
def test_pixel_data_cut_short_are_undecodable(
    cut: int, phantom_paths: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "cut.dcm"
    path.write_bytes(phantom_paths[3].read_bytes()[:-cut])
    assert isinstance(refusal([*phantom_paths[:3], path]), UndecodablePixels)


@pytest.mark.parametrize(
    "syntax", [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless], ids=lambda s: s.name
)
def test_compressed_pixel_data_cut_short_are_undecodable(
    syntax: uid.UID, phantom: ChestPhantom, tmp_path: Path
) -> None:
    path = phantom.write(tmp_path, CtFiles(transfer_syntax=syntax))[0]
    data = path.read_bytes()
    path.write_bytes(data[: -len(data) // 3])
    assert isinstance(refusal([path]), UndecodablePixels)


def test_less_pixel_data_than_announced_are_undecodable(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "short.dcm"
    image = pydicom.dcmread(phantom_paths[0])
    image.PixelData = image.PixelData[:-100]
    image.save_as(path)
    assert isinstance(refusal([path]), UndecodablePixels)


def test_an_image_without_its_pixels_is_undecodable(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    error = refusal(changed(phantom_paths, tmp_path, without("PixelData")))
    assert isinstance(error, UndecodablePixels)


def test_more_pixels_than_a_volume_may_have_are_refused_before_memory_is_taken(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "bomb.dcm"
    image = pydicom.dcmread(phantom_paths[0])
    image.NumberOfFrames, image.Rows, image.Columns = 2_000_000, 65535, 65535
    image.save_as(path)
    error = refusal([path])
    assert isinstance(error, TooLarge)
    assert error.max_pixels == series_module.MAX_PIXELS


def test_every_refusal_survives_the_way_between_processes() -> None:
    refusals = [
        MissingSlices(3, 2, 1.25),
        GantryTilt(12.5),
        SeveralVolumes(3, 60),
        MixedGrids("Pixel Spacing", 2),
        NonlinearValues(),
        UnsupportedSeries("the series has no pixels"),
    ]
    for error in refusals:
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_the_grid_is_checked_before_a_pixel_is_read(tmp_path: Path) -> None:
    paths = written(tmp_path, missing=(5,))
    for path in paths:
        path.write_bytes(path.read_bytes()[:-500])
    assert isinstance(refusal(paths), MissingSlices)
