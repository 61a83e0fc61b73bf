"""What is fuzzed: each takes any bytes, and raises where a promise is broken."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from pydicom.uid import CTImageStorage
from pynetdicom.pdu import A_ASSOCIATE_RQ

from node.dimse import incoming
from node.dimse.wire import commands
from node.dimse.wire.negotiation import read_request
from node.dimse.wire.pdus import PduFault, fragments
from node.receive import statuses
from node.receive.offer import Offer
from node.receive.reception import Receiver
from storage.files.instances import InstanceStore, dataset_digest

ANSWERS = {
    statuses.SUCCESS, statuses.CANNOT_UNDERSTAND, statuses.SOP_CLASS_MISMATCH,
    statuses.SOP_INSTANCE_MISMATCH, statuses.DUPLICATE_SOP_INSTANCE,
}  # fmt: skip
"""What may be answered to a data set; 0x0110 would be a fault of the node."""


def values(raw: bytes) -> None:
    """The presentation data values of a P-DATA-TF."""
    try:
        list(fragments(memoryview(raw)))
    except PduFault:
        return


def command(raw: bytes) -> None:
    """A command set: first as a well-formed one, then as any."""
    commands.decode_answer(raw)
    commands.is_response(raw)
    try:
        incoming.decode_request(raw)
    except PduFault:
        return


def request(raw: bytes) -> None:
    """An A-ASSOCIATE-RQ: what is taken of it, pynetdicom takes too."""
    try:
        asked = read_request(raw[6:])
    except PduFault:
        return
    if asked.rejection is not None:
        return
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(asked.pdu)
    proposed = pdu.to_primitive().presentation_context_definition_list
    assert proposed and all(one.transfer_syntax for one in proposed)


def receiver(folder: Path) -> Receiver:
    """One that receives into a folder."""
    return Receiver(
        InstanceStore(folder / "instances", folder / "quarantine"),
        sink=lambda record: None,
        on_quarantined=lambda *facts: None,
        clock=lambda: datetime.now(UTC),
    )


def instance(into: Receiver, content: bytes, uid: str) -> int:
    """A data set under a UID; gives the answer."""
    offer = Offer(CTImageStorage, uid, "1.2.840.10008.1.2.1", "FUZZ")
    status = into.receive(offer, [content])
    assert status.code in ANSWERS, hex(status.code)
    if status.is_success:
        kept = dataset_digest(into.store.path(into.store.key_of(uid)))
        assert kept == hashlib.sha256(content).hexdigest()
    return status.code
