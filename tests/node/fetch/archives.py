"""Archives to fetch from: one of pynetdicom whose faults are switched, and DCMTK's ``dcmqrscp``."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from node.dimse.scu.sender import Peer
from tests.instances import make_dataset
from tests.peers import _listens, free_port
from tests.waiting import until

_LEVELS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


def study(number: int, images: int, series: int = 1, **attributes: Any) -> list[Dataset]:
    """A CT study of so many images in each series."""
    return [
        made(number, one, image, **attributes) for one in range(series) for image in range(images)
    ]


def made(number: int, series: int, image: int, **attributes: Any) -> Dataset:
    root = f"2.25.{number + 1}"
    dataset = make_dataset(
        1000 * number + 100 * series + image,
        16,
        StudyInstanceUID=root,
        SeriesInstanceUID=f"{root}.{series}",
        SOPInstanceUID=f"{root}.{series}.{image}",
        AccessionNumber=f"A{number}",
        StudyDate="20260301",
        **attributes,
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


@dataclass
class FakeArchive:
    """Answers C-FIND, C-GET and C-MOVE (Study Root) with what it holds."""

    held: list[Dataset] = field(default_factory=list)
    serves_get: bool = True
    tells_classes: bool = True
    hidden: frozenset[str] = frozenset()
    """SOP instances that it knows and does not send."""
    ignores: tuple[str, ...] = ()
    """Keys that it does not match by."""
    forgets: tuple[str, ...] = ()
    """Keys that it does not return."""
    abort_at: int = -1
    """The nth sub-operation (from 0) is an A-ABORT."""
    aborts: int = 0
    """So many requests for an association are answered by an A-ABORT."""
    find_status: int = 0x0000
    destinations: dict[str, int] = field(default_factory=dict)
    """AE titles and ports to move to."""
    gate: threading.Event = field(default_factory=threading.Event)
    """Sub-operations but the first of a request wait until it is set."""
    waits: threading.Event = field(default_factory=threading.Event)
    """Set once a sub-operation waits at the gate."""
    requests: list[Dataset] = field(default_factory=list)
    ssl_context: Any = None
    port: int = 0

    def start(self) -> None:
        ae = AE(ae_title="ARCHIVE")
        ae.acse_timeout = 5
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
        if self.serves_get:
            ae.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(
                str(context.abstract_syntax),
                list(ALL_TRANSFER_SYNTAXES),
                scu_role=True,
                scp_role=True,
            )
            ae.add_requested_context(str(context.abstract_syntax)) if len(
                ae.requested_contexts
            ) < 128 else None
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, self._get),
            (evt.EVT_C_MOVE, self._move),
        ]
        self._server = ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=self.ssl_context
        )
        self.port = int(self._server.server_address[1])

    def stop(self) -> None:
        self.gate.set()
        self._server.shutdown()

    @property
    def peer(self) -> Peer:
        return Peer("archive", "ARCHIVE", "127.0.0.1", self.port, "WETREAD")

    def kill(self) -> None:
        """Every connection is cut, as when its machine dies."""
        self.gate.set()
        for association in self._server.active_associations:
            association.dul.socket._shutdown_socket()

    def _requested(self, event: evt.Event) -> None:
        if self.aborts:
            self.aborts -= 1
            event.assoc.abort()

    def _matches(self, query: Dataset) -> list[Dataset]:
        found = []
        for one in self.held:
            keys = ("PatientID", "AccessionNumber", *_LEVELS.values())
            if all(key in self.ignores or _fits(query.get(key), one.get(key)) for key in keys):
                found.append(one)
        return found

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        query = event.identifier
        self.requests.append(query)
        unique = _LEVELS[query.QueryRetrieveLevel]
        for one in {str(match[unique].value): match for match in self._matches(query)}.values():
            if event.is_cancelled:
                yield 0xFE00, None
                return
            answer = Dataset()
            for element in query:
                if (
                    element.keyword != "SOPClassUID" or self.tells_classes
                ) and element.keyword not in self.forgets:
                    setattr(answer, element.keyword, one.get(element.keyword, ""))
            answer.QueryRetrieveLevel = query.QueryRetrieveLevel
            yield 0xFF00, answer
        if self.find_status:
            yield self.find_status, None

    def _get(self, event: evt.Event) -> Iterator[Any]:
        matches = self._matches(event.identifier)
        yield len(matches)
        yield from self._send(event, matches)

    def _move(self, event: evt.Event) -> Iterator[Any]:
        port = self.destinations.get(event.move_destination)
        if port is None:
            yield None, None
            return
        yield "127.0.0.1", port
        matches = self._matches(event.identifier)
        yield len(matches)
        yield from self._send(event, matches)

    def _send(self, event: evt.Event, matches: Sequence[Dataset]) -> Iterator[Any]:
        self.requests.append(event.identifier)
        for number, one in enumerate(matches):
            if number:
                self.waits.set()
                if until(lambda: _went_on(self.gate, event), every_s=0.01) == "cancelled":
                    yield 0xFE00, None
                    return
            if number == self.abort_at:
                event.assoc.abort()
                return
            if str(one.SOPInstanceUID) in self.hidden:
                broken = Dataset()  # without SOP class: the sub-operation fails
                broken.SOPInstanceUID = one.SOPInstanceUID
                yield 0xFF00, broken
            else:
                yield 0xFF00, one


def _went_on(gate: threading.Event, event: evt.Event) -> str:
    """pynetdicom tells once that a request was cancelled."""
    return "cancelled" if event.is_cancelled else "goes on" if gate.is_set() else ""


def _fits(wanted: Any, value: Any) -> bool:
    if wanted in (None, "", []):
        return True
    listed = (
        [str(one) for one in wanted]
        if isinstance(wanted, Sequence) and not isinstance(wanted, str)
        else [str(wanted)]
    )
    return str(value) in listed


@contextmanager
def running_archive(held: Sequence[Dataset], **faults: Any) -> Iterator[FakeArchive]:
    archive = FakeArchive(list(held), **faults)
    if "gate" not in faults:
        archive.gate.set()
    archive.start()
    try:
        yield archive
    finally:
        archive.stop()


@contextmanager
def running_dcmqrscp(folder: Path, destinations: dict[str, int]) -> Iterator[Peer]:
    """DCMTK's archive, which takes what is sent to it; skips the test where it is missing."""
    program = Path("/usr/bin/dcmqrscp")
    if not program.exists():
        pytest.skip("DCMTK's dcmqrscp is not installed")
    port, database = free_port(), folder / "database"
    database.mkdir(parents=True)
    hosts = "\n".join(
        f"host{number} = ({title}, 127.0.0.1, {at})"
        for number, (title, at) in enumerate(destinations.items())
    )
    settings = folder / "dcmqrscp.cfg"
    settings.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\n{hosts}\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nQRSCP {database} RW (500, 1024mb) ANY\nAETable END\n"
    )
    with (folder / "log").open("w") as output:
        process = subprocess.Popen([program, "-c", settings], stdout=output, stderr=output)
        try:
            until(lambda: _listens(port))
            yield Peer("qrscp", "QRSCP", "127.0.0.1", port, "WETREAD")
        finally:
            process.terminate()
            process.wait(20)
