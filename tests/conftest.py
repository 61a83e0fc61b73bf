"""Fixtures for all tests: a synthetic patient with known anatomy, and real images if there are."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import httpx._transports.default as httpx_transports
import jinja2
import pytest
from pynetdicom.association import Association

from node.demo.phantom import ChestPhantom
from node.dimse.wakeups import Pause
from storage import database as databases
from storage.database import Database, open_database
from tests import log_lines, longest, new_databases, templates
from tests.peers import Orthanc, running_orthanc

pytest_plugins = ("pytester", "tests.postgres")

REPOSITORY = Path(__file__).resolve().parents[1]
UNPACK = REPOSITORY.parent / "shared" / "data" / "unpack"

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""Tests start hundreds of processes: each would compile the project anew, half a second of CPU."""

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 << 30
"""Free: a run leaves some hundred MB there till its end, and a test of its own as much."""

if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
    # Making an instance store takes a tenth of the CPU there, and no name waits for the disk.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

gc.set_threshold(20_000, 20, 50)
"""A quarter of the time of tests of pages went into looking through all of torch for garbage."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = longest.first(items)


@pytest.fixture(scope="session", autouse=True)
def new_databases_are_copies() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(databases, "_migrate", new_databases.by_copying)
        yield


@pytest.fixture(scope="session", autouse=True)
def authorities_are_read_once() -> Iterator[None]:
    """Every client of httpx reads all of this machine's, also where nothing is encrypted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx_transports, "create_ssl_context", cache(httpx.create_ssl_context))
        yield


@pytest.fixture(scope="session", autouse=True)
def templates_are_compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", templates.compile_once)
        yield


@pytest.fixture(autouse=True)
def logs_go_to_standard_output() -> None:
    """Also after a test that has configured the log of a node."""
    log_lines.to_standard_output()


@pytest.fixture(autouse=True)
def requestors_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """pynetdicom's requestors are peers here; on a busy machine they lose answers by themselves."""
    made = Association.__init__

    def init(self: Association, *given: Any, **named: Any) -> None:
        made(self, *given, **named)
        self._reactor_checkpoint = Pause(self.is_alive)

    monkeypatch.setattr(Association, "__init__", init)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with real studies (``studies/``); tests that need it are skipped without it."""
    given = os.environ.get("WETREAD_TEST_DATA")
    folder = Path(given) if given else Path.home() / ".cache" / "wetread-data"
    if not (folder / "studies" / ".complete").exists() and UNPACK.exists():
        subprocess.run([UNPACK, folder], check=True, capture_output=True)
    if not (folder / "studies").is_dir():
        pytest.skip(f"no real images: neither {folder}/studies nor {UNPACK} is there")
    return folder


@pytest.fixture(scope="session")
def phantom() -> ChestPhantom:
    """A synthetic chest on a coarse grid: 30 slices of 64×48, lying supine, head first."""
    return ChestPhantom.small()


@pytest.fixture(scope="session")
def phantom_folder(phantom: ChestPhantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom as a folder of single-frame CT images. Shared: do not write to it."""
    folder = tmp_path_factory.mktemp("phantom")
    phantom.write(folder)
    return folder


@pytest.fixture(scope="session")
def phantom_paths(phantom_folder: Path) -> list[Path]:
    """The phantom's images in slice order. Shared: do not write to them."""
    return sorted(phantom_folder.iterdir())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A fresh, open database of the tests' own: SQLite, in ``w.db``."""
    opened = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc for the tests of a file."""
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as one:
        yield one
