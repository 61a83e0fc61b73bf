"""Fixtures of the query tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.dimse import library
from tests.node.query.holding import Holding, holding


@pytest.fixture(autouse=True)
def _prepared_libraries() -> None:
    library.prepare()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Holding]:
    one = holding(tmp_path / "held")
    yield one
    one.database.close()
