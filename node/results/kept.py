"""What a job left behind, as a file beside its results: found again when the database is lost.

A job that the ledger has never seen run, and whose folder holds whole results, is not run: the same
objects go out, with the bytes that they had. A job that runs again because somebody wants it to, or
because the node was cut off, does run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from node.results import reported
from storage.files.port import JobPlace
from storage.kinds import ObjectKind
from storage.records import (
    FindingRow,
    FoundResults,
    InstanceAttributes,
    JobResults,
    ResultObject,
)

NAME = "results.json"
REFUSED = "refused.json"
"""The same of what the gate refused: it lies in quarantine, whole, for a person to decide."""
OBJECTS = "objects.json"
"""The same of all but the further forms, while these are made: there only as long as that lasts."""
_FORM = 3


@dataclass(frozen=True, slots=True)
class Kept:
    """How a job ended, and with what."""

    verdict: str
    reasons: tuple[str, ...]
    results: JobResults
    made_from: Mapping[str, Any] = field(default_factory=dict)
    """All that went in, as ``node.work.manifest`` has it; empty: an older node kept none."""
    said: str = ""
    """Digest of the findings (``identity.digest_of``); empty where that was not kept."""


def write(kept: Kept, started_at: datetime, place: JobPlace, name: str = NAME) -> None:
    """Write it beside the objects of the job, which are there already."""
    content = {
        "form": _FORM,
        "started_at": started_at.isoformat(),
        "reported": _sha256(place, reported.NAME),
        **dataclasses.asdict(kept),
    }
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, indent=1)
    place.put(name, text.encode())


def read(started_at: datetime, place: JobPlace) -> Kept | None:
    """What a run left that this job knows nothing of; None where none is whole.

    Written again under the job's own start it counts as its own: run again by hand, it does run.
    """
    content = _content(place)
    if content.get("form") != _FORM or content["started_at"] == started_at.isoformat():
        return None
    try:
        kept = _kept(content)
    except (KeyError, TypeError, ValueError):
        return None
    is_whole = content.get("reported") == _sha256(place, reported.NAME) and all(
        _sha256(place, _name(one, place)) == one.sha256 for one in kept.results.objects
    )
    return kept if is_whole else None


def refused(place: JobPlace) -> tuple[Kept, datetime] | None:
    """What a run made that the gate refused, and its start; None where that is not whole."""
    content = _content(place, REFUSED)
    try:
        known = _kept(content)
        started_at = datetime.fromisoformat(content["started_at"])
    except (KeyError, TypeError, ValueError):
        return None
    files = [(one.key, one.sha256) for one in known.results.objects]
    files.append((reported.NAME, content.get("reported", "")))
    if any(_sha256(place, key.rpartition("/")[2]) != sha256 for key, sha256 in files):
        return None
    return known, started_at


def objects(started_at: datetime, place: JobPlace) -> Kept | None:
    """What a run had made before its further forms, in which it was cut off; None where it was not,
    or where that is not whole."""
    content = _content(place, OBJECTS)
    try:
        known = _kept(content) if content["started_at"] == started_at.isoformat() else None
    except (KeyError, TypeError, ValueError):
        return None
    if known is None or content.get("reported") != _sha256(place, reported.NAME):
        return None
    are_whole = all(
        _sha256(place, _name(one, place)) == one.sha256 for one in known.results.objects
    )
    return known if are_whole else None


def found(place: JobPlace) -> FoundResults | None:
    """What a job ended with, by the record of it, whatever became of the ledger; None without."""
    content = _content(place)
    if content.get("form") != _FORM:
        return None
    try:
        objects = _kept(content).results.objects
        started_at = datetime.fromisoformat(content["started_at"])
    except (KeyError, TypeError, ValueError):
        return None
    return FoundResults(objects, started_at)


def last(place: JobPlace) -> Kept | None:
    """What the last run left, whole or not; None without a record."""
    content = _content(place)
    try:
        return _kept(content) if content.get("form") == _FORM else None
    except (KeyError, TypeError, ValueError):
        return None


def files(place: JobPlace) -> frozenset[str]:
    """The names of the files of the last run that came to its end; none without a record."""
    known = last(place)
    if known is None:
        return frozenset()
    keys = (*(one.key for one in known.results.objects), *known.results.previews)
    return frozenset((NAME, reported.NAME, *(key.rpartition("/")[2] for key in keys)))


def _name(one: ResultObject, place: JobPlace) -> str:
    """An object's key without the job's; one of another job is none of ours."""
    return one.key.removeprefix(f"{place.name}/")


def _content(place: JobPlace, name: str = NAME) -> dict[str, Any]:
    try:
        with place.open(name) as file:
            content = json.load(file)
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) and "started_at" in content else {}


def _kept(content: dict[str, Any]) -> Kept:
    results = content["results"]
    return Kept(
        verdict=str(content["verdict"]),
        reasons=tuple(content["reasons"]),
        results=JobResults(
            objects=tuple(_object(one) for one in results["objects"]),
            findings=tuple(FindingRow.of(one) for one in results["findings"]),
            previews=tuple(results["previews"]),
            remarks=tuple(results["remarks"]),
            unmade={ObjectKind(kind): why for kind, why in results.get("unmade", {}).items()},
        ),
        made_from=content.get("made_from", {}),
        said=str(content.get("said", "")),
    )


def _object(content: dict[str, Any]) -> ResultObject:
    attributes = content.pop("attributes", None)
    return ResultObject(
        **content | {"kind": ObjectKind(content["kind"])},
        attributes=InstanceAttributes(**attributes) if attributes else None,
    )


def _sha256(place: JobPlace, name: str) -> str:
    """Empty where there is no such file."""
    try:
        with place.open(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
