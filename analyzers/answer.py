"""Whether what ``analyze`` gave back keeps the contract; every fault a sentence for the author.

Says where the fault is, what stands there and what belongs there. Quotes no text of the analyzer:
it may come from a header.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from analyzers.contract import (
    AnalyzerError,
    Blending,
    Classification,
    Code,
    ColorImage,
    CompressedImage,
    DerivedImage,
    Detection,
    Finding,
    Findings,
    Labels,
    Measurement,
    ParametricMap,
    Reference,
    Registration,
    Segment,
    Segmentation,
    Shades,
    Volume,
)

MAX_MEANING = 64
"""Characters of Code Meaning (0008,0104), an LO."""
_KINDS = typing.get_args(Finding)
_MAX_SAID = 5


class ContractBroken(AnalyzerError):
    """The analyzer gave back something that the contract does not allow. ``faults`` say what."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        more = f"; and {len(faults) - _MAX_SAID} more" if len(faults) > _MAX_SAID else ""
        said = "; ".join(faults[:_MAX_SAID])
        super().__init__(f"the analyzer breaks the contract: {said}{more}")
        self.faults = faults


def checked(found: Any, volume: Volume) -> Findings:
    """What ``analyze`` gave back, if it can be made into results.

    Raises
    ------
    ContractBroken
    """
    faults = tuple(_faults(found, volume))
    if faults:
        raise ContractBroken(faults)
    findings: Findings = found
    return findings


def _faults(found: Any, volume: Volume) -> Iterator[str]:
    if not isinstance(found, Findings):
        yield f"analyze() returned {_named(found)}: return Findings((…,))"
        return
    if not _is_sequence(found.items):
        yield f"items is {_named(found.items)}: give a tuple of findings: Findings((one,))"
        return
    yield from _typed("remarks", found.remarks, tuple[str, ...])
    yield from _typed("cautions", found.cautions, tuple[str, ...])
    for number, item in enumerate(found.items):
        where = f"items[{number}]"
        if not isinstance(item, _KINDS):
            yield f"{where} is {_named(item)}: give a finding of analyzers.contract"
            continue
        wrong = tuple(_shaped(f"{where} ({type(item).__name__})", item))
        yield from wrong or _sound(f"{where} ({type(item).__name__})", item, volume)


# --- types ----------------------------------------------------------------------------------------


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _shaped(where: str, item: Any) -> Iterator[str]:
    """Every field of a record holds what the contract says."""
    for name, hint in _hints(item.__class__).items():
        yield from _typed(f"{where}.{name}", getattr(item, name), hint)


def _typed(where: str, value: Any, hint: Any) -> Iterator[str]:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        yield from _either(where, value, typing.get_args(hint))
    elif origin is tuple:
        yield from _each(where, value, typing.get_args(hint))
    elif origin is Mapping:
        yield from _mapped(where, value, typing.get_args(hint))
    elif origin is np.ndarray:
        if not isinstance(value, np.ndarray):
            yield f"{where} is {_named(value)}: give a numpy array"
    elif not _is_a(value, hint):
        yield f"{where} is {_named(value)}: give {_wanted(hint)}"
    elif dataclasses.is_dataclass(hint):
        yield from _shaped(where, value)


def _either(where: str, value: Any, hints: tuple[Any, ...]) -> Iterator[str]:
    if value is None and type(None) in hints:
        return
    faults = [tuple(_typed(where, value, one)) for one in hints if one is not type(None)]
    if all(faults):
        yield from faults[0]


def _mapped(where: str, value: Any, hints: tuple[Any, ...]) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where} is {_named(value)}: give a dict"
        return
    for number, (key, one) in enumerate(value.items()):
        yield from _typed(f"key {number} of {where}", key, hints[0])
        yield from _typed(f"value {number} of {where}", one, hints[1])


def _each(where: str, value: Any, hints: tuple[Any, ...]) -> Iterator[str]:
    if not _is_sequence(value):
        yield f"{where} is {_named(value)}: give a tuple"
        return
    if hints[-1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        yield f"{where} has {len(value)} entries: {len(hints)} are needed"
        return
    for number, (one, hint) in enumerate(zip(value, hints, strict=True)):
        yield from _typed(f"{where}[{number}]", one, hint)


def _is_sequence(value: object) -> bool:
    return isinstance(value, tuple | list)


def _is_a(value: object, hint: Any) -> bool:
    if hint is float:
        return isinstance(value, numbers.Real) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)


