"""The serial number of a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.errors import StoreUnavailable
from storage.files.serial import NAME, serial_of


def test_a_serial_number_is_made_once_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    made = serial_of(folder)
    assert len(made) == 16
    assert serial_of(folder) == made


def test_no_two_folders_have_the_same_serial_number(tmp_path: Path) -> None:
    assert serial_of(tmp_path / "one") != serial_of(tmp_path / "other")


@pytest.mark.parametrize("left", ["", "1234", "0123456789ABCDEF\n0123456789ABCDEF\n", "ä"])
def test_what_is_no_serial_number_is_refused_and_not_replaced(tmp_path: Path, left: str) -> None:
    (tmp_path / NAME).write_text(left)
    with pytest.raises(StoreUnavailable, match="put the file back from a copy, or delete it"):
        serial_of(tmp_path)
    assert (tmp_path / NAME).read_text() == left
