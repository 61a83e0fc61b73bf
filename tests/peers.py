"""Real peers for tests: Orthanc as PACS, DCMTK's tools as modality, and a PACS that misbehaves."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification

from tests.waiting import until

_GIVEN: set[int] = set()
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS


def free_port() -> int:
    """A port that was free a moment ago: for programs that cannot be asked which they took.

    From below those that the system gives to outgoing connections (32768 on Linux), or one of the
    many that other tests make could take it before the program does. None is given out twice, nor
    by two workers.
    """
    own = [port for port in range(15_000 + _WORKER, 32_000, _WORKERS) if port not in _GIVEN]
    for port in random.SystemRandom().sample(own, min(200, len(own))):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _GIVEN.add(port)
            return port
    raise AssertionError("no free port below those of outgoing connections")


# --- Orthanc --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc. ``rest`` is a client for its REST API."""

    ae_title: str
    port: int
    rest: httpx.Client

    def instances(self) -> list[str]:
        return list(self.rest.get("/instances").json())

    def sop_instance_uids(self) -> set[str]:
        return {
            self.rest.get(f"/instances/{one}/simplified-tags").json()["SOPInstanceUID"]
            for one in self.instances()
        }

    def file(self, instance: str) -> bytes:
        return self.rest.get(f"/instances/{instance}/file").content

    def send(self, instances: list[str], modality: str) -> dict[str, Any]:
        """C-STORE instances to a modality from the settings; Orthanc's own summary."""
        answer = self.rest.post(
            f"/modalities/{modality}/store", json={"Resources": instances, "Synchronous": True}
        )
        answer.raise_for_status()
        return dict(answer.json())

    def name_modality(self, name: str, ae_title: str, port: int) -> None:
        """Tell Orthanc of a node it may send to."""
        body = {"AET": ae_title, "Host": "127.0.0.1", "Port": port}
        self.rest.put(f"/modalities/{name}", json=body).raise_for_status()

    def upload(self, content: bytes) -> str:
        answer = self.rest.post("/instances", content=content)
        answer.raise_for_status()
        return str(answer.json()["ID"])

    def clear(self) -> None:
        for patient in self.rest.get("/patients").json():
            self.rest.delete(f"/patients/{patient}").raise_for_status()


@contextmanager
def running_orthanc(
    folder: Path, ae_title: str = "ORTHANC", plugins: Sequence[Path] = ()
) -> Iterator[Orthanc]:
    """Orthanc on free ports with its data below ``folder``; skips the test where it is missing."""
    program = shutil.which("Orthanc")
    if program is None:
        pytest.skip("Orthanc is not installed")
    dicom_port, http_port = free_port(), free_port()
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": ae_title,
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "UnknownSopClassAccepted": True,
        "DicomScpTimeout": 10,
        "Plugins": list(map(str, plugins)),
    }
    config = folder / "orthanc.json"
    config.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("w") as output:
        process = subprocess.Popen([program, str(config)], stdout=output, stderr=output)
        client = httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=30)
        log = folder / "orthanc.log"
        try:
            until(lambda: _serves(client, process), told=lambda: log.read_text()[-2000:])
            yield Orthanc(ae_title, dicom_port, client)
        finally:
            client.close()
            process.terminate()
            process.wait(20)