def _named(value: object) -> str:
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} {value.shape}"
    kinds = {str: "a text", dict: "a dict", tuple: "a tuple", list: "a list", bool: "a bool"}
    return kinds.get(type(value), f"of type {type(value).__name__}")


def _wanted(hint: Any) -> str:
    if hint is Code:
        return 'a Code("118565006", "SCT", "Volume")'
    kinds = {float: "a number: float(…)", int: "a whole number: int(…)", str: "a text"}
    return kinds.get(hint, f"a {getattr(hint, '__name__', hint)}")


# --- what the types do not say --------------------------------------------------------------------


def _sound(where: str, item: Any, volume: Volume) -> Iterator[str]:
    yield from _values(where, item)
    if isinstance(item, Segmentation):
        yield from _segmentation(where, item, volume)
    elif isinstance(item, Detection):
        yield from _box(where, item, volume)
    elif isinstance(item, DerivedImage | ParametricMap):
        yield from _image(where, item, volume)
    elif isinstance(item, ColorImage):
        yield from _color(where, item, volume)
    elif isinstance(item, CompressedImage):
        if len(item.frames) != volume.shape[0]:
            yield f"{where} has {len(item.frames)} frames: give one a slice, {volume.shape[0]}"
    elif isinstance(item, Registration) and item.matrix.shape != (4, 4):
        yield f"{where}.matrix has shape {item.matrix.shape}: give a 4×4 matrix"
    if isinstance(item, DerivedImage | Registration | Blending):
        yield from _role(where, item, volume)


def _values(where: str, item: Any) -> Iterator[str]:
    """Numbers and codes of a finding, and of the records in it."""
    if isinstance(item, Code):
        yield from _code(where, item)
    elif isinstance(item, Measurement) and math.isinf(item.value):
        yield f"{where}.value is infinite: leave it out, or give nan where it cannot be measured"
    elif isinstance(item, Classification | Detection):
        yield from _shares(where, item)
    elif isinstance(item, Reference):
        yield from _reference(where, item)
    elif isinstance(item, Shades) and not item.low < item.high:
        yield f"{where}.low is not below {where}.high"
    if dataclasses.is_dataclass(item):
        for field in dataclasses.fields(item):
            yield from _values(f"{where}.{field.name}", getattr(item, field.name))
    elif _is_sequence(item):
        for number, one in enumerate(item):
            yield from _values(f"{where}[{number}]", one)


def _reference(where: str, item: Reference) -> Iterator[str]:
    limits = [one for one in (item.low, item.high) if one is not None]
    if not limits or not all(math.isfinite(one) for one in limits) or limits != sorted(limits):
        yield f"{where} has no sound limits: give low, high or both, low below high"
    if not item.source.strip():
        yield f"{where}.source is empty: say for whom the range holds, and by whom"


def _code(where: str, code: Code) -> Iterator[str]:
    for part in ("value", "scheme", "meaning"):
        if not getattr(code, part).strip():
            yield f"{where}.{part} is empty"
    if len(code.meaning) > MAX_MEANING:
        yield f"{where}.meaning has {len(code.meaning)} characters: at most {MAX_MEANING} fit"


def _shares(where: str, item: Classification | Detection) -> Iterator[str]:
    for name in ("probability", "score", "threshold"):
        yield from _share(f"{where}.{name}", getattr(item, name, None))


def _share(where: str, value: float | None) -> Iterator[str]:
    if value is not None and not 0 <= value <= 1:
        yield f"{where} is {value:g}: give a share between 0 and 1, or None"


def _segmentation(where: str, item: Segmentation, volume: Volume) -> Iterator[str]:
    yield from _numbers(where, item.segments)
    names = [f"{where}.labels", *(f"{where}.further[{i}]" for i in range(len(item.further)))]
    seen: set[int] = set()
    for name, labels in zip(names, item.layers, strict=True):
        if labels.dtype not in (np.uint8, np.uint16):
            yield f'{name} is {labels.dtype}: uint8 or uint16 is needed: labels.astype("uint8")'
        elif labels.shape != volume.shape:
            yield _off_grid(name, labels.shape, volume.shape)
        else:
            present = _present(labels)
            yield from _labels(name, present, seen, item)
            seen |= present
    yield from _probabilities(where, item, volume)


