"""The pages of jobs: the queue, one job, and what is done there without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from node.audit.events import Accessed
from storage import ledger, suspension
from storage.records import JobLine, JobState
from tests.node.web.sites import START, Site, acting, fail, finish, study_with_job
from tests.trails import KeptTrail

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def node(site: Site) -> Iterator[Site]:
    with acting(site) as one:
        yield one


def page(site: Site, path: str) -> str:
    answer = site.client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


def post(site: Site, path: str, **fields: object) -> httpx.Response:
    """A form of a page, sent as a browser without scripts sends it."""
    (token,) = set(re.findall(r'name="token" (?:content|value)="([^"]+)"', page(site, "/jobs")))
    data = {**fields, "token": token}
    return site.client.post(path, data=data, headers={"Accept": "text/html"})


def job(site: Site, number: int) -> tuple[JobState, str]:
    with site.database.read() as tx:
        found = ledger.get(tx, number)
        return found.state, found.cancel_wish or found.reason


def test_the_queue_is_filtered_by_state_and_shows_how_far_a_job_is(
    node: Site, phantom_paths: list[Path]
) -> None:
    study_with_job(node, phantom_paths[0])
    text = page(node, "/jobs")
    assert 'href="/jobs/1"' in text
    assert '<progress value="25" max="100"' in text
    assert "There is no such job" in page(node, "/jobs?state=failed")
    assert node.client.get("/jobs?state=odd").status_code == 422


def test_a_job_is_cancelled_by_a_form_and_whoever_did_it_stands_there(
    node: Site, phantom_paths: list[Path]
) -> None:
    number = study_with_job(node, phantom_paths[0])
    (path,) = re.findall(r'action="(/jobs/\d+/cancel)"', page(node, f"/jobs/{number}"))
    answer = post(node, path, reason=SCRIPT)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{number}")
    assert job(node, number) == (JobState.RUNNING, f"cancelled by local: {SCRIPT}")
    text = page(node, f"/jobs/{number}")
    assert "It is being ended" in text
    assert SCRIPT not in text
    assert "/cancel" not in text
    assert SCRIPT not in page(node, "/jobs")
    assert post(node, path).status_code == 303, "a double click is one"
    assert isinstance(node.context.audit, KeptTrail)
    told = [one.what for one in node.context.audit.of(Accessed)]
    assert told.count("POST /jobs/{job_id}/cancel") == 2


def test_a_job_that_has_ended_meanwhile_is_refused_in_words(
    node: Site, phantom_paths: list[Path]
) -> None:
    number = study_with_job(node, phantom_paths[0])
    finish(node, number)
    answer = post(node, f"/jobs/{number}/cancel")
    assert answer.status_code == 409
    assert f"Job {number} has ended (done): there is nothing to cancel" in answer.text


def test_a_job_is_retried_twice_and_is_due_once(node: Site, phantom_paths: list[Path]) -> None:
    number = study_with_job(node, phantom_paths[0])
    fail(node, number)
    for _ in range(2):
        assert post(node, f"/jobs/{number}/retry").status_code == 303
    assert job(node, number)[0] is JobState.PENDING
    with node.database.read() as tx:
        assert ledger.get(tx, number).attempts == 0
    assert page(node, f"/jobs/{number}").count("restarted by local") == 1


def test_a_jobs_log_is_shown_as_it_came(node: Site, phantom_paths: list[Path]) -> None:
    number = study_with_job(node, phantom_paths[0])
    with node.database.write() as tx:
        ledger.add_lines(tx, number, [JobLine(START, "info", "reading the images")])
    assert "reading the images" in page(node, f"/jobs/{number}")
    assert node.client.get("/jobs/99").status_code == 404


def test_a_study_is_analyzed_by_a_form_of_the_analyzers_own_parameters(
    node: Site, phantom_paths: list[Path]
) -> None:
    study_with_job(node, phantom_paths[0])
    form = page(node, "/studies/1/analyze?analyzer=gaussian_filter")
    assert 'name="p.sigma_mm" value="1.0"' in form
    assert "from 0.1 to 20 mm" in form
    fields = {"analyzer": "gaussian_filter", "p.sigma_mm": "2.5"}
    answer = post(node, "/studies/1/analyze", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs/2")
    again = post(node, "/jobs/2/again", **{"p.sigma_mm": "3.5", "beside": "yes"})
    assert again.headers["location"] == "/jobs/3"
    wrong = post(node, "/jobs/2/again", **{"p.sigma_mm": "many"})
    assert (wrong.status_code, "a number from 0.1 to 20 mm is accepted" in wrong.text) == (
        409,
        True,
    )
    assert node.client.get("/studies/1/analyze?analyzer=x").status_code == 404


def test_the_queue_is_suspended_and_let_go_on_by_forms(node: Site) -> None:
    assert post(node, "/jobs/suspend", reason="an upgrade").status_code == 303
    assert "Suspended by local: an upgrade" in page(node, "/jobs")
    assert post(node, "/jobs/resume").status_code == 303
    with node.database.read() as tx:
        assert suspension.current(tx) is None
