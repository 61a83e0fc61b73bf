"""What workers are copies of."""

from __future__ import annotations

import pytest

from node.work.worker import Allowance, Worker
from tests.node.work.collected import collections
from tests.node.work.conftest import WAIT_S

MANY = 100
"""Imports of that size make a multiple of it where they are not kept from it."""


@pytest.mark.timeout(150)
def test_it_looks_for_no_garbage_while_it_imports() -> None:
    worker = Worker()
    try:
        counted = worker.ask(collections, (), Allowance(WAIT_S)).answer
    finally:
        worker.close()
    assert counted.fault == ""
    assert counted.value < MANY
