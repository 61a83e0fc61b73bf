"""The structures that analyzers find: one table of their names, codes and colours.

``structures.toml`` beside this module is the table of the node. A package of analyzers adds its own
by an entry point of the group ``wetread.structures`` that names the package, in which a
``structures.toml`` of the same form lies; nothing of the package is imported for it. Whatever shows
a structure – segmentation, label map, structure set, surface, picture, presentation state, report –
takes its colour and its name from here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources, util
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from analyzers import codes
from analyzers.contract import AnalyzerError, Classification, Code, Measurement, Segment

GROUP = "wetread.structures"
FILE = "structures.toml"

Lab = tuple[float, float, float]
Rgb = tuple[int, int, int]

SIDES: Mapping[str, Code | None] = {"left": codes.LEFT, "right": codes.RIGHT, "found": None}
INTERPRETED = (
    *("EXTERNAL", "PTV", "CTV", "GTV", "TREATED_VOLUME", "IRRAD_VOLUME", "BOLUS", "AVOIDANCE"),
    *("ORGAN", "MARKER", "REGISTRATION", "ISOCENTER", "CONTRAST_AGENT", "CAVITY"),
    *("BRACHY_CHANNEL", "BRACHY_ACCESSORY", "BRACHY_SRC_APP", "BRACHY_CHNL_SHLD"),
    *("SUPPORT", "FIXATION", "DOSE_REGION", "CONTROL", "DOSE_MEASUREMENT"),
)
"""Defined terms of RT ROI Interpreted Type (3006,00A4)."""

PALETTE: tuple[Lab, ...] = (
    *((45, -40, 16), (77, -56, 16), (53, -8, 56), (45, 56, -80), (85, 16, -8), (85, -80, 80)),
    *((49, -24, -16), (61, -48, 56), (65, 56, 16), (45, 16, 48), (45, 72, 0), (73, 24, -40)),
    *((69, -32, -16), (45, 72, -48), (93, -24, 0), (65, 8, 64), (45, 8, -48), (45, -32, 48)),
)
"""For what would have a colour that is taken: far from those of the table, and from each other."""
BOX: Lab = (88, -2, 72)
"""Of boxes round something found."""


class StructuresUnusable(AnalyzerError):
    """A table of structures cannot be read, or a row of it is not as it has to be."""


class StructuresClash(AnalyzerError):
    """Two tables give different structures one key, or one English name two German ones."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What is the same of a structure wherever it is found.

    sides: "left" or "right"; "found": the analyzer says which; empty: it has none.
    is_numbered: there may be several, "Lung nodule 1" and "Lung nodule 2", of different colours.
    interpreted: RT ROI Interpreted Type; empty where those who plan have to say.
    is_everywhere: it goes on beyond every image of a part of the body, and nobody takes its volume
        for that of a whole.
    """

    key: str
    english: str
    german: str
    category: Code
    kind: Code
    lab: Lab
    sides: str = ""
    site: Code | None = None
    is_numbered: bool = False
    interpreted: str = ""
    is_everywhere: bool = False

    @property
    def rgb(self) -> Rgb:
        return rgb_of(self.lab)

    def nth(self, number: int) -> Rgb:
        """The colour of one of several, from 1."""
        return rgb_of((self.lab, *PALETTE)[(number - 1) % (len(PALETTE) + 1)])

    def segment(
        self,
        number: int,
        measurements: tuple[Measurement, ...] = (),
        classifications: tuple[Classification, ...] = (),
        side: Code | None = None,
    ) -> Segment:
        """It, as voxels of a number; where there may be several, that is also which one it is."""
        mine = f"_{number}" if self.is_numbered else ""
        return Segment(
            key=f"{self.key}{mine}",
            number=number,
            label=f"{self.english}{mine.replace('_', ' ')}",
            category=self.category,
            kind=self.kind,
            laterality=side if self.sides == "found" else SIDES.get(self.sides),
            rgb=self.nth(number) if self.is_numbered else self.rgb,
            measurements=measurements,
            classifications=classifications,
            site=self.site,
            structure=self.key,
        )

    def missing(self) -> Segment:
        """It, looked for and not found: a segment without a voxel, and without a number of many."""
        return replace(self.segment(1), label=self.english)


def of(key: str) -> Structure:
    """A structure of the table.

    Raises
    ------
    StructuresUnusable
        There is none of this key.
    """
    found = table().get(key)
    if found is None:
        raise StructuresUnusable(f"no table has a structure {key!r}: add it to {FILE}")
    return found


@cache
def table() -> Mapping[str, Structure]:
    """Every structure by its key: the node's, then those that packages add.

    Raises
    ------
    StructuresUnusable, StructuresClash
    """
    found: dict[str, Structure] = {}
    owner: dict[str, str] = {}
    for where, text in _tables():
        for one in read(text, where):
            _require_no_clash(one, where, found, owner)
            found[one.key], owner[one.key] = one, where
    return found


def read(text: str, where: str) -> tuple[Structure, ...]:
    """The rows of one table. Raises ``StructuresUnusable``, which names table, row and part."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StructuresUnusable(f"{where}: {error}") from error
    return tuple(_structure(key, row, where) for key, row in content.items())


