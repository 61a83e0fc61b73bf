"""Reads lettering with Tesseract where it is installed; only how many words there are leaves here.

Tesseract is a program of its own (Debian's package tesseract-ocr). Images go to it through a pipe:
no file of them is written.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

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
_SPARSE_TEXT = "11"
"""Page segmentation mode: as much text as possible, in no order."""


def can_read() -> bool:
    """Whether Tesseract is installed."""
    return shutil.which(PROGRAM) is not None


def words_in(plane: NDArray[Any]) -> int:
    """How many words of three letters or more are read in one slice ``(row, column)``.

    Raises
    ------
    subprocess.SubprocessError
        Tesseract failed, or took longer than a minute.
    OSError
        It is not installed.
    """
    done = subprocess.run(
        [PROGRAM, "stdin", "stdout", "--psm", _SPARSE_TEXT, "tsv"],
        input=_page(plane),
        capture_output=True,
        check=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
    )
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return sum(_is_word(line.split("\t")) for line in lines[1:])


def _is_word(columns: list[str]) -> bool:
    """Columns of Tesseract's TSV: the last two are confidence and text."""
    if len(columns) < 12:
        return False
    letters = _NO_LETTER.sub("", columns[11])
    return float(columns[10]) >= LEAST_CONFIDENCE and len(letters) >= LEAST_LETTERS


def _page(plane: NDArray[Any]) -> bytes:
    """Dark on light, as print is, as a PNG file."""
    values = np.nan_to_num(plane.astype(np.float32))
    low, high = np.percentile(values, (0.5, 99.9))
    grey = np.clip((values - low) / max(float(high - low), 1e-6), 0, 1)
    longest = max(grey.shape)
    if longest <= SMALL:
        grey = cv2.resize(grey, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
    elif longest > LARGE:
        share = LARGE / longest
        grey = cv2.resize(grey, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    page = np.clip(255 * (1 - grey), 0, 255).astype(np.uint8)
    return cv2.imencode(".png", page)[1].tobytes()
