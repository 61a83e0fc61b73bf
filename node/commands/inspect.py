"""Commands for the administrator: check, status, retry, reindex."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from node import exposure
from node.config.load import load
from node.config.settings import Settings
from node.errors import AlreadyRunning, NodeError, SettingsError
from storage import events, index, retries
from storage.database import Database, open_database, visit_database
from storage.errors import StorageError
from storage.records import Event

if TYPE_CHECKING:
    from node.delivery.targets.port import Target
    from node.intake.routing import Decision
    from node.web.views import DeliveryView, StudyView

console = Console()


class Refused(NodeError):
    """The command cannot be carried out; the message says which condition was not met."""


def show_settings(path: Path) -> int:
    """Print the settings in force and when certificates end, then C-ECHO every destination and
    call every repository of the audit trail.

    1 when the node would not start, with them or with its TLS files, or one of those is silent.
    """
    from node.cautions import cautions

    settings = load(path)
    settings.database_url()
    console.print(f"[bold]{path.resolve()}[/] is valid. In force:", soft_wrap=True)
    for key, value in _flat("", settings):
        console.print(f"  {key} = {value}", highlight=False, markup=False, soft_wrap=True)
    for caution in cautions(settings):
        console.print(f"[yellow]![/] {escape(caution)}", highlight=False, soft_wrap=True)
    _show_validity(settings)
    return max(
        _show_refusal(settings),
        _show_tls_faults(settings),
        _try_destinations(settings),
        _try_repositories(settings),
    )


def _show_refusal(settings: Settings) -> int:
    """Why the node would not start with valid settings."""
    try:
        exposure.check(settings)
    except SettingsError as error:
        console.print(f"[red]✗[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1
    return 0


def _show_validity(settings: Settings) -> None:
    from node.dimse import tls_in_use
    from node.observe.validity import validities

    now = datetime.now(UTC)
    for path in tls_in_use.paths(settings):
        try:
            found = validities(path)
        except (OSError, ValueError) as error:
            console.print(f"[red]✗[/] {escape(path.name)}: {escape(str(error))}", soft_wrap=True)
            continue
        for one in found:
            mark = "[red]✗[/]" if one.is_near_end(now) else "[green]✓[/]"
            console.print(f"{mark} {escape(one.in_words(now))}", highlight=False, soft_wrap=True)


def _show_tls_faults(settings: Settings) -> int:
    from node.dimse import tls_in_use

    faults = tls_in_use.faults(settings)
    for one in faults:
        console.print(f"[red]✗[/] {escape(one)}", highlight=False, soft_wrap=True)
    return int(bool(faults))


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, BaseModel):
        found = [
            _flat(f"{prefix}.{key}" if prefix else key, getattr(value, key))
            for key in type(value).model_fields
        ]
        return [row for rows in found for row in rows]
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        found = [_flat(f"{prefix}[{number}]", one) for number, one in enumerate(value)]
        return [row for rows in found for row in rows]
    return [(prefix, str(value))]


def _try_destinations(settings: Settings) -> int:
    from node.delivery.targets.dimse import DimseTarget
    from node.delivery.targets.made import target_of
    from node.dimse.scu import peers

    title, silent = settings.node.ae_title, 0
    for one in settings.destinations:
        silent += _try(target_of(one, title), one.where, _PROOFS[one.kind])
    for archive in settings.archives:
        target = DimseTarget(peers.destination_peer(archive, title))
        silent += _try(target, archive.where, _PROOFS["dimse"])
    if not settings.destinations:
        console.print("no destination is configured: results stay on this node")
    return int(silent > 0)


_PROOFS = {"dimse": "answers C-ECHO", "stow": "answers STOW-RS", "folder": "takes files"}


def _try(target: Target, where: str, proof: str) -> int:
    """1 where it is not there."""
    from node.dimse.errors import PeerUnavailable

    shown = escape(f"{target.name} ({where})")
    try:
        seconds = target.probe()
    except PeerUnavailable as error:
        console.print(f"[red]✗[/] {shown}: {escape(str(error))}", soft_wrap=True)
        return 1
    console.print(f"[green]✓[/] {shown} {proof} in {seconds * 1000:.0f} ms", soft_wrap=True)
    return 0


def _try_repositories(settings: Settings) -> int:
    """Whether each could be handed the audit trail; nothing is."""
    from node.audit.sinks.port import RepositoryAway
    from node.auditing import sinks

    silent = 0
    try:
        found = sinks(settings.audit)
    except SettingsError:
        return 1  # said with the faults of TLS
    for sink in found:
        shown = escape(sink.name)
        try:
            seconds = sink.probe()
        except RepositoryAway as error:
            console.print(f"[red]✗[/] audit to {shown}: {escape(str(error))}", soft_wrap=True)
            silent += 1
        else:
            took = f"takes the audit trail ({seconds * 1000:.0f} ms)"
            console.print(f"[green]✓[/] {shown} {took}", soft_wrap=True)
    return int(silent > 0)


# --- check --study --------------------------------------------------------------------------------


def show_routing(path: Path, folder: Path) -> int:
    """Show which rules would fire on a folder, and why not; 1 when none does."""
    from analyzers import registry
    from node.intake.folder import read_folder
    from node.intake.routing import route

    settings = load(path)
    names = {name for rule in settings.rules for name in rule.analyzers}
    with console.status(f"reading {folder}"):
        contents = read_folder(folder)
    for skipped in contents.skipped[:10]:
        console.print(f"skipped {skipped.path.name}: {skipped.reason}")
    decisions = route(
        contents.series, settings.rules, {name: registry.info(name) for name in names}
    )
    for decision in decisions:
        _show_decision(decision)
    return int(not any(decision.chosen for decision in decisions))


def _show_decision(decision: Decision) -> None:
    from node.intake.routing import in_words

    title = f"rule {decision.rule.name!r} → {decision.analyzer}"
    if decision.chosen is not None:
        console.print(f"[green]✓[/] {title}: runs on {in_words(decision.chosen)}")
    elif decision.refused:
        console.print(f"[yellow]–[/] {title}: fires, but no series fits: not applicable")
    else:
        console.print(f"[red]✗[/] {title}: does not fire")
    for verdict in (*decision.refused, *decision.unmatched):
        console.print(f"    {verdict.sentence()}", markup=False)


# --- status ---------------------------------------------------------------------------------------


def show_status(path: Path, limit: int, as_json: bool) -> None:
    """Print the newest studies with jobs and deliveries, and open alarms."""
    from node.web import views

    database = _visit(path, read_only=True)
    with database.read() as tx:
        rows = index.list_studies(tx, limit=limit)
        studies = views.study_views(tx, rows, lambda study_instance_uid: 0, objects=as_json)
        alarms = events.open_alarms(tx)
    database.close()
    if as_json:
        print(_status_json(studies, alarms))
        return
    for alarm in alarms:
        console.print(
            f"[red]alarm[/] {alarm.at:%Y-%m-%d %H:%M} {alarm.subject}: {escape(alarm.reason)}"
        )
    console.print(_status_table(studies))


def _status_json(studies: list[StudyView], alarms: list[Event]) -> str:
    """The same shapes as of ``/api/studies`` and ``/api/alarms``."""
    from node.web.shapes.status import Status

    return Status.of(studies, alarms).model_dump_json(by_alias=True, indent=2)


def _status_table(studies: list[StudyView]) -> Table:
    table = Table("study", "state", "images", "job", "analyzer", "job state", "deliveries", "why")
    for one in studies:
        head = (str(one.study.id), one.study.state.value, str(one.study.instances))
        if not one.jobs:
            table.add_row(*head, "", "", "", "", escape(one.study.note))
        for view in one.jobs:
            job, sent = view.job, ", ".join(map(_sent, view.deliveries))
            table.add_row(
                *head, str(job.id), job.analyzer, job.state.value, sent, escape(job.reason[:120])
            )
            head = ("", "", "")
    return table


def _sent(to: DeliveryView) -> str:
    counts = ((to.sent, "sent"), (to.waiting, "waiting"), (to.failed, "failed"))
    return f"{to.destination}: {', '.join(f'{number} {word}' for number, word in counts if number)}"


# --- retry, reindex -------------------------------------------------------------------------------


def retry(path: Path, job_id: int) -> int:
    """Send again what was refused of a job that came to an end, or else run it again."""
    database = _visit(path)
    try:
        with database.write() as tx:
            message = retries.retry(tx, job_id, datetime.now(UTC)).in_words()
    except StorageError as error:
        raise Refused(str(error)) from error
    finally:
        database.close()
    console.print(message)
    return 0


def reindex(path: Path) -> int:
    """Read every stored file into the index, then results and notes; 1 when some cannot be read."""
    from node.results import kept
    from storage.files.instances import InstanceStore
    from storage.files.results import ResultStore
    from storage.people.kept_notes import NotesFolder
    from storage.reindex import reindex as read_all
    from storage.reindex import reindex_results

    settings = load(path)
    database = _make(settings)
    if not database.try_lock_dispatcher():
        database.close()
        raise AlreadyRunning("a node works on this database: stop it first")
    store = InstanceStore(settings.storage.instances, settings.quarantine_dir)
    results = ResultStore(settings.results_dir)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    _say_what_stays_lost(database)
    try:
        with store.locked(), results.locked(), Progress(*columns, console=console) as progress:
            images = read_all(database, store, _bar(progress, "files"))
            made = reindex_results(database, results, kept.found, _bar(progress, "jobs"))
            said = NotesFolder(settings.notes_dir).restore(database)
    finally:
        database.close()
    console.print(f"{images.found} files, {images.added} new in the index")
    console.print(f"{made.found} results, {made.added} new in the index")
    if made.without_study:
        console.print(f"{made.without_study} results are of studies that are not there")
    console.print(f"{said.notes} notes are written in again")
    if said.read:
        console.print(
            f"{said.read} studies had been read: their history says by whom, they count as unread"
        )
    if said.without_study:
        console.print(
            f"notes on {said.without_study} studies that are not there stay in their files"
        )
    unreadable = (*images.unreadable, *made.unreadable, *said.unreadable)
    for name in unreadable:
        console.print(f"[red]unreadable:[/] {name}", soft_wrap=True)
    return int(bool(unreadable))


def _say_what_stays_lost(database: Database) -> None:
    """Before it is too late to look for a copy of the database that was."""
    with database.read() as tx:
        if index.list_studies(tx, limit=1):
            return
    console.print(
        "The index is empty. Files bring back images, results and notes, and nothing else: users,"
        " their passwords and sessions, the history, alarms, what was sent where and who has read"
        " what are lost with a database. If there is a copy of it, put that back instead."
    )


def _bar(progress: Progress, what: str) -> Callable[[int, int], None]:
    bar = progress.add_task(what, total=None)
    return lambda done, total: progress.update(bar, completed=done, total=total)


def _make(settings: Settings) -> Database:
    try:
        return open_database(settings.database_url())
    except StorageError as error:
        raise Refused(str(error)) from error


def _visit(path: Path, read_only: bool = False) -> Database:
    """The database of a node that may be running: it is neither made nor migrated here."""
    settings = load(path)
    try:
        return visit_database(settings.database_url(), read_only)
    except StorageError as error:
        raise Refused(str(error)) from error
