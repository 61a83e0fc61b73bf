"""Metrics in Prometheus' text format: counters of the process, and what the tables say.

Labels are states, stages and names of certificate files: no AE title, no UID, nothing of a patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from node.observe.durations import Timings
from node.observe.health import Health
from node.observe.shared import Shared
from storage import audit, events, expected, gaps
from storage.database import Database
from storage.errors import DatabaseUnavailable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class ReceptionCounts:
    """What is received, over associations and over the web."""

    associations: int
    """Live ones."""
    stored: int
    """Instances answered with success since the start."""
    refused: int
    """Instances answered with a failure since the start."""
    uploads: int = 0
    """Live requests that store over the web."""


@dataclass(frozen=True, slots=True)
class IndexQueue:
    """How far the index is behind the store."""

    waiting: int
    lag_s: float
    indexed: int
    """Instances since the start."""


class Metrics(Collector):
    """Collects at every scrape. What the process counts is of this moment; what the database is
    asked may be a second old, so that no scraper costs it more than one look in that time."""

    def __init__(
        self,
        database: Database,
        health: Health,
        reception: Callable[[], ReceptionCounts],
        index_queue: Callable[[], IndexQueue],
        certificate_ends: Callable[[], Mapping[str, float]],
        disk: Callable[[], Mapping[str, float]] = dict,
        shared: Shared | None = None,
        timings: Timings | None = None,
        decoded: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """``disk``: by name, what is known of the room for images; in bytes and days. ``decoded``:
        the same of images decoded before their jobs; ``bytes`` is what lies there now."""
        self._database = database
        self._health = health
        self._reception = reception
        self._index_queue = index_queue
        self._certificate_ends = certificate_ends
        self._disk = disk
        self._shared = shared or Shared(fresh_s=0)
        self._timings = timings or Timings()
        self._decoded = decoded
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """All metrics."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        yield from self._of_process()
        yield from self._timings.families()
        try:
            found = self._shared.get("metrics", lambda: list(self._of_database()))
        except DatabaseUnavailable:
            found = [_gauge("database_up", "Whether the database answers.", 0)]
        yield from found

    def _of_process(self) -> Iterable[Metric]:
        reception, queue = self._reception(), self._index_queue()
        received = CounterMetricFamily(
            "wetread_instances",
            "Instances since the start, by what was answered.",
            None,
            ["answer"],
        )
        received.add_metric(["stored"], reception.stored)
        received.add_metric(["refused"], reception.refused)
        yield received
        yield _gauge("associations", "Live associations.", reception.associations)
        yield _gauge("uploads", "Live requests that store over the web.", reception.uploads)
        yield _gauge("index_waiting", "Instances stored and not yet indexed.", queue.waiting)
        yield CounterMetricFamily(
            "wetread_indexed", "Instances entered into the index since the start.", queue.indexed
        )
        yield _gauge("index_lag_seconds", "Age of the oldest of them, or of the last.", queue.lag_s)
        for name, value in self._disk().items():
            yield _gauge(f"disk_{name}", "Room for images, and how it fills.", value)
        decoded = dict(self._decoded())
        yield _gauge("decoded_bytes", "Pixels decoded ahead of jobs.", decoded.pop("bytes", 0))
        images = CounterMetricFamily(
            "wetread_decoded",
            "Compressed images since the start: kept decoded, found so by a job, or not.",
            None,
            ["how"],
        )
        for how, number in decoded.items():
            images.add_metric([how], number)
        yield images
        ends = self._certificate_ends()
        yield _gauges("certificate_end_timestamp_seconds", "When it ends.", "file", ends)
        parts = {check.name: int(check.ok) for check in self._health.report().checks}
        yield _gauges("healthy", "Whether a part did something lately.", "part", parts)

    def _of_database(self) -> Iterable[Metric]:
        with self._database.look() as tx:
            counts = events.counts(tx)
            open_gaps = gaps.count_open(tx)
            waiting = expected.count(tx)
            untold = audit.waiting(tx)
        yield _gauge("database_up", "Whether the database answers.", 1)
        yield _gauges("studies", "Studies by state.", "state", counts.studies)
        yield _gauges("jobs", "Jobs by state.", "state", counts.jobs)
        yield _gauges("deliveries", "Objects owed to destinations.", "state", counts.deliveries)
        yield _gauges("gaps", "Gaps by the stage not reached.", "stage", open_gaps)
        yield _gauges(
            "announcements", "MPPS, notifications, requests.", "state", waiting.announcements
        )
        yield _gauges(
            "commitment_requests", "Commitment asked of the node.", "state", waiting.requests
        )
        yield _gauges(
            "result_commitments", "Commitment asked of destinations.", "state", waiting.results
        )
        yield _gauges(
            "audit_waiting", "Audit messages that a repository has not got.", "repository", untold
        )
        yield _gauge("alarms", "Alarms that nobody has acknowledged.", counts.alarms)
        yield _gauge("quarantined", "Instances kept aside.", counts.quarantined)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"wetread_{name}", text, value)


def _gauges(name: str, text: str, label: str, values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(f"wetread_{name}", text, None, [label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family
