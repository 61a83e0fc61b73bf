"""Results that the output gate refused and a person knowingly lets out.

They lie in quarantine, a folder a run, with a record of what was made and which conditions were not
met. A release links the files beside those of the job under names of their own, then enters them in
one transaction, and only then forgets the folder: cut off in the middle it is as if it had not been
asked for, or is done, and asked for again it comes to its end.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from node.errors import NotPossible
from node.results import kept, reported
from node.results.kept import Kept
from storage import ledger
from storage.database import Database
from storage.files.results import JobFolder, ResultStore
from storage.records import JobResults

_FOLDER = re.compile(r"job-\d+-[0-9a-f]{8}")
_PREFIX = "released-"
"""Of the names of files: what lies there already may be on its way to a destination."""


class CannotRelease(NotPossible):
    """Nothing is released; the message says which condition was not met."""


@dataclass(frozen=True, slots=True)
class RefusedRun:
    """What one run made and the gate refused; without ``kept`` it is not whole, and stays."""

    folder: Path
    kept: Kept | None
    started_at: datetime | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def conditions(self) -> tuple[str, ...]:
        """Those that were not met, each with the kind of its object."""
        return self.kept.reasons if self.kept else ()

    @property
    def job_key(self) -> str:
        objects = self.kept.results.objects if self.kept else ()
        return objects[0].key.partition("/")[0] if objects else ""


@dataclass(frozen=True, slots=True)
class Release:
    """Who wants a refused result out, and why."""

    by: str
    reason: str

    def in_words(self, run: RefusedRun) -> str:
        conditions = "; ".join(run.conditions)
        return f"released from quarantine by {self.by}: {self.reason} (not met: {conditions})"


def refused_runs(quarantine: Path) -> Iterator[RefusedRun]:
    """What was refused and lies in quarantine, by the names of its folders."""
    found = sorted(quarantine.iterdir()) if quarantine.is_dir() else []
    for folder in found:
        if folder.is_dir() and _FOLDER.fullmatch(folder.name):
            known = kept.refused(JobFolder(folder))
            yield RefusedRun(folder, *(known or (None,)))


def refused_run(quarantine: Path, name: str) -> RefusedRun:
    """One of them. Raises ``CannotRelease``."""
    for one in refused_runs(quarantine):
        if one.name == name:
            return one
    raise no_such_run(name)


def no_such_run(name: str) -> CannotRelease:
    return CannotRelease(f"no refused result is called {name!r}: see `wetread quarantine list`")


def release(
    database: Database, results: ResultStore, run: RefusedRun, wanted: Release, at: datetime
) -> int:
    """Make the objects results of their job, owed to its destinations; gives how many are new.

    Raises
    ------
    CannotRelease
        No reason is given; files are missing or changed; the job is not known.
    NotReleased, Superseded
    OSError
    """
    if not wanted.reason.strip() or not wanted.by.strip():
        raise CannotRelease("a release needs a name and a reason; they stand in the record")
    if run.kept is None or run.started_at is None:
        raise CannotRelease(f"{run.name} is not whole, or was changed: run its job again")
    with database.read() as tx:
        job = ledger.find(tx, run.job_key)
    if job is None:
        raise CannotRelease(f"the job of {run.name} is not known any more")
    place = JobFolder(results.root / job.key)
    place.take_back(run.folder, {name: _PREFIX + name for name in _names(run.kept.results)})
    renamed = _renamed(run.kept.results)
    with database.write() as tx:
        fresh = ledger.released(tx, job.id, at, renamed, wanted.in_words(run))
    place.put(reported.NAME, (run.folder / reported.NAME).read_bytes())
    kept.write(Kept(run.kept.verdict, (), renamed), run.started_at, place)
    shutil.rmtree(run.folder)
    return fresh


def _names(results: JobResults) -> tuple[str, ...]:
    keys = (*(one.key for one in results.objects), *results.previews)
    return tuple(key.rpartition("/")[2] for key in keys)


def _renamed(results: JobResults) -> JobResults:
    objects = tuple(dataclasses.replace(one, key=_key(one.key)) for one in results.objects)
    return dataclasses.replace(
        results, objects=objects, previews=tuple(_key(one) for one in results.previews)
    )


def _key(key: str) -> str:
    folder, _, name = key.rpartition("/")
    return f"{folder}/{_PREFIX}{name}"
