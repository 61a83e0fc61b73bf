"""What results say first: of a study that was not complete, and of one volume of several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from node.demo.ct_files import CtFiles
from node.demo.phantom import ChestPhantom
from node.results import kept
from node.results.words import phrases
from node.series import parts
from node.work import incomplete, job, manifest
from node.work.executor import Verdict
from tests.node.series.test_read import doubled
from tests.node.work.conftest import ticket


@pytest.mark.parametrize(
    ("missing", "end", "german"),
    [
        ("12/40", "12 of 40 announced images were missing.", "12 von 40 angekündigten Bildern"),
        ("?", "Nobody has announced how many images it has.", "war nicht angekündigt"),
    ],
)
def test_it_says_what_was_missing_in_the_language_of_the_report(
    missing: str, end: str, german: str
) -> None:
    (said,) = incomplete.sentences(missing)
    assert said.endswith(end)
    assert german in phrases.shown(said, "de")
    assert incomplete.sentences("") == ()


def test_the_report_says_what_was_missing(tmp_path: Path, phantom_paths: list[Path]) -> None:
    asked = replace(ticket("window_presets", tmp_path, phantom_paths), missing="12/40")
    outcome = job.perform(asked, "cpu")
    assert outcome.verdict is Verdict.DONE, outcome.reason
    said = incomplete.sentences("12/40")[0]
    assert outcome.results.remarks[0] == said
    (report,) = [one for one in outcome.results.objects if one.kind.is_report]
    content = pydicom.dcmread(tmp_path / "window_presets" / Path(report.key).name)
    texts = [str(one.value) for one in content.iterall() if one.tag == 0x0040A160]
    assert said in texts


def test_a_report_that_nothing_applies_says_it_too(
    tmp_path: Path, phantom_paths: list[Path]
) -> None:
    asked = replace(ticket("hippocampus_unet", tmp_path, phantom_paths), missing="?")
    outcome = job.perform(replace(asked, notices=True), "cpu")
    assert outcome.verdict is Verdict.NOT_APPLICABLE
    assert outcome.reason.startswith(incomplete.sentences("?")[0])


def test_the_report_says_which_volume_of_its_series_it_is_of(
    tmp_path: Path, phantom_paths: list[Path]
) -> None:
    name = "volume 2 of 3, by Echo Time"
    asked = replace(ticket("window_presets", tmp_path, phantom_paths), part=name)
    outcome = job.perform(asked, "cpu")
    assert outcome.results.remarks[0] == parts.sentences(name)[0]
    refused = replace(ticket("hippocampus_unet", tmp_path, phantom_paths), part=name)
    outcome = job.perform(replace(refused, notices=True), "cpu")
    assert outcome.reason.startswith(parts.sentences(name)[0])


def test_results_of_a_volume_of_an_image_refer_to_its_frames_alone(
    tmp_path: Path, phantom: ChestPhantom
) -> None:
    (path,) = phantom.write(tmp_path, CtFiles(multiframe=True))
    asked = ticket("bone_segmentation", tmp_path, [doubled(path, in_turn=True)])
    assert job.perform(asked, "cpu").verdict is Verdict.NOT_APPLICABLE
    outcome = job.perform(replace(asked, volume_of=(2, 2)), "cpu")
    assert outcome.verdict is Verdict.DONE, outcome.reason
    (found,) = [one for one in outcome.results.objects if one.kind == "seg"]
    content = pydicom.dcmread(tmp_path / "bone_segmentation" / Path(found.key).name)
    frames = {int(one.value) for one in content.iterall() if one.keyword == "ReferencedFrameNumber"}
    assert frames
    assert all(number % 2 == 0 for number in frames)
    known = kept.last(asked.place)
    assert known is not None
    made = manifest.read(known.made_from)
    assert made is not None
    assert made.volume_of == (2, 2)
