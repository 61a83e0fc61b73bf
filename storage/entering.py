"""Received instances into the index; what comes back of the node's own results is not kept twice.

A result that comes back is the instance that is held already: its row, its study and its bytes stay
as they are. Bytes that are others than the node's own were acknowledged all the same, and go to
quarantine. Only where the result's own file is gone, what came back takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from storage import index, quarantine
from storage.database import Database
from storage.files.blobs import Blob
from storage.files.port import Blobs, Instances
from storage.files.seal import dataset_digest
from storage.index import CameBack
from storage.quarantine import RefusalKind, Refused
from storage.records import InstanceRecord


def enter(
    database: Database,
    store: Instances,
    results: Blobs | None,
    records: Sequence[InstanceRecord],
    at: datetime,
) -> int:
    """Enter instances that lie in the store; gives how many are new. Repeating it changes nothing.

    results: where the node's own lie; None where it has none.

    Raises
    ------
    DatabaseUnavailable, StoreUnavailable
    """
    with database.write() as tx:
        new = index.add(tx, records)
        back = index.came_back(tx, records) if results and new < len(records) else []
    if results and back:
        _Return(database, store, results, at).settle(back)
    return new


class _Return:
    """What is done with results that came back."""

    def __init__(self, database: Database, store: Instances, results: Blobs, at: datetime) -> None:
        self._database, self._store, self._results, self._at = database, store, results, at

    def settle(self, back: Sequence[CameBack]) -> None:
        others: list[CameBack] = []
        for one in back:
            digest = self._digest(one)
            if digest == one.record.placement.sha256:
                self._store.withdraw(one.record.placement)
            elif digest:
                others.append(one)
            elif self._store.blobs.exists(one.record.placement.key):
                self._take_instead(one)
        by_study = sorted(others, key=lambda one: one.study_id)
        for study_id, members in groupby(by_study, key=lambda one: one.study_id):
            self._keep_aside(study_id, list(members))

    def _digest(self, one: CameBack) -> str:
        """Of the data set that the node made; empty where its file is gone."""
        try:
            return dataset_digest(Blob(self._results, one.key))
        except FileNotFoundError:
            return ""

    def _take_instead(self, one: CameBack) -> None:
        with self._database.write() as tx:
            index.take_instead(tx, one.record)

    def _keep_aside(self, study_id: int, members: Sequence[CameBack]) -> None:
        kept = [self._withdrawn(one.record) for one in members]
        with self._database.write() as tx:
            quarantine.returned(tx, self._at, study_id, kept)

    def _withdrawn(self, record: InstanceRecord) -> Refused:
        kind, attributes = RefusalKind.RETURNED, record.attributes
        name = self._store.withdraw(record.placement, kind)
        return Refused(
            key=name,
            kind=kind,
            reason="a result of this node that came back with other bytes",
            sha256=record.placement.sha256,
            sop_instance_uid=attributes.sop_instance_uid,
            study_instance_uid=attributes.study_instance_uid,
            calling_ae=record.calling_ae,
        )
