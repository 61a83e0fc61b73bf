"""The viewer where no other host can be reached: a network namespace without a route."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.node.web.viewer import ohif

ALONE = ("unshare", "--map-root-user", "--net", "--")
INSIDE = 'ip link set lo up && test -z "$(ip route)" && exec "$@"'
SHOWN = "test_the_list_leads_to_the_lungs_on_the_image_and_asks_no_other_host"


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(300)
def test_without_a_route_to_anywhere_the_finding_is_seen_all_the_same(tmp_path: Path) -> None:
    ohif.installed_ohif()
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("unshare or ip is not installed: nothing is shown without a network")
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces are not permitted: nothing is shown without a network")
    asked = f"{Path(__file__).with_name('test_overlay.py')}::{SHOWN}"
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", asked]
    tests += [f"--basetemp={tmp_path / 'inside'}"]
    done = subprocess.run(
        [*ALONE, "sh", "-c", INSIDE, "sh", *tests],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "1 passed" in done.stdout, done.stdout[-3000:]