def _tables() -> Iterator[tuple[str, str]]:
    yield "wetread", (resources.files(__package__) / FILE).read_text(encoding="utf-8")
    for entry in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        yield f"{entry.name} ({entry.value})", _of_package(entry)


def _of_package(entry: EntryPoint) -> str:
    """The table in a package, which is found and not imported."""
    said = f"{entry.name} of {GROUP}"
    if "." in entry.value or ":" in entry.value:
        raise StructuresUnusable(f"{said} is {entry.value!r}: name a package, without a dot")
    spec = util.find_spec(entry.value)
    places = (spec.submodule_search_locations or ()) if spec else ()
    for place in places:
        path = Path(place) / FILE
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise StructuresUnusable(f"{said}: the package {entry.value!r} holds no {FILE}")


def _require_no_clash(
    one: Structure, where: str, found: Mapping[str, Structure], owner: Mapping[str, str]
) -> None:
    for other in found.values():
        theirs = owner[other.key]
        if other.key == one.key:
            raise StructuresClash(
                f"{theirs} and {where} both have a structure {one.key!r}: one needs another key"
            )
        if other.english == one.english and other.german != one.german:
            raise StructuresClash(
                f"{one.english!r} is {other.german!r} in {theirs} and {one.german!r} in {where}:"
                " the same name has to be said the same way"
            )


# --- a row ----------------------------------------------------------------------------------------


def _structure(key: str, row: object, where: str) -> Structure:
    at = f"{where}: [{key}]"
    if not isinstance(row, dict):
        raise StructuresUnusable(f"{at} is no table of a structure")
    unknown = sorted(set(row) - set(_PARTS))
    if unknown:
        raise StructuresUnusable(f"{at} has {unknown[0]!r}: known are {', '.join(_PARTS)}")
    missing = [part for part in _NEEDED if part not in row]
    if missing:
        raise StructuresUnusable(f"{at} lacks {missing[0]!r}")
    try:
        return Structure(key=key, **{part: _PARTS[part](value) for part, value in row.items()})
    except ValueError as error:
        raise StructuresUnusable(f"{at}: {error}") from error


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= 64:
        raise ValueError(f"{value!r} is no name of 1 to 64 characters")
    return value


def _code(value: Any) -> Code:
    if not isinstance(value, list) or [type(one) for one in value] != [str, str, str]:
        raise ValueError(f"{value!r} is no code: give value, coding scheme and meaning")
    if not all(value) or len(value[0]) > 16 or len(value[1]) > 16 or len(value[2]) > 64:
        raise ValueError(f"{value!r} holds a part that is empty or too long for a code")
    return Code(*value)


def _lab(value: Any) -> Lab:
    if not isinstance(value, list) or [type(one) in (int, float) for one in value] != [True] * 3:
        raise ValueError(f"{value!r} is no colour: give L*, a* and b*")
    lab = (float(value[0]), float(value[1]), float(value[2]))
    rgb_of(lab)
    return lab


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _one_of(*known: str) -> Callable[[Any], str]:
    def checked(value: Any) -> str:
        if value not in known:
            raise ValueError(f"{value!r} is none of {', '.join(known)}")
        return str(value)

    return checked


_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "english": _text,
    "german": _text,
    "category": _code,
    "kind": _code,
    "lab": _lab,
    "sides": _one_of(*SIDES),
    "site": _code,
    "is_numbered": _flag,
    "interpreted": _one_of(*INTERPRETED),
    "is_everywhere": _flag,
}
_NEEDED = ("english", "german", "category", "kind", "lab")


# --- colours --------------------------------------------------------------------------------------


_WHITE = (0.95047, 1.0, 1.08883)
"""D65, of sRGB."""
_TO_SRGB = (
    (3.24048134, -1.53715152, -0.49853633),
    (-0.96925495, 1.87599, 0.04155593),
    (0.05564664, -0.20404134, 1.05731107),
)


def rgb_of(lab: Lab) -> Rgb:
    """The nearest sRGB colour. Raises ``ValueError`` for one that no screen can show."""
    y = (lab[0] + 16) / 116
    xyz = [
        _cubed(f) * w for f, w in zip((y + lab[1] / 500, y, y - lab[2] / 200), _WHITE, strict=True)
    ]
    linear = (sum(a * b for a, b in zip(row, xyz, strict=True)) for row in _TO_SRGB)
    red, green, blue = (round(255 * _gamma(one)) for one in linear)
    if not all(0 <= one <= 255 for one in (red, green, blue)):
        raise ValueError(f"no screen can show the colour {list(lab)}: take a paler one")
    return red, green, blue


def _cubed(value: float) -> float:
    return value**3 if value > 6 / 29 else (value - 16 / 116) * 3 * (6 / 29) ** 2


def _gamma(value: float) -> float:
    return 1.055 * value ** (1 / 2.4) - 0.055 if value > 0.0031308 else 12.92 * value
