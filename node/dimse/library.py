"""Process-wide switches of pynetdicom, pydicom and the C library: one place, a reason each."""

from __future__ import annotations

import ctypes
import logging
import time
import warnings
from types import SimpleNamespace

import pydicom.config
from pynetdicom import _config, timer

POOLS = 2
"""Of freed memory, for all threads together."""
_M_ARENA_MAX = -8
"""malloc.h of glibc."""


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
    _share_freed_memory()


def _share_freed_memory() -> None:
    """Every association has threads, and glibc keeps freed memory apart for up to 8 a core.

    What lies there is hardly given back: a node that many peers have visited seemed to leak.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl keeps none
        mallopt(_M_ARENA_MAX, POOLS)
