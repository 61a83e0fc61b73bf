"""``wetread jobs``, ``wetread queue`` and ``wetread rules``: what waits and runs, and what a person
wants of it. A node that runs does what is entered here within a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from node.clock import system_clock
from node.commands.author import read_parameters
from node.commands.inspect import Refused
from node.config.load import load
from node.config.settings import Settings
from node.intake.by_hand import ByHand
from node.intake.dry_run import dry_run
from node.wishes import RuleTried, Wish
from storage import events, ledger, suspension
from storage.database import Database, visit_database
from storage.errors import StorageError
from storage.records import JobState, Topic

console = Console()


@dataclass(frozen=True, slots=True)
class _Visit:
    settings: Settings
    database: Database

    def by_hand(self) -> ByHand:
        names = [one.name for one in self.settings.destinations]
        settings = self.settings
        return ByHand(self.database, settings.rules, settings.analyzers, names, system_clock)


@contextmanager
def _visit(path: Path) -> Iterator[_Visit]:
    """The database of a node that may be running. Raises ``Refused``."""
    settings = load(path)
    try:
        database = visit_database(settings.database_url(), read_only=False)
    except StorageError as error:
        raise Refused(str(error)) from error
    try:
        yield _Visit(settings, database)
    except StorageError as error:
        raise Refused(str(error)) from error
    finally:
        database.close()


# --- jobs -----------------------------------------------------------------------------------------


def show_jobs(path: Path, state: str, limit: int) -> int:
    """Print the newest jobs, of one state where it is given."""
    wanted = _state(state)
    with _visit(path) as here, here.database.read() as tx:
        found = ledger.list_jobs(tx, state=wanted, limit=limit)
    table = Table("job", "study", "analyzer", "state", "attempts", "entered", "why")
    for one in found:
        entered = f"{one.created_at:%Y-%m-%d %H:%M}"
        words = one.reason or one.cancel_wish
        row = (str(one.id), str(one.study_id), one.analyzer, one.state.value.replace("_", " "))
        table.add_row(*row, str(one.attempts), entered, escape(words[:120]))
    console.print(table if found else "there is no such job")
    return 0


def _state(text: str) -> JobState | None:
    if not text:
        return None
    try:
        return JobState(text.replace(" ", "_"))
    except ValueError as error:
        states = ", ".join(one.value for one in JobState)
        raise Refused(f"{text!r} is no state of a job: {states}") from error


def show_job(path: Path, job_id: int) -> int:
    """Print a job's history and its own log."""
    with _visit(path) as here, here.database.read() as tx:
        job = ledger.get(tx, job_id)
        history = events.list_events(tx, Topic.JOB, job_id)
        lines = ledger.lines_of(tx, job_id)
    given = ", ".join(f"{name}={value}" for name, value in job.parameters.items()) or "none"
    console.print(f"job {job.id}: {job.analyzer} {job.analyzer_version}, study {job.study_id}")
    console.print(f"parameters: {given}", markup=False)
    told = [(one.at, f"{one.to_state}: {one.reason}".rstrip(": ")) for one in history]
    told += [(one.at, one.text) for one in lines]
    for at, text in sorted(told, key=lambda pair: pair[0]):
        console.print(f"{at:%Y-%m-%d %H:%M:%S} {text}", markup=False, soft_wrap=True)
    return 0


def cancel(path: Path, job_id: int, said_by: str, why: str) -> int:
    """A job does not run, or does not go on."""
    with _visit(path) as here, here.database.write() as tx:
        state = ledger.cancel(tx, job_id, datetime.now(UTC), said_by, why)
    console.print(f"job {job_id} is {_CANCELLED.get(state, 'cancelled')}")
    return 0


_CANCELLED = {
    JobState.RUNNING: "to be ended by the node that runs it",
    JobState.DONE: "done as it was",
}


def again(path: Path, job_id: int, assignments: Sequence[str], said_by: str, beside: bool) -> int:
    """A job's series with other parameters: a new job."""
    given = read_parameters(assignments)
    with _visit(path) as here:
        entered = here.by_hand().again(job_id, given, said_by, beside)
    console.print(f"job {entered} is entered")
    return 0


def analyze(
    path: Path, study_id: int, analyzer: str, assignments: Sequence[str], to: Sequence[str],
    said_by: str, beside: bool,
) -> int:  # fmt: skip
    """Any analyzer on a stored study: a new job."""
    given = read_parameters(assignments)
    wish = Wish(study_id, analyzer, said_by, given, destinations=tuple(to), beside=beside)
    with _visit(path) as here:
        entered = here.by_hand().analyze(wish)
    console.print(f"job {entered} is entered")
    return 0


def now(path: Path, study_id: int, said_by: str) -> int:
    """The rules on a study that is not complete."""
    with _visit(path) as here:
        entered = here.by_hand().now(study_id, said_by)
    console.print(f"study {study_id} is analyzed as it is: {entered} jobs are entered")
    return 0


# --- the queue ------------------------------------------------------------------------------------


def show_queue(path: Path) -> int:
    """Print whether jobs are started."""
    with _visit(path) as here, here.database.read() as tx:
        found = suspension.current(tx)
    if found is None:
        console.print("the queue goes on")
    else:
        since = f"{found.since:%Y-%m-%d %H:%M} UTC"
        console.print(f"{escape(found.in_words())}, since {since}: no job is started")
    return 0


def suspend(path: Path, said_by: str, why: str) -> int:
    """No job is started any more."""
    with _visit(path) as here, here.database.write() as tx:
        is_new = suspension.suspend(tx, datetime.now(UTC), said_by, why)
    console.print("the queue is suspended" if is_new else "the queue was suspended already")
    return 0


def resume(path: Path, said_by: str) -> int:
    """Jobs are started again."""
    with _visit(path) as here, here.database.write() as tx:
        was = suspension.resume(tx, datetime.now(UTC), said_by)
    console.print("the queue goes on" if was else "the queue was going on already")
    return 0


# --- rules ----------------------------------------------------------------------------------------


def show_rules(path: Path, study_id: int) -> int:
    """What the rules would do with a stored study, and why; 1 when nothing would run."""
    with _visit(path) as here, here.database.read() as tx:
        found = dry_run(tx, study_id, here.settings.rules, here.settings.analyzers)
    for one in found:
        _show_rule(one)
    if not found:
        console.print("no rule is configured")
    return int(not any(one.runs for one in found))


def _show_rule(tried: RuleTried) -> None:
    mark = "[green]✓[/]" if tried.runs else "[yellow]–[/]" if tried.fires else "[red]✗[/]"
    title = f"rule {tried.rule!r} → {tried.analyzer}: {tried.words}"
    console.print(f"{mark} {escape(title)}", soft_wrap=True)
    for one in tried.series:
        why = f": {'; '.join(one.reasons)}" if one.reasons else ""
        console.print(f"    {one.words} {one.outcome}{why}", markup=False, soft_wrap=True)