def _serves(client: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, f"Orthanc has ended with {process.returncode}"
    try:
        return client.get("/system").is_success
    except httpx.HTTPError:
        return False


# --- DCMTK ----------------------------------------------------------------------------------------


def dcmtk(tool: str, *arguments: str | Path, timeout_s: float = 60) -> str:
    """Run one of Debian's DCMTK tools; its output. Skips the test where it is missing."""
    done = run_dcmtk(tool, *arguments, timeout_s=timeout_s)
    assert done.returncode == 0, f"{tool} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def run_dcmtk(
    tool: str, *arguments: str | Path, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a tool whatever it ends with. ``/usr/bin``: the name also stands in the environment."""
    program = Path("/usr/bin", tool)
    if not program.exists():
        pytest.skip(f"DCMTK's {tool} is not installed")
    return subprocess.run(
        [program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


@contextmanager
def running_storescp(folder: Path, *options: str | Path) -> Iterator[int]:
    """DCMTK's ``storescp``, which writes what it gets into ``folder``; gives its port."""
    program, port = Path("/usr/bin/storescp"), free_port()
    if not program.exists():
        pytest.skip("DCMTK's storescp is not installed")
    command = [program, "-od", folder, *options, str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as scp:
        try:
            until(lambda: _listens(port))
            yield port
        finally:
            scp.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return False
    return True


# --- a PACS that misbehaves -----------------------------------------------------------------------


@dataclass
class FakePacs:
    """A storage SCP whose faults are switched while it runs."""

    ae_title: str = "FAKEPACS"
    refused_classes: frozenset[str] = frozenset()
    transfer_syntaxes: tuple[str, ...] = tuple(ALL_TRANSFER_SYNTAXES)
    statuses: dict[str, int] = field(default_factory=dict)
    """By SOP instance UID; "" for all others."""
    comment: str = ""
    """The Error Comment of every answer."""
    abort_at: int = -1
    """The nth C-STORE (from 0) of an association is answered by A-ABORT."""
    gate: threading.Event = field(default_factory=threading.Event)
    """C-STOREs are answered while it is set."""
    deaf: bool = False
    """Associations are accepted, and then nothing is read."""
    reject: tuple[int, int, int] | None = None
    answers_queries: bool = False
    """Whether it takes C-FIND (Study Root), and tells what it has received."""
    find_status: int = 0x0000
    queries: list[Dataset] = field(default_factory=list)
    received: list[Dataset] = field(default_factory=list)
    raw: dict[str, bytes] = field(default_factory=dict)
    syntaxes: dict[str, str] = field(default_factory=dict)
    on_stored: Callable[[], object] = lambda: None
    """Called when something is stored and not yet answered."""
    arrived: threading.Event = field(default_factory=threading.Event)
    """Set when something was stored."""
    associations: int = 0
    echoes: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self.gate.set()
        self._in_association: dict[int, int] = {}

    def start(self) -> None:
        ae = AE(ae_title=self.ae_title)
        ae.maximum_pdu_size = 32768
        ae.acse_timeout = 5
        ae.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            if context.abstract_syntax not in self.refused_classes:
                ae.add_supported_context(
                    UID(str(context.abstract_syntax)), list(self.transfer_syntaxes)
                )
        if self.answers_queries:
            ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        self._server = ae.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_C_ECHO, self._echo),
                (evt.EVT_C_FIND, self._find),
                (evt.EVT_REQUESTED, self._requested),
                (evt.EVT_ESTABLISHED, self._established),
            ],
        )
        self.port = int(self._server.server_address[1])

    def stop(self) -> None:
        self.gate.set()
        self._let_those_end_that_do()
        for association in self._server.active_associations:
            association.abort()
        self._server.shutdown()

    def _let_those_end_that_do(self) -> None:
        """pynetdicom's shutdown aborts them too, and its thread stumbles over that."""
        with suppress(AssertionError):
            until(
                lambda: all(one.is_established for one in self._server.active_associations),
                patience_s=2,
                every_s=0.005,
            )

    def uids(self) -> list[str]:
        return [str(one.SOPInstanceUID) for one in self.received]

    def _requested(self, event: evt.Event) -> None:
        self.associations += 1
        if self.reject is not None:
            event.assoc.acse.send_reject(*self.reject)
            event.assoc.kill()

    def _established(self, event: evt.Event) -> None:
        if self.deaf:
            event.assoc.dul._is_transport_event = lambda: False

    def _echo(self, event: evt.Event) -> int:
        self.echoes += 1
        return 0x0000

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        """Matches by series alone, as a PACS may that does not know the key of the instance."""
        self.queries.append(event.identifier)
        for one in self.received:
            if one.SeriesInstanceUID == event.identifier.SeriesInstanceUID:
                match = Dataset()
                match.QueryRetrieveLevel = "IMAGE"
                match.SOPInstanceUID = one.SOPInstanceUID
                yield 0xFF00, match
        if self.find_status:
            yield self.find_status, None

    def _store(self, event: evt.Event) -> int | Dataset:
        number = self._in_association.get(id(event.assoc), 0)
        self._in_association[id(event.assoc)] = number + 1
        if number == self.abort_at:
            event.assoc.abort()
            return 0x0110
        self.gate.wait(60)
        uid = str(event.request.AffectedSOPInstanceUID)
        status = self.statuses.get(uid, self.statuses.get("", 0x0000))
        if status < 0x0100 or 0xB000 <= status <= 0xBFFF:
            self.received.append(event.dataset)
            self.raw[uid] = event.request.DataSet.getvalue()
            self.syntaxes[uid] = str(event.context.transfer_syntax)
            self.arrived.set()
            self.on_stored()
        return self._answer(status) if self.comment else status

    def _answer(self, status: int) -> Dataset:
        answer = Dataset()
        answer.Status, answer.ErrorComment = status, self.comment
        return answer


@contextmanager
def running_pacs(**faults: Any) -> Iterator[FakePacs]:
    pacs = FakePacs(**faults)
    pacs.start()
    try:
        yield pacs
    finally:
        pacs.stop()
