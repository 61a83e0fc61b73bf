"""The quick reader says what pydicom says, or nothing."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from storage.errors import UnreadableInstance
from storage.header.attributes import extract
from storage.header.quick import quick_extract
from storage.records import InstanceAttributes
from tests.instances import make_dataset

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


def encoded(syntax: str, **attributes: Any) -> tuple[bytes, bytes]:
    """A whole file and its data set."""
    dataset = make_dataset(rows=8, **attributes)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    whole = BytesIO()
    dataset.save_as(whole, enforce_file_format=True)
    data = whole.getvalue()
    return data, data[144 + int.from_bytes(data[140:144], "little") :]


def by_pydicom(whole: bytes) -> InstanceAttributes | None:
    try:
        return extract(pydicom.dcmread(BytesIO(whole), stop_before_pixels=True))
    except UnreadableInstance:
        return None


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_plain_image_is_read_quickly_and_alike(syntax: str) -> None:
    whole, data = encoded(
        syntax,
        ImageType=["ORIGINAL", "PRIMARY", ""],
        PixelSpacing=["0.5", "7.03125e-1"],
        ImagePositionPatient=["-175.5", "+1", ".25"],
        PatientName="Family^Given^^Dr",
        StudyDescription=" CHEST ",
    )
    quick = quick_extract(data, syntax)
    assert quick is not None
    assert quick == by_pydicom(whole)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientName", "Müller"), ("SliceLocation", "1,5"), ("SeriesNumber", "2.0")],
)
def test_what_is_not_plain_is_left_to_pydicom(syntax: str, keyword: str, value: str) -> None:
    with pydicom.config.disable_value_validation():
        dataset = make_dataset(rows=8, SpecificCharacterSet="ISO_IR 100")
        dataset.add(pydicom.DataElement(keyword, "LO", value))
        dataset[keyword].VR = "LO"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        whole = BytesIO()
        dataset.save_as(whole, enforce_file_format=True)
    data = whole.getvalue()
    assert quick_extract(data[144 + int.from_bytes(data[140:144], "little") :], syntax) is None


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(SYNTAXES),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=6),
    st.integers(0, 700),
)
@example("1.2.840.10008.1.2.1", [(156, 0)], 0)  # no VR of PS3.5 6.2
@example("1.2.840.10008.1.2.1", [], 129)  # ends within the head of the pixels
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_headers_are_read_alike_or_not_at_all(
    syntax: str, changes: list[tuple[int, int]], cut: int
) -> None:
    whole, data = encoded(syntax, ImagePositionPatient=["1", "2", "3"], StudyDate="20260105")
    damaged = bytearray(data)
    for position, byte in changes:
        damaged[position % len(damaged)] = byte
    kept = bytes(damaged[: max(len(damaged) - cut, 0)])
    quick = quick_extract(kept, syntax)
    if quick is not None:
        assert quick == by_pydicom(whole[: len(whole) - len(data)] + kept)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_images_of_a_series_are_read_alike_wherever_their_headers_differ(syntax: str) -> None:
    """Values of the same length, of another, an element more: what was kept fits, or does not."""
    for place in ("1.5", "2.5", "-12.25", "3.5"):
        for more in ({}, {"StudyDescription": "CHEST"}):
            whole, data = encoded(syntax, ImagePositionPatient=["1", "2", place], **more)
            quick = quick_extract(data, syntax)
            assert quick is not None
            assert quick == by_pydicom(whole)
            assert quick.instance["ImagePositionPatient"][2] == float(place)


def test_real_headers_are_read_alike(test_data: Path) -> None:
    """Of every series a few files; a third and more are plain enough."""
    read = quickly = 0
    for folder in sorted(path for path in (test_data / "studies").rglob("*") if path.is_dir()):
        for path in sorted(one for one in folder.iterdir() if one.is_file())[:3]:
            with path.open("rb") as file:
                head = file.read(256 * 1024)
            if head[128:132] != b"DICM":
                continue
            start = 144 + int.from_bytes(head[140:144], "little")
            meta = pydicom.filereader.read_file_meta_info(path)
            quick = quick_extract(head[start:], str(meta.TransferSyntaxUID))
            read += 1
            if quick is not None:
                quickly += 1
                assert quick == extract(pydicom.dcmread(path, stop_before_pixels=True)), path
    assert read > 20 and quickly > read / 10
