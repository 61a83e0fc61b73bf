"""Which test files are begun first: with two processes, a long one at the end is time lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

LONGEST_FIRST = (
    "end_to_end/test_faults.py",
    "end_to_end/test_study_to_report.py",
    "end_to_end/test_every_analyzer.py",
    "end_to_end/test_stow_delivery.py",
    "analyzers/segmentation/test_hippocampus.py",
    "node/dimse/test_receiver_pool.py",
    "analyzers/detection/test_lung_nodule.py",
    "node/results/test_same_bytes.py",
    "node/web/viewer/test_overlay.py",
    "node/results/test_write.py",
    "end_to_end/test_crash.py",
    "node/web/test_browser.py",
    "node/web/access/test_as_if_there_were_none.py",
    "node/web/test_openapi.py",
    "node/work/test_local_executor.py",
    "analyzers/fusion/test_fusion.py",
    "end_to_end/test_superseded_results.py",
    "node/dimse/test_hostile.py",
    "node/work/test_leftovers.py",
    "analyzers/segmentation/test_keeps_contract.py",
    "analyzers/classification/test_opacity.py",
    "node/series/test_decoders.py",
    "node/commands/test_commands.py",
    "interoperability/test_clients.py",
    "node/web/viewer/test_known.py",
    "analyzers/segmentation/test_lungs.py",
)
"""As measured with ``--durations``; all that is shorter comes in random order behind them."""


def first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The tests in their order, those of the longest files before all others."""
    places = {TESTS / name: place for place, name in enumerate(LONGEST_FIRST)}
    return sorted(items, key=lambda item: places.get(item.path, len(places)))
