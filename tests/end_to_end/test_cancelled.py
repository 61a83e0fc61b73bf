"""A real node whose job is cancelled, whose queue is suspended, and which is killed meanwhile."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from storage.records import JobState
from tests.end_to_end.test_faults import command, push
from tests.node_process import Node, rule
from tests.waiting import until


def post(node: Node, path: str, **body: object) -> httpx.Response:
    url = f"http://127.0.0.1:{node.http_port}{path}"
    return httpx.post(url, json=body, headers={"X-Wetread": "1"}, timeout=60)


def is_analyzing(node: Node) -> bool:
    running = node.get("/api/queue").json()["running"]
    return [one["stage"] for one in running] == ["analyzing"]


def is_analyzing_job(node: Node) -> bool:
    return is_analyzing(node) and node.state().jobs[0].state is JobState.RUNNING


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cancelled_job_and_a_suspended_queue_survive_a_kill(
    tmp_path: Path, phantom_folder: Path
) -> None:
    go_on = tmp_path / "go on"
    environment = {"SLOW_UNTIL": str(go_on)}
    node = Node(tmp_path, rule("slow", to=""), environment=environment)
    try:
        node.start(plugins=True)
        push(node, phantom_folder)
        until(lambda: is_analyzing(node), told=node.log)
        assert post(node, "/api/queue/suspend", reason="an upgrade").status_code == 200
        assert post(node, "/api/jobs/1/cancel", reason="wrong study").status_code == 200
        node.kill()
        node.start(plugins=True)
        (job,) = node.state().jobs
        assert (job.state, job.reason) == (JobState.CANCELLED, "cancelled by local: wrong study")
        assert node.get("/api/queue").json()["suspended"]
        assert post(node, "/api/jobs/1/retry").status_code == 200
        shown = command(node, "queue", "show")
        assert "suspended by local: an upgrade" in shown.stdout
        assert command(node, "queue", "resume").returncode == 0
        until(lambda: is_analyzing_job(node), told=node.log)
        assert command(node, "jobs", "cancel", "1", "--by", "anna").returncode == 0
        node.wait(lambda state: state.jobs[0].state is JobState.CANCELLED)
        until(lambda: not is_analyzing(node), told=node.log)
        go_on.touch()
        assert command(node, "retry", "1").returncode == 0
        node.wait(lambda state: state.jobs[0].state is JobState.DONE)
        log = [one["text"] for one in node.get("/api/jobs/1/log").json()]
        assert log[-2:] == ["analyzing", "writing and checking the results"]
    finally:
        node.kill()
