"""``wetread quarantine`` and ``wetread accept``: what was refused, and letting a correction in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from node.clock import system_clock
from node.commands.inspect import Refused
from node.config.load import load
from node.intake.corrections import Corrections
from storage import quarantine
from storage.database import visit_database
from storage.errors import StorageError
from storage.files.instances import InstanceStore
from storage.files.metadata_shelf import MetadataShelf

console = Console()


def show_quarantine(path: Path, limit: int) -> int:
    """Print what was refused, the last seen first."""
    database = visit_database(load(path).database_url())
    with database.read() as tx:
        found = quarantine.newest(tx, limit)
    database.close()
    table = Table("number", "why", "from", "sent", "last", "accepted")
    for one in found:
        refused = one.refused
        accepted = "yes" if one.accepted_at else ""
        last = f"{one.last_seen_at:%Y-%m-%d %H:%M}"
        reason, sender = escape(refused.reason), escape(refused.calling_ae)
        table.add_row(str(one.id), reason, sender, f"{one.count}×", last, accepted)
    console.print(table if found else "nothing is in quarantine")
    return 0


def accept(path: Path, number: int, whole_study: bool) -> int:
    """Let refused bytes take the place of what is stored under their UID.

    Raises
    ------
    Refused
        There is no such image, or it was refused for another reason.
    """
    settings = load(path)
    database = visit_database(settings.database_url(), read_only=False)
    try:
        with database.write() as tx:
            images = quarantine.accept(tx, number, datetime.now(UTC), whole_study)
        console.print(f"{images} images accepted as corrections")
        if not database.try_lock_dispatcher():
            console.print("the running node puts them in place within a few seconds")
            return 0
        store = InstanceStore(settings.storage.instances, settings.quarantine_dir)
        with store.locked():
            done = Corrections(
                database, store, MetadataShelf(settings.metadata_dir), system_clock
            ).step()
        console.print(f"{done} images are in place; the study is analyzed anew by the next start")
    except StorageError as error:
        raise Refused(str(error)) from error
    finally:
        database.close()
    return 0
