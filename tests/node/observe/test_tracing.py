"""A study's way as traces: one trace a study, no UID in it, and no cost where it is off."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from node.errors import SettingsError
from node.observe import tracing
from node.observe.durations import Timings
from node.observe.logs import study_digest
from node.observe.passages import Passage, Stage
from tests.storage.samples import NOON

STUDY = "1.2.840.113619.2.55"


def test_without_settings_nothing_of_it_is_loaded() -> None:
    program = (
        "import sys, node.app\n"
        "from node.observe.tracing import both, tracing\n"
        "assert tracing('', 'A', '1') is None\n"
        "print([one for one in sys.modules if one.startswith('opentelemetry.sdk')])\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.strip() == "[]", told.stderr


def test_that_it_is_not_installed_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError, match=r"pip install 'wetread\[otel\]'"):
        tracing.tracing("http://127.0.0.1:4318/v1/traces", "A", "1")


def test_the_stages_of_a_study_are_spans_of_one_trace_that_names_no_uid() -> None:
    pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry is not installed")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    made, timings = tracing.Tracing(exporter, "WETREAD", "1"), Timings()
    passed = tracing.both(timings.passed, made)
    for number, stage in enumerate(Stage):
        began = NOON + timedelta(seconds=number)
        passed(Passage(stage, began, began + timedelta(seconds=1), STUDY, number))
    passed(Passage(Stage.INDEXED, NOON, NOON, "1.2.3"))
    made.stop()
    spans: list[Any] = list(exporter.get_finished_spans())
    assert [one.name for one in spans][:5] == [stage.value for stage in Stage]
    assert len({one.context.trace_id for one in spans[:5]}) == 1
    assert spans[5].context.trace_id != spans[0].context.trace_id
    assert spans[1].start_time == spans[0].end_time
    assert spans[0].attributes["wetread.study"] == study_digest(STUDY)
    assert STUDY not in str([one.to_json() for one in spans])
    assert sum(one.value for one in timings.stages.family().samples if one.name.endswith("_count"))
