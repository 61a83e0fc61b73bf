"""A requestor of C-FIND on a raw socket: it costs next to nothing, so what is timed is the peer."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from benchmarks.modality import Association, command, pdv

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
PENDING = (0xFF00, 0xFF01)
_CONTEXT = 1
_LAST_OF_COMMAND = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """How one query went: answers, and when the first and the final one were there."""

    answers: int
    first_ms: float
    last_ms: float
    status: int


class Requestor(Association):
    """One open association for queries, Study Root."""

    def __init__(self, port: int, called: str) -> None:
        super().__init__(port, ((_CONTEXT, STUDY_ROOT_FIND),), IMPLICIT_LITTLE, called)

    def find(self, identifier: Dataset) -> Timing:
        """One C-FIND, read to its end. PS3.7 9.3.2."""
        priority = (0x0000, 0x0700, struct.pack("<H", 0))
        request = command(STUDY_ROOT_FIND, 0x0020, self.next_message(), 0x0001, priority)
        message = pdv(_CONTEXT, 3, request) + pdv(_CONTEXT, 2, _encoded(identifier))
        started = time.perf_counter()
        self.send(message)
        first = 0.0
        for answers, status in enumerate(self._statuses()):
            passed = (time.perf_counter() - started) * 1000
            first = first or passed
            if status not in PENDING:
                return Timing(answers, first, passed, status)
        raise SystemExit("the peer ended the association")

    def _statuses(self) -> Iterator[int]:
        """Of the answers as they come; a command never takes more than one PDV here."""
        while True:
            for control, value in self.receive():
                if control == _LAST_OF_COMMAND:
                    yield _status(value)


def _encoded(identifier: Dataset) -> bytes:
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, True
    write_dataset(file, identifier)
    return bytes(file.getvalue())


def _status(command_set: bytes) -> int:
    at = 0
    while at < len(command_set):
        element, length = struct.unpack_from("<2xHL", command_set, at)
        if element == 0x0900:
            return int(struct.unpack_from("<H", command_set, at + 8)[0])
        at += 8 + length
    raise SystemExit("the peer answered without a status")
