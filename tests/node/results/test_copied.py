"""Copied values: mended where nothing is lost, left out where they break the standard."""

import warnings
from typing import Any

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.results.modules.copied import sound


def element(keyword: str, vr: str, value: Any) -> DataElement:
    with warnings.catch_warnings(action="ignore"):
        return DataElement(Tag(keyword), vr, value)


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("SliceThickness", "DS", "2.50"),
        ("ImagePositionPatient", "DS", ["1.5", "-2.25", "1e3"]),
        ("InstanceNumber", "IS", "0"),
        ("ProtocolName", "LO", "Thorax nativ"),
        ("Rows", "US", 512),
        ("Laterality", "CS", ""),
    ],
)
def test_what_keeps_to_the_standard_is_copied_as_it_is(keyword: str, vr: str, value: Any) -> None:
    given = element(keyword, vr, value)
    copy = sound(given)
    assert copy == given
    assert copy is not given


def test_a_long_decimal_string_is_shortened() -> None:
    given = ["-91.449586433191001", "0.0217883751691557", "3"]
    copy = sound(element("ImagePositionPatient", "DS", given))
    assert copy is not None
    assert all(len(str(value)) <= 16 for value in copy.value)
    assert [float(value) for value in copy.value] == pytest.approx(
        [float(value) for value in given], rel=1e-12
    )


def test_a_code_string_is_written_in_capitals() -> None:
    copy = sound(element("BodyPartExamined", "CS", "chest"))
    assert copy is not None
    assert copy.value == "CHEST"


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("BodyPartExamined", "CS", "THORAX-ABDOMEN-BECKEN"),
        ("ProtocolName", "LO", "P" * 65),
        ("AcquisitionTime", "TM", "10:20:30"),
        ("FilterType", "SH", "F" * 17),
    ],
)
def test_what_cannot_be_mended_is_left_out(keyword: str, vr: str, value: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        assert sound(element(keyword, vr, value)) is None


def test_items_of_sequences_are_mended_too() -> None:
    item = Dataset()
    item.add(element("Manufacturer", "LO", "Vendor"))
    item.add(element("StationName", "SH", "S" * 30))
    copy = sound(element("ContributingEquipmentSequence", "SQ", [item]))
    assert copy is not None
    assert (copy.value[0].Manufacturer, "StationName" in copy.value[0]) == ("Vendor", False)
    assert "StationName" in item
