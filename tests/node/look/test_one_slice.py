"""The slice that a report names is the one that the viewer opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analyzers.contract import Code, Detection, Findings, Segment, Segmentation
from node.results.report import places
from tests.node.look.studies import chest, header_of, hold_results, looker, stack_of
from tests.node.web.sites import Site

LUNG = Code("39607008", "SCT", "Lung")
NODULE = Code("27925004", "SCT", "Nodule")
ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")


@pytest.mark.parametrize("acquisition", ["supine", "coronal", "feet first", "rows flipped"])
@pytest.mark.parametrize("form", ["segmentation", "box"])
def test_of_slices_that_show_it_equally_well_report_and_viewer_take_the_same(
    site: Site, tmp_path: Path, acquisition: str, form: str
) -> None:
    one = chest(site, tmp_path / "ct", acquisition)
    labels = np.zeros(next(iter(one.truth.values())).shape, np.uint8)
    labels[3:9, 4:20, 4:20] = 1
    labels[5:9, 4:8, 30:34] = 2
    segments = (
        Segment("lung", 1, "Lung", ANATOMY, LUNG),
        Segment("nodule", 2, "Nodule", ABNORMAL, NODULE),
    )
    box = Detection("nodule", NODULE, ABNORMAL, (4, 5, 6), (9, 12, 13), 0.9)
    made = Segmentation(labels, segments, "Chest") if form == "segmentation" else box
    findings = Findings((made,))
    hold_results(site, one, findings, tmp_path)
    looked = looker(site)
    study, stack = stack_of(looked, one)
    first, index = looked.first_finding(study, stack, looked.over(study, study.series[0]))
    assert first is not None
    said = header_of(one.source, places.key_slices(findings)[0, "nodule"]).SOPInstanceUID
    assert stack.slices[index].held.sop_instance_uid == said
