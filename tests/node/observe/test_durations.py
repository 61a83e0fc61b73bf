"""Histograms of the stages, of retrieves and of answers: read back with Prometheus' own parser."""

from __future__ import annotations

import re
from datetime import timedelta

from prometheus_client.core import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from node.observe.durations import MOST_LABELS, OTHER, Durations, Timings
from node.observe.passages import Passage, Stage
from tests.storage.samples import NOON


class Exposed:
    """Lets a registry collect them."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings

    def collect(self) -> list[Metric]:
        return list(self._timings.families())


def read(timings: Timings) -> list[Metric]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Exposed(timings))
    return list(text_string_to_metric_families(generate_latest(registry).decode()))


def values(timings: Timings) -> dict[str, float]:
    return {
        f"{one.name}{sorted(one.labels.items())}": one.value
        for family in read(timings)
        for one in family.samples
    }


def test_a_stage_is_counted_in_the_buckets_it_fits() -> None:
    timings = Timings()
    for seconds, times in ((0.5, 1), (3, 10), (100_000, 1)):
        ended = NOON + timedelta(seconds=seconds)
        timings.passed(Passage(Stage.INDEXED, NOON, ended, "1.2.3", times=times))
    found = values(timings)

    def bucket(end: str) -> float:
        return found[f"wetread_stage_seconds_bucket[('le', '{end}'), ('stage', 'indexed')]"]

    assert [bucket(end) for end in ("0.1", "0.5", "1.0", "5.0", "43200.0", "+Inf")] == [
        0,
        1,
        1,
        11,
        11,
        12,
    ]
    assert found["wetread_stage_seconds_count[('stage', 'indexed')]"] == 12
    assert found["wetread_stage_seconds_sum[('stage', 'indexed')]"] == 100_030.5


def test_a_clock_that_was_set_back_counts_as_no_time() -> None:
    timings = Timings()
    timings.passed(Passage(Stage.ENDED, NOON, NOON - timedelta(seconds=5), "1.2.3"))
    assert values(timings)["wetread_stage_seconds_sum[('stage', 'ended')]"] == 0


def test_names_are_as_prometheus_wants_them_and_say_nothing_of_a_study() -> None:
    timings = Timings()
    timings.passed(Passage(Stage.INDEXED, NOON, NOON, "1.2.840.99"))
    timings.answers.observe("/studies/{study_id}", 0.01)
    timings.retrieves.observe("C-GET", 3)
    found = read(timings)
    assert [one.name for one in found] == [
        "wetread_stage_seconds",
        "wetread_retrieve_seconds",
        "wetread_web_answer_seconds",
    ]
    for family in found:
        assert family.type == "histogram" and family.documentation
        assert re.fullmatch(r"[a-z][a-z0-9_]*_seconds", family.name)
        assert "1.2.840.99" not in str(family.samples)


def test_the_number_of_labels_is_bounded() -> None:
    durations = Durations("x_seconds", "X.", "route", (1,))
    for number in range(MOST_LABELS + 50):
        durations.observe(f"/{number}", 0.1)
    labels = {sample.labels["route"] for sample in durations.family().samples}
    assert len(labels) == MOST_LABELS + 1
    counts = {
        one.labels["route"]: one.value
        for one in durations.family().samples
        if one.name.endswith("_count")
    }
    assert counts[OTHER] == 50
