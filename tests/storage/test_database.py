"""Opening, migrating, transactions and the dispatcher's lock, on both databases."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

import storage.database as module
import storage.migrations
from storage import (
    abilities,
    audit,
    deletions,
    events,
    fetches,
    index,
    ledger,
    quarantine,
    schema,
    suspension,
)
from storage.abilities import KnownAbilities
from storage.audit import AuditRow
from storage.database import Database, Transaction, open_database
from storage.deletions import NewDeletion, Scope
from storage.engines import SAFE_SQLITE
from storage.errors import DatabaseUnavailable, SchemaMismatch
from storage.fetches import FetchedStudy, NewFetch, Wanted
from storage.people import login_mistakes, notes
from storage.people.login_mistakes import Mistakes, MistakesBy
from storage.quarantine import RefusalKind, Refused
from storage.records import JobLine, Level, Topic
from tests.postgres import Postgres
from tests.storage.samples import (
    NOON,
    add_people,
    add_study,
    alembic_config,
    announce_and_commit,
    enqueue,
    minutes,
    new_job,
    record,
    result,
    results,
    with_study,
)
from tests.waiting import until

REPOSITORY = Path(storage.migrations.__file__).parents[2]


def tables(tx: Transaction) -> set[str]:
    return set(sa.inspect(tx).get_table_names())


@contextmanager
def child(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has printed its first line; killed with SIGKILL at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
            yield process
        finally:
            process.kill()


# --- opening and migrating ------------------------------------------------------------------------


def test_a_fresh_database_gets_every_table(empty_url: str) -> None:
    database = open_database(empty_url)
    with database.read() as tx:
        assert tables(tx) == {*schema.metadata.tables, "alembic_version"}
    database.close()


def test_opening_again_keeps_the_rows(url: str) -> None:
    for expected in (1, 0):
        database = open_database(url)
        with database.write() as tx:
            assert index.add(tx, [record()]) == expected
        database.close()


def test_two_processes_may_open_a_fresh_database_at_once(empty_url: str) -> None:
    script = (
        "import sys; from storage.database import open_database;"
        "print('ready', flush=True); sys.stdin.readline(); open_database(sys.argv[1]).close()"
    )
    with child(script, empty_url) as one, child(script, empty_url) as two:
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [one.wait(30), two.wait(30)] == [0, 0]


def test_the_migrations_make_the_tables_that_the_schema_describes(database: Database) -> None:
    with database.read() as tx:
        defaults = tx.dialect.name == "postgresql"  # SQLite's are not compared soundly by alembic
        context = MigrationContext.configure(tx, opts={"compare_server_default": defaults})
        assert compare_metadata(context, schema.metadata) == []


def test_the_newest_migration_has_the_highest_number(database: Database) -> None:
    """What tells without alembic whether a schema is the newest goes by it."""
    with database.read() as tx:
        scripts = ScriptDirectory.from_config(alembic_config(tx))
    known = module._known_revisions()
    assert {one.revision for one in scripts.walk_revisions()} == set(known)
    assert scripts.get_heads() == [known[-1]]


def test_no_number_of_an_audit_message_is_given_again_after_a_migration(database: Database) -> None:
    row = AuditRow(NOON, "Query", 0, "müller", "10.0.0.7", "<AuditMessage/>")
    with database.write() as tx:
        audit.keep(tx, [row] * 3)
        tx.execute(sa.delete(schema.audit_messages))
        command.downgrade(alembic_config(tx), "0021")
        command.upgrade(alembic_config(tx), "head")
        audit.keep(tx, [row])
        assert tx.scalar(sa.select(schema.audit_messages.c.id)) == 4


def test_migrations_use_nothing_of_the_storage_that_may_change() -> None:
    folder = Path(storage.migrations.__file__).parent
    for path in (folder / "frozen.py", *(folder / "versions").glob("*.py")):
        for line in path.read_text().splitlines():
            if line.startswith(("from storage", "import storage")):
                assert line.startswith("from storage.migrations"), f"{path.name}: {line}"


def test_migrations_go_down_and_up_again_with_rows_in_every_table(database: Database) -> None:
    with database.write() as tx:
        first = new_job(tx, add_study(tx))
        index.add(tx, [with_study(record(1, "6.6", "6.6.1"), PatientName="Doe^Jane=\u5c71\u7530")])
        job = enqueue(tx, first)
        later = replace(
            new_job(tx, first.study_id, "rules"),
            companions={"pet": first.instance_ids},
            waits_for=(ledger.key_of(first),),
        )
        enqueue(tx, later)
        for weights in ("w1", "w2"):  # told apart by them alone
            enqueue(tx, replace(new_job(tx, first.study_id, "learner"), weights=weights))
        ledger.claim(tx, NOON)
        ledger.add_lines(tx, job, [JobLine(NOON, "info", "reading_images")])
        ledger.done(tx, job, NOON, results())
        ledger.cancel(tx, enqueue(tx, new_job(tx, first.study_id, "unwanted")), NOON, "a test")
        suspension.suspend(tx, NOON, "a test", "an upgrade")
        index.add_own(tx, first.study_id, [result("9.7")], NOON)
        index.drop_own(tx, first.study_id, ["9.7"])
        quarantine.enter(tx, NOON, Refused("q.dcm", RefusalKind.UNREADABLE, "unreadable", "f"))
        announce_and_commit(tx)
        deletion = NewDeletion(add_study(tx, "5.5"), Scope.STUDY, "no consent", "a test")
        deletions.ask(tx, deletion, NOON)
        (wanted,) = deletions.open_ones(tx)
        assert deletions.begin(tx, wanted) == []
        assert deletions.take_slice(tx, wanted) == 3
        fetch = fetches.ask(tx, NewFetch("pacs", Wanted(patient_id="P"), "a test"), NOON)
        fetches.enter_study(tx, fetch, FetchedStudy("1.2.3", None, 3, 0))
        abilities.put(tx, KnownAbilities("pacs", NOON, "these", frozenset({("1.1", "1.2")})))
        audit.keep(tx, [AuditRow(NOON, "Query", 0, "müller", "10.0.0.7", "<AuditMessage/>")])
        audit.note_journal(tx, "a", 17)
        audit.note_position(tx, "syslog", 1)
        add_people(tx)
        notes.write(tx, first.study_id, "compared", "a person", NOON)
        by = MistakesBy("HOST", "ab" * 32)
        login_mistakes.keep(tx, [Mistakes(by, 3, NOON, NOON)], [], NOON)
    database.prove(NOON)
    with database.read() as tx:
        empty = [
            one.name
            for one in schema.metadata.sorted_tables
            if not tx.execute(one.select()).first()
        ]
    assert empty == []
    with database.write() as tx:
        command.downgrade(alembic_config(tx), "base")
        assert tables(tx) == {"alembic_version"}
        command.upgrade(alembic_config(tx), "head")
        assert tables(tx) == {*schema.metadata.tables, "alembic_version"}
        assert index.add(tx, [record()]) == 1


def test_a_database_of_a_newer_version_is_refused_and_left_alone(
    database: Database, url: str
) -> None:
    with database.write() as tx:
        index.add(tx, [record()])
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="newer version"):
        open_database(url)
    with database.read() as tx:
        assert index.find_study(tx, "1.2.3") is not None


def test_a_database_of_another_program_is_refused(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            module, "_upgrade", lambda tx: tx.execute(sa.text("CREATE TABLE jobs (x int)"))
        )
        open_database(empty_url).close()
    with pytest.raises(SchemaMismatch, match="another program"):
        open_database(empty_url)


def test_a_migration_that_remakes_a_table_keeps_what_refers_to_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite alters by dropping: with foreign keys in force that would empty the children."""
    database = open_database(url)
    with database.write() as tx:
        add_study(tx)

    def remake(tx: Transaction) -> None:
        from alembic.operations import Operations

        operations = Operations(MigrationContext.configure(tx))
        with operations.batch_alter_table("patients", recreate="auto") as batch:
            batch.alter_column("patient_sex", type_=sa.String(99), existing_nullable=False)

    monkeypatch.setattr(module, "_upgrade", remake)
    open_database(url).close()
    with database.read() as tx:
        study = index.find_study(tx, "1.2.3")
        assert study is not None and study.instances == 3
    database.close()


