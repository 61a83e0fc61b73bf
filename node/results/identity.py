"""The identity of a run: a digest of everything that enters the bytes of the objects it makes.

UIDs derive from it. The same run repeated gives the same objects; a run that differs in anything –
its time, its images' bytes, the node and its version, what decodes and what encodes, a number –
gives objects of other UIDs, so that no UID ever stands for two different contents.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import platform
import zlib
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache

import numpy as np

from node.results.modules import provenance
from node.results.modules.source import Provenance
from node.series.source import Source

WRITERS = (
    *("highdicom", "imagecodecs", "numpy", "opencv-python-headless", "pillow", "pydicom"),
    *("reportlab", "scikit-image", "scipy"),
)
"""Distributions that have a hand in what we write: all that this room, its source and surfaces
import."""


def of_run(source: Source, said: object, run: Provenance) -> Provenance:
    """The provenance whose ``key`` tells this run from every other of the same job.

    said: findings, or whatever else the objects say, of dataclasses, arrays and plain values.
    """
    facts = dataclasses.asdict(run) | {
        "parameters": provenance.parameter_texts(run),
        "device": run.device.partition(":")[0],
        "started_at": provenance.local_time(source, run).isoformat(),
    }
    digest = hashlib.blake2b(digest_size=32)
    for part in _parts(("wetread run", facts, decoders(source), writers(), said)):
        digest.update(part)
    return dataclasses.replace(run, key=digest.hexdigest())


def digest_of(said: object) -> str:
    """Of what was found alone, whoever found it and whatever writes it."""
    digest = hashlib.blake2b(digest_size=32)
    for part in _parts(said):
        digest.update(part)
    return digest.hexdigest()


def decoders(source: Source) -> tuple[str, ...]:
    """What decoded the pixels of a series and of its companions, by role."""
    beside = (f"{role}: {one.decoder}" for role, one in sorted(source.companions.items()))
    return (source.decoder, *beside)


@cache
def writers() -> tuple[str, ...]:
    """What encodes on this machine, each with its version."""
    named = (f"{name} {importlib.metadata.version(name)}" for name in WRITERS)
    python = f"Python {platform.python_version()} on {platform.machine()}"
    return (*named, f"zlib {zlib.ZLIB_RUNTIME_VERSION}", python)


def _parts(value: object) -> Iterator[bytes | memoryview]:
    """The bytes that stand for a value: equal for equal ones, each part with kind and length."""
    if isinstance(value, np.ndarray):
        yield f"array {value.dtype.str} {value.shape};".encode()
        for part in value if value.ndim > 1 else [value]:  # one slice at a time is made contiguous
            yield np.ascontiguousarray(part).tobytes()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield f"{type(value).__name__};".encode()
        for field in dataclasses.fields(value):
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)};".encode()
        for name in sorted(value, key=str):
            yield from _parts(str(name))
            yield from _parts(value[name])
    elif isinstance(value, tuple | list):
        yield f"sequence {len(value)};".encode()
        for one in value:
            yield from _parts(one)
    else:
        yield from _plain(value)


def _plain(value: object) -> Iterator[bytes]:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, np.generic):
        value = value.item()
    text = repr(value).encode()
    yield f"{type(value).__name__} {len(text)};".encode()
    yield text
