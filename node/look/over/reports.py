"""The regions of a structured report, and the numbers measured there (PS3.16 TID 1500)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset

from node.look.over.marks import Marks
from node.look.over.port import Entry, Frames, Legend
from node.look.over.segments import ABNORMAL
from node.look.over.shapes import Shape, points_of
from node.results.words.numbers import on_screen, shown, without_powers
from node.retrieve import colours
from storage.header import values
from storage.holdings import Held

_GROUP, _FINDING, _CATEGORY = "125007", "121071", "276214006"
_TRACKING, _TRACKING_UID = "112039", "112040"
_MOST_NUMBERS = 3
_DEEPEST = 32
_PALETTE_FROM = 4
"""Boxes begin with yellow, as in the previews."""


@dataclass(slots=True)
class _Group:
    """What a report says in one place."""

    label: str = ""
    tracking: str = ""
    numbers: list[str] = field(default_factory=list)
    shapes: list[Dataset] = field(default_factory=list)
    abnormal: bool = False


def regions(held: Held, frames: Frames, header: Dataset) -> Marks:
    """A report's regions."""
    groups = _merged(list(_groups(header)))
    entries, shapes = [], []
    for number, (label, group) in enumerate(_labelled(groups), 1):
        rgb = colours.spare(number + _PALETTE_FROM - 1)
        said = ", ".join(group.numbers[:_MOST_NUMBERS])
        made = [one for item in group.shapes if (one := _shape(item, number, label)) is not None]
        if made:
            entries.append(Entry(number, label, rgb, said))
            shapes += made
    title = values.text(header, "SeriesDescription") or "Report"
    abnormal = any(one.abnormal for one in groups)
    return Marks(held, Legend(title, tuple(entries)), shapes, abnormal)


def _merged(groups: list[_Group]) -> list[_Group]:
    """Groups that say that they track one finding are one."""
    found: dict[str, _Group] = {}
    for index, group in enumerate(groups):
        known = found.setdefault(group.tracking or f"#{index}", group)
        if known is not group:
            known.numbers += [one for one in group.numbers if one not in known.numbers]
            known.shapes += group.shapes
    return [one for one in found.values() if one.shapes]


def _labelled(groups: list[_Group]) -> Iterator[tuple[str, _Group]]:
    """Those of one name are counted."""
    names = [group.label or "Finding" for group in groups]
    seen: dict[str, int] = {}
    for name, group in zip(names, groups, strict=True):
        seen[name] = seen.get(name, 0) + 1
        yield (f"{name} {seen[name]}" if names.count(name) > 1 else name), group


def _groups(item: Dataset, depth: int = 0) -> Iterator[_Group]:
    loose = _Group()
    for child in _children(item):
        if _concept(child) == _GROUP:
            yield _group(child)
        elif values.text(child, "ValueType") in ("SCOORD", "SCOORD3D"):
            loose.label = values.text(values.item(item, "ConceptNameCodeSequence"), "CodeMeaning")
            loose.shapes.append(child)
        elif depth < _DEEPEST:
            yield from _groups(child, depth + 1)
    if loose.shapes:
        yield loose


def _group(container: Dataset) -> _Group:
    found = _Group()
    for child in _children(container):
        _take(found, child, _concept(child))
    return found


def _take(found: _Group, child: Dataset, concept: str) -> None:
    kind = values.text(child, "ValueType")
    meaning = values.text(values.item(child, "ConceptCodeSequence"), "CodeMeaning")
    if concept == _TRACKING_UID:
        found.tracking = values.text(child, "UID")
    elif concept == _CATEGORY:
        code = values.text(values.item(child, "ConceptCodeSequence"), "CodeValue")
        found.abnormal = code == ABNORMAL
    elif concept == _FINDING:
        found.label = meaning or found.label
    elif concept == _TRACKING and not found.label:
        found.label = values.text(child, "TextValue").replace("_", " ")
    elif kind == "NUM":
        found.numbers += _number(child)
        found.shapes += [one for one in _children(child) if _is_shape(one)]
    elif _is_shape(child):
        found.shapes.append(child)


def _is_shape(item: Dataset) -> bool:
    return values.text(item, "ValueType") in ("SCOORD", "SCOORD3D")


def _number(item: Dataset) -> list[str]:
    measured = values.item(item, "MeasuredValueSequence")
    number = values.known(values.number(measured, "NumericValue"))
    if number is None:
        return []
    name = values.text(values.item(item, "ConceptNameCodeSequence"), "CodeMeaning")
    code = values.item(measured, "MeasurementUnitsCodeSequence")
    unit = on_screen(values.text(code, "CodeValue"))
    return [f"{name} {without_powers(shown(number))} {unit}".strip()]


def _children(item: Dataset) -> list[Dataset]:
    return values.items(item, "ContentSequence")


def _concept(item: Dataset) -> str:
    return values.text(values.item(item, "ConceptNameCodeSequence"), "CodeValue")


def _shape(item: Dataset, number: int, label: str) -> Shape | None:
    is_in_space = values.text(item, "ValueType") == "SCOORD3D"
    data: Any = values.known(values.numbers(item, "GraphicData"))
    points = points_of(data, 3 if is_in_space else 2)
    kind = values.text(item, "GraphicType")
    if points is None:
        return None
    if is_in_space:
        return Shape(kind, points, number, words=label)
    image = next((one for one in _children(item) if "ReferencedSOPSequence" in one), Dataset())
    reference = values.item(image, "ReferencedSOPSequence")
    uid = values.uid(reference, "ReferencedSOPInstanceUID")
    given = values.known(values.numbers(reference, "ReferencedFrameNumber")) or ()
    frames = frozenset(int(one) for one in given)
    return Shape(kind, points, number, uid, frames, words=label) if uid else None
