"""Coverage-guided fuzzing of the parsers, by hand:

python -m tests.fuzz.fuzz TARGET [CORPUS_FOLDER] [libFuzzer options: -max_total_time=600 …]

TARGET is values, command, request or instance. What breaks a promise is written to a file named
crash-…, to be given to the target again and to become a test.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["node", "storage", "pydicom", "pynetdicom"]):
    from node.dimse import library
    from tests.fuzz import targets
    from tests.node.dimse.raw_peer import Context, associate_rq, image, pdv, store_command

SEEDS = {
    "values": pdv(store_command(), 3) + pdv(image(), 2),
    "command": store_command(),
    "request": associate_rq([Context(1), Context(3)]),
    "instance": image(),
}


def main() -> None:
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in SEEDS:
        sys.exit(__doc__)
    library.prepare()
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        (seeds / name).write_bytes(SEEDS[name])
        into, numbers = targets.receiver(Path(folder) / "store"), itertools.count()

        def run(raw: bytes) -> None:
            if name == "instance":
                targets.instance(into, raw, f"1.2.{next(numbers)}")
            else:
                getattr(targets, name)(raw)

        atheris.Setup([*sys.argv, str(seeds)], run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
