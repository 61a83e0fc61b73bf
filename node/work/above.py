"""What the node itself writes of a study – a summary, a retraction – as a manifest keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from node.results.modules.source import HierarchicalReference
from node.results.study.members import Member, Selected
from node.work.executor import Retraction, Summary
from storage.files.blobs import Blob
from storage.files.port import Blobs, Readable
from storage.records import JobState


def content(wanted: Summary | Retraction | None) -> dict[str, Any]:
    """As plain values for JSON; empty where there is none. Reports by their key."""
    if wanted is None:
        return {}
    if isinstance(wanted, Retraction):
        return {"objects": [asdict(one) for one in wanted.objects], "reason": wanted.reason}
    return {"members": [_member(one) for one in wanted.members]}


def read(kept: Mapping[str, Any], results: Blobs) -> Summary | Retraction | None:
    """From the record. Raises KeyError, TypeError and ValueError where it is damaged."""
    if "members" in kept:
        return Summary(tuple(_again(one, results) for one in kept["members"]))
    if "objects" in kept:
        objects = tuple(
            Selected(HierarchicalReference(**one["object"]), bool(one["is_image"]))
            for one in kept["objects"]
        )
        return Retraction(objects, str(kept["reason"]))
    return None


def _member(one: Member) -> dict[str, Any]:
    return {
        "title": one.title,
        "place": one.place,
        "analyzer": one.analyzer,
        "version": one.version,
        "state": one.state.value,
        "reason": one.reason,
        "report": _key(one.report),
        "refers_to": [asdict(reference) for reference in one.refers_to],
        "regions": [asdict(reference) for reference in one.regions],
    }


def _key(report: Readable | None) -> str:
    """Below the folder of results; empty where it lay elsewhere, or there was none."""
    return report.key if isinstance(report, Blob) else ""


def _again(kept: Mapping[str, Any], results: Blobs) -> Member:
    return Member(
        title=str(kept["title"]),
        analyzer=str(kept["analyzer"]),
        version=str(kept["version"]),
        state=JobState(kept["state"]),
        reason=str(kept["reason"]),
        report=Blob(results, str(kept["report"])) if kept["report"] else None,
        refers_to=tuple(HierarchicalReference(**one) for one in kept["refers_to"]),
        regions=tuple(HierarchicalReference(**one) for one in kept["regions"]),
        place=str(kept.get("place", "")),  # an older node kept none
    )
