"""The package that ``wetread new-analyzer`` lays out is whole: its own tests pass at once."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from analyzers.template import LONGEST, CannotLayOut, lay_out
from node.commands import new_analyzer
from node.errors import SettingsError

REPOSITORY = Path(__file__).parents[2]


def registered(home: Path) -> None:
    """What an installer writes beside a package, so that its entry point is found."""
    project = tomllib.loads((home / "pyproject.toml").read_text())["project"]
    info = home / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    entries = project["entry-points"]["wetread.analyzers"]
    lines = "".join(f"{name} = {where}\n" for name, where in entries.items())
    (info / "entry_points.txt").write_text(f"[wetread.analyzers]\n{lines}")


def test_the_tests_of_a_new_package_pass(tmp_path: Path) -> None:
    home = lay_out("trapped_air_2", tmp_path / "mine")
    registered(home)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=home,
        env={
            "PYTHONPATH": f"{home}:{REPOSITORY}",
            "PATH": "/usr/bin:/bin",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "failed" not in done.stdout


def test_a_new_package_is_written_as_the_house_writes(tmp_path: Path) -> None:
    home = lay_out("trapped_air", tmp_path)
    for check in (["check", "--select", "E,F,W,I,B,UP,RUF"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--line-length", "100", "."],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "name", ["", "Air", "2air", "air-way", "air__way", "_air", "air_", "../air", "air way", "größe"]
)
def test_what_is_no_name_is_refused_with_what_is_accepted(name: str, tmp_path: Path) -> None:
    with pytest.raises(CannotLayOut, match="lower case letters, digits and single underscores"):
        lay_out(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_long_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotLayOut, match=f"at most {LONGEST}"):
        lay_out("a" * (LONGEST + 1), tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "air").mkdir()
    (tmp_path / "air" / "README.md").write_text("mine")
    with pytest.raises(CannotLayOut, match="is there already"):
        lay_out("air", tmp_path)
    assert [path.name for path in (tmp_path / "air").iterdir()] == ["README.md"]
    assert (tmp_path / "air" / "README.md").read_text() == "mine"


def test_the_command_says_what_comes_next_and_refuses_names_that_are_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new_analyzer.new_analyzer("trapped_air", tmp_path) == 0
    shown = capsys.readouterr().out
    assert "pip install -e ." in shown
    assert "wetread analyzers trapped_air" in shown
    with pytest.raises(SettingsError, match="'fusion' is installed already"):
        new_analyzer.new_analyzer("fusion", tmp_path)
    with pytest.raises(SettingsError, match="is there already"):
        new_analyzer.new_analyzer("trapped_air", tmp_path)
