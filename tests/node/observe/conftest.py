"""Logs are tested with pynetdicom's logger as it comes: what ran before may have silenced it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def pynetdicom_logs() -> Iterator[None]:
    logger = logging.getLogger("pynetdicom")
    before = logger.level
    logger.setLevel(logging.NOTSET)
    yield
    logger.setLevel(before)
