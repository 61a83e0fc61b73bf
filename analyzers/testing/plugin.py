"""Pytest plugin: ``--analyzer NAME`` runs the contract's suite on an installed analyzer."""

from __future__ import annotations

from pathlib import Path

import pytest

_INSTALLED = Path(__file__).with_name("installed.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("wetread").addoption(
        "--analyzer",
        action="append",
        default=[],
        metavar="NAME",
        help="run the contract's test suite on this installed analyzer (may be repeated)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("analyzer"):
        return
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = []
    config.args = [*config.args, str(_INSTALLED)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test of a suite for each analyzer it names, else for each that was asked for."""
    if "analyzer_name" not in metafunc.fixturenames:
        return
    asked = metafunc.config.getoption("analyzer")
    names = getattr(metafunc.cls, "analyzers", ()) or asked
    metafunc.parametrize("analyzer_name", names, scope="class")
