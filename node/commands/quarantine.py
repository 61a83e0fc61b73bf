"""``wetread quarantine``: what was refused, images and results, and letting a result out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from node.commands.accept import show_quarantine
from node.config.load import load
from node.results import releases
from node.results.releases import Release
from storage.database import visit_database
from storage.files.results import ResultStore

console = Console()


def show_list(path: Path, limit: int) -> int:
    """Print the images that were refused, and the results that the output gate refused."""
    show_quarantine(path, limit)
    table = Table("refused result", "objects", "what was not met")
    runs = list(releases.refused_runs(load(path).quarantine_dir))
    for one in runs:
        objects = str(len(one.kept.results.objects)) if one.kept else "not whole"
        table.add_row(one.name, objects, escape("; ".join(one.conditions)))
    if runs:
        console.print(table)
    return 0


def show(path: Path, name: str) -> int:
    """Print which conditions a refused result did not meet, and its objects.

    Raises
    ------
    CannotRelease
    """
    run = releases.refused_run(load(path).quarantine_dir, name)
    console.print(f"{run.name} lies in {run.folder}")
    if run.kept is None:
        console.print("it is not whole, or was changed: it cannot be released")
        return 0
    for condition in run.conditions:
        console.print(f"not met: {escape(condition)}")
    table = Table("kind", "file", "bytes")
    for made in run.kept.results.objects:
        table.add_row(str(made.kind), made.key.rpartition("/")[2], str(made.size_bytes))
    console.print(table)
    return 0


def release(path: Path, name: str, by: str, reason: str) -> int:
    """Make a refused result that of its job.

    Raises
    ------
    CannotRelease, StorageError
    """
    settings = load(path)
    run = releases.refused_run(settings.quarantine_dir, name)
    database = visit_database(settings.database_url(), read_only=False)
    try:
        results = ResultStore(settings.results_dir)
        fresh = releases.release(database, results, run, Release(by, reason), datetime.now(UTC))
    finally:
        database.close()
    for condition in run.conditions:
        console.print(f"not met: {escape(condition)}")
    console.print(f"released: {fresh} objects are owed to the destinations of the job")
    return 0
