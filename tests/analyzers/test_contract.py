"""Every analyzer that comes with the node keeps the contract."""

from __future__ import annotations

import pytest

from analyzers import registry
from analyzers.testing import AnalyzerSuite

ELSEWHERE = frozenset(
    {
        "airway_segmentation",
        "body_composition",
        "calcium_score",
        "chan_vese",
        "clahe",
        "fusion",
        "geodesic_contour",
        "hippocampus_fpn",
        "hippocampus_mask_rcnn",
        "hippocampus_unet",
        "lung_nodule",
        "multimodal_classifier",
        "non_local_means",
        "opacity_cnn",
        "opacity_ensemble",
        "opacity_faster_rcnn",
        "opacity_random_forest",
        "opacity_svm",
        "pet_tumour",
        "random_walker",
        "rule_annotation",
        "series_classifier",
        "watershed",
        "wavelet_denoise",
    }
)
"""They need another input or tolerance: their suites stand in their own tests."""


class TestOurAnalyzers(AnalyzerSuite):
    analyzers = tuple(name for name in registry.names() if name not in ELSEWHERE)


def test_the_suite_runs_on_an_installed_analyzer_by_name(pytester: pytest.Pytester) -> None:
    found = pytester.runpytest_subprocess(
        "--analyzer", "gaussian_filter", "-q", "-k", "describes or odd", "-p", "no:randomly"
    )
    assert found.parseoutcomes()["passed"] == 7
