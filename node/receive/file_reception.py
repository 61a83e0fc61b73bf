"""One DICOM file on its way in: its head says what it is, its data set is received as any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from node.receive import statuses
from node.receive.failure_reasons import STORED
from node.receive.file_head import MAX_HEAD_BYTES, FileHead, NoFile, read_head
from node.receive.offer import Offer
from node.receive.reception import Receiver, Reception
from storage.records import InstanceRecord

_BEGINNING = 256
"""So many bytes of a data set tell how it is encoded."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file. UIDs are empty where they are not known."""

    reason: int
    """``STORED``, or a Failure Reason."""
    comment: str = ""
    """In words, without patient data."""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""

    @property
    def is_stored(self) -> bool:
        return self.reason == STORED


Refusal = Callable[[Offer], Outcome | None]
"""Says of which SOP class or transfer syntax nothing is taken."""


class FileReception:
    """``finish`` or ``abandon`` ends it. Never raises: what is wrong comes out at the end."""

    def __init__(
        self, receiver: Receiver, refusal: Refusal, sender: str, study_instance_uid: str = ""
    ) -> None:
        """``sender``: its title, where the file names none. With a study only its are taken."""
        self._receiver = replace(receiver, sink=self._pass_on)
        self._sink = receiver.sink
        self._refusal = refusal
        self._sender = sender
        self._study = study_instance_uid
        self._head = bytearray()
        self._offer: Offer | None = None
        self._reception: Reception | None = None
        self._record: InstanceRecord | None = None
        self._failed: Outcome | None = None
        self.size_bytes = 0
        """Of what came until now, kept or not."""

    def write(self, chunk: bytes | memoryview) -> None:
        """More bytes of the file."""
        self.size_bytes += len(chunk)
        if self._reception is not None:
            self._reception.write(chunk)
        elif self._failed is None:
            self._head += chunk
            self._look_at_head(is_all=False)

    def finish(self) -> Outcome:
        """All of the file came: give what became of it. When stored, it survives a power cut."""
        if self._reception is None and self._failed is None:
            self._look_at_head(is_all=True)
        if self._failed is not None or self._reception is None or self._offer is None:
            return self._failed or Outcome(statuses.PROCESSING_FAILURE)
        status = self._reception.finish()
        offer, record = self._offer, self._record
        outcome = Outcome(status.code, status.comment, offer.sop_class_uid, offer.sop_instance_uid)
        if not status.is_success or record is None:
            return outcome
        found = record.attributes
        return replace(
            outcome,
            study_instance_uid=found.study_instance_uid,
            series_instance_uid=found.series_instance_uid,
        )

    def abandon(self) -> None:
        """The sender is gone: what came of the file is deleted."""
        if self._reception is not None:
            self._reception.abandon()

    # --- steps ------------------------------------------------------------------------------------

    def _look_at_head(self, is_all: bool) -> None:
        try:
            found = read_head(self._head, is_all)
        except NoFile as error:
            self._failed = Outcome(statuses.CANNOT_UNDERSTAND, str(error))
            return
        if found is None or not (is_all or _has_beginning(self._head, found)):
            return
        self._begin(found)

    def _begin(self, found: FileHead) -> None:
        offer = found.offer._replace(
            calling_ae=found.offer.calling_ae or self._sender, study_instance_uid=self._study
        )
        self._failed = self._refusal(offer)
        if self._failed is not None:
            return
        self._offer = offer
        self._reception = self._receiver.begin(offer)
        self._reception.write(bytes(self._head[found.end :]))
        self._head = bytearray()

    def _pass_on(self, record: InstanceRecord) -> None:
        self._sink(record)
        self._record = record


def _has_beginning(head: bytearray, found: FileHead) -> bool:
    return len(head) >= min(found.end + _BEGINNING, MAX_HEAD_BYTES)
