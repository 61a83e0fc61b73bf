"""One analysis in a process of its own: what it found, its CPU seconds and the memory it took.

    python -m benchmarks.analysis ANALYZER FOLDER

Started by ``benchmarks.earlier`` for an earlier checkout it is that one's analyzer which works:
nothing but the contract's volume is needed, and freed memory is handled as in that one's workers.
FOLDER holds ``stored.npy`` and ``volume.json``. A little of the series is analyzed first, so that
what is imported and loaded once is not counted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import resource
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from analyzers import contract, registry
from analyzers.contract import NotApplicable, SeriesFacts, Volume


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    with contextlib.suppress(ModuleNotFoundError):
        import_module("analyzers.freed").give_back()
    volume = loaded(folder)
    analyzer = registry.load(name)("cpu")
    parameters = registry.parameters(name, {})
    with contextlib.suppress(NotApplicable):
        analyzer.analyze(_little(volume), parameters)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    held, before = _memory_kb("VmRSS"), _cpu_s()
    found = _found(analyzer, volume, parameters)
    told = {
        "cpu_s": _cpu_s() - before,
        "memory_share": (_memory_kb("VmHWM") - held) * 1024 / volume.stored.nbytes,
        "digest": hashlib.sha256(found.encode()).hexdigest(),
        "found": found[:4000],
    }
    print(json.dumps(told))


def loaded(folder: Path) -> Volume:
    """What ``kept`` wrote; of the header's facts those that this checkout knows."""
    told = json.loads((folder / "volume.json").read_text("utf-8"))
    known = {field.name for field in dataclasses.fields(SeriesFacts)}
    facts = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in told["facts"].items()
        if key in known
    }
    stored = np.load(folder / "stored.npy")
    stored.setflags(write=False)
    valid = folder / "valid.npy"
    has_padding = valid.exists() and any(one.name == "valid" for one in dataclasses.fields(Volume))
    return Volume(
        stored=stored,
        affine=np.array(told["affine"]),
        modality=told["modality"],
        slope=np.array(told["slope"]),
        intercept=np.array(told["intercept"]),
        units=contract.Code(*told["units"]) if told["units"] else None,
        facts=SeriesFacts(**facts),
        **({"valid": np.load(valid)} if has_padding else {}),
    )


def kept(volume: Volume, folder: Path) -> None:
    """Write a volume for ``loaded``."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "stored.npy", volume.stored)
    if volume.valid is not None:
        np.save(folder / "valid.npy", volume.valid)
    units = volume.units
    told = {
        "affine": volume.affine.tolist(),
        "modality": volume.modality,
        "slope": volume.slope.tolist(),
        "intercept": volume.intercept.tolist(),
        "units": [units.value, units.scheme, units.meaning] if units else None,
        "facts": dataclasses.asdict(volume.facts) if volume.facts else {},
    }
    (folder / "volume.json").write_text(json.dumps(told), "utf-8")


def _little(volume: Volume) -> Volume:
    """Every eighth voxel along the rows and columns: enough to load what is loaded once."""
    scale = np.diag([1.0, 8.0, 8.0, 1.0])
    parts = {"stored": volume.stored, "valid": getattr(volume, "valid", None)}
    cut = {name: one[:, ::8, ::8].copy() for name, one in parts.items() if one is not None}
    return dataclasses.replace(volume, affine=volume.affine @ scale, **cut)


def _found(analyzer: Any, volume: Volume, parameters: Any) -> str:
    """The findings in words, arrays by their digest."""
    try:
        return _words(analyzer.analyze(volume, parameters))
    except NotApplicable as reason:
        return f"refused: {reason}"


def _words(found: Any) -> str:
    if isinstance(found, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(found)).hexdigest()
        return f"{found.dtype}{found.shape}{digest}"
    if isinstance(found, bytes):
        return f"{len(found)} bytes {hashlib.sha256(found).hexdigest()}"
    if dataclasses.is_dataclass(found):
        fields = (
            f"{one.name}={_words(getattr(found, one.name))}" for one in dataclasses.fields(found)
        )
        return f"{type(found).__name__}({', '.join(fields)})"
    if isinstance(found, dict):
        return str({key: _words(value) for key, value in found.items()})
    if isinstance(found, tuple | list):
        return f"[{', '.join(map(_words, found))}]"
    return repr(found)


def _cpu_s() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _memory_kb(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    main()
