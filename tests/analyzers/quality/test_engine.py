"""Tesseract kept in the process reads as the program does."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.quality import words
from analyzers.quality.engine import Engine

pytestmark = pytest.mark.skipif(not words.can_read(), reason="tesseract-ocr is not installed")


def lettered(*lines: str) -> NDArray[np.float32]:
    """A grey plane of 256 × 256 with bright lines of text."""
    noise = np.random.default_rng(0).normal(400, 60, (256, 256))
    text = np.zeros((256, 256, 3), np.uint8)
    for number, line in enumerate(lines):
        cv2.putText(text, line, (8, 40 + 50 * number), 0, 0.8, (255, 255, 255), 2)
    return np.where(text[..., 0] > 0, text[..., 0] * 16.0, noise).astype(np.float32)


PLANES = (
    lettered("PORTABLE", "SUPINE"), lettered(), lettered("LEFT lateral", "AP erect"),
)  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def test_what_it_reads_is_what_the_program_reads(engine: Engine) -> None:
    read = engine.read([words._pages([plane]) for plane in PLANES], timeout_s=60)
    assert read == [words._read_by_program([plane]) for plane in PLANES]
    assert [words._most_words(text) for text in read][1:2] == [0]
    assert words._most_words(read[0]) == 2


def test_readings_do_not_depend_on_what_was_read_before(engine: Engine) -> None:
    pages = [words._pages([plane]) for plane in PLANES]
    assert engine.read(pages[:1], 60) == engine.read(pages, 60)[:1] == engine.read(pages[:1], 60)


def test_it_leaves_no_file_open_and_the_environment_as_it_was() -> None:
    environment, files = dict(os.environ), open_files()
    Engine().read([words._pages([PLANES[0]])], timeout_s=60)
    assert dict(os.environ) == environment
    assert open_files() <= files  # what earlier tests left may be closed meanwhile


def open_files() -> set[str]:
    names = Path("/proc/self/fd").iterdir()
    return {str(one.readlink()) for one in names if one.is_symlink()} - {f"/proc/{os.getpid()}/fd"}


def test_it_computes_in_its_own_thread_alone(engine: Engine) -> None:
    page = [words._pages([PLANES[0]])]
    engine.read(page, 60)
    before = time.process_time(), time.thread_time()
    engine.read(page * 3, 60)
    assert time.process_time() - before[0] < 1.2 * (time.thread_time() - before[1])


def test_a_page_that_takes_too_long_or_is_none_is_an_error(engine: Engine) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        engine.read([words._pages([PLANES[0]])], timeout_s=0.001)
    with pytest.raises(subprocess.SubprocessError):
        engine.read([b"no image"], timeout_s=60)
    assert engine.read([words._pages([PLANES[0]])], 60)[0] == words._read_by_program([PLANES[0]])
