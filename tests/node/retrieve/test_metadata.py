"""DICOM JSON of stored instances: against pydicom's, and against the words of PS3.18 annex F."""

from __future__ import annotations

import json
import random
import struct
import warnings
import zlib
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from structlog.testing import capture_logs

from node.retrieve.metadata import Address, MetadataWriter
from storage.files.blobs import Blob, Files
from storage.files.seal import dataset_offset
from storage.header.reading import _plain_meta

ADDRESS = Address("1.2.3", "1.2.3.4", "1.2.3.4.5")
BULK = "/dicom-web/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.5/bulkdata/"
FILES = Path(pydicom.data.__file__).parent / "test_files"
NO_FILE = {"ExplVR_BigEndNoMeta", "ExplVR_LitEndNoMeta", "no_meta", "rtstruct"}
"""Bare data sets."""
BROKEN = {"no_meta_group_length", "rtplan_truncated", "badVR"}
UNCONVERTED = "300C0002"
"""A sequence that pydicom leaves out of some files: a private element within is not of its VR."""


def metadata(path: Path, writer: MetadataWriter | None = None) -> dict[str, Any]:
    blob = Blob(Files(path.parent), path.name)
    syntax = str(read_file_meta_info(path).get("TransferSyntaxUID", ""))
    found: dict[str, Any] = json.loads((writer or MetadataWriter()).write(blob, syntax, ADDRESS))
    return found


