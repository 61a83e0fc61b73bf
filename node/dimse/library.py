"""pynetdicom's and pydicom's process-wide switches, set in one place and for one reason each."""

from __future__ import annotations

import logging
import time
import warnings
from types import SimpleNamespace

import pydicom.config
from pynetdicom import _config, timer


def prepare() -> None:
    """Make the libraries fit for a node: silent about data sets, and sending files as they are.

    Idempotent. Called by whatever opens associations, before it does.
    """
    # Standard handlers print PDUs and data sets, at INFO and DEBUG: personal data.
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    # Its errors repeat what this package logs, with tracebacks that may quote data sets.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    # C-STORE from a path sends the file's bytes in fragments instead of decoding them.
    _config.STORE_SEND_CHUNKED_DATASET = True
    # Its time-outs read the wall clock: one step of that by NTP would end every association.
    vars(timer)["time"] = SimpleNamespace(time=time.monotonic)
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    # What came in is not altered, so a warning about an odd value helps nobody, and quotes it.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
