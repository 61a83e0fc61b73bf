"""The table of kinds: whole, and its series numbers never collide."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.contract import (
    Code,
    ColorImage,
    CompressedImage,
    DerivedImage,
    Finding,
    Findings,
    ParametricMap,
    Segmentation,
    Shades,
    WindowPreset,
)
from node.results.forms.table import FORMS
from node.results.kinds import KINDS, kind_of
from node.results.report.sr import REPORT_NUMBER
from node.results.series_numbers import ABOVE, Block, SeriesNumbers
from node.results.table import filled
from node.results.write import write_results
from node.series.source import Source
from storage.kinds import REPORTS
from storage.records import JobResults
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, lungs, one_slice
from tests.node.results.test_compressed import lossless

BLOCKS = [kind.objects.numbers for kind in KINDS if kind.objects is not None]
QUANTITY, UNITLESS = Code("EVIDENCE", "99WETREAD", "Evidence"), Code("1", "UCUM", "no units")


def test_every_finding_of_the_contract_has_its_row() -> None:
    assert {kind.finding for kind in KINDS} == set(get_args(Finding))


def test_a_finding_that_has_no_row_is_named() -> None:
    with pytest.raises(LookupError, match="no kind of finding is str"):
        kind_of("a finding", ct_source())


def test_blocks_of_numbers_do_not_overlap_and_stay_below_the_next_series() -> None:
    blocks = [*BLOCKS, REPORT_NUMBER]
    assert all(block.first > 0 and block.offsets[-1] < 100 for block in blocks)
    assert not any(set(a.offsets) & set(b.offsets) for a, b in combinations(blocks, 2))


def test_no_further_form_takes_numbers_of_another_or_of_a_finding() -> None:
    blocks = [*BLOCKS, REPORT_NUMBER, *(form.numbers for form in FORMS)]
    taken = Counter(number for block in blocks for number in block.offsets)
    assert max(taken.values()) == 1
    assert len({form.kind for form in FORMS}) == len({form.file for form in FORMS}) == len(FORMS)


def test_names_of_files_and_rows_tell_kinds_apart() -> None:
    files = [kind.objects.file for kind in KINDS if kind.objects is not None]
    assert len(set(files)) == len(files)
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_the_report_is_delivered_after_all_that_it_refers_to() -> None:
    made = [kind.objects.kind for kind in KINDS if kind.objects is not None]
    assert max(kind.rank for kind in made) < min(kind.rank for kind in REPORTS)


@given(st.lists(st.sampled_from(BLOCKS), max_size=300), st.text())
def test_no_mix_of_findings_gives_two_series_one_number(order: list[Block], key: str) -> None:
    numbers = SeriesNumbers(key)
    given_out = [(block, numbers.next(block).series_number) for block in order]
    given_out.append((REPORT_NUMBER, SeriesNumbers(key).next(REPORT_NUMBER).series_number))
    taken = Counter(one for block, one in given_out if not block.is_one_series)
    shared = {one for block, one in given_out if block.is_one_series}
    assert not taken or max(taken.values()) == 1
    assert not shared & set(taken)
    assert all(500_000_000 <= one < 2**31 for _, one in given_out)


def test_runs_of_a_study_have_blocks_of_their_own_and_the_same_run_the_same() -> None:
    reports = [SeriesNumbers(f"run {n}").next(REPORT_NUMBER).series_number for n in range(200)]
    assert len(set(reports)) == len(reports)
    assert reports[7] == SeriesNumbers("run 7").next(REPORT_NUMBER).series_number


@given(st.text())
def test_what_stands_above_the_runs_is_listed_before_them(key: str) -> None:
    above = SeriesNumbers(key, ABOVE).next(REPORT_NUMBER).series_number
    assert above < 600_000_000 < 1_000_000_000 <= SeriesNumbers(key).next(BLOCKS[0]).series_number


@given(st.sampled_from(BLOCKS), st.integers(0, 300))
def test_results_of_one_kind_are_told_apart_by_their_index(block: Block, count: int) -> None:
    numbers = SeriesNumbers("run")
    assert [numbers.next(block).index for _ in range(count)] == list(range(count))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[JobResults, Path]:
    """The results of a run that makes more of everything than its block holds, and their root."""
    root, source = tmp_path_factory.mktemp("many"), one_slice(ct_source())
    return write_results(source, many(source), PROVENANCE, root / "job"), root


def test_thirty_derived_images_and_all_that_is_made_beside_them_have_numbers_of_their_own(
    written: tuple[JobResults, Path],
) -> None:
    series = numbers_by_series(*written)
    assert len(set(series.values())) == len(series) == 30 + 2 + 25 + 22 + 12 + 1 + 1
    places = {number % 100 for number in series.values() if number >= 1_000_000_000}
    assert {1, 10, 30, 50, 60, 70, 98} <= places


def many(source: Source) -> Findings:
    assert source.volume is not None
    volume, shape = source.volume, source.volume.shape
    values = np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    rgb = np.zeros((*shape, 3), np.uint8)
    labels = lungs().labels[3:4]
    images: list[Any] = [DerivedImage(volume.values(), f"D{n}", sources.BLUR) for n in range(30)]
    images += [lossless(source), lossless(source)]
    images += [Segmentation(labels, segments(n)) for n in range(25)]
    images += [ParametricMap(values, f"M{n}", QUANTITY, UNITLESS) for n in range(22)]
    images += [ColorImage(rgb, f"C{n}", QUANTITY) for n in range(12)]
    images += [WindowPreset("lung", Shades(-1350, 150)), WindowPreset("bone", Shades(-500, 1300))]
    assert all(isinstance(one, CompressedImage) for one in images[30:32])
    return Findings(tuple(images))


def segments(number: int) -> tuple[Any, ...]:
    return tuple(dataclasses.replace(one, key=f"{one.key}_{number}") for one in lungs().segments)


def numbers_by_series(results: JobResults, root: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in results.objects:
        header = pydicom.dcmread(root / one.key, stop_before_pixels=True)
        assert found.setdefault(one.series_instance_uid, header.SeriesNumber) == header.SeriesNumber
    return found


def test_every_object_is_of_the_class_and_kind_that_its_row_says(
    written: tuple[JobResults, Path],
) -> None:
    made = written[0].objects
    rows = {kind.objects.file: kind.objects for kind in KINDS if kind.objects is not None}
    for one in made:
        row = rows.get(Path(one.key).name.partition("-")[0])
        if row is not None:
            assert one.sop_class_uid in row.sop_classes
            assert one.kind is row.kind
    assert [Path(one.key).name for one in made if one.kind in REPORTS] == ["report.dcm"]


def test_an_eleventh_colour_image_and_a_map_over_a_radiograph_share_no_name(
    tmp_path: Path,
) -> None:
    source = one_slice(ct_source(ImagePositionPatient=None, ImageOrientationPatient=None))
    assert source.volume is not None
    shape = source.volume.shape
    chart = ParametricMap(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), "M",
                          QUANTITY, UNITLESS)  # fmt: skip
    pictures = [ColorImage(np.zeros((*shape, 3), np.uint8), f"C{n}", QUANTITY) for n in range(11)]
    made = write_results(source, Findings((chart, *pictures)), PROVENANCE, tmp_path / "j").objects
    assert len({one.key for one in made}) == len({one.sop_instance_uid for one in made}) == 13


def test_the_table_of_kinds_in_the_docs_is_up_to_date() -> None:
    page = (Path(__file__).parents[3] / "docs" / "results.md").read_text(encoding="utf-8")
    assert filled(page) == page, "run: make docs"


def test_a_page_without_marks_is_not_filled() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        filled("# Results\n")
