"""Values of foreign headers: by the grammar of their representation, or unknown with the reason."""

from __future__ import annotations

import warnings
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.tag import BaseTag

from storage.header import values
from storage.header.guarded import GuardedItem, guarded_header, undecoded
from storage.header.values import Unknown
from tests import spliced

TEXT = st.text("0123456789.:+-eE \0\\x^", max_size=26) | st.text(max_size=12)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("10", timedelta(hours=10)),
        ("0928", timedelta(hours=9, minutes=28)),
        ("092801", timedelta(hours=9, minutes=28, seconds=1)),
        ("092801.5", timedelta(hours=9, minutes=28, seconds=1.5)),
        ("09:28:01", timedelta(hours=9, minutes=28, seconds=1)),
        ("235960", timedelta(days=1)),
        ("928", None), ("9", None), ("2400", None), ("0960", None), ("092861", None),
        ("092801.", None), ("09:2801", None), ("0928-01", None), ("٠٩٢٨", None), ("", None),
    ],
)  # fmt: skip
def test_a_time_has_whole_components_or_is_none(given_: str, expected: timedelta | None) -> None:
    assert values.parse_time(given_) == expected


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("20260105", date(2026, 1, 5)), ("2026.01.05", date(2026, 1, 5)),
        ("20261301", None), ("20260230", None), ("2026", None), ("00000000", None),
        ("2026-01-05", None), ("202601051", None), ("2026.0105", None),
    ],
)  # fmt: skip
def test_a_date_is_one_of_the_calendar_or_none(given_: str, expected: date | None) -> None:
    assert values.parse_date(given_) == expected


@pytest.mark.parametrize(
    ("given_", "hours"),
    [("+0100", 1), ("-1200", -12), ("+1400", 14), ("+0545", 5.75), ("-0000", None),
     ("+1401", None), ("-1230", None), ("0100", None), ("+01:00", None), ("+0160", None)],
)  # fmt: skip
def test_an_offset_from_utc_is_one_that_there_is(given_: str, hours: float | None) -> None:
    assert values.parse_offset(given_) == (None if hours is None else timedelta(hours=hours))


@pytest.mark.parametrize(
    ("spelt", "expected"),
    [
        ("1.5", 1.5), (" -2e3 ", -2000.0), ("+.5", 0.5), ("3.", 3.0),
        ("1_0", None), ("1,5", None), ("10:1", None), ("0x10", None), ("１２", None),
        ("A1", None), ("", None), ("--1", None), ("1e", None),
    ],
)  # fmt: skip
def test_a_number_is_spelt_as_the_standard_spells_it(spelt: str, expected: float | None) -> None:
    assert values.as_number(spelt) == expected


@given(TEXT)
def test_whatever_stands_there_is_parsed_or_not(text: str) -> None:
    values.parse_time(text)
    values.parse_date(text)
    values.parse_moment(text)
    values.parse_offset(text)
    number = values.as_number(text)
    assert number is None or number == number


@pytest.mark.parametrize("spelt", ["NaN", "inf", "-Infinity", "1e400"])
def test_what_is_not_finite_is_unknown(spelt: str, tmp_path: Path) -> None:
    header = read(tmp_path, "SliceThickness", spelt.encode())
    found = values.number(header, "SliceThickness")
    assert isinstance(found, Unknown)
    assert str(found) == "Slice Thickness is not a finite number"


def read(folder: Path, keyword: str, value: bytes | None, vr: bytes = b"") -> Dataset:
    path = spliced.ct(folder)[0]
    spliced.splice(path, keyword, value, vr)
    return guarded_header(pydicom.dcmread(path, stop_before_pixels=True))


@pytest.mark.parametrize(
    ("keyword", "value", "vr"),
    [
        ("SliceThickness", b"abc", b"FD"),
        ("Rows", b"\x01\x02\x03", b""),
        ("KVP", b"120 ", b"XX"),
        ("RequestAttributesSequence", b"no item here", b""),
        ("SeriesNumber", b"A1", b""),
    ],
)
def test_a_damaged_value_is_unknown_and_hurts_nobody(
    keyword: str, value: bytes, vr: bytes, tmp_path: Path
) -> None:
    with warnings.catch_warnings(action="ignore"):
        header = read(tmp_path, keyword, value, vr)
        found = values.number(header, keyword)
        assert isinstance(found, Unknown)
        assert found.is_given or values.value(header, keyword) is None
        assert "A1" not in str(found)
        assert all(isinstance(one, Dataset) for one in values.items(header, keyword))
        assert [element.tag for element in header]  # walks over all
        str(header)


def test_what_is_missing_and_what_is_damaged_are_told_apart(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):
        damaged = read(tmp_path, "SliceThickness", b"abc", b"FD")
        assert str(values.number(damaged, "SliceThickness")) == "Slice Thickness is not a number"
        missing = read(tmp_path, "SliceThickness", None)
        assert str(values.number(missing, "SliceThickness")) == "Slice Thickness is not given"


def test_bytes_that_are_no_text_are_found_again(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):
        path = spliced.ct(tmp_path)[0]
        spliced.splice(path, "SpecificCharacterSet", b"ISO_IR 192")
        spliced.splice(path, "PatientName", b"M\xfcller^J\\Two^T")
        header = guarded_header(pydicom.dcmread(BytesIO(path.read_bytes())))
        names = values.texts(header, "PatientName")
    assert undecoded(names[0]) == b"M\xfcller^J"
    assert undecoded(names[1]) is None
    assert "\ufffd" not in str(header.PatientName)


# --- guarded headers ------------------------------------------------------------------------------


def _both() -> tuple[Dataset, GuardedItem]:
    """The same bytes, once as pydicom reads them and once guarded."""
    inner = Dataset()
    inner.CodeValue = "T-A0100"
    written = Dataset()
    written.PatientName, written.Rows, written.SliceThickness = "Doe^Jane", 512, "1.25"
    written.ImageType, written.AnatomicRegionSequence = ["ORIGINAL", "PRIMARY"], [inner]
    written.AccessionNumber = None
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, written)
    plain, guarded = (
        read_dataset(BytesIO(buffer.getvalue()), is_implicit_VR=False, is_little_endian=True)
        for _ in range(2)
    )
    guarded.__class__ = GuardedItem
    assert isinstance(guarded, GuardedItem)
    return plain, guarded


_KEYS = (
    *("PatientName", "Rows", "SliceThickness", "ImageType", "AccessionNumber", "PatientID"),
    *("00280010", 0x00280010, (0x0028, 0x0010), BaseTag(0x00280010)),
    BaseTag(0x00100020),
)


@pytest.mark.parametrize("key", _KEYS)
def test_a_guarded_header_answers_as_any_other(key: Any) -> None:
    plain, guarded = _both()
    for _ in range(2):  # read from its bytes, then as it was converted
        assert (key in guarded) == (key in plain)
        assert guarded.get(key, "none") == plain.get(key, "none")
        assert _found(guarded, key) == _found(plain, key)


def _found(holder: Dataset, key: Any) -> object:
    try:
        return holder[key]
    except KeyError as error:
        return str(error)


def test_an_item_of_a_guarded_header_is_guarded_however_it_is_asked_for() -> None:
    for ask in (
        lambda one: one.get("AnatomicRegionSequence"),
        lambda one: one["AnatomicRegionSequence"].value,
        lambda one: one[0x00082218].value,
        lambda one: one.AnatomicRegionSequence,
    ):
        _, guarded = _both()
        assert isinstance(ask(guarded)[0], GuardedItem)
