"""What the settings let results say of who made them."""

from __future__ import annotations

from pathlib import Path

import pytest

from node import parts
from node.config.load import load
from node.config.settings import Settings
from node.errors import SettingsError


def read(folder: Path, lines: str) -> Settings:
    path = folder / "config.toml"
    path.write_text(f"[results]\n{lines}\n", encoding="utf-8")
    return load(path)


def test_who_made_results_is_said_as_the_settings_name_it(tmp_path: Path) -> None:
    lines = (
        'language = "de"',
        'institution = " Universitätsklinikum "',
        'department = "Radiologie"',
    )
    settings = read(tmp_path, "\n".join((*lines, 'station = "LESER1"', 'serial = "7"')))
    made_by = parts.maker(settings)
    assert (made_by.institution, made_by.department) == ("Universitätsklinikum", "Radiologie")
    assert (made_by.station, made_by.serial, made_by.language) == ("LESER1", "7", "de")
    assert not (tmp_path / "var").exists()


def test_left_out_the_station_is_the_ae_title_and_the_serial_the_nodes_own(tmp_path: Path) -> None:
    settings = read(tmp_path, "")
    made_by = parts.maker(settings)
    assert (made_by.institution, made_by.department) == ("", "")
    assert (made_by.station, made_by.language) == ("WETREAD", "en")
    assert made_by.serial == (tmp_path / "var" / "serial").read_text().strip()
    assert parts.maker(settings) == made_by


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('language = "fr"', "results.language"),
        ("institution = 'A\\B'", "results.institution: a backslash divides values"),
        (f'department = "{"ä" * 33}"', "results.department: is longer than 64 bytes"),
        (f'station = "{"S" * 17}"', "results.station"),
        ('serial = "1\\n2"', "results.serial"),
    ],
)
def test_what_no_object_could_hold_is_refused(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        read(tmp_path, line)
