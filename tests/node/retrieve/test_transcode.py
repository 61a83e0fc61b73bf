"""What is sent in another transfer syntax than its own: the same values, the same pixels."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from node.retrieve import transcode
from node.retrieve.transcode import NotEncodable, encoded, syntaxes_of
from tests.instances import make_dataset, write_instance

COMPRESSED = {
    "JPEG-LS, lossy": "JPEGLSNearLossless_16.dcm",
    "JPEG-LS, 8 bits": "JPEGLSNearLossless_08.dcm",
    "JPEG 2000 with another sign": "J2K_pixelrep_mismatch.dcm",
    "JPEG 2000, lossy": "JPEG2000.dcm",
    "JPEG 2000 of colours": "examples_jpeg2k.dcm",
    "RLE of colours, frames": "SC_rgb_rle_2frame.dcm",
    "RLE, 32 bits": "rtdose_rle.dcm",
    "JPEG baseline, subsampled": "SC_rgb_dcmtk_+eb+cy+s2.dcm",
    "JPEG baseline of RGB": "SC_rgb_dcmtk_+eb+cr.dcm",
}


def read(path: Path, wanted: str) -> Dataset:
    """What comes of a file, as a peer would read it."""
    stored = dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    with encoded(path, stored, wanted) as made:
        raw = made.file.read(made.length)
        assert not made.file.read(1)
    buffer = DicomBytesIO(raw)
    syntax = UID(wanted)
    buffer.is_little_endian, buffer.is_implicit_VR = True, syntax.is_implicit_VR
    dataset = read_dataset(buffer, syntax.is_implicit_VR, True)
    dataset.set_original_encoding(syntax.is_implicit_VR, True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("wanted", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("name", COMPRESSED)
def test_decompressed_pixels_are_those_that_a_reader_decodes(name: str, wanted: str) -> None:
    found = get_testdata_file(COMPRESSED[name], download=False)
    if found is None:
        pytest.skip(f"pydicom has no {COMPRESSED[name]} here")
    original, sent = dcmread(found), read(Path(found), wanted)
    assert np.array_equal(sent.pixel_array, original.pixel_array)
    for tag in (0x00280010, 0x00280100, 0x00280101, 0x00280103, 0x00281050, 0x00281052, 0x00080018):
        assert sent.get(tag) == original.get(tag)


def framed(path: Path, syntax: str, frames: int, rows: int) -> tuple[Path, np.ndarray]:
    """A multi-frame image, losslessly compressed; its pixels."""
    pixels = np.random.default_rng(frames).integers(0, 4096, (frames, rows, rows), dtype=np.uint16)
    encode = {
        HTJ2KLossless: lambda one: imagecodecs.htj2k_encode(one, reversible=True),
        JPEG2000Lossless: lambda one: imagecodecs.jpeg2k_encode(
            one, level=0, reversible=True, codecformat="j2k"
        ),
        JPEGLSLossless: imagecodecs.jpegls_encode,
    }[UID(syntax)]
    dataset = make_dataset(1, rows=rows)
    dataset.NumberOfFrames = frames
    dataset.PixelData = encapsulate([bytes(encode(one)) for one in pixels])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return write_instance(path, dataset, syntax), pixels


@pytest.mark.parametrize("syntax", [HTJ2KLossless, JPEG2000Lossless, JPEGLSLossless])
def test_every_frame_is_decompressed_to_the_bit(tmp_path: Path, syntax: str) -> None:
    path, pixels = framed(tmp_path / "a.dcm", syntax, frames=3, rows=32)
    sent = read(path, ExplicitVRLittleEndian)
    assert np.array_equal(sent.pixel_array, pixels)
    assert sent.NumberOfFrames == 3


def test_no_more_than_a_few_frames_are_in_memory(tmp_path: Path) -> None:
    path, pixels = framed(tmp_path / "a.dcm", JPEGLSLossless, frames=40, rows=512)
    frame_bytes = pixels[0].nbytes
    tracemalloc.start()
    try:
        with encoded(path, JPEGLSLossless, ExplicitVRLittleEndian) as made:
            assert made.length > pixels.nbytes
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * frame_bytes


def test_a_lossy_image_stays_marked_as_one(tmp_path: Path) -> None:
    found = get_testdata_file("SC_rgb_dcmtk_+eb+cy+s2.dcm", download=False)
    assert found
    sent = read(Path(str(found)), ExplicitVRLittleEndian)
    assert sent.LossyImageCompression == "01"
    assert sent.PhotometricInterpretation == "YBR_FULL"  # every pixel has its samples now
    assert sent.PlanarConfiguration == 0


@pytest.mark.parametrize("stored", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("wanted", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_big_endian_and_deflated_ones_are_turned_into_plain_ones(
    tmp_path: Path, stored: str, wanted: str
) -> None:
    dataset = nested()
    plain = dataset.PixelData
    if stored == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(plain, "<u2").astype(">u2").tobytes()
    path = write_instance(tmp_path / "a.dcm", dataset, stored)
    sent, again = read(path, wanted), nested()
    for element in again:
        if not element.tag.is_private:
            assert sent[element.tag].value == element.value, element.tag
    assert sent.PixelData == plain


def test_what_implicit_vr_does_not_tell_is_found_in_the_dictionary(tmp_path: Path) -> None:
    dataset = nested()
    dataset.PixelRepresentation = 1
    dataset.add_new(0x00280106, "SS", -5)
    path = write_instance(tmp_path / "a.dcm", dataset, ImplicitVRLittleEndian)
    sent = read(path, ExplicitVRLittleEndian)
    assert (sent["SmallestImagePixelValue"].VR, sent.SmallestImagePixelValue) == ("SS", -5)
    assert sent["PixelData"].VR == "OW"
    assert sent["ReferencedStudySequence"].VR == "SQ"
    assert sent[0x00090010].VR == "LO"
    assert sent[0x00091001].VR == "UN"
    assert sent.ReferencedStudySequence == dataset.ReferencedStudySequence


def test_damaged_values_and_odd_text_go_through_as_they_are(tmp_path: Path) -> None:
    dataset = make_dataset(1)
    path = write_instance(tmp_path / "a.dcm", dataset)
    raw = path.read_bytes()
    name, odd = b"Secret^Name ", b"\xff\xfeM\\\xfcl=ler^"
    position = raw.index(name)
    path.write_bytes(raw[:position] + odd.ljust(len(name)) + raw[position + len(name) :])
    with encoded(path, ExplicitVRLittleEndian, ImplicitVRLittleEndian) as made:
        assert odd.ljust(len(name)) in made.file.read(made.length)


def test_what_cannot_be_decoded_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    dataset = make_dataset(1)
    dataset.PixelData = encapsulate([b"\xff\xd8 no stream at all"])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    path = write_instance(tmp_path / "a.dcm", dataset, JPEGLSLossless)
    with (
        pytest.raises(NotEncodable, match="no end"),
        encoded(path, JPEGLSLossless, ExplicitVRLittleEndian),
    ):
        pass
    with (
        pytest.raises(NotEncodable, match="compressed anew"),
        encoded(path, JPEGLSLossless, RLELossless),
    ):
        pass


def test_a_deflated_data_set_is_inflated_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = DeflatedExplicitVRLittleEndian
    dataset = make_dataset(1)
    dataset.PixelData = bytes(32 << 20)
    path = write_instance(tmp_path / "a.dcm", dataset, stored)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(transcode, "MOST_INFLATED_BYTES", 1 << 20)
    with (
        pytest.raises(NotEncodable, match="longer than 1048576 bytes"),
        encoded(path, stored, ExplicitVRLittleEndian),
    ):
        pass


def test_the_stored_syntax_comes_first_of_those_it_can_be_sent_in() -> None:
    assert syntaxes_of(HTJ2KLossless)[0] == HTJ2KLossless
    assert syntaxes_of(ImplicitVRLittleEndian) == (ImplicitVRLittleEndian, ExplicitVRLittleEndian)


def nested() -> Dataset:
    """A CT image with an item that has an item, of defined and of undefined length."""
    dataset = make_dataset(3)
    dataset.SliceThickness = "1.25"
    dataset.FrameIncrementPointer = 0x00181063
    dataset.add_new(0x00189073, "FD", 1.5)
    inner, outer = Dataset(), Dataset()
    inner.CodeValue, inner.CodeMeaning = "T-D1100", "head"
    outer.ReferencedSOPInstanceUID = "1.2.3"
    outer.PurposeOfReferenceCodeSequence = [inner]
    outer.is_undefined_length_sequence_item = True
    dataset.ReferencedStudySequence = [outer, Dataset()]
    return dataset
