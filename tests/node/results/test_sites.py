"""Where a finding lies is coded: as the analyzer says, by itself, or as the images' header says."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from analyzers import codes, structures
from analyzers.contract import Code, Findings, Segment
from node.results.modules import sites
from node.results.objects import seg
from node.results.report import sr
from node.results.report.sr import Made
from tests.node.results import sources
from tests.node.results.sources import FIRST, PROVENANCE, ct_source, lungs, single
from tests.node.results.test_sr import BOX, contents, groups, report_of, written

CHEST = sites.OF_A_PART["CHEST"]


def header(**given: Any) -> Dataset:
    made = Dataset()
    for keyword, value in given.items():
        setattr(made, keyword, value)
    return made


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    return header(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def nodule(**given: Any) -> Segment:
    return dataclasses.replace(
        Segment("nodule_1", 1, "Lung nodule 1", sources.ABNORMAL, sources.NODULE), **given
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (header(BodyPartExamined="CHEST"), CHEST),
        (header(BodyPartExamined="WHOLE BODY"), sites.OF_A_PART["WHOLEBODY"]),
        (header(BodyPartExamined="THORAX_HR"), None),
        (header(), None),
        (header(AnatomicRegionSequence=[coded("10200004", "SCT", "Liver")]),
         Code("10200004", "SCT", "Liver")),
        (header(AnatomicRegionSequence=[coded("T-D3000", "SRT", "Chest")],
                BodyPartExamined="CHEST"), CHEST),
        (header(AnatomicRegionSequence=[], BodyPartExamined="CHEST"), CHEST),
    ],
)  # fmt: skip
def test_the_region_is_that_of_the_header(given: Dataset, wanted: Code | None) -> None:
    assert sites.region_of(given) == wanted


def test_a_finding_lies_where_its_analyzer_says_else_in_what_the_images_show() -> None:
    chest = header(BodyPartExamined="CHEST")
    assert sites.site_of(nodule(site=codes.LUNG), chest) == codes.LUNG
    assert sites.site_of(nodule(), chest) == CHEST
    assert sites.site_of(nodule(), header()) is None
    (right, *_) = lungs().segments
    assert sites.site_of(right, chest) == right.kind


def sites_of(report: Any) -> list[tuple[str, list[str]]]:
    """The finding site of each group, and the modifiers below it."""
    return [
        (
            item.ConceptCodeSequence[0].CodeMeaning,
            [c.ConceptCodeSequence[0].CodeMeaning for _, c in contents(item)],
        )
        for group in groups(report)
        for name, item in contents(group)
        if name == ("Finding Site",)
    ]


def test_a_box_has_its_site_with_the_side_as_modifier() -> None:
    box = dataclasses.replace(BOX, site=codes.LUNG)
    found = sites_of(report_of(box))
    assert found == [("Lung", ["Right"])] * 2


def test_a_side_without_a_site_stands_by_itself() -> None:
    report = report_of(BOX, source=ct_source(BodyPartExamined=None))
    assert sites_of(report) == []
    sides = [
        item.ConceptCodeSequence[0].CodeMeaning
        for name, item in contents(report)
        if name[-1] == "Laterality"
    ]
    assert sides == ["Right"]


def _codes(item: Dataset) -> dict[str, str]:
    return {
        name[-1]: child.ConceptCodeSequence[0].CodeMeaning
        for name, child in contents(item)
        if child.ValueType == "CODE"
    }


def test_what_was_not_found_says_where_it_was_looked_for() -> None:
    missing = dataclasses.replace(
        sources.empty(), segments=(nodule(site=codes.LUNG, laterality=None),)
    )
    absent = [
        item for name, item in contents(report_of(missing)) if name[-1] == "Presence of property"
    ]
    said = [_codes(item) for item in absent]
    assert said == [{"Finding": "Nodule", "Finding Site": "Lung"}]


def test_a_segment_says_in_codes_and_words_what_it_is_and_where() -> None:
    labels = single().labels
    marked = dataclasses.replace(
        single(),
        segments=(nodule(number=int(labels.max()), site=codes.LUNG, laterality=codes.RIGHT),),
    )
    made = written(seg.build(ct_source(), marked, PROVENANCE, FIRST))
    (segment,) = made.SegmentSequence
    (region,) = segment.AnatomicRegionSequence
    assert region.CodeMeaning == "Lung"
    assert region.AnatomicRegionModifierSequence[0].CodeMeaning == "Right"
    assert segment.SegmentDescription == "Nodule, right, Lung"


def test_the_parts_of_the_hippocampus_have_codes_of_their_own() -> None:
    names = ("anterior_hippocampus", "posterior_hippocampus")
    parts = tuple(structures.of(name).segment(number) for number, name in enumerate(names, 1))
    labels = np.zeros(sources.SHAPE, np.uint8)
    labels[2, 3:6, 2:5], labels[4, 3:6, 2:5] = 1, 2
    found = dataclasses.replace(lungs(), labels=labels, segments=parts)
    encoded = seg.build(ct_source(), found, PROVENANCE, FIRST)
    report = written(sr.build(ct_source(), Findings((found,)), Made({0: encoded}), PROVENANCE))
    types = [item.SegmentedPropertyTypeCodeSequence[0] for item in encoded.SegmentSequence]
    assert [one.CodeMeaning for one in types] == ["Anterior hippocampus", "Posterior hippocampus"]
    assert {site for site, _ in sites_of(report)} == {"Hippocampus"}
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99WETREAD"
