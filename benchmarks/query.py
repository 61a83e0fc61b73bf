"""How fast what is held is found and fetched, beside Orthanc with DICOMweb and DCMTK's dcmqrscp.

    python -m benchmarks.query [--quick] [--only CASE] [--studies 100000] [--json FILE]

All sides run on the same disk, hold the same, and are asked in turn by the same clients: a raw
socket for C-FIND, DCMTK's getscu and movescu, plain HTTP. Given are medians, their ratio, the goal
and whether it was met. Orthanc is filled with the studies once, which takes five minutes, and kept
in ``~/.cache/wetread-bench``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.comparison import Table
from benchmarks.retrieving import Retrieving, Sizes
from benchmarks.searching import Searching

STUDIES, QUICK_STUDIES = 100_000, 2_000
FULL = Sizes(small=1000, large=400, runs=5)
QUICK = Sizes(small=100, large=20, runs=1)
REPEATS, QUICK_REPEATS = 40, 3


def cases(folder: Path, table: Table, studies: int, quick: bool) -> dict[str, Callable[[], None]]:
    """What can be asked for by name, in the order in which it runs."""
    searching = Searching(folder, table, studies, QUICK_REPEATS if quick else REPEATS)
    retrieving = Retrieving(folder, table, QUICK if quick else FULL)
    return {
        "find": searching.find,
        "qido": searching.qido,
        "growth": searching.growth,
        "metadata": retrieving.metadata,
        "wado": retrieving.wado,
        "get": retrieving.get,
        "move": retrieving.move,
        "stow": retrieving.stow,
        "crowd": retrieving.crowd,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of all: no figures")
    parser.add_argument("--only", help="one of: find, qido, growth, metadata, wado, get, move, …")
    parser.add_argument("--studies", type=int, help="how many each side has")
    parser.add_argument("--json", type=Path, help="where the table is also written")
    parser.add_argument("--folder", type=Path, help="where the files lie while it runs")
    given = parser.parse_args()
    studies = given.studies or (QUICK_STUDIES if given.quick else STUDIES)
    table = Table()
    with tempfile.TemporaryDirectory(prefix="wetread-bench-", dir=given.folder) as folder:
        works = cases(Path(folder), table, studies, given.quick)
        for name in [given.only] if given.only else works:
            works[name]()
    print(f"\n{table.text()}")
    if given.json:
        table.save(given.json)


if __name__ == "__main__":
    main()
