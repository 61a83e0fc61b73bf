"""Nobody looks for garbage where there is none worth it."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITH_GARBAGE = """
import gc, os, sys
gc.disable()
class Garbage:
    def __init__(self):
        self.itself = self
    def __del__(self, write=os.write):
        write(2, b"found")
Garbage()
{program}
"""
A_COMMAND = """
sys.argv = ["wetread", "--help"]
from node.cli import main
main()
"""


@pytest.mark.parametrize(("program", "said"), [("", "found"), (A_COMMAND, "")])
def test_a_command_ends_without_a_look_at_all_that_it_held(program: str, said: str) -> None:
    run = [sys.executable, "-c", WITH_GARBAGE.format(program=program)]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stderr == said