def by_pydicom(path: Path) -> dict[str, Any]:
    """pydicom's object, where it leaves the standard's form brought into it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dcmread(path).to_json_dict(suppress_invalid_tags=True)
    whole = {tag: one for tag, one in found.items() if tag >= "00080001"}
    whole.pop("FFFCFFFC", None)
    return _of_the_standard(whole)


def _of_the_standard(members: dict[str, Any]) -> dict[str, Any]:
    """No group lengths, no empty arrays, null for empty values, no padding (F.2.2, F.2.5)."""
    found = {}
    for tag, one in members.items():
        if tag.endswith("0000"):
            continue
        kept = {key: value for key, value in one.items() if value != []}
        if isinstance(kept.get("Value"), list):
            kept["Value"] = [_value(value) for value in kept["Value"]]
        found[tag] = kept
    return found


def _value(value: Any) -> Any:
    if isinstance(value, dict) and any(len(key) == 8 for key in value):
        return _of_the_standard(value)
    return (value.rstrip(" \0") or None) if isinstance(value, str) else value


def differences(ours: dict[str, Any], theirs: dict[str, Any], place: str = "") -> list[str]:
    """Where two objects differ; pixels and long values are ours by URI, theirs inline."""
    found = []
    for tag in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(tag), theirs.get(tag)
        if one == other or tag in (UNCONVERTED, "FFFCFFFC"):
            continue
        if one and other and one["vr"] == other["vr"] == "SQ":
            items = zip(one.get("Value", []), other.get("Value", []), strict=True)
            for number, (item, their_item) in enumerate(items):
                found += differences(item, their_item, f"{place}{tag}/{number}/")
        elif not (one and other and "BulkDataURI" in one and "InlineBinary" in other):
            found.append(f"{place}{tag}")
    return found


@pytest.mark.parametrize(
    "path",
    [one for one in sorted(FILES.glob("*.dcm")) if one.stem not in NO_FILE | BROKEN],
    ids=lambda path: path.stem,
)
def test_a_file_gives_what_pydicom_gives(path: Path) -> None:
    assert differences(metadata(path), by_pydicom(path)) == []


def test_all_files_by_one_writer_give_what_each_gives_alone() -> None:
    writer = MetadataWriter()
    paths = [one for one in sorted(FILES.glob("*.dcm")) if one.stem not in NO_FILE | BROKEN]
    assert [metadata(one, writer) for one in paths] == [metadata(one) for one in paths]


# --- the rules of annex F -------------------------------------------------------------------------

Make = Callable[..., dict[str, Any]]


def explicit(tag: int, vr: str, value: bytes, order: str = "<") -> bytes:
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("OB", "OW", "SQ", "UN", "UC", "UT", "UR", "UV", "SV", "OF", "OD", "OL", "OV"):
        return head + bytes(2) + struct.pack(f"{order}L", len(value)) + value
    return head + struct.pack(f"{order}H", len(value)) + value


def implicit(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


@pytest.fixture
def written(tmp_path: Path) -> Make:
    def make(data: bytes, syntax: str = ExplicitVRLittleEndian) -> dict[str, Any]:
        path = tmp_path / "one.dcm"
        path.write_bytes(_plain_meta(syntax) + data)
        return metadata(path)

    return make


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("DS", b"1.50\\ 2 \\-.5\\+3e2", [1.5, 2, -0.5, 300.0]),
        ("DS", b"0.12345678901234567890", [0.12345678901234568]),
        ("DS", b"1,5\\NaN\\1e999\\", ["1,5", "NaN", "1e999", None]),
        ("IS", b"007\\1.0\\1.5\\x", [7, 1, "1.5", "x"]),
        ("IS", b"99999999999999999999", ["99999999999999999999"]),
        ("FD", struct.pack("<3d", 1.5, float("nan"), float("inf")), [1.5, None, None]),
        ("US", b"\1\0\2", [1]),
        ("SV", struct.pack("<2q", -5, 2**60), [-5, str(2**60)]),
        ("AT", b"\x10\0\x20\0", ["00100020"]),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("LO", b"A\\\\B ", ["A", None, "B"]),
        ("LT", b"A\\B \r\n", ["A\\B \r\n"]),
        ("CS", b'"\n\x01', ['"\n\x01']),
    ],
)
def test_a_value_is_written_by_its_representation(
    written: Make, vr: str, value: bytes, expected: list[Any]
) -> None:
    assert written(explicit(0x00191010, vr, value)) == {
        "00191010": {"vr": vr, "Value": expected},
    }


def test_an_empty_value_has_no_value_and_an_empty_item_is_an_empty_object(written: Make) -> None:
    empty_item = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    found = written(
        explicit(0x00080060, "CS", b"")
        + explicit(0x00081140, "SQ", b"")
        + explicit(0x00081145, "SQ", empty_item)
        + explicit(0x00100010, "PN", b"  ")
    )
    assert found == {
        "00080060": {"vr": "CS"},
        "00081140": {"vr": "SQ"},
        "00081145": {"vr": "SQ", "Value": [{}]},
        "00100010": {"vr": "PN"},
    }


def test_a_name_has_the_component_groups_that_it_has(written: Make) -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう".encode()
    found = written(
        explicit(0x00080005, "CS", b"ISO_IR 192")
        + explicit(0x00100010, "PN", name)
        + explicit(0x00101001, "PN", b"A^B\\=C")
    )
    assert found["00100010"]["Value"] == [
        {
            "Alphabetic": "Yamada^Tarou",
            "Ideographic": "山田^太郎",
            "Phonetic": "やまだ^たろう",
        }
    ]
    assert found["00101001"]["Value"] == [{"Alphabetic": "A^B"}, {"Ideographic": "C"}]


@pytest.mark.parametrize(
    ("terms", "raw", "expected"),
    [
        (b"ISO_IR 100", b"M\xfcller", "Müller"),
        (b"ISO_IR 144", b"\xbb\xee\xda", "Люк"),
        (b"GB18030 ", "王小東".encode("gb18030"), "王小東"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B^x", "山田^x"),
        (b"\\ISO 2022 IR 149", b"\x1b$)C\xb1\xe8^\x1b$)C\xc8\xf1", "김^희"),
        (b"ISO_IR 192", b"\xff\xfe", "\ufffd\ufffd"),
        (b"NOBODY'S", b"M\xfcller", "Müller"),
        (b"", b"M\xfcller", "Müller"),
    ],
)
def test_text_is_utf_8_and_its_character_set_is_told_as_it_was(
    written: Make, terms: bytes, raw: bytes, expected: str
) -> None:
    found = written(explicit(0x00080005, "CS", terms) + explicit(0x00081030, "LO", raw))
    assert found["00081030"]["Value"] == [expected]
    told = [one or None for one in terms.decode().strip().split("\\")]
    assert found["00080005"].get("Value", [None]) == told


def test_an_item_may_have_a_character_set_of_its_own(written: Make) -> None:
    item = explicit(0x00080005, "CS", b"ISO_IR 144") + explicit(0x00080104, "LO", b"\xbb")
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item
    found = written(
        explicit(0x00080005, "CS", b"ISO_IR 100")
        + explicit(0x00081032, "SQ", item)
        + explicit(0x00104000, "LT", b"\xbb")
    )
    assert found["00081032"]["Value"][0]["00080104"]["Value"] == ["Л"]
    assert found["00104000"]["Value"] == ["»"]


def test_a_long_value_is_a_uri_wherever_it_stands_and_a_short_one_is_inline(written: Make) -> None:
    long = explicit(0x00420011, "OB", bytes(1026))
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(long)) + long
    found = written(
        explicit(0x00081140, "SQ", struct.pack("<HHL", 0xFFFE, 0xE000, 0) + item)
        + explicit(0x00420011, "OB", b"\1\2")
        + explicit(0x00424000, "UT", b"x" * 70_000)
        + explicit(0x7FE00010, "OW", bytes(8))
    )
    assert found["00081140"]["Value"][1]["00420011"] == {
        "vr": "OB",
        "BulkDataURI": f"{BULK}00081140/1/00420011",
    }
    assert b64decode(found["00420011"]["InlineBinary"]) == b"\1\2"
    assert found["00424000"] == {"vr": "UT", "BulkDataURI": f"{BULK}00424000"}
    assert found["7FE00010"] == {"vr": "OW", "BulkDataURI": f"{BULK}7FE00010"}


def test_implicit_elements_have_the_representation_that_is_listed(written: Make) -> None:
    found = written(
        implicit(0x00090010, b"ACME")
        + implicit(0x00091001, b"abcd")
        + implicit(0x00280103, b"\1\0")
        + implicit(0x00280106, b"\xff\xff")
        + implicit(0x60003000, bytes(2)),
        ImplicitVRLittleEndian,
    )
    assert found["00090010"] == {"vr": "LO", "Value": ["ACME"]}
    assert found["00091001"] == {"vr": "UN", "InlineBinary": "YWJjZA=="}
    assert found["00280106"] == {"vr": "SS", "Value": [-1]}
    assert found["60003000"] == {"vr": "OW", "InlineBinary": "AAA="}


def test_big_endian_numbers_and_words_are_told_as_others(written: Make) -> None:
    found = written(
        explicit(0x00280010, "US", b"\x02\x00", ">") + explicit(0x00291010, "OW", b"\1\2", ">"),
        ExplicitVRBigEndian,
    )
    assert found["00280010"]["Value"] == [512]
    assert b64decode(found["00291010"]["InlineBinary"]) == b"\2\1"


def test_a_deflated_data_set_is_told_as_others(written: Make) -> None:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = packer.compress(explicit(0x00080060, "CS", b"CT")) + packer.flush()
    found = written(data, DeflatedExplicitVRLittleEndian)
    assert found == {"00080060": {"vr": "CS", "Value": ["CT"]}}


def test_unknown_representation_of_undefined_length_is_a_sequence(written: Make) -> None:
    inner = struct.pack("<HHL", 0xFFFE, 0xE000, 10) + implicit(0x00080060, b"CT")
    un = struct.pack("<HH2sHL", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF)
    found = written(un + inner + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0))
    assert found["00091001"] == {"vr": "SQ", "Value": [{"00080060": {"vr": "CS", "Value": ["CT"]}}]}


def test_elements_out_of_order_come_in_order_and_the_last_of_two_counts(written: Make) -> None:
    found = written(
        explicit(0x00100020, "LO", b"B ")
        + explicit(0x00080060, "CS", b"CT")
        + explicit(0x00100020, "LO", b"C ")
    )
    assert list(found) == ["00080060", "00100020"]
    assert found["00100020"]["Value"] == ["C"]


def test_a_damaged_header_gives_what_comes_before_and_the_uids_of_the_index(written: Make) -> None:
    found = written(explicit(0x00080060, "CS", b"CT") + explicit(0x00080070, "LO", b"ACME")[:-2])
    assert found == {
        "00080018": {"vr": "UI", "Value": ["1.2.3.4.5"]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.3.4"]},
    }


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_broken_files_of_pydicom_are_told_as_far_as_they_go(name: str) -> None:
    assert metadata(FILES / f"{name}.dcm")["00080018"]["vr"] == "UI"


def test_sequences_nested_beyond_reason_end_the_object(written: Make) -> None:
    data = b""
    for _ in range(200):
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(data)) + data
        data = explicit(0x00081140, "SQ", item)
    assert "00081140" not in written(data)


@pytest.mark.parametrize("name", ["CT_small", "test-SR", "rtplan", "JPEG2000", "SC_rgb_jpeg"])
def test_damage_of_any_kind_gives_an_object_with_the_uids(tmp_path: Path, name: str) -> None:
    """Bytes are changed, left out and doubled behind the file meta information."""
    chance = random.Random(name)
    source = FILES / f"{name}.dcm"
    whole = source.read_bytes()[:20_000]
    start = dataset_offset(whole[:144])
    path = tmp_path / "damaged.dcm"
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 3, 20))):
            at = chance.randrange(start, len(data))
            kind = chance.randrange(4)
            if kind == 0:
                del data[at : at + chance.choice((1, 2, 8, 500))]
            elif kind == 1:
                data[at:at] = data[at : at + 40]
            else:
                data[at] = chance.choice((0, 0xFF, chance.randrange(256)))
        path.write_bytes(data)
        with capture_logs() as lines:
            found = metadata(path)
        assert not lines or {"00080018", "0020000D", "0020000E"} <= found.keys()
