"""The process that workers are copies of: it has imported what every job needs, and does nothing.

Imported by multiprocessing's fork server, never by the node. A worker that is forked from it is
there in a tenth of the time that the imports take, and shares what they hold. Nothing here may
compute: threads of a pool, or a CUDA context, do not survive a fork.
"""

from __future__ import annotations

import gc
import signal
from importlib import import_module

from node.settling import settling

WHAT_IMPORTS_MOST = ("analyzers.segmentation.lungs", "analyzers.quality.quality")
"""Analyzers that import nearly all that others do: torch, SciPy, scikit-image, cc3d."""

with settling():  # what is frozen no collection in a worker writes to, and its pages stay shared
    from analyzers import leftovers  # noqa: F401
    from analyzers.preload import preload
    from node.work import (
        inside,  # noqa: F401
        job,
    )

    job.prepare()
    for name in WHAT_IMPORTS_MOST:
        preload(import_module(name).__name__)
    gc.collect()
# A service manager's SIGTERM reaches every process; the node ends its workers itself.
signal.signal(signal.SIGTERM, lambda number, frame: None)
