"""Every codec, depth, sign and encoder gives the stored values that were encoded.

The references are the values themselves and what DCMTK's own decoders make of the same file, or
GDCM's of JPEG 2000, which DCMTK does not know.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from node.series.codestreams import Sample, jpeg_has_end, sample_of
from node.series.geometry import UndecodablePixels
from node.series.read import read_series
from tests.instances import make_dataset, write_instance

ROWS, COLUMNS = 32, 48


@dataclass(frozen=True, slots=True)
class Format:
    """How pixels stand in their cells. beside: the other bits of a cell are not 0."""

    allocated: int
    stored: int
    high_bit: int
    signed: bool
    beside: bool

    def __str__(self) -> str:
        sign, beside = "signed" if self.signed else "unsigned", "overlay" if self.beside else "zero"
        return f"{self.stored} of {self.allocated} to {self.high_bit} {sign} {beside}"

    @property
    def shift(self) -> int:
        return self.high_bit + 1 - self.stored

    def cells(self, values: NDArray[np.int64]) -> NDArray[Any]:
        """The cells of these values, unsigned."""
        mask = ((1 << self.stored) - 1) << self.shift
        cells = (values << self.shift) & mask
        if self.beside:
            noise = np.random.default_rng(2).integers(0, 1 << self.allocated, values.shape)
            cells |= noise & ~mask
        return cells.astype(f"<u{self.allocated // 8}")

    def values(self) -> NDArray[np.int64]:
        """All that the bits can hold from the lowest to the highest, with noise."""
        low = -(1 << (self.stored - 1)) if self.signed else 0
        high = low + (1 << self.stored) - 1
        ramp = np.linspace(low, high, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
        noise = np.random.default_rng(1).integers(-3, 4, ramp.shape)
        values: NDArray[np.int64] = np.clip(np.rint(ramp) + noise, low, high).astype(np.int64)
        return values


PLACES = [(8, 8, 7), (16, 8, 7), (16, 10, 9), (16, 12, 11), (16, 13, 12), (16, 16, 15)]
FORMATS = [
    Format(*place, signed, beside)
    for place, signed, beside in itertools.product(PLACES, (False, True), (False, True))
    if not beside or place[0] > place[1]
]
HIGH = [Format(16, 12, high, signed, True) for high in (13, 15) for signed in (False, True)]
"""Left-aligned in the cell, as older images are, with bits below."""
WIDE = [Format(32, 32, 31, signed, False) for signed in (False, True)]


def written(form: Format, values: NDArray[np.int64], folder: Path) -> Path:
    image = make_dataset(rows=ROWS, Columns=COLUMNS, PixelSpacing=[1, 1], SliceThickness=1)
    image.ImagePositionPatient, image.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, 0, "HU"
    image.BitsAllocated, image.BitsStored = form.allocated, form.stored
    image.HighBit, image.PixelRepresentation = form.high_bit, int(form.signed)
    image.PixelData = form.cells(values).tobytes()
    image["PixelData"].VR = "OW"
    return write_instance(folder / "native.dcm", image)


def stored_in(path: Path) -> NDArray[Any]:
    volume = read_series([path]).volume
    assert volume is not None
    return volume.stored[0]


# --- encoders -------------------------------------------------------------------------------------

Encoder = Callable[[Path, Path], None]


def tool(*command: str) -> Encoder:
    """A program that writes another file; the test is skipped where it is not installed."""

    def encode(native: Path, to: Path) -> None:
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        subprocess.run([*command, str(native), str(to)], check=True, capture_output=True)

    return encode


def by_pydicom(syntax: uid.UID) -> Encoder:
    def encode(native: Path, to: Path) -> None:
        image = pydicom.dcmread(native)
        image.compress(syntax)
        image.save_as(to)

    return encode


def stream_of_cells(syntax: uid.UID, encode_cells: Callable[[NDArray[Any]], bytes]) -> Encoder:
    """Whole cells in the stream, whatever lies in their unused bits."""

    def encode(native: Path, to: Path) -> None:
        image = pydicom.dcmread(native)
        sign = "i" if image.PixelRepresentation else "u"
        cells = np.frombuffer(image.PixelData, f"<{sign}{image.BitsAllocated // 8}")
        put(image, encode_cells(cells.reshape(image.Rows, image.Columns)), syntax)
        image.save_as(to)

    return encode


def put(image: Dataset, stream: bytes, syntax: uid.UID) -> None:
    image.PixelData = encapsulate([stream])
    image["PixelData"].VR = "OB"
    image.file_meta.TransferSyntaxUID = syntax


def j2k(cells: NDArray[Any]) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(cells, level=0, codecformat="j2k", reversible=True, resolutions=3)
    )


def htj2k(cells: NDArray[Any]) -> bytes:
    return bytes(imagecodecs.htj2k_encode(cells, reversible=True))


def unsigned_j2k(cells: NDArray[Any]) -> bytes:
    return j2k(cells.view(f"u{cells.itemsize}"))


PLAIN: Mapping[str, Encoder] = {
    "implicit DCMTK": tool("dcmconv", "+ti"),
    "deflated DCMTK": tool("dcmconv", "+td"),
    "big endian DCMTK": tool("dcmconv", "+tb"),
    "RLE DCMTK": tool("dcmcrle"),
}
LOSSLESS: Mapping[str, Encoder] = {
    **PLAIN,
    "JPEG SV1 DCMTK": tool("dcmcjpeg", "+e1"),
    "JPEG lossless DCMTK": tool("dcmcjpeg", "+el"),
    "JPEG-LS DCMTK": tool("dcmcjpls"),
    "JPEG 2000 OpenJPEG": stream_of_cells(uid.JPEG2000Lossless, j2k),
    "JPEG 2000 without sign": stream_of_cells(uid.JPEG2000Lossless, unsigned_j2k),
    "HTJ2K OpenJPH": stream_of_cells(uid.HTJ2KLossless, htj2k),
}
ALIGNED: Mapping[str, Encoder] = {
    "RLE GDCM": tool("gdcmconv", "--rle"),
    "JPEG GDCM": tool("gdcmconv", "--jpeg"),
    "JPEG-LS GDCM": tool("gdcmconv", "--jpegls"),
    "JPEG 2000 GDCM": tool("gdcmconv", "--j2k"),
}
"""GDCM writes a High Bit of its own without moving the pixels."""
BY_VALUE: Mapping[str, Encoder] = {
    "RLE pydicom": by_pydicom(uid.RLELossless),
    "JPEG-LS pydicom": by_pydicom(uid.JPEGLSLossless),
    "JPEG 2000 pydicom": by_pydicom(uid.JPEG2000Lossless),
}
"""pydicom refuses values that do not fit into Bits Stored, and writes broken streams of 8 of 16."""

DECODERS: Mapping[str, str] = {
    uid.RLELossless: "dcmdrle",
    uid.JPEGLosslessSV1: "dcmdjpeg",
    uid.JPEGLossless: "dcmdjpeg",
    uid.JPEGExtended12Bit: "dcmdjpeg",
    uid.JPEGBaseline8Bit: "dcmdjpeg",
    uid.JPEGLSLossless: "dcmdjpls",
    uid.JPEGLSNearLossless: "dcmdjpls",
    uid.DeflatedExplicitVRLittleEndian: "dcmconv +te",
    uid.ExplicitVRBigEndian: "dcmconv +te",
    uid.ImplicitVRLittleEndian: "dcmconv +te",
    uid.JPEG2000Lossless: "gdcmconv --raw",
}


def reference(encoded: Path) -> NDArray[np.int64]:
    """What another decoder makes of a file, read by the meaning of its cells in PS3.5 8.1.1."""
    given = pydicom.dcmread(encoded)
    plain = encoded.with_name("plain.dcm")
    tool(*DECODERS[given.file_meta.TransferSyntaxUID].split())(encoded, plain)
    image = pydicom.dcmread(plain)
    cells = np.frombuffer(image.PixelData, f"<u{image.BitsAllocated // 8}").astype(np.int64)
    cells = cells[: ROWS * COLUMNS].reshape(ROWS, COLUMNS)
    bits = given.BitsStored
    values = (cells >> (given.HighBit + 1 - bits)) & ((1 << bits) - 1)
    if given.PixelRepresentation:
        values -= (values >> (bits - 1)) << bits
    return values


# --- tests ----------------------------------------------------------------------------------------


@pytest.mark.interop
@pytest.mark.parametrize("form", [*FORMATS, *HIGH], ids=str)
@pytest.mark.parametrize("encoder", LOSSLESS)
def test_what_was_encoded_is_decoded_whatever_lies_beside_it_in_the_cells(
    encoder: str, form: Format, tmp_path: Path
) -> None:
    values = form.values()
    encoded = tmp_path / "encoded.dcm"
    LOSSLESS[encoder](written(form, values, tmp_path), encoded)
    np.testing.assert_array_equal(stored_in(encoded), values)
    if "HTJ2K" not in encoder:
        np.testing.assert_array_equal(stored_in(encoded), reference(encoded))


@pytest.mark.interop
@pytest.mark.parametrize("form", WIDE, ids=str)
@pytest.mark.parametrize("encoder", PLAIN)
def test_pixels_of_32_bits_are_read(encoder: str, form: Format, tmp_path: Path) -> None:
    values = form.values()
    encoded = tmp_path / "encoded.dcm"
    PLAIN[encoder](written(form, values, tmp_path), encoded)
    np.testing.assert_array_equal(stored_in(encoded), values)
    np.testing.assert_array_equal(stored_in(encoded), reference(encoded))


@pytest.mark.interop
@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("encoder", ALIGNED)
def test_what_gdcm_encoded_is_decoded(encoder: str, form: Format, tmp_path: Path) -> None:
    values = form.values()
    encoded = tmp_path / "encoded.dcm"
    ALIGNED[encoder](written(form, values, tmp_path), encoded)
    np.testing.assert_array_equal(stored_in(encoded), values)
    np.testing.assert_array_equal(stored_in(encoded), reference(encoded))


@pytest.mark.interop
@pytest.mark.parametrize(
    "form",
    [one for one in FORMATS if not one.beside and (one.allocated, one.stored) != (16, 8)],
    ids=str,
)
@pytest.mark.parametrize("encoder", BY_VALUE)
def test_what_pydicom_encoded_is_decoded(encoder: str, form: Format, tmp_path: Path) -> None:
    values = form.values()
    encoded = tmp_path / "encoded.dcm"
    BY_VALUE[encoder](written(form, values, tmp_path), encoded)
    np.testing.assert_array_equal(stored_in(encoded), values)
    np.testing.assert_array_equal(stored_in(encoded), reference(encoded))


LOSSY = {
    "JPEG-LS near": (tool("dcmcjpls", "+en"), 0),
    "JPEG extended": (tool("dcmcjpeg", "+ee"), 1),
    "JPEG baseline": (tool("dcmcjpeg", "+eb"), 1),
}
"""With the difference that another inverse transform may make."""


@pytest.mark.interop
@pytest.mark.parametrize(
    "form", [form for form in FORMATS if not (form.beside or form.signed)], ids=str
)
@pytest.mark.parametrize("encoder", LOSSY)
def test_lossy_streams_are_decoded_as_dcmtk_decodes_them(
    encoder: str, form: Format, tmp_path: Path
) -> None:
    encode, tolerance = LOSSY[encoder]
    encoded = tmp_path / "encoded.dcm"
    encode(written(form, form.values(), tmp_path), encoded)
    np.testing.assert_allclose(stored_in(encoded), reference(encoded), atol=tolerance)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_a_lossy_value_beyond_the_stored_bits_is_the_nearest_they_can_hold(
    signed: bool, tmp_path: Path
) -> None:
    """4100 for 4095 in a stream of 16 bits is metal, not 4."""
    form = Format(16, 12, 11, signed, beside=False)
    low = -2048 if signed else 0
    values = form.values()
    values[:8], values[8:16] = low + 4095, low
    image = pydicom.dcmread(written(form, values, tmp_path))
    beyond = np.where(values == low + 4095, low + 4100, values)
    put(image, j2k(beyond.astype(np.int16 if signed else np.uint16)), uid.JPEG2000)
    image.save_as(tmp_path / "lossy.dcm")
    np.testing.assert_array_equal(stored_in(tmp_path / "lossy.dcm"), values)


def test_overlays_are_cleared_from_streams_that_may_be_lossy_too(tmp_path: Path) -> None:
    form = Format(16, 12, 11, signed=False, beside=True)
    image = pydicom.dcmread(written(form, form.values(), tmp_path))
    put(image, j2k(form.cells(form.values())), uid.JPEG2000)
    image.save_as(tmp_path / "overlay.dcm")
    np.testing.assert_array_equal(stored_in(tmp_path / "overlay.dcm"), form.values())


STREAMS: Mapping[str, Encoder] = {
    "JPEG SV1": tool("dcmcjpeg", "+e1"),
    "JPEG lossless": tool("dcmcjpeg", "+el"),
    "JPEG extended": tool("dcmcjpeg", "+ee"),
    "JPEG-LS": tool("dcmcjpls"),
    "JPEG-LS near": tool("dcmcjpls", "+en"),
    "JPEG 2000": LOSSLESS["JPEG 2000 OpenJPEG"],
    "HTJ2K": LOSSLESS["HTJ2K OpenJPH"],
    "RLE": tool("dcmcrle"),
}
TWELVE = Format(16, 12, 11, signed=False, beside=False)


def with_stream(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """A copy whose stream was changed, in one fragment, of even length and not padded further."""
    image = pydicom.dcmread(path)
    stream = change(next(generate_frames(image.PixelData, number_of_frames=1)))
    image.PixelData = encapsulate([stream])
    image.save_as(path.with_name("changed.dcm"))
    return path.with_name("changed.dcm")


@pytest.mark.interop
@pytest.mark.parametrize("end", [b"\0", b"\0\0\0", b"\xff", b"\x20", b"\xd9", b"\xff\xff\x01"])
@pytest.mark.parametrize("encoder", [name for name in STREAMS if name.startswith("JPEG")])
def test_whatever_fills_a_stream_up_behind_its_end_is_no_part_of_it(
    encoder: str, end: bytes, tmp_path: Path
) -> None:
    encoded = tmp_path / "encoded.dcm"
    STREAMS[encoder](written(TWELVE, TWELVE.values(), tmp_path), encoded)
    whole = stored_in(encoded)

    def padded(stream: bytes) -> bytes:
        bare = stream[: stream.rindex(b"\xff\xd9") + 2] + end
        return bare if len(bare) % 2 == 0 else bare + end[-1:]

    np.testing.assert_array_equal(stored_in(with_stream(encoded, padded)), whole)


@pytest.mark.interop
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("encoder", STREAMS)
def test_a_stream_that_was_cut_short_is_refused(encoder: str, share: float, tmp_path: Path) -> None:
    encoded = tmp_path / "encoded.dcm"
    STREAMS[encoder](written(TWELVE, TWELVE.values(), tmp_path), encoded)
    cut = with_stream(encoded, lambda stream: stream[: int(len(stream) * share) // 2 * 2])
    with pytest.raises(UndecodablePixels):
        read_series([cut])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_precision_of_a_code_stream_is_read_from_it(dtype: type) -> None:
    plane = np.arange(64 * 64).reshape(64, 64).astype(dtype)
    sample = Sample(8 * plane.itemsize)
    assert sample_of(imagecodecs.jpeg2k_encode(plane, codecformat="j2k")) == sample
    assert sample_of(imagecodecs.jpegls_encode(plane)) == sample
    assert sample_of(b"\1\0\0\0 no JPEG at all") is None


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image() -> None:
    values = TWELVE.values().astype(np.uint16)
    stream = bytes(imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=12))
    thumbnail = b"\xff\xe1\x00\x08\xff\xd8\xff\xd9ab"
    image = stream[:2] + thumbnail + b"\xff\xff" + stream[2:]
    assert jpeg_has_end(image)
    assert sample_of(image) == Sample(12)
    assert not jpeg_has_end(image[:-40])
    assert not jpeg_has_end(stream[:2] + thumbnail)
    assert sample_of(stream[:2] + thumbnail) is None


@pytest.mark.parametrize("high_bit", [10, 16, 20])
def test_a_high_bit_that_leaves_no_room_for_the_stored_ones_is_refused(
    high_bit: int, tmp_path: Path
) -> None:
    path = written(TWELVE, TWELVE.values(), tmp_path)
    image = pydicom.dcmread(path)
    image.HighBit = high_bit
    image.save_as(path)
    with pytest.raises(UndecodablePixels, match="12 of 16 bits"):
        read_series([path])
