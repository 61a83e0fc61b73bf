"""What a job left behind, as a file beside its results: found again when the database is lost.

A job that the ledger has never seen run, and whose folder holds whole results, is not run: the same
objects go out, with the bytes that they had. A job that runs again because somebody wants it to, or
because the node was cut off, does run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from node.results import reported
from storage.disk import sync_folder
from storage.records import FindingRow, JobResults, ResultObject

NAME = "results.json"
_FORM = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """How a job ended, and with what."""

    verdict: str
    reasons: tuple[str, ...]
    results: JobResults


def write(kept: Kept, started_at: datetime, folder: Path) -> None:
    """Write it into the folder of the job, synced; the objects are there already."""
    content = {
        "form": _FORM,
        "started_at": started_at.isoformat(),
        "reported": _sha256(folder / reported.NAME),
        **dataclasses.asdict(kept),
    }
    half = folder / f"{NAME}.part"
    with half.open("w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, sort_keys=True, indent=1)
        file.flush()
        os.fsync(file.fileno())
    half.replace(folder / NAME)
    sync_folder(folder)


def read(started_at: datetime, folder: Path) -> Kept | None:
    """What a run left that this job knows nothing of; None where none is whole.

    Written again under the job's own start it counts as its own: run again by hand, it does run.
    """
    content = _content(folder / NAME)
    if content.get("form") != _FORM or content["started_at"] == started_at.isoformat():
        return None
    try:
        kept = _kept(content)
    except (KeyError, TypeError):
        return None
    is_whole = content.get("reported") == _sha256(folder / reported.NAME) and all(
        _sha256(folder.parent / one.key) == one.sha256 for one in kept.results.objects
    )
    return kept if is_whole else None


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) and "started_at" in content else {}


def _kept(content: dict[str, Any]) -> Kept:
    results = content["results"]
    return Kept(
        verdict=str(content["verdict"]),
        reasons=tuple(content["reasons"]),
        results=JobResults(
            objects=tuple(ResultObject(**one) for one in results["objects"]),
            findings=tuple(FindingRow(**one) for one in results["findings"]),
            previews=tuple(results["previews"]),
            remarks=tuple(results["remarks"]),
        ),
    )


def _sha256(path: Path) -> str:
    """Empty where there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
