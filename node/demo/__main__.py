"""``make demo``: a modality pushes a study, the node reads it, a PACS receives the results.

All on this machine and on free ports; what is left lies in ``var/demo``.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from node.demo.peers import Archive, NodeProcess
from node.demo.phantom import ChestPhantom, Truth
from node.dimse.scu import sender
from node.observe import logs
from storage import ledger, outbox
from storage.database import Database, open_database
from storage.records import DeliveryState, FindingRow, Job, JobResults, JobState

console = Console()

WAIT_S = 900.0
EMPHYSEMA = "Percentage of lung volume below -950 Hounsfield units"
ENDED = (JobState.DONE, JobState.FAILED, JobState.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class Pushed:
    """The study that the demo sends, and what is known of it beforehand."""

    folder: Path
    truth: dict[tuple[str, str], float]
    """(structure, finding) → true value, in the unit of the finding; empty for a real study."""


def main() -> int:
    options = _options()
    logs.configure(None, "error")
    folder = Path("var") / "demo" / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        study = _study(options.study, folder)
        archive = stack.enter_context(_started_archive(folder))
        node = stack.enter_context(NodeProcess(folder, _config(archive.port)))
        console.print(f"node on port {node.port}, status page [bold]{node.page}[/]", soft_wrap=True)
        started = time.monotonic()
        if not _push(study.folder, node.port):
            return 1
        database = stack.enter_context(_database(folder))
        jobs = _wait(database)
        seconds = time.monotonic() - started
        complete = all([_show(database, job, study, folder) for job in jobs])
        console.print(f"{seconds:.1f} s from the first image to the last result in the PACS")
        console.print(f"the PACS has its copies in {archive.folder}", soft_wrap=True)
        console.print(f"status page: [bold]{node.page}[/]", soft_wrap=True)
        _linger()
    return 0 if jobs and complete else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--study", type=Path, help="a folder with DICOM images")
    return parser.parse_args()


def _study(given: Path | None, folder: Path) -> Pushed:
    if given is not None:
        if not given.exists():
            sys.exit(f"{given}: there is no such folder")
        return Pushed(given, {})
    with console.status("making a chest CT phantom"):
        phantom = ChestPhantom()
        phantom.write(folder / "phantom")
    return Pushed(folder / "phantom", _truth(phantom.truth))


def _truth(known: Truth) -> dict[tuple[str, str], float]:
    found = {("Bone", "Volume"): known.volumes_ml["bone"]}
    for structure, key in (("Left lung", "left_lung"), ("Right lung", "right_lung")):
        found[structure, "Volume"] = known.volumes_ml[key]
        found[structure, "Attenuation Coefficient (mean)"] = known.mean_hu[key]
        found[structure, EMPHYSEMA] = known.emphysema_percent[key]
    return found


def _config(pacs_port: int) -> str:
    return f"""\
[node]
data_dir = "node"
[dimse]
port = 0
[http]
port = 0
[completion]
quiet_period_s = 1
[[destinations]]
name = "pacs"
ae_title = "DEMOPACS"
host = "127.0.0.1"
port = {pacs_port}
[[rules]]
name = "CT"
when = {{ Modality = "CT" }}
analyzers = ["lung_segmentation", "bone_segmentation"]
destinations = ["pacs"]
[[rules]]
name = "MR and PET"
when = {{ Modality = ["MR", "PT"] }}
analyzers = ["gaussian_filter"]
destinations = ["pacs"]
"""


@contextmanager
def _started_archive(folder: Path) -> Iterator[Archive]:
    archive = Archive(folder / "pacs")
    try:
        yield archive
    finally:
        archive.stop()


@contextmanager
def _database(folder: Path) -> Iterator[Database]:
    path = (folder / "node" / "wetread.db").resolve()
    database = open_database(f"sqlite:///{path}")
    try:
        yield database
    finally:
        database.close()


def _push(folder: Path, port: int) -> bool:
    from node.commands.author import push

    peer = sender.Peer("node", "WETREAD", "127.0.0.1", port, calling_ae="DEMOMODALITY")
    return push(folder, peer).stored > 0


def _wait(database: Database) -> list[Job]:
    """Every job of the study, once all have ended and all results are delivered."""
    deadline = time.monotonic() + WAIT_S
    with console.status("waiting for the first reading") as status:
        while time.monotonic() < deadline:
            with database.read() as tx:
                jobs = ledger.list_jobs(tx)
                open_deliveries = [
                    one
                    for state in (DeliveryState.PENDING, DeliveryState.SENDING)
                    for one in outbox.list_deliveries(tx, state=state)
                ]
            states = ", ".join(f"{job.analyzer} {job.state}" for job in jobs)
            status.update(states or "waiting for the study to be complete")
            if jobs and not open_deliveries and all(job.state in ENDED for job in jobs):
                return sorted(jobs, key=lambda job: job.id)
            time.sleep(0.2)
    console.print(f"[red]no result after {WAIT_S:g} s[/]; see the status page and the log")
    return []


def _show(database: Database, job: Job, study: Pushed, folder: Path) -> bool:
    with database.read() as tx:
        results = ledger.results_of(tx, job.id)
        deliveries = outbox.list_deliveries(tx, job_id=job.id, limit=10_000)
    console.rule(f"{job.analyzer} {job.analyzer_version}: {job.state}")
    if job.reason:
        console.print(job.reason, markup=False)
    console.print(_table(results.findings, study.truth))
    _show_files(results, (folder / "node" / "results").resolve())
    left_out = sum(one.state is DeliveryState.LEFT_OUT for one in deliveries)
    sent = sum(one.state is DeliveryState.SENT for one in deliveries)
    console.print(f"delivered to the PACS: {sent} of {len(deliveries)}, {left_out} left out")
    return job.state is not JobState.FAILED and sent + left_out == len(deliveries)


def _table(findings: tuple[FindingRow, ...], truth: dict[tuple[str, str], float]) -> Table:
    table = Table("structure", "finding", "value", "unit", *(["truth"] if truth else []))
    for row in findings:
        value = row.text if row.value is None else f"{row.value:.4g}"
        cells = [row.structure, row.name, value, escape(row.unit)]
        if truth:
            known = truth.get((row.structure, row.name))
            cells.append("" if known is None else f"{known:.4g}")
        table.add_row(*cells)
    return table


def _show_files(results: JobResults, base: Path) -> None:
    kinds: dict[str, list[str]] = {}
    for found in results.objects:
        kinds.setdefault(found.kind.upper(), []).append(found.key)
    for kind, keys in kinds.items():
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        console.print(f"{kind}: {base / keys[0]}{more}", soft_wrap=True)
    for preview in results.previews:
        console.print(f"preview: {base / preview}", soft_wrap=True)


def _linger() -> None:
    if os.environ.get("DEMO_EXIT") == "1":
        return
    console.print("Ctrl-C ends the demo")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("ended")


if __name__ == "__main__":
    sys.exit(main())
