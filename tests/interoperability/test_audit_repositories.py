"""The audit trail is received by Debian's rsyslog and syslog-ng, which are killed in the middle."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.audit.events import Actor, Login
from node.audit.handing_over import HandingOver, begin
from node.audit.journal import Journal
from node.audit.message import Source
from node.audit.sinks.port import RepositoryAway, Sink
from node.audit.sinks.tls import TlsSink
from node.audit.sinks.udp import UdpSink
from node.audit.spooler import Spool, Spooler
from node.dimse.tls import TlsFiles, client_context
from node.observe.health import Health
from storage.database import Database, open_database
from tests.certificates import Certificate, authority
from tests.clocks import Clock
from tests.interoperability.clients import PEERS
from tests.peers import free_port
from tests.waiting import until

pytestmark = pytest.mark.interop

RSYSLOG = """\
global(workDirectory="{folder}" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{ca}"
  defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}"
  maxMessageSize="64k")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1"
  streamDriver.authMode="x509/certvalid")
module(load="imudp")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="audit") {{ action(type="omfile" file="{out}" template="raw" fileCreateMode="0600") }}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="audit")
input(type="imudp" port="{port}" address="127.0.0.1" ruleset="audit")
"""
SYSLOG_NG = """\
@version: 3.35
options {{ keep-hostname(yes); log-msg-size(65536); }};
source tls {{ network(ip("127.0.0.1") port({port}) transport("tls") flags(no-parse) {framing}
  tls(cert-file("{certificate}") key-file("{key}") ca-file("{ca}")
      peer-verify(required-trusted))); }};
source datagrams {{ network(ip("127.0.0.1") port({port}) transport("udp") flags(no-parse)); }};
destination out {{ file("{out}" template("$MESSAGE\\n")); }};
log {{ source(tls); source(datagrams); destination(out); }};
"""


@dataclass(frozen=True)
class Repository:
    """A daemon of syslog on one port."""

    command: Sequence[str]
    out: Path
    port: int

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        log = self.out.with_suffix(".err")
        with (
            log.open("ab") as errors,
            subprocess.Popen(self.command, stdout=errors, stderr=errors) as process,
        ):
            try:
                yield process
            finally:
                process.terminate()
                process.wait(20)

    def numbers(self) -> list[int]:
        """Of the messages received, in their order."""
        text = self.out.read_text(encoding="utf-8") if self.out.exists() else ""
        return [int(found) for found in re.findall(r'sequenceId="(\d+)"', text)]


def rsyslog(folder: Path, ca: Path, own: Certificate) -> Repository:
    program = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin")
    has_tls = any(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so"))
    if program is None or not has_tls:
        pytest.skip("rsyslog with TLS is not installed (rsyslog-gnutls)")
    port, out, settings = free_port(), folder / "received.log", folder / "rsyslog.conf"
    settings.write_text(
        RSYSLOG.format(
            folder=folder, ca=ca, certificate=own.certificate, key=own.key, port=port, out=out
        )
    )
    command = [program, "-n", "-f", str(settings), "-i", str(folder / "rsyslog.pid")]
    return Repository(command, out, port)


def syslog_ng(folder: Path, ca: Path, own: Certificate) -> Repository:
    unpacked = PEERS / "syslog-ng" / "run"
    program = shutil.which("syslog-ng") or shutil.which("syslog-ng", path="/usr/sbin")
    program = program or (str(unpacked) if unpacked.exists() else None)
    if program is None:
        pytest.skip("syslog-ng is not here: `make peers` unpacks syslog-ng-core")
    port, out, settings = free_port(), folder / "received.log", folder / "syslog-ng.conf"
    settings.write_text(
        SYSLOG_NG.format(
            ca=ca, certificate=own.certificate, key=own.key, port=port, out=out, framing=""
        ).replace('network(ip("127.0.0.1")', 'syslog(ip("127.0.0.1")', 1)
    )
    state = [f"--{name}={folder}/{name}" for name in ("persist-file", "pidfile", "control")]
    return Repository([program, "-F", "--no-caps", "-f", str(settings), *state], out, port)


@pytest.fixture(params=[rsyslog, syslog_ng], ids=["rsyslog", "syslog-ng"])
def prepared(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[Repository, Callable[[], TlsSink]]:
    signing = authority(tmp_path / "certificates")
    own, client = signing.issue("repository"), signing.issue("node")
    repository: Repository = request.param(tmp_path, signing.ca, own)
    files = TlsFiles(client.certificate, client.key, signing.ca)
    sink = TlsSink(
        "repository", "127.0.0.1", repository.port, "repository", lambda: client_context(files)
    )
    return repository, lambda: sink


@dataclass
class Trail:
    """Tells events, and hands them over step by step."""

    database: Database
    journal: Journal
    spooler: Spooler
    clock: Clock

    def tell(self, count: int) -> None:
        for number in range(count):
            self.journal.record(Login(Actor(f"user{number}", "10.0.0.7", is_person=True)))
        self.spooler.drain()

    def to(self, sink: Sink) -> HandingOver:
        with self.database.write() as tx:
            begin(tx, (sink.name,))
        heartbeat = Health(self.clock).part("audit")
        return HandingOver(self.database, sink, 1, self.clock, heartbeat)


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    database, clock = open_database(f"sqlite:///{tmp_path}/wetread.db"), Clock()
    journal = Journal(tmp_path / "audit", clock)
    spool, node = Spool(tmp_path / "audit", ("repository",)), Actor("WETREAD")
    yield Trail(database, journal, Spooler(database, spool, node, Source("WETREAD"), clock), clock)
    journal.close()
    database.close()


def answers(sink: Sink) -> bool:
    try:
        sink.probe()
    except RepositoryAway:
        return False
    return True


def test_a_repository_that_is_away_in_the_middle_has_every_message_once(
    prepared: tuple[Repository, Callable[[], TlsSink]], trail: Trail
) -> None:
    repository, make_sink = prepared
    sink = make_sink()
    handing = trail.to(sink)
    with repository.running():
        until(lambda: answers(sink))
        trail.tell(600)
        while handing.step():
            pass
    trail.tell(300)
    assert not handing.step()
    with repository.running():
        until(lambda: answers(sink))
        trail.clock.pass_s(60)
        while handing.step():
            pass
        until(lambda: len(repository.numbers()) >= 900)
    assert repository.numbers() == list(range(1, 901))
    assert "user599" in repository.out.read_text(encoding="utf-8")


def test_datagrams_are_received(
    prepared: tuple[Repository, Callable[[], TlsSink]], trail: Trail
) -> None:
    repository, make_sink = prepared
    sink = UdpSink("repository", "127.0.0.1", repository.port)
    handing = trail.to(sink)
    with repository.running():
        until(lambda: answers(make_sink()))
        trail.tell(50)
        handing.step()
        until(lambda: len(repository.numbers()) >= 50)
    assert repository.numbers() == list(range(1, 51))
    assert not answers(sink)
