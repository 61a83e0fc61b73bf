"""The local executor: warm workers, limits, and plugins that fail only their own job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from node.work import local, processes
from node.work.executor import Outcome, Ticket, Verdict
from node.work.local import LocalExecutor
from tests.node.work.conftest import WAIT_S, numbers, ticket
from tests.waiting import until


def run(executor: LocalExecutor, one: Ticket) -> Outcome:
    return executor.submit(one).result(timeout=WAIT_S)


@pytest.mark.timeout(150)
def test_a_worker_stays_warm_and_builds_its_analyzer_once(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    first = numbers(run(executor, ticket("counting", tmp_path, phantom_paths)))
    second = numbers(run(executor, ticket("counting", tmp_path, phantom_paths)))
    assert first["Times built in this process"] == 1
    assert second == first


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("segfault", "killed by SIGSEGV"),
        ("hang", "time limit exceeded: still running after 2 s"),
        ("glutton", "memory limit exceeded"),
        ("raise", "ZeroDivisionError: the plugin divided by zero"),
    ],
)
def test_a_plugin_that_misbehaves_fails_its_own_job_and_the_next_one_runs(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path], name: str, reason: str
) -> None:
    failed = run(executor, ticket(name, tmp_path, phantom_paths))
    assert failed.verdict is Verdict.FAILED
    assert reason in failed.reason
    assert not failed.transient
    after = run(executor, ticket("counting", tmp_path, phantom_paths))
    assert after.verdict is Verdict.DONE


@pytest.mark.timeout(150)
def test_a_plugin_that_raises_leaves_its_own_traceback(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    failed = run(executor, ticket("raise", tmp_path, phantom_paths))
    assert (
        'in analyze\n    raise ZeroDivisionError("the plugin divided by zero")' in failed.traceback
    )


@pytest.mark.timeout(150)
def test_a_crash_does_not_touch_the_neighbour(
    plugins: None, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    pair = LocalExecutor(slots=2, device="cpu")
    try:
        slow = pair.submit(ticket("slow", tmp_path, phantom_paths))
        crashed = pair.submit(ticket("segfault", tmp_path, phantom_paths))
        assert crashed.result(timeout=WAIT_S).verdict is Verdict.FAILED
        assert slow.result(timeout=WAIT_S).verdict is Verdict.DONE
    finally:
        pair.stop()


@pytest.mark.timeout(150)
def test_a_full_disk_in_the_plugin_is_transient(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    marker = str(tmp_path / "marker")
    one = ticket("flaky", tmp_path, phantom_paths, marker=marker)
    assert run(executor, one).transient
    assert run(executor, one).verdict is Verdict.DONE


@pytest.mark.timeout(150)
def test_workers_are_copies_of_one_process_that_has_imported_what_they_need(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    first = worker_pid(executor, tmp_path, phantom_paths)
    mould = processes.parent(first)
    assert mould != os.getpid()
    assert "libtorch" in Path(f"/proc/{mould}/maps").read_text()
    os.kill(first, signal.SIGKILL)
    assert processes.parent(worker_pid(executor, tmp_path, phantom_paths)) == mould


@pytest.mark.timeout(150)
def test_a_job_whose_worker_ended_with_the_mould_may_be_tried_again(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    pid = worker_pid(executor, tmp_path, phantom_paths)
    running = executor.submit(ticket("slow", tmp_path, phantom_paths))
    until(executor.progress)
    os.kill(processes.parent(pid) or 0, signal.SIGKILL)
    met = running.result(timeout=WAIT_S)
    assert met.transient
    assert met.reason == "the process that all workers are copies of has ended"
    until(lambda: not Path(f"/proc/{pid}").exists())
    again = run(executor, ticket("counting", tmp_path, phantom_paths))
    assert again.verdict is Verdict.DONE


BUSY = """
import sys, time
from pathlib import Path
from node.work.worker import Worker

def sleeps(began):
    Path(sys.argv[1]).touch()
    time.sleep(600)

if __name__ == "__main__":
    worker = Worker()
    print(worker.pid, worker._mould, flush=True)
    worker._connection.send((sleeps, ()))
    time.sleep(600)
