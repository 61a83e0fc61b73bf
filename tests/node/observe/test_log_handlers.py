"""A full disk and a console that nobody reads hold nobody up, and what was lost is counted."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.observe.log_handlers import Console, LogFile

LINES = 200


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("node", logging.INFO, __file__, 1, text, None, None)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[LogFile]:
    handler = LogFile(tmp_path / "wetread.log", encoding="utf-8")
    yield handler
    handler.close()


def test_a_full_disk_costs_lines_that_are_counted_and_prints_nothing(
    file: LogFile, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    disk = file.stream
    with Path("/dev/full").open("w") as full:
        file.stream = full
        for number in range(LINES):
            file.handle(record(f"{number} {'x' * 20_000}"))
        file.stream = disk
        file.handle(record("there is room again"))
    written = (tmp_path / "wetread.log").read_text().splitlines()
    assert written == ["there is room again", f"{LINES} lines could not be written here"]
    captured = capfd.readouterr()
    assert captured.err == captured.out == ""


def test_a_console_that_nobody_reads_stops_nobody() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as stream:
        console = Console(stream, patience_s=0.01)
        for _ in range(LINES):
            console.handle(record("x" * 4000))  # 800 kB; a pipe holds 64
        os.set_blocking(reading, False)
        held = reader.read()
        console.handle(record("read again"))
        said = reader.read().decode().splitlines()
    kept = held.count(b"\n")
    assert 0 < kept < LINES
    assert said[-1] == "read again"
    assert "lines could not be written here" in said[-2]


def test_a_console_that_is_closed_stops_nobody() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        console = Console(stream)
        console.handle(record("nobody there"))
        console.handle(record("nobody there"))
