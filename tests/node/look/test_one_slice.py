"""The slice that a report names is the one that the viewer opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analyzers.contract import Code, Detection, Findings, Segment, Segmentation
from node.look.looker import Looker, Study
from node.results.report import places
from storage.index.shown import ShownSeries
from tests.node.look.studies import Chest, chest, header_of, hold_results, looker, stack_of
from tests.node.web.sites import Site

LUNG = Code("39607008", "SCT", "Lung")
NODULE = Code("27925004", "SCT", "Nodule")
ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")


@pytest.mark.parametrize("acquisition", ["supine", "coronal", "feet first", "rows flipped"])
def test_of_slices_that_show_it_equally_well_report_and_viewer_take_the_same(
    site: Site, tmp_path: Path, acquisition: str
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
    for number, found in enumerate((Segmentation(labels, segments, "Chest"), box)):
        assert_one_slice(site, one, Findings((found,)), tmp_path / f"{number}")


def assert_one_slice(site: Site, one: Chest, findings: Findings, folder: Path) -> None:
    looked = looker(site)
    before = {each.held.id for each in looked.over(*study_and_series(looked, one))}
    folder.mkdir()
    hold_results(site, one, findings, folder)
    looked = looker(site)
    study, stack = stack_of(looked, one)
    made = [each for each in looked.over(study, study.series[0]) if each.held.id not in before]
    first, index = looked.first_finding(study, stack, made)
    assert first is not None
    said = header_of(one.source, places.key_slices(findings)[0, "nodule"]).SOPInstanceUID
    assert stack.slices[index].held.sop_instance_uid == said


def study_and_series(looked: Looker, one: Chest) -> tuple[Study, ShownSeries]:
    study = looked.study(one.study_id)
    return study, study.series[0]
