"""A trail on a real database, and every kind of event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.audit import events
from node.audit.events import Actor, AuditEvent, OfClass, Outcome, Right, Subject
from node.audit.journal import Journal
from node.audit.message import Source
from node.audit.spooler import Spool, Spooler
from storage import audit
from storage.audit import ShownRow, Wanted
from storage.database import Database, open_database
from tests.clocks import Clock

SCHEMA = Path(__file__).with_name("audit_message.rng")

PERSON = Actor("müller", "10.0.0.7", is_person=True)
CT = Actor("CT1", "ct1.example.org")
NODE = Actor("WETREAD", "10.0.0.1")
SUBJECT = Subject(
    "1.2.3", "4711", "Größe^Jürgen", "A-17", (OfClass("1.2.840.10008.5.1.4.1.1.2", 400),)
)

EVERY: tuple[AuditEvent, ...] = (
    events.Started(),
    events.Stopped(),
    events.Login(PERSON),
    events.Login(PERSON, Outcome.SERIOUS_FAILURE, "wrong password"),
    events.Logout(PERSON, "idle"),
    events.Query(CT, "1.2.840.10008.5.1.4.1.2.2.1", b"\x10\x00\xff", "1.2.840.10008.1.2"),
    events.Query(PERSON, "/dicom-web/studies", b"PatientName=M%C3%BCller*"),
    events.Accessed(PERSON, (SUBJECT,), "viewer"),
    events.TransferBegun(CT, NODE, SUBJECT),
    events.Transferred(CT, NODE, (SUBJECT, Subject("1.2.4"))),
    events.Transferred(NODE, CT, (SUBJECT,), Actor("PACS"), False, Outcome.MINOR_FAILURE, "2 of 3"),
    events.Exported(NODE, "research", (SUBJECT,)),
    events.Imported(PERSON, "upload", (SUBJECT,)),
    events.Deleted(PERSON, SUBJECT, "asked for by the patient"),
    *(events.RightsChanged(PERSON, right, "meier", "role viewer → operator") for right in Right),
    events.Refused(CT, "association", "calling AE title not recognised", is_node=True),
    events.Refused(PERSON, "users", "needs the role administrator"),
    events.TrailRead(PERSON),
    events.RecordingStopped("full"),
    events.RecordingStarted(17),
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path}/wetread.db")
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the journals."""
    return tmp_path / "audit"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(folder: Path, clock: Clock) -> Iterator[Journal]:
    made = Journal(folder, clock)
    yield made
    made.close()


@pytest.fixture
def spooler(database: Database, folder: Path, clock: Clock) -> Spooler:
    return Spooler(database, Spool(folder), NODE, Source("WETREAD", "St. Elsewhere"), clock)


@pytest.fixture
def rows(database: Database) -> Callable[[], list[ShownRow]]:
    """What is kept, oldest first."""

    def read() -> list[ShownRow]:
        with database.read() as tx:
            return audit.search(tx, Wanted(), None, 10_000)[::-1]

    return read
