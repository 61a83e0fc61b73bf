"""A worker's memory: what counts, and what is said of a job that took too much."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from analyzers.contract import Limits
from node.work import processes
from node.work.executor import Verdict
from node.work.local import LocalExecutor
from tests.node.work.conftest import WAIT_S, Run, numbers, ticket

pytestmark = pytest.mark.timeout(150)


def test_an_analyzer_that_takes_nothing_runs_under_a_limit_below_what_an_idle_worker_holds(
    run: Run,
) -> None:
    pid = int(numbers(run("counting"))["Process identifier"] or 0)
    assert processes.held_mb(pid) > Limits(memory_mb=64).memory_mb
    assert run("frugal").verdict is Verdict.DONE


def test_a_first_job_is_not_charged_for_what_the_node_loads(
    plugins: None, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    cold = LocalExecutor(slots=1, device="cpu")
    try:
        first = cold.submit(ticket("frugal", tmp_path, phantom_paths)).result(timeout=WAIT_S)
    finally:
        cold.stop()
    assert (first.verdict, first.reason) == (Verdict.DONE, "")


def test_what_an_analyzer_loads_is_not_counted_among_what_a_run_takes(run: Run) -> None:
    first, second = run("heavy"), run("heavy")
    assert (first.verdict, first.reason) == (Verdict.DONE, "")
    assert second.verdict is Verdict.DONE


def test_a_job_over_its_memory_limit_fails_for_good_and_is_told_which_and_by_how_much(
    run: Run,
) -> None:
    failed = run("glutton")
    found = re.fullmatch(
        r"memory limit exceeded: the job took (\d+) MB beyond the (\d+) MB of the idle worker, "
        r"memory_mb allows 900 MB",
        failed.reason,
    )
    assert found, failed.reason
    assert int(found[1]) > 900
    assert int(found[2]) > 0
    assert not failed.transient
    assert "more memory" in failed.told


def test_what_a_child_process_takes_is_counted_and_the_child_does_not_outlive_the_job(
    run: Run,
) -> None:
    failed = run("parent")
    assert "memory limit exceeded" in failed.reason
    commands = [
        (entry / "cmdline").read_bytes() for entry in Path("/proc").iterdir() if _is_mine(entry)
    ]
    assert not [one for one in commands if b"400 << 20" in one]


def _is_mine(entry: Path) -> bool:
    return entry.name.isdigit() and os.access(entry / "cmdline", os.R_OK)


GROUP = Path("/sys/fs/cgroup/memory/wetread-test")


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group in which 300 MB more than a worker holds is too much for the kernel."""
    try:
        GROUP.mkdir()
    except OSError:
        pytest.skip("no memory control group can be made here")
    yield GROUP
    with suppress(OSError):
        GROUP.rmdir()


def test_the_kernels_out_of_memory_killer_is_told_apart_from_a_crash_and_may_pass(
    plugins: None, small_group: Path, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    one = LocalExecutor(slots=1, device="cpu")
    try:
        first = one.submit(ticket("counting", tmp_path, phantom_paths)).result(timeout=WAIT_S)
        pid = int(numbers(first)["Process identifier"] or 0)
        (small_group / "memory.limit_in_bytes").write_text(str(300 << 20))
        (small_group / "cgroup.procs").write_text(str(pid))
        failed = one.submit(ticket("glutton", tmp_path, phantom_paths)).result(timeout=WAIT_S)
    finally:
        one.stop()
    assert failed.reason.startswith("the machine had no memory left, and the system ended the")
    assert "memory_mb allows 900 MB" in failed.reason
    assert failed.transient


def test_a_kill_from_outside_is_not_called_a_want_of_memory(run: Run) -> None:
    assert run("killed").reason == "the worker process died: killed by SIGKILL"
