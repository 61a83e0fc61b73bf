"""Volumes from phantoms whose anatomy is known: place, order, values, formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import encapsulate

from analyzers.codes import HOUNSFIELD_UNIT
from analyzers.contract import Volume
from node.demo.ct_files import CtFiles
from node.demo.phantom import ACQUISITIONS, ANATOMY_ORIGIN_MM, ChestPhantom
from node.series.geometry import SeveralVolumes, UndecodablePixels
from node.series.read import read_headers, read_series
from node.series.source import Frame

LANDMARKS = {
    "pocket of emphysema in the right upper lobe": ((-80, 5, 75), -1030, -940),
    "healthy lung at the same place on the left": ((80, 5, 75), -930, 100),
    "heart on the left": ((30, -30, -45), 0, 80),
    "lung at the same place on the right": ((-40, -30, -45), -930, -700),
    "liver below the right lung": ((-80, 0, -110), 10, 110),
    "air in front of the chest": ((0, -160, 0), -1024, -940),
    "table behind the chest": ((0, 118, 0), -700, -600),
}

SYNTAXES = {
    "explicit": uid.ExplicitVRLittleEndian,
    "implicit": uid.ImplicitVRLittleEndian,
    "big endian": uid.ExplicitVRBigEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
    "RLE": uid.RLELossless,
    "JPEG-LS": uid.JPEGLSLossless,
    "JPEG 2000": uid.JPEG2000Lossless,
}


def at(volume: Volume, anatomy_mm: tuple[float, float, float]) -> float:
    """The value of the voxel nearest to a point of the anatomy."""
    point = np.append(ANATOMY_ORIGIN_MM + anatomy_mm, 1)
    slice_, row, column = np.rint(np.linalg.inv(volume.affine) @ point)[:3].astype(int)
    return float(volume.values()[slice_, row, column])


def centroid_mm(volume: Volume, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    index = np.append(np.argwhere(mask).mean(axis=0), 1)
    return np.asarray((volume.affine @ index)[:3])


def volume_of(paths: list[Path]) -> Volume:
    volume = read_series(paths).volume
    assert volume is not None
    return volume


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_every_acquisition_gives_the_stored_values_and_the_affine_of_its_grid(
    name: str, tmp_path: Path
) -> None:
    phantom = ChestPhantom.small(ACQUISITIONS[name])
    volume = volume_of(phantom.write(tmp_path))
    np.testing.assert_array_equal(volume.values(), phantom.truth.hu)
    np.testing.assert_allclose(volume.affine, phantom.affine, atol=1e-4)


@pytest.mark.parametrize("name", ["supine", "feet first", "coronal", "sagittal", "oblique"])
@pytest.mark.parametrize("landmark", LANDMARKS)
def test_a_known_point_of_the_patient_is_found_where_the_affine_says(
    name: str, landmark: str, tmp_path: Path
) -> None:
    point, low, high = LANDMARKS[landmark]
    volume = volume_of(ChestPhantom.small(ACQUISITIONS[name]).write(tmp_path))
    assert low <= at(volume, point) <= high


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_the_left_lung_lies_on_the_left_and_the_liver_below_the_heart(
    name: str, tmp_path: Path
) -> None:
    phantom = ChestPhantom.small(ACQUISITIONS[name])
    volume = volume_of(phantom.write(tmp_path))
    masks = phantom.truth.masks
    left, right = (centroid_mm(volume, masks[f"{side}_lung"]) for side in ("left", "right"))
    assert left[0] - right[0] > 100
    assert centroid_mm(volume, masks["heart"])[2] > centroid_mm(volume, masks["liver"])[2] + 40
    assert centroid_mm(volume, masks["aorta"])[1] > centroid_mm(volume, masks["heart"])[1] + 30


def test_the_table_lies_under_the_side_on_which_the_patient_lies(tmp_path: Path) -> None:
    for name in ("prone", "decubitus left", "decubitus right"):
        acquisition = ACQUISITIONS[name]
        volume = volume_of(ChestPhantom.small(acquisition).write(tmp_path / name))
        reach = 119 if acquisition.down[1] else 179
        x, y, z = (reach * part for part in acquisition.down)
        assert -700 < at(volume, (x, y, z)) < -600, name
        assert at(volume, (-x, -y, -z)) < -940, name


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_neither_file_order_nor_instance_numbers_decide_the_order_of_slices(
    order: str, phantom: ChestPhantom, tmp_path: Path
) -> None:
    paths = phantom.write(tmp_path, CtFiles(file_order=order, reversed_numbers=True))
    source = read_series(paths)
    assert source.volume is not None
    np.testing.assert_array_equal(source.volume.values(), phantom.truth.hu)
    numbers = [int(header.InstanceNumber) for header in source.headers]
    assert numbers == list(range(len(paths), 0, -1))


def test_headers_stand_in_slice_order_without_pixel_data(phantom_paths: list[Path]) -> None:
    source = read_series(phantom_paths[::-1])
    assert source.frames == tuple(Frame(i) for i in range(len(phantom_paths)))
    heights = [float(header.ImagePositionPatient[2]) for header in source.headers]
    assert heights == sorted(heights)
    assert not any("PixelData" in header for header in source.headers)
    assert all(header.file_meta.TransferSyntaxUID for header in source.headers)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_transfer_syntax_gives_the_same_values(
    syntax: str, signed: bool, phantom: ChestPhantom, tmp_path: Path
) -> None:
    files = CtFiles(transfer_syntax=SYNTAXES[syntax], signed=signed)
    source = read_series(phantom.write(tmp_path, files))
    assert source.volume is not None
    np.testing.assert_array_equal(source.volume.values(), phantom.truth.hu)
    assert source.volume.stored.dtype == np.dtype("i2" if signed else "u2")
    assert source.decoder.startswith(f"pydicom {pydicom.__version__}")


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "RLE", "JPEG-LS", "JPEG 2000"])
@pytest.mark.parametrize("order", ["slice", "shuffled"])
def test_an_enhanced_ct_gives_the_volume_of_its_single_frame_twin(
    order: str, syntax: str, phantom: ChestPhantom, tmp_path: Path
) -> None:
    files = CtFiles(multiframe=True, file_order=order, transfer_syntax=SYNTAXES[syntax])
    source = read_series(phantom.write(tmp_path, files))
    assert source.volume is not None
    np.testing.assert_array_equal(source.volume.values(), phantom.truth.hu)
    np.testing.assert_allclose(source.volume.affine, phantom.affine, atol=1e-4)
    assert source.volume.units == HOUNSFIELD_UNIT
    assert len(source.headers) == 1
    numbers = [frame.number or 0 for frame in source.frames]
    assert sorted(numbers) == list(range(1, 31))
    groups = source.headers[0].PerFrameFunctionalGroupsSequence
    heights = [
        float(groups[n - 1].PlanePositionSequence[0].ImagePositionPatient[2]) for n in numbers
    ]
    assert heights == sorted(heights)


@pytest.mark.parametrize("in_turn", [True, False], ids=["slice by slice", "volume by volume"])
def test_an_image_that_holds_two_volumes_gives_either(
    in_turn: bool, phantom: ChestPhantom, tmp_path: Path
) -> None:
    (path,) = phantom.write(tmp_path, CtFiles(multiframe=True))
    path = doubled(path, in_turn)
    with pytest.raises(SeveralVolumes):
        read_series([path])
    first, second = (read_series([path], volume_of=(number, 2)) for number in (1, 2))
    assert first.volume is not None
    assert second.volume is not None
    np.testing.assert_array_equal(first.volume.values(), phantom.truth.hu)
    np.testing.assert_array_equal(second.volume.stored, first.volume.stored + 7)
    numbers = sorted(frame.number or 0 for frame in (*first.frames, *second.frames))
    assert numbers == list(range(1, 61))
    with pytest.raises(SeveralVolumes):
        read_series([path], volume_of=(1, 3))


def doubled(path: Path, in_turn: bool) -> Path:
    """The image with each of its frames twice, the second time with 7 more everywhere."""
    image = pydicom.dcmread(path)
    frames, count = image.pixel_array, image.NumberOfFrames
    places = [one for n in range(count) for one in (n, n + count)]
    order = places if in_turn else range(2 * count)
    both = np.concatenate([frames, frames + 7])
    groups = list(image.PerFrameFunctionalGroupsSequence)
    image.PerFrameFunctionalGroupsSequence = [groups[one % count] for one in order]
    image.NumberOfFrames = 2 * count
    image.PixelData = np.stack([both[one] for one in order]).tobytes()
    image.save_as(path.parent / "doubled.dcm")
    return path.parent / "doubled.dcm"


CODECS = {
    "12-bit JPEG": (uid.JPEGExtended12Bit, {"level": 98, "bitspersample": 12}, 4),
    "JPEG lossless": (uid.JPEGLosslessSV1, {"lossless": True, "bitspersample": 12}, 0),
}


@pytest.mark.parametrize("name", CODECS)
def test_jpeg_is_decoded_with_all_its_bits(
    name: str, phantom_paths: list[Path], tmp_path: Path
) -> None:
    syntax, options, tolerance = CODECS[name]
    pixels = pydicom.dcmread(phantom_paths[12]).pixel_array
    stream = imagecodecs.jpeg8_encode(pixels, **options)
    path = compressed(phantom_paths[12], stream, syntax, tmp_path)
    np.testing.assert_allclose(volume_of([path]).stored[0], pixels, atol=tolerance)


@pytest.mark.parametrize("name", CODECS)
def test_jpeg_that_was_cut_short_is_refused(
    name: str, phantom_paths: list[Path], tmp_path: Path
) -> None:
    syntax, options, _ = CODECS[name]
    stream = imagecodecs.jpeg8_encode(pydicom.dcmread(phantom_paths[12]).pixel_array, **options)
    path = compressed(phantom_paths[12], stream[: len(stream) // 2], syntax, tmp_path)
    with pytest.raises(UndecodablePixels):
        read_series([path])


def test_high_throughput_jpeg_2000_is_decoded(phantom_paths: list[Path], tmp_path: Path) -> None:
    pixels = pydicom.dcmread(phantom_paths[12]).pixel_array
    stream = imagecodecs.htj2k_encode(pixels, reversible=True)
    path = compressed(phantom_paths[12], stream, uid.HTJ2KLossless, tmp_path)
    np.testing.assert_array_equal(volume_of([path]).stored[0], pixels)


def compressed(path: Path, stream: bytes, syntax: uid.UID, folder: Path) -> Path:
    """A copy of a file with its pixels replaced by a compressed stream."""
    image = pydicom.dcmread(path)
    image.PixelData = encapsulate([stream])
    image["PixelData"].VR = "OB"
    image.file_meta.TransferSyntaxUID = syntax
    image.save_as(folder / "compressed.dcm")
    return folder / "compressed.dcm"


def test_ct_is_in_hounsfield_units_only_where_the_rescale_says_so(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    assert volume_of(phantom_paths).units == HOUNSFIELD_UNIT
    path = tmp_path / "unspecified.dcm"
    image = pydicom.dcmread(phantom_paths[0])
    image.RescaleType = "US"
    image.save_as(path)
    assert volume_of([path]).units is None


def test_pet_keeps_the_slope_of_every_slice_and_its_units(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    paths = []
    for i, path in enumerate(phantom_paths[:4]):
        image = pydicom.dcmread(path)
        image.Modality, image.Units = "PT", "BQML"
        image.RescaleSlope, image.RescaleIntercept = str(i + 0.5), "0"
        paths.append(tmp_path / path.name)
        image.save_as(paths[-1])
    volume = volume_of(paths)
    assert volume.slope.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert volume.units is not None
    assert volume.units.value == "Bq/ml"
    stored = pydicom.dcmread(paths[3]).pixel_array
    np.testing.assert_array_equal(volume.values(np.float64)[3], stored * 3.5)


def test_bits_above_the_stored_ones_are_ignored(phantom_paths: list[Path], tmp_path: Path) -> None:
    image = pydicom.dcmread(phantom_paths[0])
    expected = image.pixel_array.copy()
    image.PixelData = (expected | 0xA000).astype("<u2").tobytes()
    path = tmp_path / "overlay.dcm"
    image.save_as(path)
    np.testing.assert_array_equal(volume_of([path]).stored[0], expected)


def test_padding_is_left_as_it_was_stored(phantom_paths: list[Path], tmp_path: Path) -> None:
    image = pydicom.dcmread(phantom_paths[0])
    padded = image.pixel_array.astype("<i2")
    padded[:5] = -2000
    image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 15, 1
    image.add_new("PixelPaddingValue", "SS", -2000)
    image.PixelData = padded.tobytes()
    path = tmp_path / "padded.dcm"
    image.save_as(path)
    np.testing.assert_array_equal(volume_of([path]).stored[0], padded)


def test_a_single_slice_is_as_deep_as_it_is_thick(phantom_paths: list[Path]) -> None:
    volume = volume_of(phantom_paths[7:8])
    assert volume.shape == (1, 64, 48)
    np.testing.assert_allclose(volume.spacing_mm, [10, 6, 8])


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_still_one_grid(tmp_path: Path) -> None:
    phantom = replace(ChestPhantom.small(), spacing_mm=(1.25, 6.0, 8.0))
    paths = phantom.write(tmp_path)
    for path in paths:
        image = pydicom.dcmread(path)
        image.ImagePositionPatient = [round(float(x), 1) for x in image.ImagePositionPatient]
        image.save_as(path)
    assert volume_of(paths).spacing_mm[0] == pytest.approx(1.25, abs=0.005)


def test_headers_alone_come_in_the_order_asked_for(phantom_paths: list[Path]) -> None:
    headers = read_headers(phantom_paths[:3][::-1])
    assert [int(header.InstanceNumber) for header in headers] == [3, 2, 1]