def _labels(where: str, present: set[int], seen: set[int], item: Segmentation) -> Iterator[str]:
    if undescribed := present - {segment.number for segment in item.segments}:
        yield f"{where} holds {_first(undescribed)}, which no segment has as its number"
    if twice := present & seen:
        yield f"{where} holds {_first(twice)}, as another label image: each is in one of them"


def _first(values: set[int]) -> str:
    return ", ".join(str(one) for one in sorted(values)[:8])


def _present(labels: Labels) -> set[int]:
    """The labels that occur; slice by slice, so that memory stays small."""
    size = np.iinfo(labels.dtype).max + 1
    found = np.zeros(size, np.bool_)
    for plane in labels:
        found |= np.bincount(plane.ravel(), minlength=size) > 0
    return set(np.flatnonzero(found).tolist()) - {0}


def _probabilities(where: str, item: Segmentation, volume: Volume) -> Iterator[str]:
    keys = {segment.key for segment in item.segments}
    for number, (key, share) in enumerate(item.probabilities.items()):
        name = f"value {number} of {where}.probabilities"
        if key not in keys:
            yield f"key {number} of {where}.probabilities is the key of no segment"
        if not np.issubdtype(share.dtype, np.floating):
            yield f'{name} is {share.dtype}: give shares as float: share.astype("float32")'
        elif share.shape != volume.shape:
            yield _off_grid(name, share.shape, volume.shape)
        elif not all(((plane >= 0) & (plane <= 1)).all() for plane in share):
            yield f"{name} holds values outside of 0 to 1"


def _numbers(where: str, segments: tuple[Segment, ...]) -> Iterator[str]:
    for part in ("number", "key"):
        given = [getattr(segment, part) for segment in segments]
        if len(set(given)) < len(given):
            yield f"two segments of {where} have the same {part}: each needs its own"
    for number, segment in enumerate(segments):
        if not 0 < segment.number < 65536:
            yield f"{where}.segments[{number}].number is {segment.number}: give one of 1 to 65535"
        for part in ("key", "label"):
            if not getattr(segment, part).strip():
                yield f"{where}.segments[{number}].{part} is empty"
        if not all(0 <= one <= 255 for one in segment.rgb):
            yield f"{where}.segments[{number}].rgb holds a value outside of 0 to 255"


def _box(where: str, item: Detection, volume: Volume) -> Iterator[str]:
    corners = zip(item.first, item.last, volume.shape, strict=True)
    if not all(0 <= first <= last < size for first, last, size in corners):
        yield (
            f"{where} lies outside of the images: first and last are inclusive indices"
            f" (slice, row, column) within {volume.shape}"
        )


def _image(where: str, item: DerivedImage | ParametricMap, volume: Volume) -> Iterator[str]:
    values: Any = item.values
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        yield f"{where}.values is {values.dtype}: give real numbers"
    elif values.shape != volume.shape:
        yield _off_grid(f"{where}.values", values.shape, volume.shape)
    elif not all(np.isfinite(plane).all() for plane in values):
        yield f"{where}.values holds nan or infinity: give every voxel a finite value"


def _color(where: str, item: ColorImage, volume: Volume) -> Iterator[str]:
    if item.values.dtype != np.uint8:
        yield f"{where}.values is {item.values.dtype}: uint8 is needed"
    elif item.values.shape != (*volume.shape, 3):
        yield _off_grid(f"{where}.values", item.values.shape, (*volume.shape, 3))


def _role(
    where: str, item: DerivedImage | Registration | Blending, volume: Volume
) -> Iterator[str]:
    roles: Mapping[str, Volume] = volume.companions
    if item.role not in roles and (item.role or not isinstance(item, DerivedImage)):
        yield f"{where}.role is none of volume.companions ({', '.join(sorted(roles)) or 'empty'})"


def _off_grid(where: str, given: tuple[int, ...], needed: tuple[int, ...]) -> str:
    return f"{where} has shape {given}: the grid of the images is {needed}"
