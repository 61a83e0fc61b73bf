"""Readers that nobody here wrote agree about every object over images of every geometry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.node.results import object_table
from tests.node.results.test_interop import tool

PAGE = Path(__file__).parents[3] / "docs" / "objects.md"
PROGRAMS = ("dciodvfy", "segimage2itkimage", "tid1500reader", "dcmdump", "dsrdump")


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    for name in PROGRAMS:
        tool(name)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_of_objects_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == object_table.page(), "run: make docs"


def test_no_reader_objects_to_anything_on_the_page() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    _, *names = (one.strip() for one in lines[0].strip("|").split("|"))
    assert names == list(object_table.GEOMETRIES)
    against = {}
    for line in lines[2:]:
        row, *cells = (one.strip() for one in line.strip("|").split("|"))
        both = zip(names, cells, strict=True)
        against |= {(row, name): cell for name, cell in both if cell not in ("yes", "–")}
    assert len(lines) == 17
    assert against == object_table.KNOWN


def test_an_object_that_is_wrong_is_told_by_the_reader_that_finds_it(tmp_path: Path) -> None:
    source = object_table.GEOMETRIES["oblique"]()
    findings = object_table.findings_on(source)
    for _, one in object_table.written(source, findings, tmp_path / "job"):
        if one.path.name == "seg-0.dcm":
            break
    assert object_table.cell(one) == "yes"
    one.segmentation.labels[5, 14, 12] = 0
    assert object_table.cell(one) == "highdicom, dcmqi"
