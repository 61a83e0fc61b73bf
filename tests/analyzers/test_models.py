"""What an analyzer has learned is part of what it is: known by digest, before anything runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any

import pytest

from analyzers import registry
from analyzers.declaration import faults
from analyzers.detection import nodule_model
from analyzers.models import stored_model

SHIPPED = stored_model.SHIPPED
TRAINED_ONLY = {"breastmnist", "pneumoniamnist"}
"""Models that no analyzer reads: for `wetread evaluate`."""

LEARNER = """
from analyzers.contract import Findings, InputContract, Limits, NoParameters


class Learner:
    name, version, title = "learner", "1.0", "Learner"
    inputs, limits, parameters = InputContract(frozenset({"CT"})), Limits(), NoParameters
    models = ("learned/weights.toml",)

    def __init__(self, device: str) -> None: ...

    def analyze(self, volume, parameters):
        return Findings()
"""


def declared(name: str) -> set[str]:
    paths: tuple[str, ...] = getattr(registry.load(name), "models", ())
    return {Path(path).parent.name for path in paths}


def test_every_shipped_model_is_declared_by_the_analyzer_that_reads_it() -> None:
    shipped = {path.name for path in SHIPPED.iterdir() if path.is_dir()}
    assert set().union(*map(declared, registry.names())) == shipped - TRAINED_ONLY


def test_what_an_analyzer_reads_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    known = stored_model.load
    monkeypatch.setattr(
        stored_model, "load", lambda name, *more: read.append(name) or known(name, *more)
    )
    of_nodules = nodule_model.load
    monkeypatch.setattr(
        nodule_model, "load", lambda *more: read.append("lung_nodule") or of_nodules(*more)
    )
    for name in registry.names():
        read.clear()
        registry.load(name)("cpu")
        assert set(read) <= declared(name), name


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with an analyzer that has learned something."""
    folder = tmp_path / "learner_package"
    (folder / "learned").mkdir(parents=True)
    (folder / "__init__.py").write_text(LEARNER)
    (folder / "learned" / "weights.toml").write_text('sha256 = "one"')
    monkeypatch.syspath_prepend(tmp_path)
    invalidate_caches()
    found: Any = import_module("learner_package").Learner
    monkeypatch.setattr(registry, "load", lambda name: found)
    registry.weights.cache_clear()
    yield folder
    registry.weights.cache_clear()
    del sys.modules["learner_package"]


def test_a_retrained_model_has_other_weights(package: Path) -> None:
    before = registry.info("learner").weights
    (package / "learned" / "weights.toml").write_text('sha256 = "two"')
    assert registry.info("learner").weights == before, "what a process has read is what it runs"
    registry.weights.cache_clear()
    assert registry.info("learner").weights not in ("", before)


def test_a_model_that_is_not_there_is_named(package: Path) -> None:
    (package / "learned" / "weights.toml").unlink()
    with pytest.raises(registry.BrokenAnalyzer, match=r"its model learned/weights\.toml cannot"):
        registry.info("learner")


def test_an_analyzer_that_has_learned_nothing_has_no_weights() -> None:
    assert registry.info("gaussian_filter").weights == ""


def test_models_that_are_no_paths_are_a_fault_of_the_declaration(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = registry.load("learner")
    monkeypatch.setattr(found, "models", "weights.toml")
    assert any("models is no tuple of paths" in fault for fault in faults(found))
