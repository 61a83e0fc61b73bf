"""Requestors as sites have them: pynetdicom unpatched in its own process, and DCMTK's tools.

All other tests that use pynetdicom as a peer have its waiting mended (``tests/conftest.py``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from node.loop import Loop
from node.observe.health import Heartbeat
from tests import stock_requestor
from tests.instances import dataset_bytes, make_dataset, write_instance
from tests.node.dimse.commitments import Ward, running_ward
from tests.peers import dcmtk

ALL_WELL = {"established": True, "echo": 0, "asked": 0, "reported": True, "released": True}


TRIES = 3


def visit(port: int, ae_title: str, paths: list[Path]) -> dict[str, Any]:
    """What a visitor was told; whoever mislaid an answer of the node's comes once more."""
    for _ in range(TRIES):
        done = subprocess.run(
            [sys.executable, stock_requestor.__file__, str(port), ae_title, *map(str, paths)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            env={"PATH": "/usr/bin:/bin"},
        )
        if done.returncode != stock_requestor.MISLAID:
            break
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def reporting(ward: Ward) -> Iterator[None]:
    """Reports as the node does; a second goes by with each look."""

    def look() -> None:
        ward.passed_s += 1
        ward.reporter.step()

    heartbeat = Heartbeat("commitment reports", lambda: ward.now)
    loop = Loop(look, heartbeat, 0.02, ward.reporter.stopping)
    loop.start()
    try:
        yield
    finally:
        assert loop.stop(60)
        assert heartbeat.check().ok


def held(ward: Ward, paths: list[Path]) -> list[bytes]:
    uids = [str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths]
    return [dataset_bytes(ward.store.path(ward.store.key_of(uid))) for uid in uids]


@pytest.mark.timeout(400)
def test_stock_pynetdicom_echoes_stores_and_is_told_what_is_committed(
    tmp_path: Path, images: list[Path]
) -> None:
    with running_ward(tmp_path / "ward") as ward, reporting(ward):
        told = visit(ward.server.port, "CT1", images)
        assert told == ALL_WELL | {"stored": [0] * 5, "committed": [[1, 5]]}
        assert held(ward, images) == [dataset_bytes(path) for path in images]


@pytest.mark.timeout(400)
def test_several_stock_requestors_at_once_lose_no_answer(tmp_path: Path) -> None:
    groups = [
        [
            write_instance(tmp_path / f"{modality}-{n}.dcm", make_dataset(100 * modality + n))
            for n in range(20)
        ]
        for modality in range(3)
    ]
    with running_ward(tmp_path / "ward") as ward, reporting(ward), ThreadPoolExecutor(3) as pool:
        for told in pool.map(visit, [ward.server.port] * 3, ("CT1", "CT2", "MR1"), groups):
            assert told == ALL_WELL | {"stored": [0] * 20, "committed": [[1, 20]]}
        for group in groups:
            assert held(ward, group) == [dataset_bytes(path) for path in group]


@pytest.mark.interop
def test_dcmtk_echoes_and_stores_many_over_one_association(
    tmp_path: Path, images: list[Path]
) -> None:
    with running_ward(tmp_path / "ward") as ward:
        where = ("-aec", "WETREAD", "127.0.0.1", str(ward.server.port))
        dcmtk("echoscu", "--repeat", "3", *where)
        dcmtk("storescu", *where, *images)
        assert held(ward, images) == [dataset_bytes(path) for path in images]
