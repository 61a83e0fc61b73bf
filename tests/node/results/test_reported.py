"""What an analysis reported comes back to the analyzers after it as it was."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from analyzers.contract import (
    Classification,
    Code,
    Detection,
    Findings,
    Measurement,
    OperatingPoint,
    Reported,
)
from node.results import reported
from tests.node.results.sources import ABNORMAL, ANATOMY, LUNG, ML, NODULE, VOLUME, lungs

ANSWER = Classification(
    Code("Q", "99TEST", "Opacity?"),
    Code("373066001", "SCT", "Yes"),
    0.71,
    OperatingPoint(0.4, 0.9, 0.62, "130 patients"),
    ("HOG, left lower field", "grey: übersteuert"),
)


def test_numbers_and_answers_come_back_under_their_structure(tmp_path: Path) -> None:
    size = Measurement(VOLUME, 3.25, ML)
    box = Detection("nodule_1", NODULE, ABNORMAL, (0, 0, 0), (1, 1, 1), measurements=(size,))
    whole = Measurement(VOLUME, 12.0, ML, Code("373098007", "SCT", "Mean"))
    path = reported.write(Findings((lungs(), box, whole, ANSWER)), Dataset(), tmp_path)
    found = reported.read("lungs", path)
    right = lungs().segments[0]
    assert found == (
        *(Reported("lungs", "right_lung", one) for one in right.measurements),
        Reported("lungs", "nodule_1", size),
        Reported("lungs", "", whole),
        Reported("lungs", "", ANSWER),
    )


def test_it_is_known_which_images_it_was_found_on(tmp_path: Path) -> None:
    header = Dataset()
    header.Modality, header.SeriesNumber = "CT", 4
    path = reported.write(Findings((ANSWER,)), header, tmp_path)
    (found,) = reported.read("lungs", path)
    assert (found.modality, found.series) == ("CT", "4")


def test_a_file_of_an_older_node_is_read(tmp_path: Path) -> None:
    path = reported.write(Findings((ANSWER,)), Dataset(), tmp_path)
    older = [
        {key: one for key, one in record.items() if key not in {"modality", "series"}}
        for record in json.loads(path.read_text())
    ]
    path.write_text(json.dumps(older))
    assert reported.read("lungs", path) == (Reported("lungs", "", ANSWER),)


def test_what_could_not_be_measured_stays_so(tmp_path: Path) -> None:
    path = reported.write(Findings((Measurement(VOLUME, math.inf, ML),)), Dataset(), tmp_path)
    (found,) = reported.read("lungs", path)
    assert isinstance(found.finding, Measurement)
    assert math.isnan(found.finding.value)
    assert "Infinity" not in path.read_text()


def test_an_absent_structure_reports_nothing(tmp_path: Path) -> None:
    liver = lungs().segments[1]
    assert liver.kind != LUNG
    assert liver.category == ANATOMY
    path = reported.write(Findings((lungs(),)), Dataset(), tmp_path)
    assert not [one for one in reported.read("lungs", path) if one.structure == liver.key]


def test_results_that_are_gone_report_nothing(tmp_path: Path) -> None:
    assert reported.read("lungs", tmp_path / "gone" / reported.NAME) == ()


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / reported.NAME
    path.write_text("[{")
    with pytest.raises(ValueError, match="Expecting"):
        reported.read("lungs", path)
