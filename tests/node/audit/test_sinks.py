"""Where the trail is handed over to: a file, and repositories that take syslog."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.audit import message, telling
from node.audit.events import Actor, Login, Outcome
from node.audit.handing_over import HandingOver, begin
from node.audit.journal import Journal
from node.audit.message import Source
from node.audit.sinks import syslog
from node.audit.sinks.file import FileSink
from node.audit.sinks.port import RepositoryAway
from node.audit.sinks.tls import TlsSink
from node.audit.sinks.udp import UdpSink
from node.audit.spooler import Spooler
from node.dimse.tls import TlsFiles, client_context, server_context
from node.observe.health import Health
from storage import events
from storage.audit import KeptMessage
from storage.database import Database
from storage.records import Topic
from tests.certificates import Authority, authority
from tests.clocks import Clock
from tests.hostile import HOSTILE, found_in
from tests.node.audit.conftest import EVERY

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def kept(*numbers: int, text: str = "<AuditMessage/>") -> list[KeptMessage]:
    return [KeptMessage(number, AT, 0, text) for number in numbers]


def numbers(path: Path) -> list[str]:
    return [line.split('"')[1] for line in path.read_text(encoding="utf-8").splitlines()]


# --- lines ----------------------------------------------------------------------------------------


def test_a_line_is_as_rfc_5424_and_the_profile_want_it() -> None:
    (one,) = kept(7, text="<A n='ü'/>")
    expected = '<85>1 2026-03-01T12:00:00.000Z node1 wetread - DICOM+RFC3881 [meta sequenceId="7"] '
    assert syslog.line(one, "node1") == expected.encode() + b"\xef\xbb\xbf" + "<A n='ü'/>".encode()
    failed = KeptMessage(8, AT, 12, "")
    assert syslog.line(failed, "-").startswith(b"<82>1 ")


# --- file -----------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> FileSink:
    return FileSink(tmp_path / "trail" / "audit.log", 10_000, own_host="node1")


def test_the_file_is_its_owners_alone(file: FileSink) -> None:
    file.send(kept(1))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


def test_what_the_file_has_already_is_not_written_again(file: FileSink) -> None:
    file.send(kept(1, 2))
    file.send(kept(1, 2, 3))
    file.send(kept(3, 4))
    assert numbers(file.path) == ["1", "2", "3", "4"]


def test_half_a_line_that_a_power_cut_left_is_written_anew(file: FileSink) -> None:
    file.send(kept(1))
    with file.path.open("ab") as torn:
        torn.write(b"<85>1 2026")
    file.send(kept(2))
    assert numbers(file.path) == ["1", "2"]


def test_a_database_that_begins_anew_does_not_hide_what_it_tells(file: FileSink) -> None:
    file.send(kept(1, 2, text="<Before/>"))
    file.send(kept(1, 2, 3))
    assert numbers(file.path) == ["1", "2", "1", "2", "3"]


def test_the_file_is_rotated_and_so_many_are_kept(tmp_path: Path) -> None:
    file = FileSink(tmp_path / "audit.log", 1, keep=2)
    for number in range(1, 5):
        file.send(kept(number))
        file.send(kept(number))  # as if the node had ended before it noted this
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["audit.log.000000000003", "audit.log.000000000004"]
    assert numbers(tmp_path / "audit.log.000000000004") == ["4"]


def test_asking_whether_the_file_can_be_written_makes_none(file: FileSink, tmp_path: Path) -> None:
    assert file.probe() >= 0
    assert not file.path.parent.exists()
    (tmp_path / "file").touch()
    with pytest.raises(RepositoryAway, match="file is no folder"):
        FileSink(tmp_path / "file" / "audit.log", 100).probe()


def test_a_file_that_cannot_be_written_says_so_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RepositoryAway, match=r"^audit\.log: "):
        FileSink(tmp_path / "file" / "audit.log", 100).send(kept(1))


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@dataclass
class Receiver:
    """Reads framed messages over TLS until the sender closes. ``breaks``: so many connections are
    cut off after the first bytes."""

    context: ssl.SSLContext
    socket: socket.socket
    messages: list[bytes] = field(default_factory=list)
    breaks: int = 0
    connections: int = 0

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def run(self) -> None:
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            with plain, suppress(OSError), self.context.wrap_socket(plain, server_side=True) as one:
                self._read(one)

    def _read(self, one: ssl.SSLSocket) -> None:
        text = b""
        while part := one.recv(65536):
            text += part
            if self.breaks:
                self.breaks -= 1
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return
        while text:
            length, _, text = text.partition(b" ")
            self.messages.append(text[: int(length)])
            text = text[int(length) :]
        one.unwrap()


@pytest.fixture
def receiver(signing: Authority) -> Iterator[Receiver]:
    own, listening = signing.issue("repository"), socket.create_server(("127.0.0.1", 0))
    files = TlsFiles(own.certificate, own.key, signing.ca)
    made = Receiver(server_context(files), listening)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.fixture
def sink(signing: Authority, receiver: Receiver) -> TlsSink:
    client = signing.issue("node")
    files = TlsFiles(client.certificate, client.key, signing.ca)
    return TlsSink(
        "repository", "127.0.0.1", receiver.port, "repository", lambda: client_context(files), "n"
    )


def test_messages_have_their_length_in_bytes_before_them(sink: TlsSink, receiver: Receiver) -> None:
    batch = kept(1, 2, text="<A n='ü'/>")
    sink.send(batch)
    assert receiver.messages == [syslog.line(one, "n") for one in batch]


def test_no_text_of_others_is_taken_for_another_message(
    sink: TlsSink, receiver: Receiver, tmp_path: Path
) -> None:
    file = FileSink(tmp_path / "audit.log", 10**6, own_host="n")
    login = Login(Actor(HOSTILE, HOSTILE), Outcome.SERIOUS_FAILURE, HOSTILE)
    (said,) = telling.lines(login, Actor(HOSTILE))
    batch = kept(1, 2, 3, text=message.xml(said.told, AT, Source(HOSTILE)))
    sink.send(batch)
    file.send(batch)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        UdpSink("u", "127.0.0.1", listening.getsockname()[1], "n").send(batch)
        datagrams = [listening.recv(65536) for _ in batch]
    assert receiver.messages == datagrams == [syslog.line(one, "n") for one in batch]
    written = file.path.read_text("utf-8")
    assert found_in(written) == []
    assert len(written.splitlines()) == len(batch)
    assert numbers(file.path) == ["1", "2", "3"]


def test_what_was_cut_off_has_not_arrived(sink: TlsSink, receiver: Receiver) -> None:
    receiver.breaks = 1
    with pytest.raises(RepositoryAway):
        sink.send(kept(*range(1, 500), text="x" * 2000))


def test_a_repository_with_another_certificate_gets_nothing(
    sink: TlsSink, receiver: Receiver
) -> None:
    other = TlsSink("r", "127.0.0.1", receiver.port, "another", sink.context)
    with pytest.raises(RepositoryAway, match="certificate is not accepted"):
        other.send(kept(1))
    assert receiver.messages == []


def test_a_repository_that_does_not_accept_the_node_has_got_nothing(
    signing: Authority, receiver: Receiver
) -> None:
    files = TlsFiles(ca=signing.ca)
    bare = TlsSink("r", "127.0.0.1", receiver.port, "repository", lambda: client_context(files))
    with pytest.raises(RepositoryAway):
        bare.send(kept(1))


def test_a_probe_hands_nothing_over(sink: TlsSink, receiver: Receiver) -> None:
    assert sink.probe() > 0
    assert receiver.messages == []


# --- UDP ------------------------------------------------------------------------------------------


def test_a_message_is_a_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        UdpSink("u", "127.0.0.1", port, "n").send(kept(1, 2))
        found = [listening.recv(65536) for _ in range(2)]
    assert found == [syslog.line(one, "n") for one in kept(1, 2)]
    with pytest.raises(RepositoryAway, match="refused"):
        UdpSink("u", "127.0.0.1", port, "n").send(kept(1))


# --- handing over ---------------------------------------------------------------------------------


def test_a_repository_away_for_a_day_gets_all_once_and_an_alarm_stands_meanwhile(
    database: Database,
    journal: Journal,
    spooler: Spooler,
    clock: Clock,
    sink: TlsSink,
    receiver: Receiver,
) -> None:
    heartbeat = Health(clock).part("audit to repository")
    away = TlsSink("repository", "127.0.0.1", 1, "repository", sink.context)
    with database.write() as tx:
        begin(tx, ("repository",))
    for event in EVERY:
        journal.record(event)
    spooler.drain()
    handing = HandingOver(database, away, 1, clock, heartbeat)
    for _ in range(24):
        assert not handing.step()
        clock.pass_s(3600)
    heartbeat.beat()
    assert heartbeat.check().ok
    assert "does not take the audit trail" in heartbeat.check().reason
    with database.read() as tx:
        (alarm,) = events.open_alarms(tx)
    assert (alarm.subject, "since 2026-03-01 12:00" in alarm.reason) == (Topic.AUDIT, True)

    again = HandingOver(database, sink, 1, clock, heartbeat)  # the node was started anew
    again.step()
    again.step()
    assert len(receiver.messages) == len(EVERY) + 1
    assert receiver.connections == 1
    with database.read() as tx:
        assert events.open_alarms(tx) == []


def test_an_alarm_is_settled_when_the_repository_is_back(
    database: Database, journal: Journal, spooler: Spooler, clock: Clock, tmp_path: Path
) -> None:
    heartbeat = Health(clock).part("audit to file")
    (tmp_path / "blocked").touch()
    file = FileSink(tmp_path / "blocked" / "audit.log", 10**6)
    with database.write() as tx:
        begin(tx, ("file",))
    journal.record(EVERY[0])
    spooler.drain()
    handing = HandingOver(database, file, 1, clock, heartbeat)
    handing.step()
    clock.pass_s(100)
    handing.step()
    (tmp_path / "blocked").unlink()
    clock.pass_s(1)
    handing.step()  # too early for the next try
    assert not file.path.exists()
    clock.pass_s(30)
    handing.step()
    assert len(numbers(file.path)) == 1
    heartbeat.beat()
    assert heartbeat.check().reason == ""
    with database.read() as tx:
        assert events.open_alarms(tx) == []
