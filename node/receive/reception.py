"""The seam of receiving: an instance's bytes go in, a C-STORE status comes out.

Whatever brings the bytes (DIMSE, STOW-RS), this module alone decides what is answered.
``SUCCESS`` is answered only when the bytes, exactly as they came, are on disk and the sink has the
instance. Nothing here may alter a data set or log what is in it.
"""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from pydicom.uid import UID

from node.clock import Clock
from node.observe.throttle import ThrottledLog
from node.receive import statuses
from node.receive.encoding import Contradiction, real_syntax
from node.receive.file_meta import file_header
from node.receive.header import attributes_of
from node.receive.offer import Offer
from node.receive.statuses import Status
from storage.errors import DatabaseUnavailable, OutOfSpace, StoreUnavailable, UnreadableInstance
from storage.files.port import Incoming, Instances
from storage.quarantine import RefusalKind, Refused
from storage.records import InstanceAttributes, InstanceRecord, Placement, PutOutcome

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_odd_encodings = ThrottledLog()

T = TypeVar("T")
RecordSink = Callable[[InstanceRecord], None]
"""Takes a stored instance; returns when it is committed. May raise DatabaseUnavailable."""
QuarantineSink = Callable[[Refused], None]
"""Takes an instance that was put aside. May raise DatabaseUnavailable."""

NO_END = "an instance has no end: far more than dimse.max_instance_mb"
_DROPPED_LIMITS = 2
"""Too large an instance is dropped as it comes, up to so many times the limit, then refused."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Receives instances into a store."""

    store: Instances
    sink: RecordSink
    on_quarantined: QuarantineSink
    clock: Clock
    min_free_bytes: int = 0
    """With less free space than this, nothing is taken."""
    max_instance_bytes: int = 0
    """Larger instances are refused; 0 for any size."""

    def receive(self, offer: Offer, chunks: Iterable[bytes | memoryview]) -> Status:
        """Take one whole instance: ``chunks`` are its data set's bytes, in order."""
        reception = self.begin(offer)
        for chunk in chunks:
            reception.write(chunk)
        return reception.finish()

    def has_no_end(self, received_bytes: int) -> bool:
        """Whether so much came of one instance that its sender is cut off, with ``NO_END``."""
        limit = _DROPPED_LIMITS * self.max_instance_bytes
        return 0 < limit < received_bytes

    def begin(self, offer: Offer, refusal: Status | None = None) -> Reception:
        """Open an instance that arrives in pieces. Never raises: faults come out at the end.

        With a ``refusal`` that is the answer already, and the bytes are dropped as they come.
        """
        reception = Reception(self, offer, refusal)
        if refusal is None:
            reception.open()
        return reception


class _Refused(Exception):
    """The instance is answered with this status."""

    def __init__(
        self, status: Status, kind: RefusalKind | None = None, study_instance_uid: str = ""
    ) -> None:
        super().__init__(status.comment)
        self.status = status
        self.kind = kind
        """Given: the instance goes to quarantine under this kind of reason; else it is dropped."""
        self.study_instance_uid = study_instance_uid


