"""A node of a side as its own process, and the PACS that notes when what it sends has arrived."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
import structlog

from benchmarks.earlier import Side
from node.config.dimse import DimseSettings
from node.dimse.association.server import AssociationServer
from node.dimse.entity import Entity
from node.dimse.scu.folder import send_folder
from node.dimse.scu.sender import Peer
from node.work import processes
from storage.files.instances import InstanceStore
from storage.records import InstanceRecord

LONGEST_S = 240
_TICKS_S = os.sysconf("SC_CLK_TCK")


class Pacs:
    """Stores whatever is sent, and knows by study when the first object of each class came."""

    def __init__(self, folder: Path) -> None:
        _say_only_what_is_odd()
        self._store = InstanceStore(folder, folder / "quarantine")
        self._changed = threading.Condition()
        self._came: dict[str, dict[str, float]] = defaultdict(dict)
        entity = Entity("BENCHPACS", DimseSettings(host="127.0.0.1", port=0))
        self._server = AssociationServer(entity, self._store, sink=self._keep)
        self._server.start()
        self.port = self._server.port

    def _keep(self, record: InstanceRecord) -> None:
        self._store.forget_incoming(record.placement.incoming)
        came = time.monotonic()
        with self._changed:
            of_study = self._came[record.attributes.study_instance_uid]
            of_study.setdefault(record.attributes.sop_class_uid, came)
            self._changed.notify_all()

    def await_all(self, study_uid: str, sop_classes: Collection[str]) -> Mapping[str, float]:
        """When an object of each class had come, by the monotonic clock."""
        with self._changed:
            come = self._changed.wait_for(
                lambda: set(sop_classes) <= set(self._came[study_uid]), LONGEST_S
            )
            if not come:
                sys.exit(f"after {LONGEST_S} s the PACS has not received all results")
            return dict(self._came[study_uid])

    def stop(self) -> None:
        self._server.drain(1)


def _say_only_what_is_odd() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


@dataclass(frozen=True, slots=True)
class Running:
    """A node that listens."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """What the node and the processes that it has, or had, have used so far."""
        return sum(map(_used_s, (self.pid, *processes.family(self.pid))))

    def receive(self, study: Path) -> float:
        """Send the folder; when its last image was acknowledged."""
        peer = Peer("node", "WETREAD", "127.0.0.1", self.port, calling_ae="BENCH")
        summary = send_folder(study, peer)
        acknowledged = time.monotonic()
        if not summary.is_complete:
            sys.exit(f"not everything was stored: {[one.reason for one in summary.failures[:3]]}")
        return acknowledged


def _used_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS_S


@contextmanager
def serving(side: Side, folder: Path, configuration: str) -> Iterator[Running]:
    """The node of a side, with a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.toml"
    config.write_text(configuration)
    command = [sys.executable, "-m", "node", "serve", "--config", str(config)]
    with (
        (folder / "node.log").open("w") as errors,
        subprocess.Popen(
            command, env=side.environment(), cwd=folder, stdout=subprocess.PIPE, stderr=errors,
            text=True,
        ) as process,
    ):  # fmt: skip
        try:
            yield Running(process.pid, _port(process, folder / "node.log"))
        finally:
            process.terminate()


def _port(process: subprocess.Popen[str], log: Path) -> int:
    for line in process.stdout or ():
        if found := re.search(r"receives on \S+:(\d+)", line):
            return int(found[1])
    sys.exit(f"the node did not start:\n{log.read_text()[-2000:]}")


def fresh_copy(images: Path, folder: Path, description: str = "") -> str:
    """The same images as a study of their own, of which nothing is known yet; its UID."""
    folder.mkdir(parents=True)
    study, series = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
    for number, path in enumerate(sorted(one for one in images.rglob("*") if one.is_file())):
        try:
            dataset = pydicom.dcmread(path)
        except pydicom.errors.InvalidDicomError:
            continue
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.StudyDescription = description
        dataset.SOPInstanceUID = pydicom.uid.generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / f"{number:05d}.dcm")
    return str(study)