"""
"""A node of which only the worker is there; it works on what does not end."""


@pytest.mark.timeout(150)
def test_a_worker_amid_a_task_ends_with_a_node_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(BUSY)
    began = tmp_path / "began"
    command = [sys.executable, str(tmp_path / "busy.py"), str(began)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        started = [int(word) for word in node.stdout.readline().split()]
        until(began.exists)
        assert all(processes.parent(one) for one in started)
        node.kill()
    until(lambda: not any(processes.parent(one) for one in started))


@pytest.mark.timeout(150)
def test_an_analyzer_that_declines_leaves_a_report_that_says_so(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    outcome = run(executor, ticket("declining", tmp_path, phantom_paths))
    assert outcome.verdict is Verdict.NOT_APPLICABLE
    assert outcome.reason == "nothing here is what I look for"
    assert [one.kind for one in outcome.results.objects] == ["sr"]


@pytest.mark.timeout(150)
def test_a_job_for_another_version_is_refused_by_name(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    import dataclasses

    one = dataclasses.replace(ticket("counting", tmp_path, phantom_paths), analyzer_version="0.9")
    outcome = run(executor, one)
    assert "the job is for version 0.9, 1.0 is installed" in outcome.reason


@pytest.mark.timeout(150)
def test_idle_workers_prove_themselves(executor: LocalExecutor) -> None:
    executor.prove()


@pytest.mark.timeout(150)
def test_workers_that_load_are_busy_and_those_that_are_stopped_are_not_called_silent(
    plugins: None, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    one = LocalExecutor(slots=1, device="cpu", warm=("counting",))
    one.prove()
    assert run(one, ticket("counting", tmp_path, phantom_paths)).verdict is Verdict.DONE
    (slot,) = one._slots
    go_on = threading.Event()
    slot._requests.put(lambda: go_on.wait() and None)
    with ThreadPoolExecutor(1) as thread:
        proof = thread.submit(one.prove)
        until(lambda: not slot._requests.empty())
        threading.Thread(target=one.stop).start()
        until(lambda: slot._stopped)
        go_on.set()
        proof.result(timeout=WAIT_S)


@pytest.mark.timeout(150)
def test_a_worker_that_never_comes_is_waited_for_no_longer_than_loading_may_take(
    plugins: None, tmp_path: Path, phantom_paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    class Never(local.Worker):
        def __init__(self) -> None:
            over.wait()
            raise OSError

    monkeypatch.setattr(local, "Worker", Never)
    monkeypatch.setattr(local, "LOADING_TIME_S", 0.1)
    one = LocalExecutor(slots=1, device="cpu")
    try:
        met = run(one, ticket("counting", tmp_path, phantom_paths))
        assert met.transient
        assert met.reason.endswith("no worker process was there after 0.1 s")
    finally:
        over.set()
        one.stop()


def worker_pid(executor: LocalExecutor, folder: Path, images: list[Path]) -> int:
    """The worker's process, by running a job in it."""
    found = numbers(run(executor, ticket("counting", folder, images)))
    return int(found["Process identifier"] or 0)


@pytest.mark.timeout(150)
def test_a_worker_killed_while_idle_is_replaced(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    os.kill(worker_pid(executor, tmp_path, phantom_paths), signal.SIGKILL)
    executor.prove()
    after = run(executor, ticket("counting", tmp_path, phantom_paths))
    assert after.verdict is Verdict.DONE


@pytest.mark.timeout(150)
def test_a_job_that_meets_a_worker_dying_idle_is_not_blamed_for_it(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    os.kill(worker_pid(executor, tmp_path, phantom_paths), signal.SIGKILL)
    met = run(executor, ticket("counting", tmp_path, phantom_paths))
    assert met.verdict is Verdict.DONE or met.transient
    again = run(executor, ticket("counting", tmp_path, phantom_paths))
    assert again.verdict is Verdict.DONE


@pytest.mark.timeout(150)
@pytest.mark.parametrize("broken", ["unbuildable", "fatal_start"])
def test_an_analyzer_that_does_not_load_fails_its_own_jobs_only(
    plugins: None, tmp_path: Path, phantom_paths: list[Path], broken: str
) -> None:
    one = LocalExecutor(slots=1, device="cpu", warm=(broken, "counting"))
    try:
        assert run(one, ticket("counting", tmp_path, phantom_paths)).verdict is Verdict.DONE
        assert run(one, ticket(broken, tmp_path, phantom_paths)).verdict is Verdict.FAILED
        assert run(one, ticket("counting", tmp_path, phantom_paths)).verdict is Verdict.DONE
    finally:
        one.stop()


@pytest.mark.timeout(150)
def test_a_sigterm_to_all_processes_does_not_fail_the_running_job(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    pid = worker_pid(executor, tmp_path, phantom_paths)
    running = executor.submit(ticket("slow", tmp_path, phantom_paths))
    time.sleep(0.5)
    os.kill(pid, signal.SIGTERM)
    assert running.result(timeout=WAIT_S).verdict is Verdict.DONE


@pytest.mark.timeout(150)
def test_what_runs_when_the_executor_stops_is_not_called_failed_for_good(
    plugins: None, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    one = LocalExecutor(slots=1, device="cpu")
    one.prove()
    running = one.submit(ticket("hang", tmp_path, phantom_paths))
    started = time.monotonic()
    one.stop()
    assert time.monotonic() - started < 5
    assert not running.done() or running.result().transient
    assert one.submit(ticket("counting", tmp_path, phantom_paths)).result().transient
