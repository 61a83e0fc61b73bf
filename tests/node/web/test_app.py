"""The status page and its API, on a real database."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest
from fastapi import FastAPI

from node.web.server import CannotServe, WebServer
from node.web.wording import masked
from storage import events, index, ledger, outbox, quarantine
from storage.header.attributes import extract
from storage.quarantine import RefusalKind, Refused
from storage.records import InstanceRecord, JobResults, Level, Placement, PutOutcome, Topic
from tests.node.web.sites import PARTS, START, Site, finish, study_with_job

HOSTILE = "<script>alert('x')</script>"


def test_an_empty_node_says_how_to_send_the_first_study(site: Site) -> None:
    page = site.client.get("/").text
    assert "No study yet" in page
    assert "wetread send FOLDER --to 127.0.0.1:11112 --aet WETREAD" in page


def test_a_finished_job_shows_findings_preview_and_delivery(
    site: Site, phantom_paths: list[Path]
) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    finish(site, job_id)
    assert "1 695" in site.client.get("/").text
    page = site.client.get("/studies/1").text
    assert "1 695" in page
    assert f'src="/previews/{job_id}/0.png"' in page
    assert "pacs: 0 sent, 1 waiting" in page
    preview = site.client.get(f"/previews/{job_id}/0.png")
    assert preview.status_code == 200
    assert preview.headers["content-type"] == "image/png"


def test_no_name_no_whole_patient_id_and_no_uid_leave_the_node(
    site: Site, phantom_paths: list[Path]
) -> None:
    finish(site, study_with_job(site, phantom_paths[0]))
    for path in ("/api/studies", "/api/jobs", "/api/jobs/1", "/api/deliveries", "/alarms"):
        text = site.client.get(path).text
        for secret in ("Doe", "PAT-123456", "1.2.3", "2.25."):
            assert secret not in text, (path, secret)
    for path in ("/", "/studies/1"):  # they name patients to whoever may see names
        text = site.client.get(path).text
        assert "Doe, Jane" in text
        assert "1.2.3" not in text and "2.25." not in text, path


def test_hostile_descriptions_are_text(site: Site, phantom_paths: list[Path]) -> None:
    study_with_job(site, phantom_paths[0], HOSTILE)
    page = site.client.get("/").text
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


def test_a_failed_job_shows_reason_and_traceback_and_can_be_tried_again(
    site: Site, phantom_paths: list[Path]
) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    with site.database.write() as tx:
        ledger.failed(tx, job_id, START, "it broke", "Traceback here", JobResults())
    assert "it broke" in site.client.get("/").text
    page = site.client.get("/studies/1").text
    assert "it broke" in page
    assert "Traceback here" in page
    assert "Try again" in page
    assert site.client.post(f"/api/jobs/{job_id}/retry").status_code == 403
    answer = site.client.post(f"/api/jobs/{job_id}/retry", headers={"X-Wetread": "1"})
    assert answer.json() == {"done": f"job {job_id} is due again"}
    assert site.woken == ["woken"]
    assert site.client.get(f"/api/jobs/{job_id}").json()["state"] == "pending"


def test_a_running_job_cannot_be_restarted(site: Site, phantom_paths: list[Path]) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    answer = site.client.post(f"/api/jobs/{job_id}/retry", headers={"X-Wetread": "1"})
    assert answer.status_code == 409
    assert "is running" in answer.json()["error"]


def test_failed_deliveries_of_a_done_job_are_sent_again(
    site: Site, phantom_paths: list[Path]
) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    finish(site, job_id)
    with site.database.write() as tx:
        (one,) = outbox.claim(tx, "pacs", START + timedelta(hours=1))
        outbox.failed(tx, one.id, START, 0xA900, "refused (0xA900)")
    answer = site.client.post(f"/api/jobs/{job_id}/retry", headers={"X-Wetread": "1"})
    assert answer.json() == {"done": "1 result is due to be sent again"}
    assert site.client.get(f"/api/jobs/{job_id}").json()["state"] == "done"


def test_an_alarm_stands_on_the_page_until_it_is_acknowledged(site: Site) -> None:
    with site.database.write() as tx:
        events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "the PACS is away")
    assert "the PACS is away" in site.client.get("/alarms").text
    (alarm,) = site.client.get("/api/alarms").json()
    path = f"/api/alarms/{alarm['id']}/acknowledge"
    assert site.client.post(path).status_code == 403
    assert site.client.post(path, headers={"X-Wetread": "1"}).status_code == 200
    assert "the PACS is away" not in site.client.get("/alarms").text


@pytest.mark.parametrize("path", ["/api/jobs/99", "/api/studies/99", "/previews/99/0.png"])
def test_what_is_not_there_is_404(site: Site, path: str) -> None:
    assert site.client.get(path).status_code == 404


def test_health_is_200_only_when_every_part_did_something_in_the_last_minute(site: Site) -> None:
    assert site.client.get("/health").status_code == 503
    for part in PARTS:
        site.parts[part].beat()
    assert site.client.get("/health").status_code == 200
    site.now += timedelta(seconds=61)
    site.parts["store"].beat()
    answer = site.client.get("/health")
    assert answer.status_code == 503
    silent = [check["name"] for check in answer.json()["checks"] if not check["ok"]]
    assert silent == [part for part in PARTS if part != "store"]


def test_a_fault_is_named_on_the_page(site: Site) -> None:
    site.parts["workers"].fault("worker 0 did not answer in 45 s")
    page = site.client.get("/").text
    assert "<strong>workers</strong>: worker 0 did not answer in 45 s" in page


def test_pages_may_load_nothing_from_elsewhere(site: Site) -> None:
    answer = site.client.get("/")
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert "http://" not in answer.text.replace("http://www.w3.org", "")
    assert "https://" not in answer.text


def test_older_studies_are_a_page_away(site: Site, phantom_paths: list[Path]) -> None:
    dataset = pydicom.dcmread(phantom_paths[0], stop_before_pixels=True)
    with site.database.write() as tx:
        for number in range(31):
            dataset.StudyInstanceUID = f"1.2.826.{number}"
            dataset.SeriesInstanceUID = f"1.2.826.{number}.1"
            dataset.SOPInstanceUID = f"1.2.826.{number}.1.1"
            placement = Placement(PutOutcome.NEW, f"k{number}", 1, "s", "")
            index.add(tx, [InstanceRecord(extract(dataset), placement, START, "CT1")])
    older = re.findall(
        r'href="(/\?before=[0-9]+x[0-9]+)" rel="next">Older', site.client.get("/").text
    )
    assert "Newer studies" in site.client.get(older[0]).text


@pytest.mark.parametrize(
    ("identifier", "shown"), [("", "no ID"), ("A1", "…"), ("PAT-123456", "…56")]
)
def test_patient_ids_are_masked(identifier: str, shown: str) -> None:
    assert masked(identifier) == shown


def test_a_port_that_is_taken_is_a_named_error(site: Site) -> None:
    with pytest.raises(CannotServe, match=r"http\.port .* cannot be had"):
        WebServer(FastAPI, "127.0.0.1", site.server.port).start()


def test_a_study_is_deleted_through_the_api_unless_something_holds_it(
    site: Site, phantom_paths: list[Path]
) -> None:
    job = study_with_job(site, phantom_paths[0])
    guard = {"X-Wetread": "1"}
    assert site.client.post("/api/studies/1/delete?reason=x").status_code == 403
    assert site.client.post("/api/studies/1/delete", headers=guard).status_code == 422
    held = site.client.post("/api/studies/1/delete?reason=x", headers=guard)
    assert held.status_code == 409
    assert "1 jobs are due or running" in held.text
    with site.database.write() as tx:
        ledger.failed(tx, job, START, "broken", "")
        study = index.get_study(tx, 1)
        index.complete(tx, 1, START, study.last_received_at)
    done = site.client.post("/api/studies/1/delete?reason=x", headers=guard)
    assert done.json() == {"done": "the study is to be deleted"}
    (record,) = site.client.get("/api/deletions").json()
    assert (record["state"], record["reason"], record["asked_by"]) == ("asked", "x", "the API")
    assert site.client.post("/api/studies/9/delete?reason=x", headers=guard).status_code == 404


def test_a_correction_is_accepted_through_the_api(site: Site) -> None:
    refused = Refused("k.dcm", RefusalKind.CONFLICT, "other bytes", "f", "1.2.3.4", "1.2.3", "CT1")
    other = Refused("o.dcm", RefusalKind.UNREADABLE, "unreadable", "e")
    with site.database.write() as tx:
        quarantine.enter(tx, START, refused)
        quarantine.enter(tx, START, other)
    guard = {"X-Wetread": "1"}
    assert site.client.post("/api/quarantine/1/accept").status_code == 403
    done = site.client.post("/api/quarantine/1/accept?study=true", headers=guard)
    assert done.json() == {"done": "accepted", "number": 1}
    assert site.client.post("/api/quarantine/2/accept", headers=guard).status_code == 409
    rows = site.client.get("/api/quarantine").json()
    assert [bool(row["accepted_at"]) for row in rows] == [False, True]
    assert "1.2.3" not in str(rows), "no UID of an image"
