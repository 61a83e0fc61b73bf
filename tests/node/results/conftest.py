"""Results are tested with pydicom as it comes: whatever ran before may have silenced it."""

from __future__ import annotations

from collections.abc import Iterator

import pydicom.config
import pytest


@pytest.fixture(autouse=True)
def pydicom_warns() -> Iterator[None]:
    before = pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.reading_validation_mode = pydicom.config.WARN
    yield
    pydicom.config.settings.reading_validation_mode = before
