"""What a segmentation costs to build, to write and to let through the gate: then and now.

    python -m benchmarks.written [--slices 400] [--rounds 3] [--only Enhanced] [--commit 5d2b375]

Both sides in turn, each round in processes of their own: the earlier commit and this checkout (see
``benchmarks.earlier``). Given are medians of CPU seconds. dciodvfy is a process of its own, and the
same program for both: its seconds stand apart. **whole**: all that follows the findings, the first
time in a process that was warmed up as a worker is: also picture and report.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analyzers.contract import Findings, Segmentation
from benchmarks import drawn, earlier
from benchmarks.earlier import Side

REPEATS = 3
HEADER = "| case | side | build + write | gate | dciodvfy | whole |\n|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Case:
    """So many structures, each through a share of the slices of a series."""

    name: str
    images: str
    structures: int
    share: float


CASES = (
    Case("1 structure", "ct", 1, 1.0),
    Case("5 structures", "ct", 5, 1.0),
    Case("30 structures", "ct", 30, 0.4),
    Case("radiograph", "radiograph", 1, 1.0),
    Case("Enhanced, 5 structures", "enhanced", 5, 1.0),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """CPU seconds."""

    write: float
    gate: float
    validator: float
    whole: float

    def over(self, later: Figures) -> str:
        """How many times as much as that of later."""
        pairs = ((getattr(self, one.name), getattr(later, one.name)) for one in fields(self))
        return " | ".join(f"{mine / other:.2f} ×" if other else "" for mine, other in pairs)

    def row(self) -> str:
        return " | ".join(f"{getattr(self, one.name):.3f}" for one in fields(self))


@dataclass(frozen=True, slots=True)
class Steps:
    """The works of a side."""

    write: Callable[[], Path]
    gate: Callable[[Path], None]
    whole: Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--commit", default=earlier.EARLIER)
    parser.add_argument("--work", nargs=2, metavar=("FOLDER", "CASE"))
    given = parser.parse_args()
    if given.work:
        folder, case = given.work
        print(json.dumps(asdict(work(Path(folder), CASES[int(case)]))))
        return
    sides = earlier.sides(given.commit)
    with tempfile.TemporaryDirectory(prefix="wetread-written-") as folder:
        _write_images(Path(folder), given.slices)
        print(HEADER)
        for number, case in enumerate(CASES):
            if given.only in case.name:
                for row in _rows(Path(folder), number, sides, given.rounds):
                    print(row, flush=True)


def _write_images(folder: Path, slices: int) -> None:
    drawn.write_ct(folder / "ct", slices)
    for name, image in (("radiograph", drawn.radiograph()), ("enhanced", drawn.enhanced(slices))):
        (folder / name).mkdir()
        image.save_as(folder / name / "0.dcm", enforce_file_format=True)


def _rows(folder: Path, number: int, sides: tuple[Side, ...], rounds: int) -> Iterator[str]:
    found: dict[str, list[Figures]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            done = side.run("benchmarks.written", "--work", folder, number)
            found[side.name].append(Figures(**json.loads(done.output.splitlines()[-1])))
    then, now = (_median(found[side.name]) for side in sides)
    name = CASES[number].name
    yield f"| {name} | then | {then.row()} |"
    yield f"| {name} | now | {now.row()} |"
    yield f"| {name} | then / now | {then.over(now)} |"


def _median(figures: list[Figures]) -> Figures:
    names = [one.name for one in fields(Figures)]
    return Figures(*(statistics.median(getattr(one, name) for one in figures) for name in names))


# --- one work -------------------------------------------------------------------------------------


def work(folder: Path, case: Case) -> Figures:
    """Do the works of this process's side; of the short ones, the median of some."""
    warnings.simplefilter("ignore")
    is_then = importlib.util.find_spec("node.series") is None
    read = importlib.import_module("node.work.series" if is_then else "node.series.read")
    source = read.read_series(sorted((folder / case.images).iterdir()))
    item = drawn.ellipsoids(source, case.structures, case.share)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        steps = (_then if is_then else _now)(source, item, Path(out))
        whole = _cpu_s(lambda: steps.whole())
        written = [_cpu_s(steps.write) for _ in range(REPEATS)]
        path = written[-1].given
        judged = [_cpu_s(lambda: steps.gate(path)) for _ in range(REPEATS)]
    return Figures(
        statistics.median(one.own_s for one in written),
        statistics.median(one.own_s for one in judged),
        statistics.median(one.children_s for one in judged),
        whole.own_s,
    )


def _now(source: Any, item: Segmentation, out: Path) -> Steps:
    from node.results import identity, write
    from node.results.bench import Bench
    from node.results.files import ResultFiles
    from node.results.gate import gate, validator
    from node.results.gate.written import Written
    from node.results.modules.source import Provenance
    from node.results.objects import seg
    from node.results.series_numbers import Block
    from storage.kinds import ObjectKind

    findings = Findings((item,))
    given = _provenance(Provenance)
    run = identity.of_run(source, findings, given)
    files, bench = ResultFiles(out), Bench.of(source, findings, run)
    write.load_tables()

    def write_one() -> Path:
        encoded = seg.build(source, item, bench.provenance, bench.numbers.next(Block(10, 20)))
        return files.write(encoded, "seg.dcm", ObjectKind.SEGMENTATION)

    def judge(path: Path) -> None:
        with validator.Asked(path) as asked:
            written = Written(path)
            gate.check_segmentation(written, item, source)
            gate.check_required(written, source, asked=asked)

    whole = out / "whole"
    return Steps(write_one, judge, lambda: write.write_results(source, findings, given, whole))


def _then(source: Any, item: Segmentation, out: Path) -> Steps:
    seg, gate, write, given = (
        importlib.import_module(f"node.results.{name}")
        for name in ("seg", "gate", "write", "source")
    )
    run, findings = _provenance(given.Provenance), Findings((item,))
    desk = write._Desk(source, run, out, False)

    def write_one() -> Path:
        path: Path = desk._write(seg.build(source, item, run, 0), "seg.dcm", "seg")
        return path

    def judge(path: Path) -> None:
        gate.check_segmentation(path, item, source)
        gate.check_required(path)

    whole = out / "whole"
    return Steps(write_one, judge, lambda: write.write_results(source, findings, run, whole))


def _provenance(kind: Any) -> Any:
    return kind(
        *("bench", "1", "Benchmark"),
        parameters={},
        device="cpu",
        node_version="0",
        key="ab" * 32,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """What a call gave, and the CPU seconds of this process and of those that it waited for."""

    given: Any
    own_s: float
    children_s: float


def _cpu_s(do: Callable[[], object]) -> Measured:
    before = _used(resource.RUSAGE_SELF), _used(resource.RUSAGE_CHILDREN)
    given = do()
    own, children = _used(resource.RUSAGE_SELF), _used(resource.RUSAGE_CHILDREN)
    return Measured(given, own - before[0], children - before[1])


def _used(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
