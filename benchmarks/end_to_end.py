"""How much the node adds to the bare work: last instance received → SEG and SR stored in the PACS.

The bare sum is decode + analysis + encode and check + send of the same study, measured in the same
run by the same code in a warm process, in turn with the node. The node's time is given with and
without the quiet period, which is a setting and no work.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from analyzers import devices, registry
from node.demo.peers import Archive, NodeProcess
from node.demo.phantom import ChestPhantom
from node.dimse.scu.folder import send_folder
from node.dimse.scu.sender import Peer, send
from node.results.modules.source import Provenance
from node.results.write import write_results
from node.series.read import read_series
from storage import index, ledger, outbox
from storage.database import Database, open_database
from storage.records import DeliveryState

QUIET_S = 1.0
ANALYZER = "lung_segmentation"


@dataclass(frozen=True, slots=True)
class Parts:
    """The bare work, in seconds."""

    decode: float
    analyze: float
    encode: float
    send: float

    @property
    def total(self) -> float:
        return self.decode + self.analyze + self.encode + self.send


def main() -> None:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="wetread-bench-"))
    images = options.study or _study(folder, options.slices)
    archive = Archive(folder / "pacs")
    config = _config(archive.port, options.device)
    with NodeProcess(folder, config) as node, _database(folder) as database:
        bare, node_s = [], []
        for run in range(options.runs):
            study = _fresh_copy(images, folder / f"run{run}", run)
            node_s.append(_through_node(study, node.port, database))
            bare.append(_bare(study, folder / f"bare{run}", archive.port, options.device))
            _print_run(run, bare[-1], node_s[-1])
    archive.stop()
    _print_summary(bare, node_s)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--study", type=Path, help="a folder with one CT series, not the phantom")
    return parser.parse_args()


def _study(folder: Path, slices: int) -> Path:
    phantom = ChestPhantom(shape=(slices, 512, 512), spacing_mm=(300 / slices, 0.75, 0.75))
    phantom.write(folder / "phantom")
    return folder / "phantom"


def _fresh_copy(images: Path, folder: Path, run: int) -> Path:
    """The same images as a study of their own, so that nothing is known yet."""
    import pydicom

    folder.mkdir()
    for number, path in enumerate(sorted(one for one in images.rglob("*") if one.is_file())):
        try:
            dataset = pydicom.dcmread(path)
        except pydicom.errors.InvalidDicomError:
            continue
        dataset.StudyInstanceUID = f"2.25.{run + 1}"
        dataset.SeriesInstanceUID = f"2.25.{run + 1}.1"
        dataset.SOPInstanceUID = f"2.25.{run + 1}.1.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / f"{number:05d}.dcm")
    return folder


def _config(pacs_port: int, device: str) -> str:
    return f"""\
[node]
data_dir = "node"
[dimse]
port = 0
[http]
port = 0
[completion]
quiet_period_s = {QUIET_S}
[workers]
device = "{device}"
[[destinations]]
name = "pacs"
ae_title = "DEMOPACS"
host = "127.0.0.1"
port = {pacs_port}
[[rules]]
name = "CT"
when = {{ Modality = "CT" }}
analyzers = ["{ANALYZER}"]
destinations = ["pacs"]
"""


@contextmanager
def _database(folder: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{folder / 'node' / 'wetread.db'}")
    try:
        yield database
    finally:
        database.close()


def _through_node(study: Path, port: int, database: Database) -> float:
    """Seconds from the last acknowledged instance to the last stored result."""
    summary = send_folder(study, Peer("node", "WETREAD", "127.0.0.1", port, calling_ae="BENCH"))
    started = time.monotonic()
    if not summary.is_complete:
        sys.exit(f"not everything was stored: {summary}")
    newest = _newest_study(database, len(list(study.iterdir())))
    while True:
        with database.read() as tx:
            jobs = ledger.list_jobs(tx, study_id=newest)
            rows = [one for job in jobs for one in outbox.list_deliveries(tx, job_id=job.id)]
        if rows and all(one.state in (DeliveryState.SENT, DeliveryState.LEFT_OUT) for one in rows):
            return time.monotonic() - started
        if any(job.finished_at and job.state != "done" for job in jobs):
            sys.exit(f"the job ended as {jobs[0].state}: {jobs[0].reason}")
        time.sleep(0.02)


def _newest_study(database: Database, instances: int) -> int:
    while True:
        with database.read() as tx:
            studies = index.list_studies(tx, limit=1)
        if studies and studies[0].instances == instances:
            return studies[0].id
        time.sleep(0.01)


def _bare(study: Path, out: Path, pacs_port: int, device: str) -> Parts:
    analyzer = registry.load(ANALYZER)(devices.resolve(device))
    marks = [time.monotonic()]
    source = read_series(sorted(study.iterdir()))
    marks.append(time.monotonic())
    if source.volume is None:
        sys.exit("the study has no volume")
    findings = analyzer.analyze(source.volume, analyzer.parameters())
    marks.append(time.monotonic())
    results = write_results(source, findings, _provenance(study.name), out)
    marks.append(time.monotonic())
    peer = Peer("pacs", "DEMOPACS", "127.0.0.1", pacs_port, calling_ae="BENCH")
    send([out.parent / one.key for one in results.objects], peer, lambda number, result: None)
    marks.append(time.monotonic())
    return Parts(*(after - before for before, after in itertools.pairwise(marks)))


def _provenance(name: str) -> Provenance:
    return Provenance(
        analyzer=ANALYZER,
        analyzer_version="bench",
        analyzer_title="Bench",
        parameters={},
        device="cpu",
        node_version="bench",
        key=name,
        started_at=datetime.now(UTC),
    )


def _print_run(run: int, bare: Parts, node_s: float) -> None:
    print(
        f"run {run}: node {node_s:.2f} s (quiet period {QUIET_S:g} s of it);"
        f" bare {bare.total:.2f} s"
        f" = decode {bare.decode:.2f} + analyze {bare.analyze:.2f} + encode {bare.encode:.2f}"
        f" + send {bare.send:.2f}",
        flush=True,
    )


def _print_summary(bare: list[Parts], node_s: list[float]) -> None:
    whole = statistics.median(n / b.total for n, b in zip(node_s, bare, strict=True))
    work = statistics.median((n - QUIET_S) / b.total for n, b in zip(node_s, bare, strict=True))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    print(f"node / bare, median of {len(bare)}: {whole:.2f}; without the quiet period {work:.2f}")
    print(f"target ≤ 1.5; commit {commit}")


if __name__ == "__main__":
    main()
