"""Deletes what the settings or a person want gone, and says when the disk will be full.

Nothing goes that is not delivered, not committed to, or in work. Rows go before files, in slices;
``storage.deletions`` is the record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from node.audit.events import Actor, Deleted, Subject
from node.audit.trail import NO_TRAIL, Trail
from node.clock import Clock
from node.config.tables import RetentionSettings
from node.observe.logs import study_digest
from storage import audit, deletions, events, retention
from storage.database import Database
from storage.deletions import Deletion, DeletionState, DoomedFile, NewDeletion, Place, Scope
from storage.files.disk import named_errors
from storage.files.port import Instances, Metadata, Results
from storage.people.kept_notes import NotesFolder
from storage.records import Level, Topic
from storage.retention import Kept, Usage

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LOOK_EVERY = timedelta(minutes=10)
"""How often all that is kept is summed up and looked through."""
WEEK = timedelta(days=7)
LINGER_S = 2.0
"""How long an association of the same study has to show itself, before a file is really gone."""
GB = 10**9


@dataclass(frozen=True, slots=True)
class Forecast:
    """How the disk fills. ``full_in_days`` is None where it does not."""

    free_bytes: int
    bytes_a_day: float
    full_in_days: float | None

    def numbers(self) -> dict[str, float]:
        """For the metrics."""
        found = {"free_bytes": float(self.free_bytes), "received_bytes_per_day": self.bytes_a_day}
        return found if self.full_in_days is None else {**found, "full_in_days": self.full_in_days}

    def in_words(self) -> str:
        """For the page and the command."""
        if self.full_in_days is None:
            return "no image came in the last seven days"
        rate = f"{self.bytes_a_day / 1e9:.1f} GB a day came in the last week"
        if self.full_in_days > 3650:
            return f"{rate}; the disk will not be full in ten years"
        return f"{rate}; at this rate the disk is full in {self.full_in_days:.0f} days"


@dataclass(frozen=True, slots=True)
class Folders:
    """Where files lie."""

    instances: Instances
    results: Results
    metadata: Metadata
    logs: Path
    notes: NotesFolder


class Retention:
    """``step`` is for one thread: carries out what is asked for, and asks by the rules."""

    def __init__(
        self,
        database: Database,
        folders: Folders,
        settings: RetentionSettings,
        open_studies: Callable[[], Set[str]],
        clock: Clock,
        linger: Callable[[float], object] = time.sleep,
        trail: Trail = NO_TRAIL,
    ) -> None:
        """``open_studies``: UIDs of those that associations or the index queue are bringing."""
        self._database = database
        self._folders = folders
        self._settings = settings
        self._open_studies = open_studies
        self._clock = clock
        self._linger = linger
        self._trail = trail
        self._looked_at: datetime | None = None
        self._exceeded: set[str] = set()
        self.forecast: Forecast | None = None

    def step(self) -> bool:
        """Look, if it is time to; then carry out what is asked for. True when there may be more.

        Raises
        ------
        DatabaseUnavailable, StoreUnavailable
        """
        now = self._clock()
        found = 0
        if self._looked_at is None or now - self._looked_at >= LOOK_EVERY:
            found = self._look(now)
            self._looked_at = None if found else now
        with self._database.read() as tx:
            wanted = deletions.open_ones(tx)
        done = sum(self.carry_out(deletion) for deletion in wanted)
        return found > 0 and done > 0

    # --- by the rules -----------------------------------------------------------------------------

    def _look(self, now: datetime) -> int:
        """Gives how many deletions the rules ask for."""
        used = self.usage()
        self.forecast = forecast(self._folders.instances.free_bytes(), used)
        due = self.due(used)
        for wanted in due:
            with self._database.write() as tx:
                deletions.ask(tx, wanted, now)
        self._thin_history(now)
        self._thin_quarantine(now)
        self._thin_logs(now)
        return len(due)

    def usage(self) -> Usage:
        """What is kept now, with the metadata of the images. Raises DatabaseUnavailable."""
        shelved = self._folders.metadata.size_bytes()
        with self._database.read() as tx:
            used = retention.usage(tx, self._clock() - WEEK)
        return replace(used, images=used.images + shelved)

    def due(self, used: Usage) -> list[NewDeletion]:
        """What the rules want gone now: by age, and the oldest beyond a quota.

        Raises
        ------
        DatabaseUnavailable
        """
        settings = self._settings
        return [
            *self._too_old(Scope.STUDY, settings.images_days, "retention.images_days"),
            *self._too_much(Scope.STUDY, settings.images_gb, used.images, "retention.images_gb"),
            *self._too_old(Scope.RESULTS, settings.results_days, "retention.results_days"),
            *self._too_much(
                Scope.RESULTS, settings.results_gb, used.results, "retention.results_gb"
            ),
        ]

    def _too_old(self, scope: Scope, days: float | None, rule: str) -> list[NewDeletion]:
        if days is None:
            return []
        free = self._free(scope, self._clock() - timedelta(days=days))
        return [NewDeletion(one.study_id, scope, f"older than {days:g} days", rule) for one in free]

    def _too_much(
        self, scope: Scope, quota_gb: float | None, used: int, rule: str
    ) -> list[NewDeletion]:
        if quota_gb is None:
            return []
        surplus = used - quota_gb * GB
        free = self._free(scope) if surplus > 0 else []
        self._say_exceeded(rule, is_exceeded=surplus > 0 and not free)
        reason = f"beyond the quota of {quota_gb:g} GB"
        return [
            NewDeletion(one.study_id, scope, reason, rule) for one in _until_freed(free, surplus)
        ]

    def _free(self, scope: Scope, before: datetime | None = None) -> list[Kept]:
        with self._database.read() as tx:
            found = retention.oldest(tx, scope, before)
            return [one for one in found if not deletions.holds(tx, one.study_id)]

    def _say_exceeded(self, rule: str, is_exceeded: bool) -> None:
        """A quota that cannot be kept is an alarm, once until it is kept again."""
        if not is_exceeded:
            self._exceeded.discard(rule)
        elif rule not in self._exceeded:
            reason = (
                f"{rule} is exceeded, and nothing may go: what is left is not delivered, not"
                " committed to, or in work"
            )
            with self._database.write() as tx:
                events.record(
                    tx,
                    self._clock(),
                    Level.ALARM,
                    Topic.NODE,
                    0,
                    "",
                    "quota exceeded",
                    reason,
                )
            self._exceeded.add(rule)

    def _thin_history(self, now: datetime) -> None:
        if self._settings.events_days is None:
            return
        before = now - timedelta(days=self._settings.events_days)
        gone = 1
        while gone:
            with self._database.write() as tx:
                gone = retention.forget_history(tx, before)

    def _thin_quarantine(self, now: datetime) -> None:
        days, quota_gb = self._settings.quarantine_days, self._settings.quarantine_gb
        if days is not None:
            while self._forget_quarantine(now - timedelta(days=days), retention.AT_ONCE):
                pass
        if quota_gb is not None:
            store = self._folders.instances
            while store.refused_bytes() > quota_gb * GB and self._forget_quarantine(now, 20):
                pass
        self._thin_refused_runs(now)

    def _thin_refused_runs(self, now: datetime) -> None:
        """Results that were refused, by age, and the oldest beyond the quota."""
        days, quota_gb = self._settings.quarantine_days, self._settings.quarantine_gb
        store = self._folders.instances
        runs = store.refused_runs()
        surplus = 0.0
        if quota_gb is not None:
            used = store.refused_bytes() + sum(one.size_bytes for one in runs)
            surplus = used - quota_gb * GB
        for one in runs:
            is_old = days is not None and one.refused_at < now - timedelta(days=days)
            if is_old or surplus > 0:
                store.delete_refused_run(one.name)
                surplus -= one.size_bytes
                log.info("refused_result_deleted", bytes=one.size_bytes)

    def _forget_quarantine(self, before: datetime, limit: int) -> int:
        with self._database.write() as tx:
            names = retention.forget_quarantine(tx, before, limit)
        for name in names:  # a file that an abrupt end leaves here has no row and no alarm
            self._folders.instances.delete_refused(name)
        return len(names)

    def _thin_logs(self, now: datetime) -> None:
        """Rotated logs; the one that is written to is never old."""
        if self._settings.logs_days is None:
            return
        before = (now - timedelta(days=self._settings.logs_days)).timestamp()
        with named_errors("the log folder"):
            for path in self._folders.logs.glob("*.log.*"):
                if path.stat().st_mtime < before:
                    path.unlink(missing_ok=True)

    # --- carrying out -----------------------------------------------------------------------------

    def carry_out(self, deletion: Deletion) -> bool:
        """Delete, unless it is refused, or a sender is at the study just now: then later.

        Raises
        ------
        DatabaseUnavailable, StoreUnavailable
        """
        if deletion.study_instance_uid in self._open_studies() or not self._begun(deletion):
            return False
        subject = self._subject(deletion)
        taken = 1
        while taken:
            with self._database.write() as tx:
                taken = deletions.take_slice(tx, deletion)
        while self._delete_files(deletion):
            pass
        self._folders.metadata.discard(deletion.study_instance_uid)
        self._folders.notes.renew(self._database, deletion.study_instance_uid)
        with self._database.write() as tx:
            done = deletions.finish(tx, deletion, self._clock())
        log.info(
            "deleted",
            study=study_digest(done.study_instance_uid),
            scope=done.scope.value,
            images=done.instances,
            results=done.results,
            bytes=done.size_bytes,
            rule=done.asked_by,
        )
        what = deletion.reason if done.scope is Scope.STUDY else f"results only: {deletion.reason}"
        self._trail.record(Deleted(Actor(done.asked_by), subject, what))
        return True

    def _subject(self, deletion: Deletion) -> Subject:
        """The study and whose it is, as long as it is known."""
        uid = deletion.study_instance_uid
        with self._database.read() as tx:
            found = audit.whose(tx, (uid,)).get(uid)
        if found is None:
            return Subject(uid)
        return Subject(uid, found.patient_id, found.patient_name, found.accession_number)

    def _begun(self, deletion: Deletion) -> bool:
        if deletion.state is not DeletionState.ASKED:
            return True
        with self._database.write() as tx:
            why = deletions.begin(tx, deletion)
        if why:
            study = study_digest(deletion.study_instance_uid)
            log.warning("deletion_refused", study=study, reason="; ".join(why))
        return not why

    def _delete_files(self, deletion: Deletion) -> int:
        """Some files; gives how many. An instance that comes again meanwhile is given back."""
        files = self._doomed(deletion)
        images = [one for one in files if one.place is Place.INSTANCES]
        for one in images:
            self._folders.instances.discard(one.key)
        if images:
            self._linger(LINGER_S)
        is_open = deletion.study_instance_uid in self._open_studies()
        with self._database.read() as tx:
            again = deletions.wanted_again(tx, files)
        for one in files:
            is_image = one.place is Place.INSTANCES
            self._end(one, keep=one.key in again or (is_open and is_image))
        with self._database.write() as tx:
            deletions.forget(tx, files)
        return len(files)

    def _doomed(self, deletion: Deletion) -> list[DoomedFile]:
        with self._database.read() as tx:
            return deletions.doomed(tx, deletion.id)

    def _end(self, file: DoomedFile, keep: bool) -> None:
        if file.place is Place.INSTANCES:
            store = self._folders.instances
            store.give_back(file.key) if keep else store.purge(file.key)
        elif not keep:
            self._folders.results.delete(file.key)


def _until_freed(oldest: Sequence[Kept], surplus: float) -> Iterator[Kept]:
    for one in oldest:
        if surplus <= 0:
            return
        surplus -= one.size_bytes
        yield one


def forecast(free_bytes: int, used: Usage) -> Forecast:
    """When the disk will be full, if images go on coming as in the last seven days."""
    a_day = used.images_of_last_week / WEEK.days
    return Forecast(free_bytes, a_day, free_bytes / a_day if a_day else None)
