"""Writes NOTICE: under which licence each package of the plain install stands (``make notice``).

The names come from ``requirements.lock``, the licences from what the installed packages say of
themselves.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
NOTICE = ROOT / "NOTICE"

HEAD = """\
Wetread
A DICOM network node that makes the first reading.

Licensed under the Apache License, Version 2.0 (see LICENSE).

Trained weights in this distribution stand under the licence of the data they were derived from,
where that asks for it; the model card beside each names data and licence. The weights of
hippocampus_fpn, hippocampus_mask_rcnn and hippocampus_unet stand under CC BY-SA 4.0; those of
breastmnist and pneumoniamnist were trained on MedMNIST v2 (CC BY 4.0).

The status page brings idiomorph 0.8.0 (0BSD), unchanged; pictures are written with DejaVu Sans 2.37
(Bitstream Vera and Arev licences), unchanged; their licences lie beside them.

Wetread contains none of the packages below; installing it installs them, each under its own
licence, which it brings along. `make notice` writes this list from what they say of themselves.

"""

_IN_ITS_FILE = {
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",
    "pysqlite3": "Zlib",
    "pydicom": "MIT",
    "reportlab": "BSD-3-Clause",
    "scipy": "BSD-3-Clause",
    "scikit-image": "BSD-3-Clause",
}
"""Of those whose metadata says nothing exact: what their licence file says."""
_ELSEWHERE = re.compile(r"sys_platform == 'win32'")


def plain() -> tuple[str, ...]:
    """What the lock pins for an install without extras, on Linux; sorted."""
    parents = _parents()
    with (ROOT / "pyproject.toml").open("rb") as file:
        asked = tomllib.load(file)["project"]["dependencies"]
    found = {canonicalize_name(Requirement(one).name) for one in asked}
    while more := {name for name, above in parents.items() if above & found} - found:
        found |= more
    return tuple(sorted(found))


def _parents() -> dict[str, set[str]]:
    """Of each pinned package those that ask for it, as the comments of the lock tell."""
    parents: dict[str, set[str]] = {}
    name = ""
    for line in LOCK.read_text().splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            name = "" if _ELSEWHERE.search(line) else canonicalize_name(line.partition("==")[0])
            parents.setdefault(name, set())
        elif line.startswith("    #"):
            above = line.strip(" #").removeprefix("via").strip()
            parents[name].add(canonicalize_name(above.partition(" ")[0]))
    parents.pop("", None)
    return parents


def licence(name: str) -> str:
    """What an installed package says of its licence, in a few words."""
    said = metadata(name)
    short = next(iter((said.get("License") or "").strip().splitlines()), "")
    kinds = [
        one.rpartition("::")[2].strip()
        for one in said.get_all("Classifier", [])
        if one.startswith("License ::")
    ]
    return _IN_ITS_FILE.get(name) or said.get("License-Expression") or short or ", ".join(kinds)


def text() -> str:
    names = plain()
    width = max(map(len, names)) + 2
    return HEAD + "".join(f"{name:<{width}}{licence(name)}\n" for name in names)


if __name__ == "__main__":
    NOTICE.write_text(text())
