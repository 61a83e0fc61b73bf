"""What a process makes while it starts stays: nobody looks through it for garbage."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def settling() -> Iterator[None]:
    """Collect nothing meanwhile, and never what is there at the end.

    Imports make much that is kept and little that is garbage: collecting costs a fifth of their
    time. Later it would halt whoever receives or computes, again and again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def end_at_once() -> None:
    """At this process's end, too, nobody looks through what is there: it would take a fifth of the
    time of a short command, and the memory is given back whole.
    """
    atexit.register(gc.freeze)
