"""What analyzers hold: the most above what was held before, over the size of the stored volume.

Each runs in a process of its own, for a process does not tell which of its freed memory is used
again; on a volume as large as the methods' working grids are small against, hence some seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from analyzers.contract import SeriesFacts, Volume
from benchmarks.analysis import kept

SHAPE = (176, 352, 352)
"""Voxels of a millimetre: the boundary methods take every second along each axis."""
ON_ONE_CORE = """
import os, runpy
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
runpy.run_module("benchmarks.analysis", run_name="__main__", alter_sys=True)
"""
"""Each thread holds some slices."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright ball in noise."""
    rng = np.random.default_rng(4)
    stored = rng.integers(-60, 60, SHAPE, np.int16)
    z, y, x = np.ogrid[tuple(slice(-n // 2, n - n // 2) for n in SHAPE)]
    stored[(z**2 + y**2 + x**2) < 60**2] += 400
    affine = np.eye(4)[[2, 1, 0, 3]]
    count = SHAPE[0]
    facts = SeriesFacts("CT", instances=count, slices=count)
    volume = Volume(stored, affine, "CT", np.ones(count), np.zeros(count), facts=facts)
    place = tmp_path_factory.mktemp("volume")
    kept(volume, place)
    return place


@pytest.mark.parametrize(
    ("name", "most"),
    [("compression", 1.5), ("random_walker", 3.2), ("watershed", 2.15), ("wavelet_denoise", 2.9)],
)
def test_an_analyzer_holds_little_more_than_the_volume_twice(
    name: str, most: float, folder: Path
) -> None:
    """Before, on this volume: 2.0, 5.5, 2.4 and 4.8; now 0.5, 2.6, 1.8 and 2.5."""
    done = subprocess.run(
        [sys.executable, "-c", ON_ONE_CORE, name, str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout)
    assert "refused" not in told["found"]
    assert told["memory_share"] < most


def test_what_is_freed_goes_back_though_a_later_array_is_kept() -> None:
    """Arrays that the C library would keep for itself once it has seen one of their size freed."""
    program = """
        from pathlib import Path
        from analyzers import freed
        import numpy as np

        def held_mb():
            lines = Path("/proc/self/status").read_text().splitlines()
            return next(int(one.split()[1]) // 1024 for one in lines if one.startswith("VmRSS:"))

        freed.give_back()
        before = held_mb()
        np.ones(20 * 2**20, np.uint8)
        arrays = [np.ones(20 * 2**20, np.uint8) for _ in range(10)]
        del arrays[:-1]
        print(held_mb() - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True
    )
    assert 20 <= int(done.stdout) < 40
