"""The log as a file and on stderr."""

from __future__ import annotations

import json
import logging
import logging.handlers
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom.config
import pytest
import structlog

from node.observe import logs
from tests.hostile import HOSTILE, found_in


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    level = logging.getLogger().level
    logging.captureWarnings(False)
    logging.getLogger("pydicom").removeFilter(logs._is_error)
    yield
    for handler in logs._configured_handlers:
        logging.getLogger().removeHandler(handler)
        handler.close()
    logs._configured_handlers.clear()
    logging.captureWarnings(False)
    logging.getLogger().setLevel(level)
    for package in ("node", "storage", "analyzers", "pydicom"):
        logging.getLogger(package).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "wetread.log").read_text("utf-8").splitlines()]


def test_an_event_is_one_line_of_json_in_utc_with_its_logger(tmp_path: Path) -> None:
    logs.configure(tmp_path / "logs", "info")
    structlog.get_logger("node.work").info("job done", job=7, note="Zürich\nline two")
    (line,) = _lines(tmp_path / "logs")
    at = datetime.fromisoformat(line.pop("timestamp"))
    assert at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert line == {
        "event": "job done", "job": 7, "note": "Zürich\nline two",
        "level": "info", "logger": "node.work",
    }  # fmt: skip


def test_the_level_holds_for_the_node_and_libraries_are_heard_from_warning(tmp_path: Path) -> None:
    logs.configure(tmp_path, "debug")
    structlog.get_logger("node.work").debug("near")
    for library in ("uvicorn.error", "pynetdicom.assoc", "sqlalchemy.engine"):
        logging.getLogger(library).info("chatter")
        logging.getLogger(library).warning("odd %s", library)
    said = [(line["event"], line["level"]) for line in _lines(tmp_path)]
    assert said == [
        ("near", "debug"), ("odd uvicorn.error", "warning"), ("odd pynetdicom.assoc", "warning"),
        ("odd sqlalchemy.engine", "warning"),
    ]  # fmt: skip


def test_libraries_are_redacted_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(tmp_path)
    logging.getLogger("pynetdicom").error("no %s of %s", "1.2.840.10008.1.1", "Doe^Jane")
    try:
        raise ValueError("bad value Doe^Jane in 2.25.1234567890123")
    except ValueError:
        structlog.get_logger("node").exception("failed", patient_id="P1")
    for text in ((tmp_path / "wetread.log").read_text("utf-8"), capsys.readouterr().err):
        assert "ValueError" in text
        for secret in ("Doe", "Jane", "1.2.840", "2.25.12", "P1"):
            assert secret not in text


def test_warnings_of_pydicom_keep_their_values_to_themselves(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.configure(tmp_path)
        warnings.warn("Invalid value for VR LO: 'Jane'", UserWarning, stacklevel=1)
    (line,) = _lines(tmp_path)
    assert line["event"].endswith(": UserWarning")
    assert "Jane" not in json.dumps(line)


def test_the_log_of_pydicom_says_errors_only_whenever_it_is_imported(tmp_path: Path) -> None:
    logs.configure(tmp_path)
    pydicom.config.debug(debug_on=False)  # as its import does: the level is WARNING again
    pydicom.config.logger.warning("Invalid value for VR LO: 'Jane'")
    pydicom.config.logger.error("cannot be read")
    (line,) = _lines(tmp_path)
    assert line["event"] == "cannot be read"


def test_without_a_folder_only_stderr_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(None)
    structlog.get_logger("node").warning("look", port=104)
    written = capsys.readouterr()
    assert "look" in written.err
    assert "port=104" in written.err
    assert written.out == ""


def test_configuring_twice_does_not_log_twice(tmp_path: Path) -> None:
    logs.configure(tmp_path)
    logs.configure(tmp_path)
    structlog.get_logger("node").info("once")
    assert len(_lines(tmp_path)) == 1


def test_the_file_is_rotated_and_old_ones_go(tmp_path: Path) -> None:
    logs.configure(tmp_path, max_bytes=2000, kept_files=2)
    for number in range(100):
        structlog.get_logger("node").info("line", number=number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["wetread.log", "wetread.log.1", "wetread.log.2"]
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 2000
    assert _lines(tmp_path)[-1]["number"] == 99


def test_no_text_of_others_becomes_a_line_or_moves_the_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(tmp_path)
    structlog.get_logger("node").warning("refused", calling_ae=HOSTILE, of={"a": [HOSTILE]})
    structlog.get_logger("node").warning(HOSTILE)
    logging.getLogger("pynetdicom.acse").warning("no %s", HOSTILE)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        structlog.get_logger("node").exception("failed")
    console = capsys.readouterr().err
    assert found_in(console) == []
    assert [one for one in console.split("\n") if one.startswith("2")] == [
        one for one in console.split("\n") if one and not one.startswith(" ")
    ]
    written = (tmp_path / "wetread.log").read_text("utf-8")
    assert found_in(written) == []
    refused, said, of_library, failed = _lines(tmp_path)
    assert (refused["calling_ae"], refused["of"]["a"], said["event"]) == (
        HOSTILE,
        [HOSTILE],
        HOSTILE,
    )
    assert of_library["event"] == f"no {HOSTILE}"
    assert HOSTILE in failed["exception"]
