"""Whether the class of an analyzer declares what the contract asks for; faults as sentences."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from analyzers.contract import About, Code, InputContract, Limits

MAX_TITLE = 64
"""DICOM LO."""
_NEEDED = {
    "name": "its stable identifier, as text",
    "version": 'its version, as text: "1.0.0"',
    "title": "what a person calls it, as text",
    "inputs": "which series it reads: an InputContract",
    "limits": "what a run may take: Limits(time_s=…, memory_mb=…)",
    "parameters": "the dataclass of its parameters: NoParameters where it has none",
    "analyze": "the method that analyzes",
}


def faults(found: Any) -> tuple[str, ...]:
    """What the author has to change before the analyzer can be used; empty when it is sound."""
    if not inspect.isclass(found):
        return ("the entry point leads to no class: register it as module:ClassName",)
    missing = [part for part in _NEEDED if not hasattr(found, part)]
    if missing:
        return tuple(f"it lacks {part}: add {_NEEDED[part]}" for part in missing)
    checks = (_texts, _inputs, _limits, _parameters, _calls, _optional)
    return tuple(fault for check in checks for fault in check(found))


def _texts(found: Any) -> Iterator[str]:
    for part in ("name", "version", "title"):
        value = getattr(found, part)
        if not isinstance(value, str) or not value.strip():
            yield f"{part} is {_kind(value)}: give {_NEEDED[part]}"
        elif part == "title" and len(value) > MAX_TITLE:
            yield f"title has {len(value)} characters: at most {MAX_TITLE} can be written"


def _inputs(found: Any) -> Iterator[str]:
    yield from _contract("inputs", found.inputs)


def _contract(where: str, inputs: Any) -> Iterator[str]:
    if not isinstance(inputs, InputContract):
        yield f"{where} is {_kind(inputs)}: give an InputContract"
        return
    modalities = inputs.modalities
    if isinstance(modalities, str) or not all(isinstance(one, str) for one in modalities):
        yield f'{where}.modalities is no set of texts: write frozenset({{"CT"}})'
    elif not modalities:
        yield f"{where}.modalities is empty: no series would ever be accepted"


def _limits(found: Any) -> Iterator[str]:
    limits = found.limits
    if not isinstance(limits, Limits):
        yield f"limits is {_kind(limits)}: give Limits(time_s=…, memory_mb=…)"
        return
    for part in ("time_s", "memory_mb"):
        value = getattr(limits, part)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            yield f"limits.{part} is no number above 0"


def _parameters(found: Any) -> Iterator[str]:
    kind = found.parameters
    if not inspect.isclass(kind) or not dataclasses.is_dataclass(kind):
        yield "parameters is no dataclass: give the class itself, with @dataclass(frozen=True)"
        return
    for one in dataclasses.fields(kind):
        no_default = one.default is dataclasses.MISSING
        if one.init and no_default and one.default_factory is dataclasses.MISSING:
            yield f"the parameter {one.name} has no default: every parameter needs one"


def _calls(found: Any) -> Iterator[str]:
    if not _takes(found, ("cpu",)):
        yield "it cannot be built with a device: write def __init__(self, device: str)"
    if not callable(found.analyze):
        yield "analyze is no method: write def analyze(self, volume, parameters)"
        return
    bound = inspect.getattr_static(found, "analyze")
    own = () if isinstance(bound, staticmethod | classmethod) else (None,)
    if not _takes(found.analyze, (*own, None, None)):
        yield "analyze() takes other arguments: write def analyze(self, volume, parameters)"
    elif inspect.iscoroutinefunction(found.analyze) or inspect.isgeneratorfunction(found.analyze):
        yield "analyze() is a coroutine or a generator: it has to return Findings"


def _takes(call: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    try:
        inspect.signature(call).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # written in C: it does not say what it takes
        return True
    return True


def _optional(found: Any) -> Iterator[str]:
    companions = getattr(found, "companions", {})
    if isinstance(companions, Mapping):
        for role, inputs in companions.items():
            yield from _contract(f"companions[{role!r}]", inputs)
    else:
        yield "companions is no mapping: write {role: InputContract(…)}"
    after = getattr(found, "after", ())
    if isinstance(after, str) or not all(isinstance(one, str) for one in after):
        yield 'after is no tuple of names: write after = ("lung_segmentation",)'
    models = getattr(found, "models", ())
    if isinstance(models, str) or not all(isinstance(one, str) for one in models):
        yield 'models is no tuple of paths: write models = ("weights/model.toml",)'
    about = getattr(found, "about", None)
    if about is not None and not isinstance(about, About):
        yield f"about is {_kind(about)}: give About(purpose=…, gives=(…,))"
    family = getattr(found, "family", None)
    if family is not None and not isinstance(family, Code):
        yield f"family is {_kind(family)}: give a Code of CID 7162"


def _kind(value: object) -> str:
    if value is None:
        return "None"
    return "empty" if value == "" else f"of type {type(value).__name__}"