class Reception:
    """One instance on its way in. ``finish`` or ``abandon`` ends it."""

    def __init__(self, receiver: Receiver, offer: Offer, refusal: Status | None = None) -> None:
        self._receiver = receiver
        self._offer = offer
        self._incoming: Incoming | None = None
        self._is_begun = False
        self._contradiction = ""
        self._failure = refusal

    def open(self) -> None:
        """Open the file and write its preamble and file meta information."""
        self._guard(self._open)

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes of the data set; after a fault they are only counted as arrived."""
        if self._incoming is not None:
            self._guard(self._append, chunk)

    def finish(self) -> Status:
        """Place the file, hand the instance over, and say what is to be answered."""
        status = self._guard(self._settle) if self._failure is None else None
        if self._incoming is not None:
            self._incoming.close()
        return self._failure or status or Status(statuses.PROCESSING_FAILURE)

    def abandon(self) -> None:
        """The sender is gone: what came of the instance is deleted."""
        self._drop()

    # --- steps, in order --------------------------------------------------------------------------

    def _open(self) -> None:
        receiver = self._receiver
        if receiver.min_free_bytes and not receiver.store.has_room(receiver.min_free_bytes):
            raise OutOfSpace("less free space than the settings ask for")
        self._incoming = receiver.store.open_incoming()

    def _begin(self, incoming: Incoming, beginning: bytes | memoryview) -> None:
        """Write preamble and file meta information, which name the encoding that is there."""
        self._is_begun = True
        announced = self._offer.transfer_syntax_uid
        try:
            found = real_syntax(announced, beginning)
        except Contradiction as error:
            self._contradiction, found = str(error), announced
        if found != announced:
            self._offer = self._offer._replace(transfer_syntax_uid=found)
            reason = f"{UID(found).name} came, {UID(announced).name} was announced"
            title = self._offer.calling_ae
            _odd_encodings.warn("encoding_differs", reason, host="", calling_ae=title)
        incoming.write_header(file_header(self._offer), self._offer.sop_instance_uid)

    def _append(self, chunk: bytes | memoryview) -> None:
        if self._incoming is None:
            return
        limit = self._receiver.max_instance_bytes
        if limit and self._incoming.size_bytes + len(chunk) > limit:
            raise _Refused(Status(statuses.INSTANCE_TOO_LARGE, "Larger than dimse.max_instance_mb"))
        if not self._is_begun:
            self._begin(self._incoming, chunk)
        self._incoming.write(chunk)

    def _settle(self) -> Status:
        incoming = self._incoming
        if incoming is None:
            raise RuntimeError("the reception was not opened")
        if not self._is_begun:
            self._begin(incoming, b"")
        incoming.begin_to_place(self._offer.sop_instance_uid)
        try:
            attributes = self._identify(incoming)
        except _Refused as refusal:
            if refusal.kind is None:
                raise
            key = incoming.quarantine(refusal.kind)
            self._report(
                key, refusal.kind, refusal.status, incoming.sha256, refusal.study_instance_uid
            )
            return refusal.status
        placement = incoming.place(attributes.sop_instance_uid)
        if placement.outcome is PutOutcome.CONFLICT:
            return self._conflict(placement, attributes.study_instance_uid)
        self._receiver.sink(
            InstanceRecord(attributes, placement, self._receiver.clock(), self._offer.calling_ae)
        )
        return Status(statuses.SUCCESS)

    def _identify(self, incoming: Incoming) -> InstanceAttributes:
        offer = self._offer
        try:
            if self._contradiction:
                raise UnreadableInstance(self._contradiction)
            attributes = attributes_of(incoming, offer)
        except UnreadableInstance as error:
            comment = _comment(f"Cannot understand: {error}")
            status = Status(statuses.CANNOT_UNDERSTAND, comment)
            raise _Refused(status, RefusalKind.UNREADABLE) from error
        study = attributes.study_instance_uid
        if attributes.sop_class_uid != offer.sop_class_uid:
            status = Status(
                statuses.SOP_CLASS_MISMATCH, "SOP Class UID differs from the one announced"
            )
            raise _Refused(status, RefusalKind.SOP_CLASS_MISMATCH, study)
        if attributes.sop_instance_uid != offer.sop_instance_uid:
            comment = "SOP Instance UID differs from the one announced"
            status = Status(statuses.SOP_INSTANCE_MISMATCH, comment)
            raise _Refused(status, RefusalKind.SOP_INSTANCE_MISMATCH, study)
        if offer.study_instance_uid not in ("", study):
            comment = "Study Instance UID differs from the one that was named"
            raise _Refused(Status(statuses.SOP_CLASS_MISMATCH, comment))
        return attributes

    def _conflict(self, placement: Placement, study_instance_uid: str) -> Status:
        comment = "SOP Instance UID is taken by an instance with other bytes"
        status = Status(statuses.DUPLICATE_SOP_INSTANCE, comment)
        kind = RefusalKind.CONFLICT
        self._report(placement.key, kind, status, placement.sha256, study_instance_uid)
        return status

    def _report(
        self, key: str, kind: RefusalKind, status: Status, sha256: str, study_instance_uid: str
    ) -> None:
        log.warning("instance_quarantined", key=key, reason=status.comment)
        offer = self._offer
        refused = Refused(
            key=key,
            kind=kind,
            reason=status.comment,
            sha256=sha256,
            sop_instance_uid=offer.sop_instance_uid,
            study_instance_uid=study_instance_uid,
            calling_ae=offer.calling_ae,
        )
        try:
            self._receiver.on_quarantined(refused)
        except DatabaseUnavailable:
            # The file is kept and the sender told; only the line on the status page is missing.
            log.error("quarantine_not_recorded", key=key)

    # --- faults -----------------------------------------------------------------------------------

    def _guard(self, step: Callable[..., T], *given: object) -> T | None:
        """Run a step; turn whatever it raises into the status to answer."""
        try:
            return step(*given)
        except _Refused as refusal:
            self._fail(refusal.status)
        except OutOfSpace:
            self._fail(Status(statuses.OUT_OF_RESOURCES, "Out of disk space"))
        except StoreUnavailable:
            self._fail(Status(statuses.OUT_OF_RESOURCES, "Storage is unavailable"))
        except DatabaseUnavailable:
            self._fail(Status(statuses.OUT_OF_RESOURCES, "Database is unavailable"))
        except Exception as error:  # noqa: BLE001  border: a sender always gets an answer
            self._fail(_internal_fault(error))
        return None

    def _fail(self, status: Status) -> None:
        if status.code in (statuses.OUT_OF_RESOURCES, statuses.INSTANCE_TOO_LARGE):
            log.error("instance_refused", status=f"0x{status.code:04X}", reason=status.comment)
        self._failure = status
        self._drop()

    def _drop(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.close()


def _internal_fault(error: Exception) -> Status:
    """Log a fault of our own under a new id. The message is left out: it may quote the data set."""
    fault_id = uuid.uuid4().hex[:12]
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("receive_fault", fault=fault_id, error=type(error).__name__, traceback=frames)
    return Status(statuses.PROCESSING_FAILURE, f"Internal fault {fault_id}")


def _comment(text: str) -> str:
    plain = text.encode("ascii", "replace").decode()
    return plain[: statuses.MAX_COMMENT_LENGTH]
