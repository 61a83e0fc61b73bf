"""Puts accepted corrections in the place of stored instances; the old bytes stay in quarantine.

What a sender corrected (a patient merged, a date put right) comes under the UID of what is stored.
It is refused first; when a person accepts it, the study is analyzed anew, and the new results
supersede the old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import structlog

from node.clock import Clock
from node.observe.logs import study_digest
from storage import commitment_requests, deletions, events, index, quarantine
from storage.database import Database
from storage.files.blobs import Blob
from storage.files.port import Instances, Metadata
from storage.quarantine import Quarantined, RefusalKind, Refused
from storage.records import InstanceRecord, Level, StoredInstance, Topic
from storage.reindex import record_of

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Corrections:
    """``step`` is for one thread."""

    def __init__(self, database: Database, store: Instances, shelf: Metadata, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._shelf = shelf
        self._clock = clock

    def step(self) -> int:
        """Put in place what was accepted; gives how many images.

        A study with jobs that are due or running waits for their end.

        Raises
        ------
        DatabaseUnavailable, StoreUnavailable
        """
        with self._database.read() as tx:
            wanted = quarantine.accepted(tx)
        done = 0
        for study, members in groupby(wanted, key=lambda one: one.refused.study_instance_uid):
            done += self._correct(study, list(members))
        return done

    def _correct(self, study_instance_uid: str, members: Sequence[Quarantined]) -> int:
        with self._database.read() as tx:
            uids = [one.refused.sop_instance_uid for one in members]
            stored = commitment_requests.stored_instances(tx, uids)
            study = index.find_study(tx, study_instance_uid)
            if study is not None and deletions.in_work(tx, study.id):
                return 0
        known = [one for one in members if self._can_be_taken(one.refused, stored)]
        self._drop([one for one in members if one not in known])
        if not known:
            return 0
        records = [self._exchange(one, stored[one.refused.sop_instance_uid]) for one in known]
        now = self._clock()
        with self._database.write() as tx:
            index.correct(tx, [record for record, _ in records])
            for one, (_, old) in zip(known, records, strict=True):
                quarantine.replaced(tx, now, one, old)
            found = index.find_study(tx, study_instance_uid)
            if found is not None:
                reason = f"{len(known)} images replaced by accepted corrections"
                state = found.state
                events.record(tx, now, Level.INFO, Topic.STUDY, found.id, state, state, reason)
        self._shelf.discard(study_instance_uid)
        log.info("corrected", study=study_digest(study_instance_uid), images=len(known))
        return len(known)

    def _exchange(self, one: Quarantined, old: StoredInstance) -> tuple[InstanceRecord, Refused]:
        uid = one.refused.sop_instance_uid
        kept = self._store.exchange(old.key, one.refused.key, uid, old.sha256)
        record = record_of(self._store, Blob(self._store.blobs, old.key))
        reason = "replaced by an accepted correction"
        study = one.refused.study_instance_uid
        before = Refused(kept, RefusalKind.REPLACED, reason, old.sha256, uid, study, "")
        return replace(record, received_at=self._clock(), calling_ae=one.refused.calling_ae), before

    def _can_be_taken(self, one: Refused, stored: Mapping[str, StoredInstance]) -> bool:
        """True also where it was put in place already, before an abrupt end."""
        there = one.sop_instance_uid in stored
        return there and self._store.can_be_taken(one.key, one.sha256)

    def _drop(self, members: Sequence[Quarantined]) -> None:
        """Nothing is stored there any more, or what was kept aside was changed since."""
        if not members:
            return
        reason = (
            f"{len(members)} accepted corrections cannot be put in place: nothing is stored under"
            " their UIDs, or the file in quarantine was changed"
        )
        with self._database.write() as tx:
            for one in members:
                quarantine.drop_acceptance(tx, one)
            now = self._clock()
            events.record(tx, now, Level.ALARM, Topic.NODE, 0, "", "not corrected", reason)
