"""What goes wrong is contained, visible and repairable, in the node as its real process."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from pysqlite3 import dbapi2 as sqlite

from node.dimse.scu.folder import send_folder
from node.dimse.scu.sender import Peer
from storage.records import Delivery, DeliveryState, JobState
from tests import forked
from tests.node_process import PLUGINS, Node, destination, rule, running_node
from tests.peers import FakePacs, free_port, running_pacs
from tests.postgres import Postgres

FAULTY = ("segfault", "hang", "raise", "glutton", "declining", "counting")


@pytest.fixture
def fake_pacs() -> Iterator[FakePacs]:
    pacs = FakePacs()
    pacs.start()
    yield pacs
    pacs.stop()


def push(node: Node, folder: Path) -> None:
    peer = Peer("node", "WETREAD", "127.0.0.1", node.port, calling_ae="CT1")
    assert send_folder(folder, peer).is_complete


def ended(deliveries: Sequence[Delivery]) -> set[DeliveryState]:
    """How they ended, without the forms that were made in case the destination wants them."""
    return {one.state for one in deliveries} - {DeliveryState.LEFT_OUT}


def command(node: Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(PLUGINS), "PATH": "/usr/bin:/bin"}
    return forked.run([*arguments, "--config", str(node.config)], environment)


@pytest.mark.timeout(300)
def test_plugins_that_misbehave_fail_their_own_jobs_and_each_is_reported(
    tmp_path: Path, fake_pacs: FakePacs, phantom_folder: Path
) -> None:
    told = f'{rule(*FAULTY)}notices = ["failed"]\n'
    text = destination(fake_pacs.port, fake_pacs.ae_title) + told
    with running_node(tmp_path, text, plugins=True) as node:
        push(node, phantom_folder)
        state = node.wait_for_results(jobs=len(FAULTY), timeout_s=200)
        jobs = {job.analyzer: job for job in state.jobs}
        reasons = {
            "segfault": "killed by SIGSEGV",
            "hang": "time limit exceeded",
            "raise": "ZeroDivisionError",
            "glutton": "memory limit exceeded",
        }
        for name, reason in reasons.items():
            assert jobs[name].state is JobState.FAILED
            assert reason in jobs[name].reason
        assert "raise ZeroDivisionError" in jobs["raise"].traceback
        assert jobs["declining"].state is JobState.NOT_APPLICABLE
        assert jobs["counting"].state is JobState.DONE
        assert len(state.alarms) == 4
        page = node.get("/studies/1").text
        assert all(reason in page for reason in reasons.values())
        assert node.get("/health").status_code == 200
    reports = [str(one.SeriesDescription) for one in fake_pacs.received]
    assert len(reports) == len(FAULTY)  # what did not apply stands in the summary alone
    assert sum("FAILED" in one for one in reports[:-1]) == 4
    assert reports[-1] == "4 FAILED, 1 NOT APPLICABLE, 1 DONE: Summary"
    assert {one.Modality for one in fake_pacs.received} == {"SR"}


@pytest.mark.timeout(300)
def test_a_failed_job_is_run_again_by_the_retry_command(
    tmp_path: Path, phantom_folder: Path
) -> None:
    with running_node(tmp_path, rule("raise", to=""), plugins=True) as node:
        push(node, phantom_folder)
        (job,) = node.wait_for_results().jobs
        done = command(node, "retry", str(job.id))
        assert done.stdout.strip() == f"job {job.id} is due again"
        node.wait(lambda state: len(events_of(node, "restarted by a person")) == 1)
        node.wait_for_results()
        assert command(node, "retry", "99").stderr.strip() == "there is no job 99"


def events_of(node: Node, reason: str) -> list[object]:
    found = node.get("/api/events?limit=1000").json()
    return [one for one in found if one["reason"] == reason]


@pytest.mark.timeout(300)
def test_results_wait_for_a_pacs_that_is_away_and_are_sent_when_it_comes(
    tmp_path: Path, phantom_folder: Path
) -> None:
    pacs = FakePacs()
    pacs.start()
    pacs.stop()
    text = destination(pacs.port, pacs.ae_title) + rule("lung_segmentation")
    with running_node(tmp_path, text) as node:
        push(node, phantom_folder)
        state = node.wait(
            lambda now: bool(now.deliveries) and all(one.reason for one in now.deliveries)
        )
        assert {one.state for one in state.deliveries} <= {
            DeliveryState.PENDING,
            DeliveryState.SENDING,
        }
        assert all(one.reason.startswith("waits: no connection") for one in state.deliveries)
        assert "waiting" in node.get("/studies/1").text
        pacs.start()
        try:
            state = node.wait_for_results()
            assert ended(state.deliveries) == {DeliveryState.SENT}
        finally:
            pacs.stop()


@pytest.mark.timeout(300)
def test_a_locked_database_delays_the_index_and_loses_nothing(
    tmp_path: Path, phantom_folder: Path
) -> None:
    with running_node(tmp_path, rule("gaussian_filter", to="")) as node:
        holder = sqlite.connect(str(node.var / "wetread.db"), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        try:
            push(node, phantom_folder)
            assert node.get("/api/studies").json() == []
        finally:
            holder.execute("ROLLBACK")
            holder.close()
        state = node.wait_for_results()
        assert state.studies[0].instances == len(list(phantom_folder.iterdir()))
        assert state.jobs[0].state is JobState.DONE


@pytest.mark.timeout(300)
def test_a_second_node_on_the_same_data_is_refused_by_name(tmp_path: Path) -> None:
    with running_node(tmp_path, "") as node:
        second = command(node, "serve")
        assert second.returncode == 2
        assert "another node works on this database" in second.stderr


@pytest.mark.timeout(300)
def test_a_stopped_node_ends_cleanly_and_goes_on_where_it_was(
    tmp_path: Path, phantom_folder: Path
) -> None:
    go_on = tmp_path / "go on"
    node = Node(tmp_path, rule("slow", to=""), environment={"SLOW_UNTIL": str(go_on)})
    try:
        node.start(plugins=True)
        push(node, phantom_folder)
        node.wait(lambda state: any(job.state is JobState.RUNNING for job in state.jobs))
        assert node.stop() == 0
        assert [job.state for job in node.state().jobs] == [JobState.PENDING]
        go_on.touch()
        node.start(plugins=True)
        assert [job.state for job in node.wait_for_results().jobs] == [JobState.DONE]
    finally:
        node.kill()


@pytest.mark.timeout(300)
def test_reindex_brings_back_a_deleted_database(tmp_path: Path, phantom_folder: Path) -> None:
    node = Node(tmp_path, rule("gaussian_filter", to=""))
    try:
        node.start()
        push(node, phantom_folder)
        before = node.wait_for_results().studies[0]
        node.stop()
        for leftover in node.var.glob("wetread.db*"):
            leftover.unlink()
        done = command(node, "reindex")
        assert done.returncode == 0, done.stderr
        assert "30 files, 30 new in the index" in done.stdout
        after = node.state().studies[0]
        assert (after.study_instance_uid, after.instances) == (
            before.study_instance_uid,
            before.instances,
        )
    finally:
        node.kill()


@pytest.mark.interop
@pytest.mark.timeout(300)
def test_the_node_runs_on_postgresql_and_survives_a_kill(
    tmp_path: Path, phantom_folder: Path, postgres: Postgres
) -> None:
    postgres.execute("CREATE DATABASE node")
    go_on = tmp_path / "go on"
    slow = {"SLOW_UNTIL": str(go_on)}
    node = Node(tmp_path, rule("slow", to=""), environment=slow, database=postgres.url("node"))
    try:
        node.start(plugins=True)
        assert "another node works on this database" in command(node, "serve").stderr
        push(node, phantom_folder)
        node.wait(lambda state: any(job.state is JobState.RUNNING for job in state.jobs))
        node.kill()
        go_on.touch()
        node.start(plugins=True)
        (job,) = node.wait_for_results().jobs
        assert (job.state, job.attempts) == (JobState.DONE, 2)
        assert node.state().studies[0].instances == len(list(phantom_folder.iterdir()))
    finally:
        node.kill()
        postgres.execute("DROP DATABASE node WITH (FORCE)")


@pytest.mark.timeout(120)
def test_a_page_that_another_site_asks_for_under_its_own_name_is_refused(tmp_path: Path) -> None:
    with running_node(tmp_path, "") as node:
        url = f"http://127.0.0.1:{node.http_port}/api/studies"
        assert httpx.get(url, headers={"Host": "evil.example"}, timeout=60).status_code == 400
        assert httpx.get(url, headers={"Host": "localhost:8080"}, timeout=60).status_code == 200


@pytest.mark.timeout(300)
def test_results_for_a_destination_that_left_the_settings_are_an_alarm(
    tmp_path: Path, phantom_folder: Path
) -> None:
    text = destination(free_port(), name="gone") + rule("gaussian_filter", to="gone")
    with running_node(tmp_path, text) as node:
        push(node, phantom_folder)
        node.wait(lambda state: bool(state.deliveries))
    with running_node(tmp_path, rule("gaussian_filter", to="")) as node:
        alarms = [alarm.reason for alarm in node.state().alarms]
        assert "results wait for destination 'gone', which is no longer in the settings" in alarms


@pytest.mark.timeout(240)
def test_an_object_that_came_through_as_the_node_was_killed_is_not_sent_again(
    tmp_path: Path, phantom_folder: Path
) -> None:
    with running_pacs(answers_queries=True) as pacs:
        text = destination(pacs.port, pacs.ae_title) + rule("lung_segmentation")
        node = Node(tmp_path, text).start()

        def kill() -> None:
            if node.process is not None:
                node.process.send_signal(signal.SIGKILL)

        pacs.on_stored = kill
        push(node, phantom_folder)
        assert pacs.arrived.wait(100)
        node.kill()
        pacs.on_stored = lambda: None
        node.start()
        try:
            state = node.wait_for_results()
        finally:
            node.stop()
        assert ended(state.deliveries) == {DeliveryState.SENT}
        sent = [one for one in state.deliveries if one.state is DeliveryState.SENT]
        assert len(pacs.uids()) == len(set(pacs.uids())) == len(sent) == 2
        assert pacs.queries
