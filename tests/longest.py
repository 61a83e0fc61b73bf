"""Which test files are begun first: with two processes, a long one at the end is time lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

LONGEST_FIRST = (
    "end_to_end/test_crash.py",
    "end_to_end/test_every_analyzer.py",
    "end_to_end/test_faults.py",
    "end_to_end/test_study_to_report.py",
    "analyzers/detection/test_lung_nodule.py",
    "node/commands/test_commands.py",
    "analyzers/segmentation/test_lungs.py",
    "end_to_end/test_one_after_another.py",
    "end_to_end/test_commitment.py",
    "node/dimse/test_hostile.py",
    "node/results/test_same_bytes.py",
    "node/fetch/test_process.py",
    "node/dimse/test_receiver_pool.py",
    "node/results/test_write.py",
    "node/work/test_leftovers.py",
    "analyzers/segmentation/test_hippocampus.py",
)
"""As measured with ``--durations``; all that is shorter comes in random order behind them."""


def first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The tests in their order, those of the longest files before all others."""
    places = {TESTS / name: place for place, name in enumerate(LONGEST_FIRST)}
    return sorted(items, key=lambda item: places.get(item.path, len(places)))
