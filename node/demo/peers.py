"""The two peers of the demo: an archive that receives, and the node as its own process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from node.config.dimse import DimseSettings
from node.dimse.association.server import AssociationServer
from node.dimse.entity import Entity
from node.errors import NodeError
from storage.files.instances import InstanceStore
from storage.records import InstanceRecord

START_S = 60


class NodeDidNotStart(NodeError):
    """The node's process ended, or said nothing, before it listened."""


class Archive:
    """A PACS as small as one can be: it stores whatever is sent, and indexes nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._store = InstanceStore(folder, folder / "quarantine")
        entity = Entity("DEMOPACS", DimseSettings(host="127.0.0.1", port=0))
        self._server = AssociationServer(entity, self._store, sink=self._keep)
        self._server.start()
        self.port = self._server.port

    def _keep(self, record: InstanceRecord) -> None:
        self._store.forget_incoming(record.placement.incoming)

    def stop(self) -> None:
        self._server.drain(1)


class NodeProcess:
    """``wetread serve`` with a configuration of its own; killed politely at the end."""

    def __init__(self, folder: Path, configuration: str) -> None:
        self._config = folder / "config.toml"
        self._config.write_text(configuration)
        self._errors = folder / "node.log"
        self.port = 0
        self.page = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> NodeProcess:
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "node", "serve", "--config", str(self._config)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._read_ports()
        return self

    def _read_ports(self) -> None:
        for line in self._process.stdout or ():
            found = re.search(r"receives on \S+:(\d+), status page (\S+)", line)
            if found:
                self.port, self.page = int(found[1]), found[2]
                return
        self._process.wait(START_S)
        raise NodeDidNotStart(f"the node did not start:\n{self._errors.read_text()[-2000:]}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
