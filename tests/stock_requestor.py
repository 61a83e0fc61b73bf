"""pynetdicom as it comes, as a modality in a process of its own: nothing of the node's is loaded.

Run as ``python tests/stock_requestor.py PORT AE_TITLE FILE...``. It echoes, stores each file,
asks for commitment to all of them on the same association, waits for the report there, releases,
and prints what it was told as one line of JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_COMMITMENT = 1
PATIENCE_S = 60
SWITCH_S = 1.0
"""Stock pynetdicom loses an answer if its reactor is stopped between the checkpoint and the queue,
which a busy machine does to it. No step of it takes so long, so none is stopped amid it by another
of its threads; by another process it may be."""
MISLAID = 75
"""The exit status where an answer came, and stock pynetdicom gave it to nobody."""


def main(port: int, ae_title: str, paths: list[str]) -> dict[str, Any]:
    """One visit of a modality that stores, and removes its copies once they are committed."""
    images = [dcmread(path) for path in paths]
    ae = AE(ae_title=ae_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE_S
    ae.add_requested_context(Verification)
    ae.add_requested_context(StorageCommitmentPushModel)
    for sop_class, syntax in {(one.SOPClassUID, _syntax(one)) for one in images}:
        ae.add_requested_context(sop_class, syntax)
    reports: list[tuple[int, Dataset]] = []
    reported = threading.Event()
    answers: list[str] = []

    def take(event: evt.Event) -> tuple[int, None]:
        reports.append((int(event.event_type), event.event_information))
        reported.set()
        return 0x0000, None

    association = ae.associate(
        "127.0.0.1",
        port,
        ae_title="WETREAD",
        ext_neg=[build_role(StorageCommitmentPushModel, scu_role=True, scp_role=True)],
        evt_handlers=[
            (evt.EVT_N_EVENT_REPORT, take),
            (evt.EVT_DIMSE_RECV, lambda event: answers.append(type(event.message).__name__)),
        ],
    )
    if not association.is_established:
        return {"established": False}
    told: dict[str, Any] = {"established": True, "echo": association.send_c_echo().get("Status")}
    told["stored"] = []
    for image in images:
        told["stored"].append(association.send_c_store(image).get("Status"))
        if told["stored"][-1] is None and answers.count("C_STORE_RSP") == len(told["stored"]):
            association.abort()
            sys.exit(MISLAID)
    status, _ = association.send_n_action(
        _request(images), REQUEST_COMMITMENT, StorageCommitmentPushModel, WELL_KNOWN_INSTANCE
    )
    told["asked"] = status.get("Status")
    told["reported"] = reported.wait(PATIENCE_S)
    told["committed"] = [
        [kind, len(report.get("ReferencedSOPSequence", ()))] for kind, report in reports
    ]
    association.release()
    told["released"] = association.is_released
    return told


def _syntax(image: Dataset) -> str:
    return str(image.file_meta.TransferSyntaxUID)


def _request(images: list[Dataset]) -> Dataset:
    request = Dataset()
    request.TransactionUID = generate_uid()
    request.ReferencedSOPSequence = []
    for image in images:
        reference = Dataset()
        reference.ReferencedSOPClassUID = image.SOPClassUID
        reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
        request.ReferencedSOPSequence.append(reference)
    return request


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_S)
    print(json.dumps(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])))
