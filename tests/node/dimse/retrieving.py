"""Who retrieves in tests: pynetdicom as requestor, with all that it was answered."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

STUDY_GET = StudyRootQueryRetrieveInformationModelGet
PATIENT_GET = PatientRootQueryRetrieveInformationModelGet
STUDY_MOVE = StudyRootQueryRetrieveInformationModelMove
PATIENT_MOVE = PatientRootQueryRetrieveInformationModelMove
MODELS = (STUDY_GET, PATIENT_GET, STUDY_MOVE, PATIENT_MOVE)


@dataclass
class Answer:
    """One response: its status, its counts (None: not said), and the list of what failed."""

    status: int
    remaining: int | None
    completed: int | None
    failed: int | None
    warnings: int | None
    failed_uids: list[str] | None = None
    comment: str = ""
    offending: int | None = None


@dataclass
class Requestor:
    """Asks over one association; ``status`` is what it answers to each C-STORE."""

    statuses: Callable[[int], int] = lambda number: 0x0000
    classes: Sequence[str] = (CTImageStorage,)
    syntaxes: Sequence[str] = (ExplicitVRLittleEndian,)
    received: list[Dataset] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    on_store: Callable[[Association, int], None] = lambda association, number: None
    tls: ssl.SSLContext | None = None

    def associate(self, port: int, title: str = "ASKER") -> Association:
        ae = AE(title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
        for model in MODELS:
            ae.add_requested_context(model)
        for sop_class in self.classes:
            for syntax in self.syntaxes:
                ae.add_requested_context(UID(sop_class), syntax)
        roles = [build_role(UID(one), scu_role=False, scp_role=True) for one in self.classes]
        association = ae.associate(
            "127.0.0.1",
            port,
            ae_title="WETREAD",
            ext_neg=list(roles),
            evt_handlers=[(evt.EVT_C_STORE, self._store)],
            tls_args=(self.tls, "127.0.0.1") if self.tls else None,
        )
        assert association.is_established
        return association

    def get(self, port: int, model: str = STUDY_GET, **keys: Any) -> list[Answer]:
        association = self.associate(port)
        try:
            return answers(association.send_c_get(identifier(**keys), UID(model), msg_id=1))
        finally:
            association.release()

    def move(self, port: int, to: str, model: str = STUDY_MOVE, **keys: Any) -> list[Answer]:
        association = self.associate(port)
        try:
            wanted = identifier(**keys)
            return answers(association.send_c_move(wanted, to, UID(model), msg_id=7))
        finally:
            association.release()

    def _store(self, event: evt.Event) -> int:
        number = len(self.received)
        self.received.append(event.dataset)
        self.raw.append(event.request.DataSet.getvalue())
        self.on_store(event.assoc, number)
        return self.statuses(number)


def identifier(level: str = "STUDY", **keys: Any) -> Dataset:
    made = Dataset()
    if level:
        made.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(made, keyword, value)
    return made


def answers(responses: Iterator[tuple[Dataset, Dataset | None]]) -> list[Answer]:
    return [_answer(status, identifier) for status, identifier in responses]


def _answer(status: Dataset, identifier: Dataset | None) -> Answer:
    uids = None
    if identifier is not None and "FailedSOPInstanceUIDList" in identifier:
        value = identifier.FailedSOPInstanceUIDList or []
        uids = [value] if isinstance(value, str) else list(value)
    return Answer(
        int(status.get("Status", -1)),
        status.get("NumberOfRemainingSuboperations"),
        status.get("NumberOfCompletedSuboperations"),
        status.get("NumberOfFailedSuboperations"),
        status.get("NumberOfWarningSuboperations"),
        uids,
        str(status.get("ErrorComment", "")),
        status.get("OffendingElement"),
    )
