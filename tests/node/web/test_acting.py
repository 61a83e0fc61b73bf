"""What programs can have done: over the API, by who may, refused in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.work.stages import Stage
from storage import events, ledger
from storage.records import JobLine, Topic
from tests.node.web.sites import START, Site, acting, finish, study_with_job

MARK = {"X-Wetread": "1"}


def test_a_job_that_runs_is_cancelled_and_the_node_is_woken(
    site: Site, phantom_paths: list[Path]
) -> None:
    job = study_with_job(site, phantom_paths[0])
    path = f"/api/jobs/{job}/cancel"
    assert site.client.post(path, json={"reason": "x"}).status_code == 403
    answer = site.client.post(path, json={"reason": "wrong study"}, headers=MARK)
    assert answer.json() == {"done": f"job {job} is being ended"}
    assert site.woken == ["woken"]
    with site.database.read() as tx:
        assert ledger.get(tx, job).cancel_wish == "cancelled by local: wrong study"


def test_a_job_that_has_ended_is_not_cancelled_and_the_answer_says_so(
    site: Site, phantom_paths: list[Path]
) -> None:
    job = study_with_job(site, phantom_paths[0])
    finish(site, job)
    answer = site.client.post(f"/api/jobs/{job}/cancel", json={}, headers=MARK)
    assert answer.status_code == 409
    assert answer.json()["error"] == f"job {job} has ended (done): there is nothing to cancel"


def test_the_queue_is_suspended_and_goes_on_and_tells_how_far_jobs_are(site: Site) -> None:
    post = site.client.post
    answer = post("/api/queue/suspend", json={"reason": "an upgrade"}, headers=MARK)
    assert "nothing more is started" in answer.json()["done"]
    queue = site.client.get("/api/queue").json()
    assert (queue["suspended"], queue["said_by"], queue["reason"]) == (True, "local", "an upgrade")
    assert post("/api/queue/resume", headers=MARK).json() == {"done": "the queue goes on"}
    assert post("/api/queue/resume", headers=MARK).json()["done"].endswith("already")
    assert site.client.get("/api/queue").json()["suspended"] is False


def test_a_jobs_own_log_is_told(site: Site, phantom_paths: list[Path]) -> None:
    job = study_with_job(site, phantom_paths[0])
    with site.database.write() as tx:
        ledger.add_lines(tx, job, [JobLine(START, "info", Stage.READING)])
    (line,) = site.client.get(f"/api/jobs/{job}/log").json()
    assert (line["level"], line["text"]) == ("info", "reading the images")
    assert site.client.get("/api/jobs/99/log").status_code == 404


def test_a_study_is_analyzed_by_hand_with_parameters_that_are_checked(
    acting_site: Site, phantom_paths: list[Path]
) -> None:
    study_with_job(acting_site, phantom_paths[0])
    path, post = "/api/studies/1/analyze", acting_site.client.post
    wish = {"analyzer": "gaussian_filter", "parameters": {"sigma_mm": 2.5}}
    answer = post(path, json=wish, headers=MARK)
    assert answer.status_code == 200, answer.text
    with acting_site.database.read() as tx:
        job = ledger.get(tx, answer.json()["number"])
        told = events.list_events(tx, Topic.JOB, job.id)[0].reason
    assert (job.parameters["sigma_mm"], job.rule, told) == (2.5, "by hand", "wanted by local")
    again = post(path, json=wish, headers=MARK)
    assert (again.status_code, f"job {job.id} is the same" in again.text) == (409, True)
    wrong = post(path, json={**wish, "parameters": {"sigma_mm": 500}}, headers=MARK)
    assert (wrong.status_code, "from 0.1 to 20 mm" in wrong.text) == (409, True)


def test_a_dry_run_says_why_and_makes_no_job(acting_site: Site, phantom_paths: list[Path]) -> None:
    study_with_job(acting_site, phantom_paths[0])
    chest, brain = acting_site.client.get("/api/studies/1/rules").json()
    assert (chest["runs"], brain["fires"]) == (True, False)
    assert brain["series"][0]["reasons"] == ["Modality is CT, not MR"]
    assert "runs on it" in chest["series"][0]["outcome"]
    with acting_site.database.read() as tx:
        assert len(ledger.list_jobs(tx)) == 1


def test_a_destination_that_is_away_is_tried_and_says_so(acting_site: Site) -> None:
    tried = acting_site.client.post("/api/destinations/pacs/try", headers=MARK).json()
    assert (tried["answers"], tried["takes"]) == (False, [])
    assert tried["words"]
    nowhere = acting_site.client.post("/api/destinations/pcas/try", headers=MARK)
    assert nowhere.status_code == 404


def test_how_far_a_job_is_stands_in_the_queue(acting_site: Site) -> None:
    (running,) = acting_site.client.get("/api/queue").json()["running"]
    assert (running["stage"], running["share"]) == ("analyzing", 0.25)


@pytest.fixture
def acting_site(site: Site) -> Iterator[Site]:
    with acting(site) as one:
        yield one
