"""The page and the API tell what a destination gets, what it was not sent, and why."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian

from storage import abilities, outbox, selection
from storage.abilities import KnownAbilities
from storage.records import DeliveryState
from tests.node.web.sites import START, Site, finish, study_with_job

WHY = "the destination does not take Segmentation Storage"
TAKEN = frozenset({(str(Comprehensive3DSRStorage), str(ExplicitVRLittleEndian))})
HEADERS = {"X-Wetread": "1"}


def job_left_out(site: Site, phantom_paths: list[Path]) -> int:
    """One of a job's objects was sent, the others were left out."""
    job_id = study_with_job(site, phantom_paths[0])
    finish(site, job_id, objects=3)
    with site.database.write() as tx:
        first, *others = outbox.claim(tx, "pacs", START + timedelta(hours=1))
        outbox.sent(tx, first.id, START, 0)
        selection.leave_out(tx, {one.id: WHY for one in others}, START)
        abilities.put(tx, KnownAbilities("pacs", START, "these", TAKEN))
    return job_id


def test_the_page_says_what_was_left_out_and_why(site: Site, phantom_paths: list[Path]) -> None:
    job_left_out(site, phantom_paths)
    page = site.client.get("/studies/1").text
    assert "2 left out" in page
    assert WHY in page


def test_programs_get_the_same(site: Site, phantom_paths: list[Path]) -> None:
    job_id = job_left_out(site, phantom_paths)
    (study,) = site.client.get("/api/studies").json()
    (sent,) = study["jobs"][0]["deliveries"]
    assert (sent["sent"], sent["waiting"], sent["failed"], sent["state"]) == (1, 0, 0, "sent")
    assert sum(one["number"] for one in sent["left_out"]) == 2
    assert {one["reason"] for one in sent["left_out"]} == {WHY}
    assert sent["reason"] == ""
    rows = site.client.get(f"/api/deliveries?job={job_id}&state=left_out").json()
    assert len(rows) == 2


def test_a_click_has_the_destination_asked_anew(site: Site, phantom_paths: list[Path]) -> None:
    job_id = job_left_out(site, phantom_paths)
    answer = site.client.post(f"/api/jobs/{job_id}/send?to=pacs", headers=HEADERS)
    assert answer.status_code == 200
    assert "2 objects" in answer.json()["done"]
    assert site.woken
    with site.database.read() as tx:
        rows = selection.of_jobs(tx, "pacs", [job_id])
        assert abilities.get(tx, "pacs") is None
    assert sum(one.state is DeliveryState.PENDING for one in rows) == 2


def test_nothing_is_sent_to_a_destination_that_nobody_knows(
    site: Site, phantom_paths: list[Path]
) -> None:
    job_id = job_left_out(site, phantom_paths)
    answer = site.client.post(f"/api/jobs/{job_id}/send?to=elsewhere", headers=HEADERS)
    assert answer.status_code == 404