# --- what is not there ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:////proc/nowhere/w.db", "no url", "sqlite:////tmp"],
)
def test_a_database_that_cannot_be_made_is_a_named_error(url: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        open_database(url)


def test_a_file_that_is_no_database_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "w.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        open_database(f"sqlite:///{tmp_path}/w.db")


def test_a_server_that_is_away_is_a_named_error_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        open_database(f"postgresql://wetread:secret@/wetread?host={tmp_path}")
    assert "secret" not in str(caught.value)


# --- SQLite as it has to be -----------------------------------------------------------------------


def test_sqlite_is_safe_and_its_pragmas_are_in_force(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/a folder/deeper/w.db")
    with database.write() as first, database.read() as second:
        for tx in (first, second):
            driver = tx.connection.driver_connection
            assert type(driver).__module__.startswith("pysqlite3")
            version = tx.exec_driver_sql("SELECT sqlite_version()").scalar_one()
            assert tuple(map(int, version.split("."))) >= SAFE_SQLITE == (3, 51, 3)
            found = {
                name: tx.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            assert found == {
                "journal_mode": "wal",
                "synchronous": 2,
                "foreign_keys": 1,
                "busy_timeout": 10_000,
            }
    database.close()


# --- transactions ---------------------------------------------------------------------------------


def test_an_exception_undoes_the_transaction(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as tx:
        index.add(tx, [record()])
        raise ZeroDivisionError
    with database.read() as tx:
        assert index.list_studies(tx) == []
        assert events.list_events(tx) == []


def test_a_reader_sees_one_moment(database: Database) -> None:
    with database.read() as reader:
        assert index.list_studies(reader) == []
        with database.write() as tx:
            index.add(tx, [record()])
        assert index.list_studies(reader) == []
    with database.read() as reader:
        assert len(index.list_studies(reader)) == 1


def test_nothing_can_be_written_in_a_read_transaction(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"read-?only"), database.read() as tx:
        events.record(tx, NOON, Level.INFO, Topic.NODE, 0, "", "up", "")
    database.prove(NOON)


def test_moments_come_back_as_they_went_in(database: Database) -> None:
    moment = NOON.replace(microsecond=123_457)
    with database.write() as tx:
        events.record(tx, moment, Level.INFO, Topic.NODE, 0, "", "up", "")
    with database.read() as tx:
        found = events.list_events(tx)[0].at
    assert found == moment and found.utcoffset() == minutes(0)


def test_errors_name_no_values(database: Database) -> None:
    one = record()
    other = replace(one, attributes=replace(one.attributes, series_instance_uid="Yamada^Tarou" * 9))
    with pytest.raises((IntegrityError, sa.exc.DataError)) as caught, database.write() as tx:
        index.add(tx, [other])
        tx.execute(sa.insert(schema.series).values(study_id=1, header={"PatientName": "Yamada"}))
    assert "Yamada" not in str(caught.value)


def test_a_database_locked_for_too_long_is_unavailable_and_then_works_again(url: str) -> None:
    database = open_database(url, busy_s=0.3)
    script = (
        "import sys; from storage.database import open_database;"
        "database = open_database(sys.argv[1]);"
        "held = database.write(); held.__enter__(); print('ready', flush=True); sys.stdin.read()"
    )
    with child(script, url):
        with database.read() as tx:
            assert index.list_studies(tx) == []
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="lock"), database.write():
            pass
        assert 0.2 < time.monotonic() - started < 5
    until(lambda: can_write(database))
    database.close()


def can_write(database: Database) -> bool:
    try:
        database.prove(NOON)
    except DatabaseUnavailable:
        return False
    return True


def test_writers_in_many_threads_wait_for_each_other(database: Database) -> None:
    """Each reads a count and writes it back plus one: lost updates would show."""

    def count_up() -> None:
        for _ in range(10):
            with database.write() as tx:
                table = schema.heartbeat
                seen = tx.scalar(sa.select(sa.func.max(table.c.id))) or 0
                tx.execute(sa.insert(table).values(id=seen + 1, at=NOON))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(schema.heartbeat)) == 40


def test_writers_of_one_process_are_not_left_to_sqlite_which_sleeps(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")

    def does_not_wait(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")

    sa.event.listen(database._engine, "begin", does_not_wait, insert=True)
    written: list[bool] = []

    def write() -> None:
        written.extend(can_write(database) for _ in range(10))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert written == [True] * 40
    database.close()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.interop
def test_a_lost_server_connection_is_replaced(database: Database) -> None:
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    )
    with pytest.raises(DatabaseUnavailable), database.write() as tx:
        tx.execute(sa.text(end))
    database.prove(NOON)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.interop
def test_the_lock_cannot_be_asked_for_without_a_server(
    database: Database, postgres: Postgres, url: str
) -> None:
    postgres.execute(f"ALTER DATABASE {make_url(url).database} ALLOW_CONNECTIONS false")
    with pytest.raises(DatabaseUnavailable), database.write() as tx:
        tx.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with pytest.raises(DatabaseUnavailable, match="not currently accepting"):
        database.try_lock_dispatcher()


# --- the dispatcher's lock ------------------------------------------------------------------------


def test_there_is_one_dispatcher_to_a_database(database: Database, url: str) -> None:
    other = open_database(url)
    assert database.try_lock_dispatcher()
    assert not database.try_lock_dispatcher()
    assert not other.try_lock_dispatcher()
    database.unlock_dispatcher()
    assert other.try_lock_dispatcher()
    assert not database.try_lock_dispatcher()
    other.close()
    assert database.try_lock_dispatcher()


def test_databases_do_not_lock_each_other(
    database: Database, make_url: Callable[[bool], str]
) -> None:
    other = open_database(make_url(True))
    assert database.try_lock_dispatcher() and other.try_lock_dispatcher()
    other.close()


def test_the_lock_of_a_killed_process_is_free(database: Database, url: str) -> None:
    script = (
        "import sys; from storage.database import open_database;"
        "database = open_database(sys.argv[1]); assert database.try_lock_dispatcher();"
        "print('ready', flush=True); sys.stdin.read()"
    )
    with child(script, url):
        assert not database.try_lock_dispatcher()
        database.prove(NOON)
    until(database.try_lock_dispatcher)


def test_a_lock_that_cannot_be_asked_for_is_a_named_error(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/w.db")
    (tmp_path / "w.db.dispatcher.lock").mkdir()
    with pytest.raises(DatabaseUnavailable, match="cannot be opened"):
        database.try_lock_dispatcher()
    database.close()


def test_statistics_are_kept_once_there_is_enough_for_them(database: Database) -> None:
    with database.write() as tx:
        add_study(tx, instances=30)
    assert not database.refresh_statistics(), "those of a few rows mislead"
    assert database.refresh_statistics(enough=10)
    with database.read() as tx:
        if tx.dialect.name == "sqlite":
            known = set(tx.exec_driver_sql("SELECT DISTINCT tbl FROM sqlite_stat1").scalars())
        else:
            known = set(tx.exec_driver_sql("SELECT DISTINCT tablename FROM pg_stats").scalars())
    assert {"studies", "series", "instances"} <= known
    with database.write() as tx:
        assert index.add(tx, [record(31)]) == 1
