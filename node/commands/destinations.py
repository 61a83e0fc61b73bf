"""``wetread check --destination`` and ``wetread send JOB --to NAME``: what a destination takes,
and what it gets at somebody's wish."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from node.config.destinations import AnyDestination
from node.config.load import load
from node.config.nearest import nearest
from node.config.settings import Settings
from node.delivery import known, profile, trying
from node.delivery.kinds import OF_KIND
from node.delivery.prospects import prospects
from node.delivery.targets.made import target_of
from node.delivery.targets.port import Telling
from node.dimse.errors import PeerUnavailable
from node.errors import NodeError
from storage import abilities, index, ledger, selection
from storage.abilities import KnownAbilities
from storage.database import Database, Transaction, visit_database
from storage.errors import NotFound, StorageError
from storage.records import Delivery, DeliveryState, JobState
from storage.successors import Superseded

console = Console()

LOOK_S = 0.3
_OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)


class NotSent(NodeError):
    """Nothing was asked for; the message says which condition was not met."""


# --- check --destination --------------------------------------------------------------------------


def show(path: Path, name: str) -> int:
    """Ask a destination what it takes, and show what it would get; 1 where it does not answer, or
    would get the report in no form.

    Raises
    ------
    NotSent
        There is no such destination.
    """
    settings = load(path)
    destination = _named(settings, name)
    try:
        able = _ask(settings, destination)
    except PeerUnavailable as error:
        console.print(f"[red]✗[/] {escape(str(error))}", soft_wrap=True)
        return 1
    told = trying.IN_WORDS[Telling(able.telling)]
    console.print(f"[green]✓[/] {destination.name} answers: {told}")
    wish = known.wish_of(destination)
    table = Table("kind", "object", "SOP class", "transfer syntaxes", "what becomes of it")
    found = prospects(able, wish)
    for one in found:
        fate = f"[yellow]left out:[/] {escape(one.why_not)}" if one.why_not else "[green]goes[/]"
        classes, syntaxes = "\n".join(one.sop_classes), "\n".join(one.syntaxes)
        table.add_row(one.kind.value, one.name, classes, syntaxes or "–", fate)
    console.print(table)
    is_served = not any(profile.IN_NO_FORM in one.why_not for one in found)
    return 0 if is_served else 1


def _ask(settings: Settings, destination: AnyDestination) -> KnownAbilities:
    target = target_of(destination, settings.node.ae_title)
    target.probe()
    return known.ask(target, datetime.now(UTC))


def _named(settings: Settings, name: str) -> AnyDestination:
    for one in settings.destinations:
        if one.name == name:
            return one
    names = [one.name for one in settings.destinations]
    raise NotSent(f"no destination is called {name!r}{nearest(name, names)}")


# --- send -----------------------------------------------------------------------------------------


def send(path: Path, what: str, name: str) -> int:
    """Have all of a job, or of a study's jobs, considered anew for a destination, and follow that;
    1 where something was refused.

    Nothing that the destination has is sent again, and nothing is taken back.

    Raises
    ------
    NotSent
    """
    settings = load(path)
    destination = _named(settings, name)
    try:
        database = visit_database(settings.database_url(), read_only=False)
    except StorageError as error:
        raise NotSent(str(error)) from error
    try:
        with database.read() as tx:
            jobs = _jobs(tx, what)
        try:
            able = _ask(settings, destination)
        except PeerUnavailable as error:
            raise NotSent(str(error)) from error
        before = _asked(database, destination, able, jobs)
        return _followed(database, name, jobs, before)
    finally:
        database.close()


def _jobs(tx: Transaction, what: str) -> list[int]:
    """The jobs with results that a number or a Study Instance UID names."""
    try:
        if what.isdecimal():
            return [ledger.get(tx, int(what)).id]
    except NotFound as error:
        raise NotSent(str(error)) from error
    study = index.find_study(tx, what)
    if study is None:
        raise NotSent(f"{what} is neither the number of a job nor the UID of a study that is here")
    jobs = [one.id for one in ledger.list_jobs(tx, study.id) if one.state is JobState.DONE]
    if not jobs:
        raise NotSent("no analysis of that study has results")
    return sorted(jobs)


def _asked(
    database: Database, destination: AnyDestination, able: KnownAbilities, jobs: list[int]
) -> set[int]:
    """Make due what was not sent, and forms that lack; gives what was there before."""
    now, name, before = datetime.now(UTC), destination.name, set[int]()
    wanted = profile.forms_needed(known.takes_of(able), known.wish_of(destination))
    with database.write() as tx:
        abilities.put(tx, able)
        there = selection.of_jobs(tx, name, jobs)
        before = {one.id for one in there if one.state is DeliveryState.SENT}
        for job_id in list(jobs):
            try:
                selection.ask_for(tx, name, job_id, now)
                ledger.want_forms(tx, job_id, wanted, now, f"asked for at {name} by a person")
            except Superseded as error:
                jobs.remove(job_id)
                console.print(f"[yellow]–[/] {escape(str(error))}", soft_wrap=True)
    if not jobs:
        raise NotSent("newer results go there in the place of these")
    return before


def _followed(database: Database, name: str, jobs: list[int], before: set[int]) -> int:
    if database.try_lock_dispatcher():
        database.unlock_dispatcher()
        console.print("due: the node sends it when it runs (wetread serve)")
        return 0
    with console.status(f"sending to {name}; Ctrl-C leaves that to the node"):
        while _is_under_way(database, name, jobs):
            time.sleep(LOOK_S)
    with database.read() as tx:
        rows = selection.of_jobs(tx, name, jobs)
    _show(name, rows, before)
    return int(any(one.state is DeliveryState.FAILED for one in rows))


def _is_under_way(database: Database, name: str, jobs: list[int]) -> bool:
    with database.read() as tx:
        rows = selection.of_jobs(tx, name, jobs)
        states = {ledger.get(tx, job_id).state for job_id in jobs}
    is_owed = any(one.state in _OPEN for one in rows)
    return is_owed or bool(states & {JobState.PENDING, JobState.RUNNING})


def _show(name: str, rows: list[Delivery], before: set[int]) -> None:
    table = Table("object", f"at {name}", "why")
    counts = Counter((one.object.kind, _fate(one, before), one.reason) for one in rows)
    for (kind, fate, reason), number in counts.items():
        table.add_row(f"{number} × {OF_KIND[kind].name}", fate, escape(reason))
    console.print(table)


def _fate(one: Delivery, before: set[int]) -> str:
    if one.id in before:
        return "was there"
    return one.state.value.replace("_", " ")
