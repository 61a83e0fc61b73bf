"""What IHE AI Results asks holds in every kind of object, and the page says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.node.results import air_table

PAGE = Path(__file__).parents[3] / "docs" / "air.md"


@pytest.fixture(scope="module")
def page() -> str:
    return air_table.page()


def test_the_page_of_what_objects_hold_is_up_to_date(page: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == page, "run: make docs"


def test_nothing_that_the_profile_asks_is_lacking(page: str) -> None:
    rows = [line for line in page.splitlines() if line.count(" | ") == 2][2:]
    assert len(rows) == len(air_table.CHECKS)
    assert [row for row in rows if not row.endswith("| – |")] == []
