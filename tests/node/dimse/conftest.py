"""Fixtures of the DICOM networking tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.dimse import library
from tests.instances import make_dataset, write_instance
from tests.node.dimse.commitments import Ward, running_ward
from tests.node.dimse.receiving import Node, running_node


@pytest.fixture(autouse=True)
def _prepared_libraries() -> None:
    library.prepare()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with running_node(tmp_path / "node") as one:
        yield one


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    """A node that also commits, takes steps and tells what is available."""
    with running_ward(tmp_path / "ward") as one:
        yield one


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Five CT images of one series."""
    folder = tmp_path / "images"
    folder.mkdir()
    return [write_instance(folder / f"{n}.dcm", make_dataset(n)) for n in range(1, 6)]
