"""What an instance costs the indexer: CPU of its thread, now and at the commit of comparison.

Records come as receivers hand them over: so many a second from one association, or from several at
once, each with a study of its own. Their files are not there: what is measured is rows.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.earlier import Side, sides
from storage.database import open_database
from storage.records import InstanceRecord, Placement

_CASES = ((1, 200), (1, 1000), (4, 1500))
"""Associations, and instances a second of all together."""
_STEP_S = 0.005
_BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
_SYNTAX = "1.2.840.10008.1.2.1"


def _records(data: bytes, study: int, count: int) -> list[InstanceRecord]:
    """Of one study; the data set is that of ``benchmarks.fresh_images``."""
    of_study = data.replace(b"2.25.9000000000", b"2.25.9%09d" % study)
    return [_record(of_study, study, number) for number in range(count)]


def _record(of_study: bytes, study: int, number: int) -> InstanceRecord:
    quick = _first_of("storage.header.quick", "storage.quick_header")
    found = quick.quick_extract(
        of_study.replace(b".1.1000000", b".1.%07d" % (1_000_001 + number)), _SYNTAX
    )
    if found is None:
        raise SystemExit("the header is read by the slow way")
    outcome: Any = "new"
    key = f"{number % 256:02x}/{study:020x}{number:020x}.dcm"
    placement = Placement(outcome, key, 36_000, f"{number:064x}", "")
    at = _BEGAN + timedelta(milliseconds=number)
    return InstanceRecord(found, placement, at, "BENCH")


def _first_of(*modules: str) -> Any:
    """The module by the first of its names that the side knows: rooms have moved."""
    for name in modules[:-1]:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return importlib.import_module(modules[-1])


def _indexer(folder: Path, url: str) -> tuple[Any, Any]:
    """The side's, with its database."""
    module = _first_of("node.receive.indexer", "node.intake.indexer")
    instances = _first_of("storage.files.instances", "storage.instances")
    database = open_database(url or f"sqlite:///{folder}/wetread.db")
    store = instances.InstanceStore(folder / "store", folder / "quarantine")
    more = {"on_fault": print} if "on_fault" in inspect.signature(module.Indexer).parameters else {}
    return module.Indexer(database, store, **more), database


def _submit(indexer: Any, records: list[InstanceRecord], a_second: int) -> None:
    started, given = time.monotonic(), 0
    while given < len(records):
        due = min(len(records), 1 + int((time.monotonic() - started) * a_second))
        for record in records[given:due]:
            indexer.submit(record)
        given = due
        time.sleep(_STEP_S)


def measure(file: Path, count: int, associations: int, a_second: int, url: str) -> float:
    """Microseconds of the indexer's thread for an instance."""
    data, first = file.read_bytes(), time.time_ns() % 10**8
    studies = [_records(data, first + one, count // associations) for one in range(associations)]
    records = [record for together in zip(*studies, strict=True) for record in together]
    with tempfile.TemporaryDirectory() as folder:
        indexer, database = _indexer(Path(folder), url)
        indexer.start()
        thread = next(one for one in threading.enumerate() if one.name == "indexer")
        clock = time.pthread_getcpuclockid(thread.ident or 0)
        _submit(indexer, records[:100], a_second)  # statements are compiled
        while indexer.indexed < 100:
            time.sleep(_STEP_S)
        before = time.clock_gettime(clock)
        _submit(indexer, records[100:], a_second)
        while indexer.indexed < len(records):
            time.sleep(_STEP_S)
        used = time.clock_gettime(clock) - before
        indexer.stop()
        database.close()
    return 1e6 * used / (len(records) - 100)


def _compare(file: Path, options: argparse.Namespace) -> None:
    print("| associations | instances a second | then | now | then ÷ now |\n|---|---|---|---|---|")
    for associations, a_second in _CASES:
        words = ("--measure", file, options.count, associations, a_second)
        found: dict[str, list[float]] = {}
        for _ in range(options.runs):
            for side in sides():
                found.setdefault(side.name, []).append(
                    _run(side, (*words, options.url.format(side=side.name)))
                )
        then, now = (statistics.median(found[name]) for name in ("then", "now"))
        figures = f"{then:.1f} µs | {now:.1f} µs | {then / now:.2f}"
        print(f"| {associations} | {a_second} | {figures} |", flush=True)


def _run(side: Side, words: tuple[Any, ...]) -> float:
    return float(side.run("benchmarks.indexing", *words).output)


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        data_set, count, associations, a_second, url = sys.argv[2:]
        print(measure(Path(data_set), int(count), int(associations), int(a_second), url))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument(
        "--url", default="", help="of empty PostgreSQL databases, with {side} for then and now"
    )
    options = parser.parse_args()
    from benchmarks.fresh_images import image

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.dcm"
        image(128).save_as(file, enforce_file_format=True)
        data = file.read_bytes()
        file.write_bytes(data[144 + int.from_bytes(data[140:144], "little") :])
        _compare(file, options)


if __name__ == "__main__":
    main()
