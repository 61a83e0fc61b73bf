"""Which series of a study an analyzer gets, and what the others are told."""

from __future__ import annotations

from typing import Any

import pytest

from analyzers.contract import AnalyzerInfo, InputContract, Limits, Plane
from node.config.rules import RuleSettings
from node.intake.routing import Decision, route
from storage.records import StoredInstance, StoredSeries

LUNGS = AnalyzerInfo(
    name="lungs",
    version="1",
    title="Lungs",
    inputs=InputContract(
        modalities=frozenset({"CT"}),
        planes=frozenset({Plane.AXIAL}),
        min_slices=10,
        max_spacing_mm=5.0,
    ),
    limits=Limits(),
)
RULE = RuleSettings(name="chest", when={"Modality": "CT"}, analyzers=("lungs",))


def series(number: int, slices: int = 20, spacing_mm: float = 2.0, **header: Any) -> StoredSeries:
    common = {
        "Modality": "CT",
        "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "Rows": 64,
        "Columns": 64,
        "SeriesNumber": number,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        **header,
    }
    instances = tuple(
        StoredInstance(
            id=number * 1000 + index,
            sop_instance_uid=f"1.2.{number}.{index}",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            key="",
            size_bytes=1,
            sha256="",
            header={**common, "ImagePositionPatient": [0.0, 0.0, index * spacing_mm]},
        )
        for index in range(slices)
    )
    return StoredSeries(number, 1, f"1.2.{number}", common, instances)


def decide(*given: StoredSeries, rule: RuleSettings = RULE) -> Decision:
    (decision,) = route(given, (rule,), {"lungs": LUNGS})
    return decision


def test_the_thinnest_accepted_series_is_chosen() -> None:
    decision = decide(series(1, spacing_mm=5.0), series(2, spacing_mm=1.0), series(3))
    assert decision.chosen is not None
    assert decision.chosen.id == 2


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (series(2, slices=3), "3 slices, at least 10 are needed"),
        (series(2, spacing_mm=7.5), "distance between slices is 7.5 mm"),
        (series(2, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "it is a localizer"),
        (series(2, ImageType=["DERIVED", "SECONDARY", "MIP"]), "it is a projection"),
        (
            series(2, ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 0.0, -1.0]),
            "its plane is coronal, axial is needed",
        ),
    ],
)
def test_a_refused_series_is_told_why(refused: StoredSeries, reason: str) -> None:
    decision = decide(series(1), refused)
    assert decision.chosen is not None
    assert decision.chosen.id == 1
    assert any(reason in said for said in decision.refused[0].reasons)


def test_a_rule_fires_on_a_study_whose_every_series_is_refused() -> None:
    decision = decide(series(1, slices=2))
    assert decision.fired
    assert decision.chosen is None
    assert "at least 10 are needed" in decision.refused[0].sentence()


def test_a_rule_whose_conditions_hold_for_no_series_does_not_fire() -> None:
    decision = decide(series(1, Modality="MR"))
    assert not decision.fired
    assert decision.unmatched[0].reasons == ("Modality is MR, not CT",)


def test_what_a_node_like_this_one_made_is_never_routed() -> None:
    made = series(2, ImageType=["DERIVED", "SECONDARY", "AXIAL"], Manufacturer="Wetread")
    assert not decide(made).fired


def test_a_verdict_names_the_series_by_number_never_by_uid() -> None:
    sentence = decide(series(7, slices=2)).refused[0].sentence()
    assert sentence.startswith("series 7 (2 images)")
    assert "1.2.7" not in sentence


def test_a_rule_that_wants_all_series_runs_on_each_that_fits() -> None:
    rule = RULE.model_copy(update={"series": "all"})
    given = (series(1, spacing_mm=5.0), series(2), series(3, slices=2), series(4, Modality="MR"))
    found = route(given, (rule,), {"lungs": LUNGS})
    assert [one.chosen.id for one in found if one.chosen] == [2, 1]
    assert [one.series.id for one in found[0].refused] == [3]
    assert [one.series.id for one in found[0].unmatched] == [4]
    assert (found[1].refused, found[1].unmatched) == ((), ())


def test_a_series_that_fits_and_is_not_chosen_is_said() -> None:
    assert [one.id for one in decide(series(1, spacing_mm=5.0), series(2)).fitting] == [1]
