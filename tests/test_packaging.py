"""What an installation gets: the lock, the licences, and one way to each variant."""

from __future__ import annotations

import runpy
import tomllib
from importlib.metadata import distributions, requires
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
notice: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "notice.py"))


_here = {canonicalize_name(one.name) for one in distributions()}
PLAIN = [name for name in notice["plain"]() if name in _here]
"""Without CUDA's, where PyTorch's CPU build is installed."""


def _pins() -> list[Requirement]:
    lines = LOCK.read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith((" ", "#"))]


def _asked() -> list[Requirement]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    texts = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    return [one for one in map(Requirement, texts) if one.name != project["name"]]


def _version(pin: Requirement) -> str:
    (exact,) = pin.specifier
    assert exact.operator == "=="
    return exact.version


@pytest.mark.parametrize("asked", _asked(), ids=str)
def test_the_lock_pins_what_pyproject_asks_for_within_its_bounds(asked: Requirement) -> None:
    name = canonicalize_name(asked.name)
    pins = [pin for pin in _pins() if canonicalize_name(pin.name) == name]
    assert pins, f"{name} is not in requirements.lock: make lock"
    for pin in pins:
        assert asked.specifier.contains(_version(pin)), f"{pin} is out of bounds: make lock"


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_has_one_version_of_each_package_for_each_python(python: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.5"}
    names = [
        canonicalize_name(pin.name)
        for pin in _pins()
        if pin.marker is None or pin.marker.evaluate(environment)
    ]
    assert len(names) == len(set(names))
    assert set(notice["plain"]()) - set(names) == set()


def test_whatever_an_installed_package_of_the_lock_needs_is_in_the_lock() -> None:
    known = {canonicalize_name(pin.name) for pin in _pins()}
    for name in PLAIN:
        for needed in map(Requirement, requires(name) or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in known, f"{name} needs {needed.name}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.lock")), ids=lambda one: one.name)
def test_a_lock_names_no_place_but_that_of_pytorchs_cpu_builds(path: Path) -> None:
    places = [line for line in path.read_text().splitlines() if "://" in line]
    of_pytorch = ["--extra-index-url https://download.pytorch.org/whl/cpu"]
    assert places == (of_pytorch if path.stem == "requirements-cpu" else [])


def test_the_notice_names_every_package_of_the_plain_install_and_no_other() -> None:
    text = (ROOT / "NOTICE").read_text()
    names = [line.split()[0] for line in text.removeprefix(notice["HEAD"]).splitlines()]
    assert tuple(names) == notice["plain"](), "make notice"


@pytest.mark.parametrize("name", PLAIN)
def test_no_package_of_the_plain_install_stands_under_the_gpl(name: str) -> None:
    licence = notice["licence"](name)
    assert licence, f"{name} says nothing of its licence: read its licence file"
    assert "GPL" not in licence.replace("LGPL", "")


def test_the_cpu_constraints_hold_the_same_versions_and_keep_cuda_out() -> None:
    lines = (ROOT / "requirements-cpu.lock").read_text().splitlines()
    assert "-c requirements.lock" in lines
    kept_out = {Requirement(one).name for one in lines if one.endswith("<0")}
    assert kept_out == {"cuda-toolkit", "triton"}
