"""From the journal into the database: nothing lost, nothing twice, whatever ends in between."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.audit import events
from node.audit.events import Accessed, Deleted, Subject, TrailRead
from node.audit.journal import Journal
from node.audit.message import Source
from node.audit.spooler import Spool, Spooler, SpoolFull
from storage import audit, index
from storage.audit import ShownRow, Wanted
from storage.database import Database
from tests.clocks import Clock
from tests.node.audit.conftest import EVERY, NODE, PERSON, SUBJECT
from tests.storage.samples import record

Rows = Callable[[], list[ShownRow]]


def test_events_are_kept_in_their_order_and_once(
    journal: Journal, spooler: Spooler, rows: Rows
) -> None:
    for event in EVERY:
        journal.record(event)
    spooler.drain()
    spooler.drain()
    kept = rows()
    assert [row.row.event for row in kept][:3] == [
        "Application Activity",
        "Application Activity",
        "User Authentication",
    ]
    assert len(kept) == len(EVERY) + 1  # one event was of two studies
    looked = next(one.row for one in kept if one.row.event == "DICOM Instances Accessed")
    assert (looked.person, looked.patient_id, looked.what) == ("müller", "4711", "viewer")


def test_what_a_killed_process_recorded_is_kept(folder: Path, spooler: Spooler, rows: Rows) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from node.audit.events import Actor, Login\n"
        "from node.audit.journal import Journal\n"
        "trail = Journal(Path(sys.argv[1]))\n"
        "for number in range(100):\n"
        "    trail.record(Login(Actor(f'user{number}')))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
    assert ended.returncode == -9
    spooler.drain()
    assert [one.row.person for one in rows()] == [f"user{number}" for number in range(100)]
    assert list(folder.iterdir()) == []


def test_a_journal_in_use_is_left_and_a_finished_one_removed(
    journal: Journal, spooler: Spooler, folder: Path
) -> None:
    journal.record(TrailRead(PERSON))
    spooler.drain()
    (path,) = folder.iterdir()
    journal.close()
    spooler.drain()
    assert not path.exists()


def test_half_a_line_and_one_that_says_nothing_hold_up_nothing(
    folder: Path, journal: Journal, spooler: Spooler, rows: Rows
) -> None:
    folder.mkdir()
    (folder / "0.jsonl").write_bytes(b'{"event":"Nothing"}\n\xff\n[]\n{"event":"Logi')
    journal.record(TrailRead(PERSON))
    spooler.drain()
    assert [one.row.person for one in rows()] == ["müller"]
    assert not (folder / "0.jsonl").exists()


def test_journals_belong_to_their_owner_alone(journal: Journal, folder: Path) -> None:
    journal.record(TrailRead(PERSON))
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_event_whose_transaction_fails_is_kept_later_and_once(
    database: Database, journal: Journal, spooler: Spooler, rows: Rows
) -> None:
    journal.record(TrailRead(PERSON))
    with database.write() as tx:
        tx.execute(sa.text("ALTER TABLE audit_journals RENAME TO elsewhere"))
    with pytest.raises(sa.exc.OperationalError):
        spooler.step()
    with database.write() as tx:
        tx.execute(sa.text("ALTER TABLE elsewhere RENAME TO audit_journals"))
    spooler.drain()
    assert len(rows()) == 1


def test_a_full_spool_says_so_counts_what_is_lost_and_goes_on_when_there_is_room(
    database: Database, folder: Path, clock: Clock, journal: Journal, rows: Rows
) -> None:
    spool = Spool(folder, ("syslog",), max_waiting=3)
    spooler = Spooler(database, spool, NODE, Source("WETREAD"), clock)
    for _ in range(3):
        journal.record(TrailRead(PERSON))
    spooler.drain()
    for _ in range(5):
        journal.record(TrailRead(PERSON))
    with pytest.raises(SpoolFull, match="5 are lost"):
        spooler.step()
    with database.write() as tx:
        audit.note_position(tx, "syslog", audit.newest(tx))
    journal.record(TrailRead(PERSON))
    spooler.drain()
    said = [one.row.what for one in rows()]
    assert said[:3] == ["audit trail read"] * 3
    assert "full" in said[3]
    assert said[4:] == ["5 events were not recorded", "audit trail read"]


def test_old_messages_go_once_every_repository_has_them(
    database: Database, folder: Path, clock: Clock, journal: Journal, rows: Rows
) -> None:
    spool = Spool(folder, ("syslog",), keep=timedelta(days=30))
    spooler = Spooler(database, spool, NODE, Source("WETREAD"), clock)
    journal.record(TrailRead(PERSON))
    spooler.drain()
    clock.pass_s(31 * 24 * 3600)
    spooler.drain()
    assert len(rows()) == 1
    with database.write() as tx:
        audit.note_position(tx, "syslog", audit.newest(tx))
    clock.pass_s(3600)
    spooler.drain()
    assert rows() == []
    journal.record(TrailRead(PERSON))
    spooler.drain()
    assert [one.id for one in rows()] == [2]


def test_what_is_looked_for_is_found_and_paged(
    database: Database, journal: Journal, spooler: Spooler, clock: Clock
) -> None:
    for number in range(5):
        journal.record(Accessed(PERSON, (Subject(f"1.{number}", "4711", "A^B"),)))
        clock.pass_s(60)
    journal.record(Deleted(NODE, SUBJECT))
    spooler.drain()
    begun = clock.now - timedelta(seconds=300)

    def found(wanted: Wanted, before: int | None = None, limit: int = 10) -> list[int]:
        with database.read() as tx:
            return [one.id for one in audit.search(tx, wanted, before, limit)]

    assert found(Wanted(person="müller")) == [5, 4, 3, 2, 1]
    assert found(Wanted(person="müller"), limit=2) == [5, 4]
    assert found(Wanted(person="müller"), before=4, limit=2) == [3, 2]
    assert found(Wanted(patient_id="4711")) == [6, 5, 4, 3, 2, 1]
    assert found(Wanted(study_instance_uid="1.3")) == [4]
    assert found(Wanted(event="DICOM Study Deleted")) == [6]
    assert found(Wanted(since=begun + timedelta(seconds=120))) == [6, 5, 4, 3]
    assert found(Wanted(until=begun + timedelta(seconds=120))) == [2, 1]


def test_nothing_that_cannot_be_written_stops_who_records(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").touch()
    trail = Journal(tmp_path / "file", clock)
    trail.record(events.Started())
    assert trail.lost == 1


def test_an_event_of_very_many_studies_is_kept_and_what_follows_too(
    journal: Journal, spooler: Spooler, rows: Rows
) -> None:
    many = tuple(Subject(f"1.2.{number}", "P" * 64, "N" * 64) for number in range(2000))
    journal.record(Accessed(PERSON, many))
    journal.record(TrailRead(PERSON))
    spooler.drain()
    assert len(rows()) == 2001


def test_a_study_that_a_page_names_by_its_number_is_told_by_its_uid_and_patient(
    database: Database, journal: Journal, spooler: Spooler, rows: Rows
) -> None:
    with database.write() as tx:
        index.add(tx, [record(1, "1.2.3")])
        (study,) = index.list_studies(tx)
    journal.record(Accessed(PERSON, (Subject(study_id=study.id),), "/studies/{study_id}"))
    spooler.drain()
    (kept,) = rows()
    assert kept.row.study_instance_uid == "1.2.3"
    assert kept.row.patient_id
    assert kept.row.patient_id in kept.row.message
