"""The node as its real process: started, killed, started again, and asked what it knows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from storage import events, index, ledger, outbox
from storage.database import Database, join_database
from storage.records import Delivery, DeliveryState, Event, Job, JobState, StudyRow
from tests import forked, new_databases
from tests.peers import free_port
from tests.waiting import until

START_S = 60
ENDED = (JobState.DONE, JobState.FAILED, JobState.NOT_APPLICABLE, JobState.CANCELLED)
PLUGINS = Path(__file__).parent / "plugins"


@dataclass
class Node:
    """A node below ``folder``. ``text`` is added to its settings: destinations, rules."""

    folder: Path
    text: str = ""
    quiet_period_s: float = 1.0
    environment: dict[str, str] = field(default_factory=dict)
    database: str = ""
    """URL; empty for the SQLite file in ``var``."""
    dimse: str = ""
    """Further lines of its ``[dimse]`` table."""
    is_alone: bool = False
    """Begun by the interpreter, and not as a copy: see ``tests.forked``."""
    port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "config.toml"
        self.process: subprocess.Popen[str] | forked.Process | None = None
        self.config.write_text(
            f"[dimse]\nport = {self.port}\n{self.dimse}\n[http]\nport = {self.http_port}\n"
            f"[completion]\nquiet_period_s = {self.quiet_period_s}\n"
            + (f'[storage]\ndatabase = "{self.database}"\n' if self.database else "")
            + self.text
        )

    @property
    def var(self) -> Path:
        return self.folder / "var"

    def start(self, plugins: bool = False) -> Node:
        path = os.pathsep.join([str(PLUGINS)] if plugins else [])
        self._lay_database()
        arguments = ["serve", "--config", str(self.config)]
        environment = {
            **os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **self.environment,
        }  # fmt: skip
        begin = forked.start_alone if self.is_alone else forked.start
        with (self.folder / "stderr.log").open("a") as errors:
            self.process = begin(arguments, environment, stderr=errors.fileno())
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if re.search(r"receives on \S+:\d+, status page https?://", line):
                return self
        raise AssertionError(f"the node did not start:\n{self.log()[-3000:]}")

    def _lay_database(self) -> None:
        """As the migrations make it, half a second sooner; in ``tests.storage`` they are tested."""
        path = self.var / "wetread.db"
        if not self.database and not self.var.exists():
            self.var.mkdir()
            path.write_bytes(new_databases.empty())

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self, timeout_s: float = 40) -> int:
        """SIGTERM; gives the exit code."""
        return self._end(signal.SIGTERM, timeout_s)

    def _end(self, number: signal.Signals, timeout_s: float = 40) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(timeout_s)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        return code

    def log(self) -> str:
        return (self.folder / "stderr.log").read_text()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.http_port}{path}", timeout=10)

    def state(self) -> State:
        with self._joined() as database:
            return State.read(database)

    def wait(self, condition: Callable[[State], bool], timeout_s: float = 90) -> State:
        """The first state that satisfies a condition; read anew when something was committed."""
        mark: object = None
        seen: State | None = None

        def reached() -> State | None:
            nonlocal mark, seen
            before, mark = mark, database.mark()
            if seen is None or mark != before:
                seen = State.read(database)
            return seen if condition(seen) else None

        with self._joined() as database:
            return until(
                reached, timeout_s, every_s=0.1, told=lambda: f"{seen}\n{self.log()[-3000:]}"
            )

    @contextmanager
    def _joined(self) -> Iterator[Database]:
        """Its database as it is: looking whether the schema is the newest takes 50 ms of CPU."""
        database = join_database(self.database or f"sqlite:///{self.var / 'wetread.db'}")
        try:
            yield database
        finally:
            database.close()

    def wait_for_results(self, jobs: int = 1, timeout_s: float = 90) -> State:
        """The state once so many jobs have ended and all that is owed was sent or given up."""
        return self.wait(lambda state: len(state.jobs) >= jobs and state.is_settled, timeout_s)


@dataclass(frozen=True)
class State:
    """What a node's database says."""

    studies: list[StudyRow]
    jobs: list[Job]
    deliveries: list[Delivery]
    alarms: list[Event]

    @classmethod
    def read(cls, database: Database) -> State:
        with database.read() as tx:
            return cls(
                studies=index.list_studies(tx, limit=1000),
                jobs=sorted(ledger.list_jobs(tx, limit=1000), key=lambda job: job.id),
                deliveries=outbox.list_deliveries(tx, limit=100_000),
                alarms=events.open_alarms(tx),
            )

    @property
    def is_settled(self) -> bool:
        open_ones = (DeliveryState.PENDING, DeliveryState.SENDING)
        return all(job.state in ENDED for job in self.jobs) and not any(
            one.state in open_ones for one in self.deliveries
        )


@contextmanager
def running_node(
    folder: Path,
    text: str = "",
    plugins: bool = False,
    quiet_period_s: float = 1.0,
    dimse: str = "",
) -> Iterator[Node]:
    """A node process; killed at the end, whatever happened."""
    node = Node(folder, text, quiet_period_s, dimse=dimse)
    try:
        yield node.start(plugins)
    except BaseException:
        print(node.log()[-3000:])  # where a test failed, pytest shows it
        raise
    finally:
        node.kill()


def destination(port: int, ae_title: str = "ORTHANC", name: str = "pacs") -> str:
    return (
        f'[[destinations]]\nname = "{name}"\nae_title = "{ae_title}"\n'
        f'host = "127.0.0.1"\nport = {port}\n'
    )


def rule(*analyzers: str, modality: str = "CT", name: str = "rule", to: str = "pacs") -> str:
    names = ", ".join(f'"{one}"' for one in analyzers)
    destinations = f'destinations = ["{to}"]\n' if to else ""
    return (
        f'[[rules]]\nname = "{name}"\nwhen = {{ Modality = "{modality}" }}\n'
        f"analyzers = [{names}]\n{destinations}"
    )
