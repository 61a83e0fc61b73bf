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
PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
PENDING = (0xFF00, 0xFF01)
_CONTEXTS = {STUDY_ROOT_FIND: 1, PATIENT_ROOT_FIND: 3}
_OF_COMMAND, _LAST = 1, 2


@dataclass(frozen=True, slots=True)
class Timing:
    """How one query went: answers, and when the first and the final one were there."""

    answers: int
    first_ms: float
    last_ms: float
    status: int


@dataclass(frozen=True, slots=True)
class Response:
    """One C-FIND-RSP, its identifier in Implicit VR Little Endian; the final one has none."""

    status: int
    identifier: bytes

    @property
    def is_final(self) -> bool:
        return self.status not in PENDING


class Requestor(Association):
    """One open association for queries, Study Root and Patient Root."""

    def __init__(self, port: int, called: str) -> None:
        contexts = tuple((number, uid) for uid, number in _CONTEXTS.items())
        super().__init__(port, contexts, IMPLICIT_LITTLE, called)

    def find(self, identifier: Dataset) -> Timing:
        """One C-FIND, Study Root, read to its end."""
        responses = self.ask(identifier)
        started = time.perf_counter()
        first = 0.0
        for answers, response in enumerate(responses):
            passed = (time.perf_counter() - started) * 1000
            first = first or passed
            if response.is_final:
                return Timing(answers, first, passed, response.status)
        raise SystemExit("the peer ended the association")

    def ask(self, identifier: Dataset, model: str = STUDY_ROOT_FIND) -> Iterator[Response]:
        """One C-FIND; its responses as they come. PS3.7 9.3.2."""
        context = _CONTEXTS[model]
        priority = (0x0000, 0x0700, struct.pack("<H", 0))
        request = command(model, 0x0020, self.next_message(), 0x0001, priority)
        return self._sent(pdv(context, 3, request) + pdv(context, 2, _encoded(identifier)))

    def _sent(self, message: bytes) -> Iterator[Response]:
        self.send(message)
        status, identifier = 0, b""
        while True:
            for control, value in self.receive():
                if control & _OF_COMMAND:
                    status = _status(value)  # it never takes more than one PDV here
                    if status not in PENDING:
                        yield Response(status, b"")
                        return
                    continue
                identifier += value
                if control & _LAST:
                    yield Response(status, identifier)
                    identifier = b""


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
