"""How a URL of the viewer says what is to be seen: rows, slices and windows; no UID, no name.

``Asked`` is what it says, and makes the URLs of what is one click away.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Query

from node.results.pictures.windows import Window

NONE = "none"
AS_GIVEN = "given"
_ROWS = re.compile(r"[0-9]{1,18}(,[0-9]{1,18}){0,31}")
_PAIRS = re.compile(r"[0-9]{1,18}\.[0-9]{1,9}(,[0-9]{1,18}\.[0-9]{1,9}){0,499}")
_LARGEST = 2**63 - 1
FILLED, OUTLINED = "filled", "outlined"
OPACITIES = (25, 50, 75, 100)


@dataclass(frozen=True, slots=True)
class Asked:
    """slice: counted from 1. objects: None: what is found first. window: None: what suits.

    without: entries of the legend that are not drawn, by the row of their object and their number.
    """

    series: int | None = None
    slice: int | None = None
    objects: tuple[int, ...] | None = None
    window: Window | None = None
    as_given: bool = False
    filled: bool = True
    opacity: int = 100
    without: frozenset[tuple[int, int]] = frozenset()
    beside: int | None = None
    """The series that is shown beside it; 0: none; None: what it was made from."""

    def but(self, **changed: Any) -> str:
        """The query of the same with something changed; with its question mark."""
        text = urlencode(replace(self, **changed)._said(), safe=",.")
        return f"?{text}" if text else ""

    @property
    def query(self) -> str:
        return self.but()

    def _said(self) -> dict[str, str]:
        said: dict[str, str] = {}
        if self.series is not None:
            said["series"] = str(self.series)
        if self.slice is not None:
            said["slice"] = str(self.slice)
        if self.objects is not None:
            said["object"] = ",".join(map(str, self.objects)) or NONE
        if self.as_given or self.window is not None:
            said["window"] = AS_GIVEN if self.window is None else window_text(self.window)
        if not self.filled:
            said["style"] = OUTLINED
        if self.opacity != 100:
            said["opacity"] = str(self.opacity)
        if self.without:
            said["without"] = ",".join(f"{row}.{number}" for row, number in sorted(self.without))
        if self.beside is not None:
            said["beside"] = str(self.beside)
        return said


def window_text(window: Window) -> str:
    """As URLs say it: the lowest and the highest value, and whether they are turned over."""
    numbers = ",".join(f"{one:.6g}" for one in (window.low, window.high))
    return f"{numbers},negative" if window.is_negative else numbers


def _query(
    series: Annotated[int | None, Query(ge=0, le=_LARGEST)] = None,
    slice_: Annotated[int | None, Query(alias="slice", ge=1, le=10**9)] = None,
    object_: Annotated[str | None, Query(alias="object", max_length=640)] = None,
    window: Annotated[str | None, Query(max_length=64)] = None,
    style: Annotated[str, Query(pattern=f"^({FILLED}|{OUTLINED})$")] = FILLED,
    opacity: Annotated[int, Query(ge=0, le=100)] = 100,
    without: Annotated[str | None, Query(max_length=4000)] = None,
    beside: Annotated[int | None, Query(ge=0, le=_LARGEST)] = None,
) -> Asked:
    return Asked(
        series,
        slice_,
        _rows(object_),
        None if window in (None, "", AS_GIVEN) else read_window(window or ""),
        window == AS_GIVEN,
        style == FILLED,
        opacity,
        _pairs(without),
        beside,
    )


QueryOf = Annotated[Asked, Depends(_query)]


def _rows(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    if text in (NONE, ""):
        return ()
    if not _ROWS.fullmatch(text):
        raise HTTPException(422, "query.object: row numbers with commas between, or none")
    return tuple(dict.fromkeys(int(one) for one in text.split(",")))


def _pairs(text: str | None) -> frozenset[tuple[int, int]]:
    if not text:
        return frozenset()
    if not _PAIRS.fullmatch(text):
        raise HTTPException(422, "query.without: object.number with commas between")
    pairs = (one.split(".") for one in text.split(","))
    return frozenset((int(row), int(number)) for row, number in pairs)


def read_window(text: str) -> Window:
    """Raises HTTPException."""
    try:
        low, high, *rest = text.split(",")
        window = Window(float(low), float(high), rest == ["negative"])
        if rest not in ([], ["negative"]) or not _is_sound(window):
            raise ValueError("senseless")
    except ValueError as error:
        sentence = "query.window: lowest,highest or lowest,highest,negative, or given"
        raise HTTPException(422, sentence) from error
    return window


def _is_sound(window: Window) -> bool:
    return math.isfinite(window.low) and math.isfinite(window.high) and window.low < window.high
