"""Rules over findings: what fires, on which values, and what is said of the rest."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers import codes
from analyzers.annotation.annotation import RuleAnnotation, RuleParameters
from analyzers.annotation.conditions import Bounds, Truth
from analyzers.annotation.rules import BrokenRules, load_shipped, parse, shipped
from analyzers.annotation.units import UnlikeUnits, convert
from analyzers.borders import CUT, EXTENT
from analyzers.contract import (
    Classification,
    Code,
    Findings,
    InvalidParameters,
    Measurement,
    NotApplicable,
    Reported,
    Statement,
    Subject,
    Volume,
)
from analyzers.testing import AnalyzerSuite, examples

ML = codes.MILLILITER
QUALITY = Code("QUALITY", "99WETREAD", "Image quality for automatic analysis")


def nodule(number: int, ml: float) -> Reported:
    return Reported("lung_nodule", f"nodule_{number}", Measurement(codes.VOLUME, ml, ML))


def marked(number: int, ml: float, certainty: float) -> tuple[Reported, Reported]:
    question = Code("NODULE", "99WETREAD", "Solid lung nodule")
    answer = Code("371930009", "SCT", "Possible")
    sure = Classification(question, answer, certainty)
    return nodule(number, ml), Reported("lung_nodule", f"nodule_{number}", sure)


def emphysema(side: str, percent: float) -> Reported:
    value = Measurement(codes.LOW_ATTENUATION_FRACTION, percent, codes.PERCENT)
    return Reported("lung_segmentation", side, value)


def series(*reported: Reported, age: float | None = 60.0, sex: str | None = "F") -> Volume:
    plain = examples.volume(np.zeros((2, 4, 4), np.int16), "CT")
    return dataclasses.replace(plain, reported=reported, subject=Subject(age, sex))


def annotate(volume: Volume, **parameters: str) -> Findings:
    return RuleAnnotation("cpu").analyze(volume, RuleParameters(**parameters))


def meanings(findings: Findings) -> list[str]:
    return [item.conclusion.value for item in findings.items if isinstance(item, Statement)]


class TestContract(AnalyzerSuite):
    analyzers = ("rule_annotation",)

    def example(self, name: str) -> Volume:
        reported = (nodule(1, 0.2), emphysema("left_lung", 7.0))
        return dataclasses.replace(
            examples.volume(examples.torso(), "CT"), reported=reported, subject=Subject(60.0, "F")
        )


@pytest.mark.parametrize(
    ("millilitres", "conclusion"),
    [
        (0.0999, "FLEISCH17-1A"),
        (0.1, "FLEISCH17-1B"),
        (0.25, "FLEISCH17-1B"),
        (0.2501, "FLEISCH17-1C"),
        (2.665, "FLEISCH17-1C"),
    ],
)
def test_one_nodule_gets_the_conclusion_of_its_size(millilitres: float, conclusion: str) -> None:
    assert meanings(annotate(series(nodule(1, millilitres)))) == [conclusion]


def test_each_of_several_nodules_gets_its_own_and_cites_its_values() -> None:
    found = annotate(series(nodule(1, 0.05), nodule(2, 0.3)))
    assert meanings(found) == ["FLEISCH17-2A", "FLEISCH17-2B"]
    small, large = (item for item in found.items if isinstance(item, Statement))
    assert small.because == (
        "Volume (nodule 1) = 50 mm3",
        "structures of lung_nodule = 2 ",
        "age = 60 years",
    )
    assert large.because[0] == "Volume (nodule 2) = 300 mm3"
    assert "DOI 10.1148/radiol.2017161659" in large.source
    assert large.rule == "fleischner_2017: one of several nodules, 100 mm3 or more"


def test_uncertain_marks_do_not_count_and_what_they_would_change_is_said_beside() -> None:
    found = annotate(series(*marked(1, 2.4, 0.79), *marked(2, 0.3, 0.85)))
    assert meanings(found) == ["FLEISCH17-1C", "IF-UNCERTAIN-TOO"]
    counted, other = (item for item in found.items if isinstance(item, Statement))
    assert counted.because[0] == "Volume (nodule 2) = 300 mm3"
    assert other.text.startswith(
        "If the marks left out are nodules too: Several solid nodules, one of 6 mm or more: CT at"
    )
    assert other.because[-1] == "left out: nodule 1 (79 %)"
    assert found.remarks == (
        "Incidental pulmonary nodules (Fleischner Society 2017): 1 of 2 marks are not counted,"
        " their certainty is below 80 %: nodule 1 (79 %).",
    )


def test_no_mark_certain_enough_leads_to_no_recommendation_but_that_of_all() -> None:
    found = annotate(series(*marked(1, 0.2, 0.4)))
    assert meanings(found) == ["IF-UNCERTAIN-TOO"]
    (other,) = (item for item in found.items if isinstance(item, Statement))
    assert "Single solid nodule of 6-8 mm: CT at 6-12 months" in other.text
    assert "1 of 1 marks are not counted" in found.remarks[0]


def test_uncertain_marks_that_change_nothing_are_only_named() -> None:
    found = annotate(series(*marked(1, 0.3, 0.9), *marked(2, 0.4, 0.8), *marked(3, 0.5, 0.3)))
    assert meanings(found) == ["FLEISCH17-2B", "FLEISCH17-2B"]
    assert "nodule 3 (30 %)" in found.remarks[0]


def test_the_guideline_is_not_applied_to_the_young_and_says_so() -> None:
    assert meanings(annotate(series(nodule(1, 0.3), age=30.0))) == ["FLEISCH17-0"]


def test_a_missing_age_leaves_the_rule_undecided_and_is_said() -> None:
    found = annotate(series(nodule(1, 0.3), age=None))
    assert meanings(found) == []
    assert any(
        "single nodule above 250 mm3: not decided, age is not given" in r for r in found.remarks
    )
    assert not any("below 100" in remark for remark in found.remarks)


def test_emphysema_is_judged_by_lung() -> None:
    found = annotate(series(emphysema("left_lung", 4.99), emphysema("right_lung", 5.0)))
    assert meanings(found) == ["87433001", "LAA950-NONE", "EMPH-EXTENT-1"]


def test_a_lung_that_is_cut_by_the_images_gets_no_conclusion_of_the_whole() -> None:
    cut = Reported(
        "lung_segmentation", "left_lung", Classification(EXTENT, CUT, reasons=("above",))
    )
    found = annotate(series(emphysema("left_lung", 2.0), cut, emphysema("right_lung", 2.0)))
    assert meanings(found) == ["LAA950-NONE", "LAA950-NONE-PART"]
    part = found.items[1]
    assert isinstance(part, Statement)
    assert part.because[1] == "Extent in the images (left lung): Cut by the border of the images"
    assert found.remarks == (
        "Quantitative emphysema, less than 5 % of a lung below -950 HU: not decided,"
        " a border of the images cuts the left lung.",
    )


def test_of_a_cut_lung_no_extent_is_told() -> None:
    cut = Reported(
        "lung_segmentation", "left_lung", Classification(EXTENT, CUT, reasons=("above",))
    )
    found = annotate(series(emphysema("left_lung", 30.0), cut))
    assert meanings(found) == ["87433001"]
    (said,) = (item for item in found.items if isinstance(item, Statement))
    assert "in the part that is shown" in said.text


def test_a_hippocampus_that_is_cut_by_the_images_is_not_called_small() -> None:
    volume = Code("HIPPOVOL", "99WETREAD", "Volume of one hippocampus")
    small = [
        Reported(name, "", Measurement(volume, 1.9, ML))
        for name in ("hippocampus_fpn", "hippocampus_unet")
    ]
    assert meanings(annotate(series(*small))) == ["HIPPO-SMALL"]
    cut = Reported("hippocampus_fpn", "anterior_hippocampus", Classification(EXTENT, CUT))
    found = annotate(series(*small, cut))
    assert meanings(found) == []
    assert found.remarks[0].endswith("a border of the images cuts the anterior hippocampus.")


def test_what_was_found_on_images_of_another_modality_does_not_count() -> None:
    of_mr = dataclasses.replace(emphysema("left_lung", 20.0), modality="MR")
    with pytest.raises(NotApplicable, match="No analyzer has reported"):
        annotate(series(of_mr))


def test_the_series_that_a_value_comes_from_is_named() -> None:
    found = annotate(series(dataclasses.replace(nodule(1, 0.05), modality="CT", series="4")))
    (small,) = (item for item in found.items if isinstance(item, Statement))
    assert small.because[0] == "Volume (nodule 1, series 4) = 50 mm3"


def test_where_no_rule_applies_it_is_not_said_that_nothing_was_found() -> None:
    verdict = Classification(QUALITY, Code("QUALITY-ACCEPT", "99WETREAD", "Accepted"))
    found = annotate(series(Reported("quality", "", verdict)))
    (answer,) = found.items
    assert isinstance(answer, Classification)
    assert answer.answer.meaning == "No rule applies"
    assert answer.reasons == ("Image quality",)


@pytest.mark.parametrize(
    ("percent", "extents"),
    [(4.9, []), (24.9, ["1"]), (25.0, ["2"]), (50.0, ["3"]), (74.9, ["3"]), (75.0, ["4"])],
)
def test_the_extent_of_emphysema_is_told_in_quarters(percent: float, extents: list[str]) -> None:
    found = annotate(series(emphysema("left_lung", percent)), rule_sets="emphysema_extent")
    assert meanings(found) == [f"EMPH-EXTENT-{one}" for one in extents]


def test_a_verdict_of_quality_is_repeated_as_a_statement() -> None:
    question, answer = Code("QUALITY", "99WETREAD", "Image quality"), "QUALITY-REFUSE"
    told = Classification(question, Code(answer, "99WETREAD", "Refused"), 1.0)
    assert meanings(annotate(series(Reported("quality", "", told)))) == ["QUALITY-POOR"]


def test_only_the_sets_that_are_asked_for_are_applied() -> None:
    volume = series(nodule(1, 0.3), emphysema("left_lung", 9.0))
    assert meanings(annotate(volume, rule_sets="emphysema")) == ["87433001"]


def test_rules_of_ones_own_come_from_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("rules") / "own.toml"
    path.write_text(OWN)
    found = annotate(series(emphysema("left_lung", 9.0)), rule_sets="", file=str(path))
    assert meanings(found) == ["X1"]


def test_nothing_reported_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="No analyzer has reported"):
        annotate(series())
    stranger = Reported("other", "", Measurement(Code("1", "99X", "Other"), 1.0, ML))
    with pytest.raises(NotApplicable):
        annotate(series(stranger))


OWN = """
title = "Own"
source = "House rule"
[[rules]]
name = "much air"
text = "Much air."
conclusion = { value = "X1", scheme = "99X", meaning = "Much air" }
when = [{ measurement = "LAA950", above = 0.08, unit = "1" }]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('unit = "1"', 'unit = "furlong"', "unit 'furlong' is not known"),
        ("above = 0.08, ", "", "a limit is needed"),
        ("above = 0.08", 'above = "much"', "above must be a number"),
        ("measurement =", "measure =", "one of measurement"),
        ("above = 0.08", "above = 0.08, than = 2", "unknown: than"),
        ('title = "Own"', "", "title is missing"),
        ('text = "Much air."', 'text = ""', "text must be a text"),
        ("[[rules]]", "[[rule]]", "holds no rule"),
        ('title = "Own"', "title = ", "own"),
    ],
)
def test_a_broken_file_is_refused_with_its_fault(old: str, new: str, message: str) -> None:
    assert old in OWN
    with pytest.raises(BrokenRules, match=message):
        parse("own", OWN.replace(old, new))


