"""Reads lettering with Tesseract where it is installed; only how many words there are leaves here.

Tesseract is a program of its own (Debian's package tesseract-ocr), which is kept in this process
where its library is of the version that ``engine`` knows. Else images go to it through a pipe: no
file of them is written.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.quality.engine import engine

PROGRAM = "tesseract"
LEAST_CONFIDENCE = 70.0
"""Per cent."""
LEAST_LETTERS = 3
LEAST_WORDS = 2
"""It is lettering from here on: of 67 real planes without any, one gave a word, none gave two."""
ZOOM = 2
SMALL, LARGE = 1536, 2048
"""Images of up to so many pixels a side are enlarged, as letters of a screen are smaller than a
page's; beyond so many they are reduced, for time."""
TIMEOUT_S = 60.0

_NO_LETTER = re.compile(r"[^0-9A-Za-z]")
_UNCOMPRESSED = 1
"""Compression (0103) of TIFF."""
_SPARSE_TEXT = "11"
"""Page segmentation mode: as much text as possible, in no order."""


def can_read() -> bool:
    """Whether Tesseract is installed."""
    return shutil.which(PROGRAM) is not None


def prepare() -> None:
    """Load what reads, so that it is not the first image's time."""
    if can_read():
        engine()


def words_in(planes: Sequence[NDArray[Any]]) -> int:
    """The most words of three letters or more that are read in a slice ``(row, column)``.

    All are read by one engine: starting it takes longer than reading.

    Raises
    ------
    subprocess.SubprocessError
        Tesseract failed, or took longer than a minute a slice.
    OSError
        It is not installed.
    """
    if not len(planes):
        return 0
    kept = engine()
    if kept is None:
        return _most_words(_read_by_program(planes))
    return max(map(_most_words, kept.read([_pages([one]) for one in planes], TIMEOUT_S)))


def _read_by_program(planes: Sequence[NDArray[Any]]) -> str:
    """What stands on all of them, as TSV."""
    done = subprocess.run(
        [PROGRAM, "stdin", "stdout", "--psm", _SPARSE_TEXT, "tsv"],
        input=_pages(planes),
        capture_output=True,
        check=True,
        timeout=TIMEOUT_S * len(planes),
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
    )
    return done.stdout.decode("utf-8", "replace").partition("\n")[2]


def _most_words(text: str) -> int:
    """On one page."""
    rows = [line.split("\t") for line in text.splitlines()]
    words = Counter(row[1] for row in rows if _is_word(row))
    return max(words.values(), default=0)


def _is_word(columns: list[str]) -> bool:
    """Columns of Tesseract's TSV: the second is the page, the last two are confidence and text."""
    if len(columns) < 12:
        return False
    letters = _NO_LETTER.sub("", columns[11])
    return float(columns[10]) >= LEAST_CONFIDENCE and len(letters) >= LEAST_LETTERS


def _pages(planes: Sequence[NDArray[Any]]) -> bytes:
    """The slices as a TIFF file, uncompressed."""
    options = [cv2.IMWRITE_TIFF_COMPRESSION, _UNCOMPRESSED]
    return cv2.imencodemulti(".tiff", [_page(plane) for plane in planes], options)[1].tobytes()


def _page(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """Dark on light, as print is."""
    values = np.nan_to_num(plane.astype(np.float32))
    low, high = np.percentile(values, (0.5, 99.9))
    grey = np.clip((values - low) / max(float(high - low), 1e-6), 0, 1)
    longest = max(grey.shape)
    if longest <= SMALL:
        grey = cv2.resize(grey, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
    elif longest > LARGE:
        share = LARGE / longest
        grey = cv2.resize(grey, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    page: NDArray[np.uint8] = np.clip(255 * (1 - grey), 0, 255).astype(np.uint8)
    return page
