"""What programs get: records as JSON values, without UIDs and without what names a patient."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from node.web.views import JobView, StudyView
from storage.records import Delivery

_HIDDEN = {"header", "study_instance_uid", "series_instance_uid", "key"}


def plain(value: Any) -> Any:
    """A record as JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def _shown(record: Any) -> dict[str, Any]:
    return {name: value for name, value in plain(record).items() if name not in _HIDDEN}


def job_json(view: JobView) -> dict[str, Any]:
    """A job with what it found, made and delivered."""
    made = view.results
    return {
        **_shown(view.job),
        "seconds": view.seconds,
        "findings": plain(made.findings),
        "remarks": plain(made.remarks),
        "objects": [{"kind": one.kind, "bytes": one.size_bytes} for one in made.objects],
        "previews": [f"/previews/{view.job.id}/{n}.png" for n in range(len(made.previews))],
        "deliveries": [{**plain(one), "state": one.state} for one in view.deliveries],
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """One object on its way to one destination."""
    made = delivery.object
    return {**plain(delivery), "object": {"kind": made.kind, "bytes": made.size_bytes}}


def way_json(view: StudyView) -> dict[str, Any]:
    """The instance ledger: how far a study's images have come."""
    way = view.ledger
    return {
        **plain(way),
        "received": way.stored + view.indexing,
        "gaps": [
            {"stage": one.stage.value, "missing": one.missing, "since": plain(one.since)}
            for one in way.gaps
        ],
    }


def study_json(view: StudyView) -> dict[str, Any]:
    """A study with its jobs; the patient ID is masked."""
    return {
        **_shown(view.study),
        "modalities": view.modalities,
        "description": view.title,
        "date": view.date,
        "patient": view.patient,
        "way": way_json(view),
        "jobs": [job_json(one) for one in view.jobs],
    }
