"""Fixtures of the tests about jobs: the misbehaving analyzers, and workers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analyzers import registry
from node.work.executor import Outcome, Ticket
from node.work.local import LocalExecutor
from storage.files.results import JobFolder

PLUGINS = Path(__file__).parents[2] / "plugins"
WAIT_S = 100

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def plugins() -> Iterator[None]:
    """The misbehaving analyzers, as an installed package would offer them."""
    sys.path.insert(0, str(PLUGINS))
    registry._entries.cache_clear()
    yield
    sys.path.remove(str(PLUGINS))
    registry._entries.cache_clear()
    registry.load.cache_clear()


@pytest.fixture(scope="module")
def executor(plugins: None) -> Iterator[LocalExecutor]:
    """One warm worker."""
    one = LocalExecutor(slots=1, device="cpu", warm=("counting",))
    yield one
    one.stop()


def ticket(name: str, folder: Path, images: list[Path], **parameters: object) -> Ticket:
    found = registry.info(name)
    (folder / name).mkdir(exist_ok=True)
    return Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer=name,
        analyzer_version=found.version,
        parameters=parameters,
        instances=tuple(images),
        place=JobFolder(folder / name),
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
        limits=found.limits,
        title=found.title,
    )


@pytest.fixture
def run(executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]) -> Run:
    """Have the worker run an analyzer on the phantom; keywords are its parameters."""

    def run_one(name: str, **parameters: object) -> Outcome:
        one = ticket(name, tmp_path, phantom_paths, **parameters)
        return executor.submit(one).result(timeout=WAIT_S)

    return run_one


def numbers(outcome: Outcome) -> dict[str, float | None]:
    return {row.name: row.value for row in outcome.results.findings}
