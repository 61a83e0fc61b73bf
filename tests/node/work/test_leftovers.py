"""What a plugin leaves behind: named as its own, not identifying, gone for the next job."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from analyzers import leftovers, registry
from node.work.executor import Verdict
from node.work.output import KEPT_BYTES
from tests.node.work.conftest import Run, numbers

pytestmark = pytest.mark.timeout(150)

PUT_BACK = {
    "handler": "signal handlers",
    "alarm": "a timer",
    "directory": "the working directory",
    "lost directory": "the working directory",
    "environment": "environment variables",
    "umask": "the file mode mask",
    "errors": "numpy's error state",
    "filters": "warning filters",
    "recursion": "the recursion limit",
    "path": "sys.path",
    "stdout": "sys.stdout",
    "seed": "the state of numpy.random",
    "random": "the state of random",
    "timeout": "the sockets' time-out",
}
LASTING = {
    "thread": "1 running thread",
    "process": "1 running process",
    "daemon": "1 running process",
    "file": "1 open file",
    "socket": "1 open file",
    "output": "standard output or error",
}


def pid(run: Run) -> float | None:
    return numbers(run("counting"))["Process identifier"]


@pytest.mark.parametrize(("mess", "name"), PUT_BACK.items())
def test_what_can_be_put_back_is_put_back_and_named(run: Run, mess: str, name: str) -> None:
    before = pid(run)
    with capture_logs() as lines:
        messy = run("messy", mess=mess)
    assert (messy.verdict, messy.left) == (Verdict.DONE, (name,))
    (line,) = [one for one in lines if one["event"] == "analyzer left something behind"]
    assert (line["analyzer"], line["job"], line["left"]) == ("messy", 1, (name,))
    assert "DOE" not in str(lines)
    assert pid(run) == before, "the worker is still good"
    assert run("messy").left == ()


def test_what_a_plugin_logs_is_counted_as_printed_and_does_not_fill_the_log(run: Run) -> None:
    with capture_logs() as lines:
        assert run("messy", mess="log").verdict is Verdict.DONE
    assert [one["event"] for one in lines] == ["analyzer_wrote_output"]
    assert "DOE" not in str(lines)


@pytest.mark.parametrize(("mess", "name"), LASTING.items())
def test_what_cannot_be_put_back_costs_the_worker_and_not_the_next_job(
    run: Run, mess: str, name: str
) -> None:
    before = pid(run)
    with capture_logs() as lines:
        messy = run("messy", mess=mess)
    assert (messy.verdict, messy.left) == (Verdict.DONE, (name,))
    assert "DOE" not in str(lines)
    after = run("counting")
    assert after.verdict is Verdict.DONE
    assert numbers(after)["Process identifier"] != before
    assert after.left == ()


def test_what_comes_of_multiprocessings_fork_server_is_the_jobs_own(run: Run) -> None:
    messy = run("messy", mess="fork server")
    assert messy.left
    assert messy.left[-1].endswith("running processes")


def test_a_worker_in_which_jobs_leave_memory_taken_is_replaced(run: Run) -> None:
    before = pid(run)
    (left,) = run("messy", mess="memory").left
    assert re.fullmatch(r"1\d\d\d MB of memory", left)
    assert pid(run) != before


def test_a_flood_of_printed_text_is_counted_and_neither_logged_nor_kept_whole(run: Run) -> None:
    with capture_logs() as lines:
        messy = run("messy", mess="print")
    assert messy.verdict is Verdict.DONE
    (line,) = [one for one in lines if one["event"] == "analyzer_wrote_output"]
    assert line["analyzer"] == "messy"
    assert line["bytes"] > 10_000_000
    assert "DOE" not in str(lines)
    assert len(messy.printed) <= KEPT_BYTES
    assert run("counting").printed == "", "the next job is not blamed for it"


def test_sys_exit_in_an_analyzer_fails_the_job_and_leaves_the_worker(run: Run) -> None:
    before = pid(run)
    failed = run("exiting")
    assert failed.verdict is Verdict.FAILED
    assert failed.reason.startswith("the analyzer raised SystemExit, which ends programs")
    assert "in analyze\n    sys.exit(3)" in failed.traceback
    assert pid(run) == before


def test_a_process_that_ends_itself_as_if_all_were_well_fails_its_job_at_once(run: Run) -> None:
    failed = run("leaver")
    assert failed.reason == "the worker process died: it ended itself with exit code 0"
    assert not failed.transient


def test_a_crash_names_the_line_of_the_analyzer_and_nothing_that_it_printed(run: Run) -> None:
    failed = run("segfault")
    assert failed.traceback.startswith("Fatal Python error: Segmentation fault")
    assert "in analyze" in failed.traceback


def test_an_import_moves_neither_the_node_nor_takes_its_signals(
    plugins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTY_LIBRARY_THREADS", "")
    before = Path.cwd(), np.geterr(), signal.getsignal(signal.SIGUSR2)
    registry.load("imported")
    assert (Path.cwd(), np.geterr(), signal.getsignal(signal.SIGUSR2)) == before


def test_what_a_library_is_told_by_the_environment_when_it_is_loaded_stays(run: Run) -> None:
    for _ in range(2):
        ended = run("imported")
        assert (ended.verdict, ended.left, ended.results.remarks) == (Verdict.DONE, (), ("1",))


def test_a_file_that_another_thread_closes_while_they_are_counted_is_not_stumbled_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    others = (tmp_path / "others").open("w")
    fstat = os.fstat

    def closed_once_seen(descriptor: int) -> os.stat_result:
        found = fstat(descriptor)
        if not others.closed and descriptor == others.fileno():
            others.close()
        return found

    monkeypatch.setattr(os, "fstat", closed_once_seen)
    then = leftovers.before()
    assert others.closed, "it was seen"
    assert not leftovers.cleared(then)
