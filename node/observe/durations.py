"""How long things take, as histograms: the stages of a study's way, retrieves, answers of the web.

Labels are stages, operations and routes as the program has them: their number is bounded, and none
names a study or a person.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from node.observe.passages import Passage

MOST_LABELS = 300
"""Beyond that a label is counted as ``other``: what it came from is a fault of the program."""
OTHER = "other"
LONG_S = (0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 43200)
SHORT_S = (0.005, 0.02, 0.05, 0.1, 0.25, 1, 5, 30)


class Durations:
    """A histogram with one label. From any thread."""

    def __init__(self, name: str, text: str, label: str, buckets_s: Sequence[float]) -> None:
        self._name, self._text, self._label = name, text, label
        self._buckets_s = tuple(buckets_s)
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, label: str, seconds: float, times: int = 1) -> None:
        """So many things of a kind took so long."""
        seconds = max(seconds, 0.0)
        place = bisect_left(self._buckets_s, seconds)
        with self._lock:
            if label not in self._counts:
                if len(self._counts) >= MOST_LABELS:
                    label = OTHER
                self._counts.setdefault(label, [0] * (len(self._buckets_s) + 1))
            self._counts[label][place] += times
            self._sums[label] = self._sums.get(label, 0.0) + seconds * times

    def family(self) -> HistogramMetricFamily:
        """As Prometheus has it."""
        made = HistogramMetricFamily(f"wetread_{self._name}", self._text, labels=[self._label])
        with self._lock:
            found = [(name, list(one), self._sums[name]) for name, one in self._counts.items()]
        ends = [*map(floatToGoString, self._buckets_s), "+Inf"]
        for name, counts, total in found:
            running, buckets = 0, []
            for end, count in zip(ends, counts, strict=True):
                running += count
                buckets.append((end, running))
            made.add_metric([name], buckets, total)
        return made


def _stages() -> Durations:
    text = "From the stage before: received, indexed, complete, started, ended, delivered."
    return Durations("stage_seconds", text, "stage", LONG_S)


def _retrieves() -> Durations:
    return Durations("retrieve_seconds", "Retrieves, whole.", "operation", LONG_S)


def _answers() -> Durations:
    text = "From a request to the beginning of its answer, by route."
    return Durations("web_answer_seconds", text, "route", SHORT_S)


@dataclass(frozen=True, slots=True)
class Timings:
    """All histograms of a node."""

    stages: Durations = field(default_factory=_stages)
    retrieves: Durations = field(default_factory=_retrieves)
    answers: Durations = field(default_factory=_answers)

    def passed(self, passage: Passage) -> None:
        """Something came to its next stage."""
        self.stages.observe(passage.stage.value, passage.seconds, passage.times)

    def families(self) -> Iterable[HistogramMetricFamily]:
        yield self.stages.family()
        yield self.retrieves.family()
        yield self.answers.family()
