"""Commands that look at a node, running or not: they make nothing and migrate nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator

from node.commands import accept, delete, inspect, jobs
from node.errors import NodeError
from node.web.shapes.status import Status
from storage import events
from storage.database import open_database, visit_database
from storage.errors import DatabaseUnavailable, NoDatabase, StorageError
from storage.records import Level, Topic
from tests.storage.samples import NOON, add_study, enqueue, new_job

COMMANDS: dict[str, Callable[[Path], object]] = {
    "status": lambda path: inspect.show_status(path, 20, as_json=False),
    "retry": lambda path: inspect.retry(path, 1),
    "quarantine": lambda path: accept.show_quarantine(path, 50),
    "accept": lambda path: accept.accept(path, 1, whole_study=False),
    "delete": lambda path: delete.delete(path, "1", "why", False, False, False),
    "retention": delete.show_retention,
    "jobs": lambda path: jobs.show_jobs(path, "", 50),
    "jobs cancel": lambda path: jobs.cancel(path, 1, "anna", ""),
    "queue": jobs.show_queue,
    "rules": lambda path: jobs.show_rules(path, 1),
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "a node's home, 100 %"
    folder.mkdir()
    path = folder / "config.toml"
    path.write_text("[dimse]\nport = 0\n[http]\nport = 0\n")
    return path


def made(config: Path) -> Path:
    """The node's database, with a study and a job."""
    path = config.parent / "var" / "wetread.db"
    database = open_database(f"sqlite:///{path}")
    with database.write() as tx:
        enqueue(tx, new_job(tx, add_study(tx)))
    database.close()
    return path


def set_revision(path: Path, revision: str) -> None:
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
    engine.dispose()


def state(folder: Path) -> dict[str, str]:
    """What lies in a folder, without the log and the lock of an open database."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in {".db-shm", ".db-wal"}
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_where_no_node_has_worked_a_command_says_so_and_makes_nothing(
    config: Path, command: str
) -> None:
    with pytest.raises((NodeError, StorageError), match="no node here"):
        COMMANDS[command](config)
    assert [one.name for one in config.parent.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("revision", "said"), [("0001", "older than"), ("9999", "newer than")])
def test_a_schema_of_another_version_is_named_and_left_as_it_is(
    config: Path, command: str, revision: str, said: str
) -> None:
    set_revision(made(config), revision)
    before = state(config.parent)
    with pytest.raises((NodeError, StorageError), match=f"schema of the database is {said}"):
        COMMANDS[command](config)
    assert state(config.parent) == before


def test_status_changes_no_byte(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(config)
    before = state(config.parent)
    inspect.show_status(config, 20, as_json=True)
    assert '"analyzer": "lungs"' in capsys.readouterr().out
    assert state(config.parent) == before


def test_status_sees_what_a_running_node_has_just_written(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = open_database(f"sqlite:///{made(config)}")
    with running.write() as tx:
        events.record(tx, NOON, Level.ALARM, Topic.NODE, 0, "", "", "the disk is full")
    inspect.show_status(config, 20, as_json=False)
    running.close()
    assert "the disk is full" in capsys.readouterr().out


def test_nothing_can_be_written_on_a_visit_that_only_reads(config: Path) -> None:
    visited = visit_database(f"sqlite:///{made(config)}")
    with pytest.raises(DatabaseUnavailable, match=r"read-?only"):
        visited.prove(NOON)
    visited.close()


def test_an_empty_file_is_no_node(tmp_path: Path) -> None:
    (tmp_path / "w.db").touch()
    with pytest.raises(NoDatabase):
        visit_database(f"sqlite:///{tmp_path / 'w.db'}")


def test_status_for_programs_has_the_shapes_of_the_api(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(config)
    inspect.show_status(config, 20, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    shapes = Status.model_json_schema(mode="serialization")
    closed = {
        name: {**shape, "additionalProperties": False} for name, shape in shapes["$defs"].items()
    }
    Draft202012Validator({**shapes, "$defs": closed}).validate(printed)
    ((study,), alarms) = printed["studies"], printed["alarms"]
    assert (study["id"], study["instances"], alarms) == (1, 3, [])
    assert [job["analyzer"] for job in study["jobs"]] == ["lungs"]