def test_parameters_that_cannot_be_used_are_refused_at_once() -> None:
    for parameters in ({"rule_sets": "astrology"}, {"rule_sets": ""}, {"file": "/nowhere.toml"}):
        with pytest.raises(InvalidParameters):
            RuleParameters(**parameters)


def test_the_shipped_sets_load_and_name_their_sources() -> None:
    assert set(shipped()) == {
        "emphysema",
        "emphysema_extent",
        "fleischner_2017",
        "hippocampal_volume",
        "quality",
    }
    for name in shipped():
        found = load_shipped(name)
        assert found.rules
        assert len(found.source) > 20
        assert all(len(rule.conclusion.value) <= 16 for rule in found.rules)
        assert all(len(rule.conclusion.meaning) <= 64 for rule in found.rules), name


@pytest.mark.parametrize("least", ["0", "1.5", '"much"'])
def test_the_least_certainty_of_a_set_is_a_share(least: str) -> None:
    table = f'[counted]\nanalyzer = "a"\nquestion = "Q"\nleast_certainty = {least}\n[[rules]]'
    with pytest.raises(BrokenRules, match="least_certainty must be a number"):
        parse("own", OWN.replace("[[rules]]", table))


@given(st.floats(0.001, 1e6))
def test_units_convert_there_and_back(value: float) -> None:
    assert convert(convert(value, "mL", "mm3"), "mm3", "mL") == pytest.approx(value)
    assert convert(value, "cm", "mm") == pytest.approx(10 * value)


def test_unlike_units_are_not_compared() -> None:
    with pytest.raises(UnlikeUnits):
        convert(1.0, "mm", "mL")
    assert Bounds("mm", at_least=3).judge("Diameter", 1.0, "mL").truth is Truth.UNKNOWN
