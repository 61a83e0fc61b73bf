"""Every segmenter of this folder keeps the contract on a body it has something to say of."""

from __future__ import annotations

from analyzers.contract import Volume
from analyzers.testing import AnalyzerSuite
from tests.analyzers.segmentation import bodies


class TestSegmenters(AnalyzerSuite):
    analyzers = (
        "airway_segmentation",
        "body_composition",
        "calcium_score",
        "pet_tumour",
        "chan_vese",
        "geodesic_contour",
        "watershed",
        "random_walker",
    )

    def example(self, name: str) -> Volume:
        if name == "pet_tumour":
            return bodies.hot_spots().volume("PT", 0.001)
        if name == "airway_segmentation":
            return bodies.tree(step=3.0).volume()
        if name == "body_composition":
            return bodies.abdomen(step=4.5).volume()
        body = bodies.heart(step=3.2) if name == "calcium_score" else bodies.lesion()
        return body.volume()
