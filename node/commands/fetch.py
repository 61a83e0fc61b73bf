"""``wetread fetch``: has the running node fetch something, and shows how far it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from node.config.load import load
from node.errors import NodeError
from node.fetch.asked import checked, source_names
from storage import fetches
from storage.database import Database, visit_database
from storage.errors import StorageError
from storage.fetches import Fetch, FetchedStudy, FetchState, NewFetch, Wanted

console = Console()

LOOK_S = 0.3
NODE_LOOK_S = 5.0
"""So often it is looked whether the node still runs."""
NOT_ALL = 4
"""The exit status where something of what was found is missing."""
_EXITS = {FetchState.DONE: 0, FetchState.PARTIAL: NOT_ALL, FetchState.CANCELLED: 130}


class NotFetched(NodeError):
    """Nothing was asked for; the message says which condition was not met."""


def fetch(path: Path, source: str, wanted: Wanted, analyzer: str) -> int:
    """Have something fetched and follow it to its end; Ctrl-C ends the fetch.

    Raises
    ------
    NotAskable, NotFetched
    """
    settings = load(path)
    new = checked(NewFetch(source, wanted, "wetread fetch", analyzer), source_names(settings))
    try:
        database = visit_database(settings.database_url(), read_only=False)
    except StorageError as error:
        raise NotFetched(str(error)) from error
    try:
        _require_running(database)
        with database.write() as tx:
            number = fetches.ask(tx, new, datetime.now(UTC))
        ended = _follow(database, number)
        with database.read() as tx:
            studies = fetches.studies_of(tx, number)
    finally:
        database.close()
    _show(ended, studies)
    return _EXITS.get(ended.state, 1)


def _require_running(database: Database) -> None:
    if database.try_lock_dispatcher():
        database.unlock_dispatcher()
        raise NotFetched(
            "the node fetches, and it does not run: start it (wetread serve); what was asked for"
            " before goes on then"
        )


def _follow(database: Database, number: int) -> Fetch:
    columns = (TextColumn("instances"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    looked_at = time.monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("instances", total=None)
        while True:
            try:
                if time.monotonic() - looked_at > NODE_LOOK_S:
                    _require_running(database)
                    looked_at = time.monotonic()
                found = _look(database, number)
                counts = found.counts
                here = counts.held + counts.received
                progress.update(bar, completed=here, total=counts.expected or None)
                if found.state.is_over:
                    return found
                time.sleep(LOOK_S)
            except KeyboardInterrupt:
                with database.write() as tx:
                    fetches.cancel(tx, number, datetime.now(UTC))


def _look(database: Database, number: int) -> Fetch:
    with database.read() as tx:
        return fetches.get(tx, number)


def _show(ended: Fetch, studies: list[FetchedStudy]) -> None:
    is_done = ended.state is FetchState.DONE
    mark = "[green]✓[/]" if is_done else "[red]✗[/]"
    console.print(f"{mark} {ended.state.value}: {escape(ended.reason)}", soft_wrap=True)
    if not studies:
        return
    table = Table("study", "instances", "missing", "analysis")
    for one in studies:
        named = "" if one.study_id is None else str(one.study_id)
        analysis = "when the study is complete" if one.analysis == fetches.OWED else one.analysis
        table.add_row(named, str(one.expected), str(one.missing), escape(analysis))
    console.print(table)
