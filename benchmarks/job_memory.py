"""Memory of a whole job – read, analyze, write, check – over the stored volume.

    python -m benchmarks.job_memory FOLDER ANALYZER...

FOLDER holds the files of one series. Each job runs in a process of its own, forked, as workers are,
from one that has imported what jobs need; a job on the middle quarter of the slices goes first, so
that what is loaded once is not counted. Given is the most that was held above what was held before,
after each step: reading, the analysis, writing the results with their checks.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from pathlib import Path

from pydicom import dcmread

from analyzers import registry
from benchmarks.analysis import memory_kb
from benchmarks.end_to_end import provenance
from node.results.write import write_results
from node.series.read import read_series
from node.work import job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    given = parser.parse_args()
    job.prepare()
    print("| analyzer | stored MB | read | and analyzed | and written |\n|---|---|---|---|---|")
    for name in given.names:
        process = multiprocessing.get_context("fork").Process(
            target=_measure, args=(name, given.folder)
        )
        process.start()
        process.join()


def _measure(name: str, folder: Path) -> None:
    paths = sorted(folder.rglob("*.dcm"), key=_height)
    analyzer = job.loaded(name, "cpu")
    steps: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        for some in (paths[len(paths) * 3 // 8 : len(paths) * 5 // 8], paths):
            steps.clear()
            Path("/proc/self/clear_refs").write_text("5")
            held = memory_kb("VmRSS")
            source = read_series(some)
            assert source.volume is not None
            steps.append(memory_kb("VmHWM") - held)
            stored_b = source.volume.stored.nbytes
            findings = analyzer.analyze(source.volume, registry.parameters(name, {}))
            steps.append(memory_kb("VmHWM") - held)
            key = str(len(some))
            write_results(source, findings, provenance(name, key), Path(place) / key)
            steps.append(memory_kb("VmHWM") - held)
            del source, findings
    shares = " | ".join(f"{1024 * one / stored_b:.2f}" for one in steps)
    print(f"| {name} | {stored_b / 1e6:.1f} | {shares} |", flush=True)


def _height(path: Path) -> float:
    return float(dcmread(path, stop_before_pixels=True).ImagePositionPatient[2])


if __name__ == "__main__":
    main()
