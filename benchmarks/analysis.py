"""One analysis in a process of its own: what it found, its CPU seconds and the memory it took.

    python -m benchmarks.analysis ANALYZER FOLDER

Started by ``benchmarks.earlier`` for an earlier checkout it is that one's analyzer which works:
nothing but the contract's volume is needed, and freed memory is handled as in that one's workers.
FOLDER holds what ``kept`` wrote: a series, with its companions below it. What is imported and
loaded once is not counted: a little of the series is analyzed first. Memory is the most that was
held above what was held before, in MB and over the size of the stored images, companions too.
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
from analyzers.contract import NotApplicable, SeriesFacts, Subject, Volume

WORDS = (
    "modality",
    "projection",
    "frame_of_reference",
    "units_reason",
    "suv_factor",
    "suv_reason",
)
"""Fields of a volume that are written as they are."""


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    with contextlib.suppress(ModuleNotFoundError):
        import_module("analyzers.freed").give_back()
    volume = loaded(folder)
    kind = registry.load(name)
    with contextlib.suppress(ModuleNotFoundError):
        import_module("analyzers.preload").preload(kind.__module__)
    analyzer = kind("cpu")
    parameters = registry.parameters(name, {})
    with contextlib.suppress(NotApplicable):
        analyzer.analyze(_little(volume), parameters)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    held, before = memory_kb("VmRSS"), _cpu_s()
    found = _found(analyzer, volume, parameters)
    cpu_s, memory_b = _cpu_s() - before, (memory_kb("VmHWM") - held) * 1024
    images = (volume, *volume.companions.values())
    told = {
        "cpu_s": cpu_s,
        "memory_share": memory_b / sum(one.stored.nbytes for one in images),
        "memory_mb": memory_b / 1e6,
        "digest": hashlib.sha256(found.encode()).hexdigest(),
        "found": found[:4000],
    }
    print(json.dumps(told))


def loaded(folder: Path) -> Volume:
    """What ``kept`` wrote; of the header's facts those that this checkout knows."""
    told = json.loads((folder / "volume.json").read_text("utf-8"))
    stored = np.load(folder / "stored.npy")
    stored.setflags(write=False)
    valid = folder / "valid.npy"
    words = {key: told[key] for key in WORDS}
    words["facts"] = _record(SeriesFacts, told["facts"])
    words["subject"] = _record(Subject, told["subject"])
    if tracer := getattr(contract, "Tracer", None):
        words["tracer"] = _record(tracer, told["tracer"])
    if valid.exists():
        words["valid"] = np.load(valid)
    known = {field.name for field in dataclasses.fields(Volume)}
    return Volume(
        stored=stored,
        affine=np.array(told["affine"]),
        slope=np.array(told["slope"]),
        intercept=np.array(told["intercept"]),
        units=contract.Code(*told["units"]) if told["units"] else None,
        companions={role: loaded(folder / role) for role in told["companions"]},
        **{key: value for key, value in words.items() if key in known},
    )


def _record(kind: Any, told: dict[str, Any]) -> Any:
    known = {field.name for field in dataclasses.fields(kind)}
    return kind(
        **{
            key: tuple(value) if isinstance(value, list) else value
            for key, value in told.items()
            if key in known
        }
    )


def kept(volume: Volume, folder: Path) -> None:
    """Write a volume for ``loaded``."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "stored.npy", volume.stored)
    if volume.valid is not None:
        np.save(folder / "valid.npy", volume.valid)
    units = volume.units
    told = {
        **{key: getattr(volume, key) for key in WORDS},
        "affine": volume.affine.tolist(),
        "slope": volume.slope.tolist(),
        "intercept": volume.intercept.tolist(),
        "units": [units.value, units.scheme, units.meaning] if units else None,
        "facts": dataclasses.asdict(volume.facts) if volume.facts else {},
        "subject": dataclasses.asdict(volume.subject),
        "tracer": dataclasses.asdict(volume.tracer),
        "companions": list(volume.companions),
    }
    (folder / "volume.json").write_text(json.dumps(told), "utf-8")
    for role, companion in volume.companions.items():
        kept(companion, folder / role)


def _little(volume: Volume) -> Volume:
    """Every eighth voxel along the rows and columns, of a radiograph every second: enough to load
    what is loaded once."""
    step = 2 if volume.projection else 8
    scale = np.diag([1.0, step, step, 1.0])
    parts = {"stored": volume.stored, "valid": getattr(volume, "valid", None)}
    cut = {name: one[:, ::step, ::step].copy() for name, one in parts.items() if one is not None}
    fewer = {role: _little(one) for role, one in volume.companions.items()}
    return dataclasses.replace(volume, affine=volume.affine @ scale, companions=fewer, **cut)


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


def memory_kb(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    main()
