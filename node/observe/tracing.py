"""A study's way as traces of OpenTelemetry: a span a stage, where ``[tracing]`` names a collector.

All spans of a study belong to one trace, whose id is made from the study's digest: no state is kept
for it, and no span says a UID. Without the settings nothing of OpenTelemetry is loaded.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from node.errors import SettingsError
from node.observe.logs import study_digest
from node.observe.passages import Passage, Passed

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

EXTRA = "wetread[otel]"
SHUTDOWN_MS = 5_000


class Tracing:
    """Sends spans to a collector, in a thread of its own; what it does not take is dropped."""

    def __init__(self, exporter: SpanExporter, service: str, version: str) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource({"service.name": "wetread", "service.instance.id": service})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("wetread", version)

    def passed(self, passage: Passage) -> None:
        """A stage is a span, from the one before."""
        attributes: dict[str, Any] = {
            "wetread.study": study_digest(passage.study_instance_uid),
            "wetread.times": passage.times,
        }
        if passage.job_id:
            attributes["wetread.job"] = passage.job_id
        span = self._tracer.start_span(
            passage.stage.value,
            context=_of_study(passage.study_instance_uid),
            start_time=_nanoseconds(min(passage.began, passage.ended)),
            attributes=attributes,
        )
        span.end(_nanoseconds(passage.ended))

    def stop(self) -> None:
        """Send what waits."""
        self._provider.force_flush(SHUTDOWN_MS)
        self._provider.shutdown()


def tracing(endpoint: str, service: str, version: str) -> Tracing | None:
    """What sends to the collector at an address; None where there is none.

    Raises
    ------
    SettingsError
        The packages are not installed.
    """
    if not endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"tracing.endpoint: OpenTelemetry is not installed: pip install '{EXTRA}'"
        ) from error
    return Tracing(OTLPSpanExporter(endpoint=endpoint), service, version)


def both(metrics: Passed, traces: Tracing | None) -> Passed:
    """Tells metrics, and traces where there are any."""
    if traces is None:
        return metrics
    then = traces.passed

    def passed(passage: Passage) -> None:
        metrics(passage)
        then(passage)

    return passed


def _of_study(study_instance_uid: str) -> Any:
    """A context whose trace is the study's."""
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        set_span_in_context,
    )

    digest = hashlib.sha256(study_digest(study_instance_uid).encode()).digest()
    trace, span = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    parent = SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(parent))


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
