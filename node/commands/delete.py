"""``wetread delete`` and ``wetread retention``: what goes, what stays, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from node.audit.journal import Journal
from node.clock import system_clock
from node.config.load import load
from node.config.settings import Settings
from node.errors import NodeError
from node.retention import Folders, Retention, forecast
from storage import deletions, index
from storage.database import Database, Transaction, visit_database
from storage.deletions import NewDeletion, Scope
from storage.errors import NotFound, StorageError
from storage.files.instances import InstanceStore
from storage.files.metadata_shelf import MetadataShelf
from storage.files.results import ResultStore
from storage.people.kept_notes import NotesFolder
from storage.records import StudyRow

console = Console()


class NotDeleted(NodeError):
    """The study stays; the message says which condition was not met."""


def delete(
    path: Path, study: str, reason: str, results_only: bool, undelivered: bool, dry_run: bool
) -> int:
    """Delete a study, or say what would be deleted and what holds it.

    Raises
    ------
    NotDeleted
        Something is owed or in work; there is no such study; no reason is given.
    """
    settings = load(path)
    database = _open(settings)
    try:
        with database.read() as tx:
            found = _study(tx, study)
            holds = deletions.holds(tx, found.id, undelivered)
        what = "the results of" if results_only else ""
        held = f"{found.series} series, {found.instances} images, {found.results} results"
        named = f"{what} study {found.id} ({held})".strip()
        if holds:
            raise NotDeleted(f"{named} stays: {'; '.join(holds)}")
        if dry_run:
            console.print(f"would delete {named}")
            return 0
        if not reason.strip():
            raise NotDeleted("a reason is needed: --reason TEXT; it stands in the record")
        scope = Scope.RESULTS if results_only else Scope.STUDY
        wanted = NewDeletion(found.id, scope, reason, "wetread delete", undelivered)
        return _carry_out(settings, database, wanted, named)
    finally:
        database.close()


def _carry_out(settings: Settings, database: Database, wanted: NewDeletion, named: str) -> int:
    with database.write() as tx:
        deletion_id = deletions.ask(tx, wanted, datetime.now(UTC))
    if not database.try_lock_dispatcher():
        console.print(f"{named} is to be deleted: the running node does it within a few seconds")
        return 0
    with database.read() as tx:
        deletion = deletions.get(tx, deletion_id)
    with console.status(f"deleting {named}"):
        _retention(settings, database).carry_out(deletion)
    with database.read() as tx:
        done = deletions.get(tx, deletion_id)
    console.print(
        f"deleted {named}: {done.instances} images and {done.results} results,"
        f" {done.size_bytes / 1e6:.0f} MB"
    )
    return 0


def show_retention(path: Path) -> int:
    """What the settings would delete now, what holds the rest, and when the disk will be full."""
    settings = load(path)
    database = _open(settings)
    try:
        keeper = _retention(settings, database)
        used = keeper.usage()
        due = keeper.due(used)
        with database.read() as tx:
            studies = {one.study_id: index.get_study(tx, one.study_id) for one in due}
    finally:
        database.close()
    table = Table("study", "last image", "images", "what goes", "why")
    for one in due:
        study = studies[one.study_id]
        what = "all of it" if one.scope is Scope.STUDY else "its results"
        last = f"{study.last_received_at:%Y-%m-%d %H:%M}"
        table.add_row(str(study.id), last, str(study.instances), what, one.reason)
    console.print(table if due else "nothing would be deleted now")
    coming = forecast(InstanceStore.free_bytes_at(settings.storage.instances), used)
    console.print(
        f"images {used.images / 1e9:.1f} GB, results {used.results / 1e9:.1f} GB,"
        f" free {coming.free_bytes / 1e9:.1f} GB: {coming.in_words()}"
    )
    return 0


def _open(settings: Settings) -> Database:
    try:
        return visit_database(settings.database_url(), read_only=False)
    except StorageError as error:
        raise NotDeleted(str(error)) from error


def _study(tx: Transaction, named: str) -> StudyRow:
    """By the number that ``wetread status`` shows, or by its UID."""
    if "." in named:
        found = index.find_study(tx, named)
        if found is None:
            raise NotDeleted("there is no study with this UID")
        return found
    if not named.isdecimal():
        raise NotDeleted("a study is named by its number (wetread status) or Study Instance UID")
    try:
        return index.get_study(tx, int(named))
    except NotFound as error:
        raise NotDeleted(str(error)) from error


def _retention(settings: Settings, database: Database) -> Retention:
    """Where no node runs nobody brings studies, and no file needs to be waited for."""
    store = InstanceStore(settings.storage.instances, settings.quarantine_dir)
    results, shelf = ResultStore(settings.results_dir), MetadataShelf(settings.metadata_dir)
    folders = Folders(store, results, shelf, settings.logs_dir, NotesFolder(settings.notes_dir))
    return Retention(
        database,
        folders,
        settings.retention,
        frozenset,
        system_clock,
        lambda seconds: None,
        Journal(settings.audit_dir),
    )
