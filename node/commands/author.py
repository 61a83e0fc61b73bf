"""Commands for authors of analyzers and for testers: analyze, send."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from analyzers import devices, registry
from analyzers.contract import AnalyzerError, AnalyzerInfo
from node.errors import SettingsError
from storage.records import FindingRow, JobResults, StoredSeries

if TYPE_CHECKING:
    from node.dimse.scu.folder import FolderSummary
    from node.dimse.scu.sender import Peer
    from node.work.executor import Outcome, Ticket

console = Console()


# --- analyze --------------------------------------------------------------------------------------


def analyze(
    folder: Path,
    name: str,
    out: Path,
    device: str,
    assignments: list[str],
    language: str = "en",
    serial: str = "",
) -> int:
    """Run one analyzer on the best series of a folder and write what the node would send.

    language, serial: as of ``[results]`` in the settings of a node.

    Gives 0 for results, 1 for a failure, 3 when the analyzer does not apply.
    """
    from node.intake.companions import companions
    from node.intake.folder import read_folder
    from node.results.modules.source import Maker
    from node.results.words.sentences import LANGUAGES
    from node.series.parts import divided
    from node.work.executor import Verdict

    if language not in LANGUAGES:
        raise SettingsError(f"--language {language}: known are {', '.join(LANGUAGES)}")
    try:
        info = registry.info(name)
        parameters = dataclasses.asdict(registry.parameters(name, read_parameters(assignments)))
        devices.resolve(device)
    except AnalyzerError as error:
        raise SettingsError(str(error)) from error
    with console.status(f"reading {folder}"):
        contents = read_folder(folder)
    if contents.skipped:
        first = contents.skipped[0]
        console.print(f"{len(contents.skipped)} files skipped, {first.path.name}: {first.reason}")
    parts = divided(contents.series)
    series = _best(parts, info)
    if series is None:
        console.print(f"[red]no series in {folder} fits {name}[/]")
        return 3
    beside = companions(parts, series, info)
    with console.status(f"{name} on {len(series.instances)} images"):
        ticket = _ticket(series, beside, info, parameters, out)
        made_by = Maker(serial=serial, language=language)
        outcome = _outcome(dataclasses.replace(ticket, maker=made_by), device)
    _show_manners(outcome)
    if outcome.verdict is Verdict.FAILED:
        console.print(outcome.traceback or outcome.reason, markup=False)
        console.print(f"[red]failed:[/] {escape(outcome.reason)}")
        return 1
    if outcome.verdict is Verdict.NOT_APPLICABLE:
        console.print(f"not applicable: {outcome.reason}", markup=False)
    _show(outcome.results, out, outcome.seconds)
    return 0 if outcome.verdict is Verdict.DONE else 3


def _outcome(ticket: Ticket, device: str) -> Outcome:
    """Run it in a worker process, under the limits that it has in the node."""
    from node.work.local import LocalExecutor

    executor = LocalExecutor(slots=1, device=device)
    try:
        return executor.submit(ticket).result()
    finally:
        executor.stop()


def _show_manners(outcome: Outcome) -> None:
    """What an analyzer wrote, and what it left changed: a node logs that it did."""
    if outcome.printed:
        console.print("it wrote to standard output or error:")
        console.print(outcome.printed.rstrip(), markup=False)
    if outcome.left:
        console.print(f"[yellow]it left behind:[/] {escape(', '.join(outcome.left))}")


def read_parameters(assignments: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set {assignment}: write it as NAME=VALUE")
        try:
            given[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            given[key] = value
    return given


def _best(series: Sequence[StoredSeries], info: AnalyzerInfo) -> StoredSeries | None:
    from node.intake.routing import in_words
    from node.series.facts import facts

    accepted = []
    for one in series:
        found = facts(one)
        refusals = info.inputs.refusals(found)
        verdict = "; ".join(refusals) or "accepted"
        console.print(f"{in_words(one)}: {verdict}")
        if not refusals:
            accepted.append((info.inputs.preference(found), one.series_instance_uid, one))
    return min(accepted, key=lambda entry: entry[:2])[2] if accepted else None


def _ticket(
    series: StoredSeries,
    beside: dict[str, StoredSeries],
    info: AnalyzerInfo,
    parameters: dict[str, Any],
    out: Path,
) -> Ticket:
    from node.intake.descriptions import Descriptions
    from node.series.parts import frames_in
    from node.work.executor import Ticket, inputs_of
    from storage import ledger
    from storage.files.results import JobFolder

    known = Descriptions()
    key = ledger.job_key(
        ledger.joined_digest(
            known.digest(series),
            {role: known.digest(one) for role, one in beside.items()},
            (),
        ),
        info.name,
        info.version,
        ledger.parameters_digest(parameters),
        info.weights,
    )
    out.mkdir(parents=True, exist_ok=True)
    return Ticket(
        job_id=0,
        key=key,
        analyzer=info.name,
        analyzer_version=info.version,
        parameters=parameters,
        instances=tuple(Path(instance.key) for instance in series.instances),
        place=JobFolder(out.resolve()),
        started_at=datetime.now(UTC),
        limits=info.limits,
        title=info.title,
        family=info.family,
        weights=info.weights,
        part=series.part_name,
        volume_of=frames_in(series.part),
        inputs=inputs_of({role: one.instances for role, one in {"": series, **beside}.items()}),
        is_kept=False,  # what lies there may be of other images, or of other code
        companions={
            role: tuple(Path(instance.key) for instance in one.instances)
            for role, one in beside.items()
        },
    )


def _show(results: JobResults, out: Path, seconds: float) -> None:
    console.print(findings_table(results.findings))
    for remark in results.remarks:
        console.print(remark, markup=False)
    base = out.resolve().parent
    kinds: dict[str, list[str]] = {}
    for found in results.objects:
        kinds.setdefault(found.kind, []).append(str(base / found.key))
    for kind, paths in kinds.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        console.print(f"{kind}: {paths[0]}{more}", soft_wrap=True)
    for preview in results.previews:
        console.print(f"preview: {base / preview}", soft_wrap=True)
    console.print(f"{seconds:.1f} s")


def findings_table(findings: tuple[FindingRow, ...]) -> Table:
    """Findings as a person reads them."""
    table = Table("structure", "finding", "value", "unit")
    for row in findings:
        value = row.text if row.value is None else f"{row.value:.4g}"
        table.add_row(row.structure, row.name, value, escape(row.unit))
    return table


# --- send -----------------------------------------------------------------------------------------


def send(folder: Path, to: str, aet: str, calling_aet: str) -> int:
    """Push a folder to HOST:PORT; 1 when something was not stored."""
    from node.dimse.scu.sender import Peer

    host, colon, port = to.rpartition(":")
    if not colon or not port.isdigit():
        raise SettingsError(f"--to {to}: write it as HOST:PORT")
    summary = push(folder, Peer("receiver", aet, host, int(port), calling_ae=calling_aet))
    return 0 if summary.is_complete and summary.found else 1


def push(folder: Path, peer: Peer) -> FolderSummary:
    """Send every DICOM file below a folder, with a progress bar and a line about the end."""
    from node.dimse.scu.folder import send_folder

    columns = (TextColumn("pushed"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("pushed", total=None)
        summary = send_folder(
            folder,
            peer,
            lambda state: progress.update(bar, completed=state.stored, total=state.found),
        )
    _show_sent(summary)
    return summary


def _show_sent(summary: FolderSummary) -> None:
    said = [f"{summary.stored} of {summary.found} images stored"]
    if summary.skipped:
        said.append(f"{summary.skipped} other files skipped")
    if summary.reconnects:
        said.append(f"{summary.reconnects} reconnects")
    console.print(", ".join(said))
    for failure in summary.failures[:10]:
        console.print(f"[red]not stored[/] {escape(failure.path.name)}: {escape(failure.reason)}")
