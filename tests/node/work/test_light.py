"""The node's side of work holds no pixels, and loads nothing that handles them."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("cv2", "highdicom", "imagecodecs", "scipy", "skimage", "torch", "torchvision")


def test_what_gives_out_jobs_loads_nothing_that_computes_or_encodes() -> None:
    program = (
        "import sys, node.work.dispatcher, node.work.local\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (said.returncode, said.stdout.strip(), said.stderr) == (0, "", "")
