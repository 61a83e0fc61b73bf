"""The help of every command: one sentence, an example that fits it, and where it is explained."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from node import cli

ROOT = Path(__file__).parents[3]
COMMANDS = get_command(cli.app).commands  # type: ignore[attr-defined]
TEXTS = "\n".join(
    path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_is_told_in_one_sentence_with_an_example_that_fits(name: str) -> None:
    command = COMMANDS[name]
    assert re.fullmatch(r"[A-Z](?:[^.]|\.(?=\w))*\.", command.help.strip()), command.help
    program, named, *words = shlex.split(command.epilog.removeprefix("Example: "))
    assert (program, named) == ("wetread", name)
    options = {one for parameter in command.params for one in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= options
    needed = [
        parameter.opts[0]
        for parameter in command.params
        if parameter.required and parameter.param_type_name == "option"
    ]
    assert set(needed) <= set(words)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_says_what_it_is_and_the_help_shows_it_whole(name: str) -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, [name, "--help"]).output
    words = " ".join(shown.replace("│", " ").split())
    assert COMMANDS[name].help.strip() in words, "nothing is taken for markup"
    for parameter in COMMANDS[name].params:
        assert parameter.help, parameter.name
        assert parameter.help in words


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_explained_in_the_readme_or_the_docs(name: str) -> None:
    assert re.search(rf"wetread {re.escape(name)}\b", TEXTS)


def test_the_exit_statuses_are_told_by_the_help_and_the_docs() -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, ["--help"]).output
    told = " ".join(shown.split())
    operation = (ROOT / "docs" / "operation.md").read_text()
    for status, words in cli.EXITS.items():
        assert f"{status} {words}" in told
        assert f"| {status} | {words} |" in operation
