"""``wetread reproduce``: make results again, and say whether they have the same bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from analyzers import devices
from node.config.load import load
from node.config.settings import Settings
from node.results import kept
from node.work import manifest, reproduction
from node.work.reproduction import CannotReproduce, Stored
from storage import commitment_requests
from storage.database import visit_database
from storage.files.blobs import Files
from storage.files.results import JobFolder
from storage.records import StoredInstance

if TYPE_CHECKING:
    from node.results.kept import Kept
    from node.work.executor import Outcome, Ticket
    from node.work.manifest import Manifest

console = Console()


def reproduce(path: Path, sop_instance_uid: str) -> int:
    """Make what one job made again, given an object of it; 1 where the bytes differ.

    Raises
    ------
    CannotReproduce, SettingsError, StorageError
    """
    settings = load(path)
    folder = _folder_of(settings, sop_instance_uid)
    known, made = _record(folder, sop_instance_uid)
    stored = Stored(
        _stored(settings, [one.sop_instance_uid for one in made.inputs]),
        Files(settings.storage.instances),
        Files(settings.results_dir),
    )
    with tempfile.TemporaryDirectory(prefix="wetread-") as where:
        ticket = reproduction.ticket_of(made, stored, JobFolder(Path(where) / folder.name))
        with console.status(f"{made.analyzer} on {len(made.inputs)} images"):
            again = _run(ticket, settings.workers.device)
        device = settings.workers.device
        found = reproduction.compared(
            known, made, ticket, again, device if made.notice else devices.resolve(device), folder
        )
    for line in reproduction.in_words(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return int(bool(found.differences))


def _folder_of(settings: Settings, sop_instance_uid: str) -> Path:
    """Where the results lie that an object of the node is one of."""
    found = _stored(settings, [sop_instance_uid]).get(sop_instance_uid)
    if found is None or not found.own:
        raise CannotReproduce("no result of this node has this UID, or a later one took its place")
    return settings.results_dir / found.key.rpartition("/")[0]


def _record(folder: Path, sop_instance_uid: str) -> tuple[Kept, Manifest]:
    known = kept.last(JobFolder(folder))
    if known is None or all(
        one.sop_instance_uid != sop_instance_uid for one in known.results.objects
    ):
        raise CannotReproduce("its job has run again since, or its record is gone")
    made = manifest.read(known.made_from)
    if made is None:
        raise CannotReproduce(
            "of this it was not kept what it was made from: an older node made it, or it speaks of"
            " other results, which can be made again themselves"
        )
    return known, made


def _stored(settings: Settings, uids: Sequence[str]) -> dict[str, StoredInstance]:
    database = visit_database(settings.database_url(), read_only=True)
    try:
        with database.read() as tx:
            return dict(commitment_requests.stored_instances(tx, uids))
    finally:
        database.close()


def _run(ticket: Ticket, device: str) -> Outcome:
    """In a worker process, as the node does."""
    from node.work.local import LocalExecutor

    executor = LocalExecutor(slots=1, device=device)
    try:
        return executor.submit(ticket).result()
    finally:
        executor.stop()
