"""The process-wide switches."""

from __future__ import annotations

import subprocess
import sys

import pytest

from node.dimse.library import POOLS

COUNT = """
import ctypes, os, sys, threading
if sys.argv[1] == "prepared":
    from node.dimse import library
    library.prepare()
together = threading.Barrier(12)

def work():
    together.wait()
    kept = [bytes(1000 + n) for n in range(1000)]
    together.wait()

threads = [threading.Thread(target=work) for _ in range(12)]
for one in threads:
    one.start()
for one in threads:
    one.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
reading, writing = os.pipe()
stream = ctypes.c_void_p(libc.fdopen(writing, b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
print(open(reading).read().count("<heap nr="))
"""


def pools(how: str) -> int:
    ran = subprocess.run(
        [sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(ran.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's own statistics")
def test_many_threads_share_few_pools_of_freed_memory() -> None:
    assert pools("prepared") <= POOLS
    assert pools("as it comes") > POOLS
