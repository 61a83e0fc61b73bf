"""What the page shows when things go wrong, and how little it asks of who reads it."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from node.web import alarm_groups
from storage import announcements, events, gaps, index, ledger, outbox
from storage.announcements import NewAnnouncement
from storage.records import (
    AnnouncementKind,
    FindingRow,
    JobState,
    Level,
    Reference,
    StepStatus,
    Topic,
)
from tests.node.web.sites import PARTS, START, Site, fail, finish, refuse_all, study_with_job
from tests.storage.samples import result

MARK = {"X-Wetread": "1"}
BUTTON = re.compile(
    r'action="([^"]*)"[^>]*><input type="hidden" name="token" value="([^"]*)">'
    r'((?:<input type="hidden" name="\w+" value="[^"]*">)*)<button'
)
CLEAN_URL = re.compile(
    r"#main|/|/\?(state=\w+|problems=true|from=[0-9-]+&amp;to=[0-9-]+&amp;sort=date)"
    r"|/(health|api/studies|alarms|fetch|jobs|logout)|/static/vendor/idiomorph-0\.8\.0\.min\.js"
    r"|/static/wetread\.\w+(\?v=[0-9.]+)?|/(previews|thumbnails)/\d+/\d+\.png"
    r"|/studies/\d+/(look/\d+/)?thumbnail\.webp(\?of=[0-9.]+)?"
    r"|/(studies|jobs)/\d+(/\w+)?(\?series=\d+)?|/open/(studies|jobs)/\d+"
    r"|/\w+"
)


def press(site: Site, page: str, path: str) -> int:
    """Press the one button of a page that leads to a path, without scripts; gives the status."""
    text = site.client.get(page).text if page.startswith("/") else page
    ((where, token, more),) = [one for one in BUTTON.findall(text) if re.fullmatch(path, one[0])]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', more))
    return site.client.post(where, data={"token": token, **fields}).status_code


def test_alike_alarms_are_one_line_and_acknowledged_together(
    site: Site, phantom_paths: list[Path]
) -> None:
    finish(site, study_with_job(site, phantom_paths[0]), objects=30)
    assert refuse_all(site) == 30
    assert "30 alarms" in site.client.get("/").text
    page = site.client.get("/alarms").text
    assert page.count("<summary><strong>Delivery to pacs failed") == 1
    assert press(site, "/alarms", r"/alarms/acknowledge") == 303
    assert site.client.get("/api/alarms").json() == []


def test_an_alarm_that_came_after_the_page_was_drawn_is_not_acknowledged_unseen(
    site: Site,
) -> None:
    def alarm() -> None:
        with site.database.write() as tx:
            events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "disk is full")

    alarm()
    alarm()
    page = site.client.get("/alarms").text
    alarm()
    assert press(site, page, r"/alarms/acknowledge") == 303
    assert [one["id"] for one in site.client.get("/api/alarms").json()] == [3]


def test_without_alike_one_alarm_is_acknowledged(site: Site) -> None:
    with site.database.write() as tx:
        for _ in range(2):
            events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "disk is full")
    site.client.post("/api/alarms/2/acknowledge", headers=MARK)
    assert [one["id"] for one in site.client.get("/api/alarms").json()] == [1]


def test_the_page_says_so_when_the_database_is_away(site: Site, tmp_path: Path) -> None:
    site.parts["database"].fault("unable to open database file")
    site.database.close()
    for path in tmp_path.glob("w.db*"):
        path.unlink()
    (tmp_path / "w.db").mkdir()
    answer = site.client.get("/")
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert "The database is not available" in answer.text
    assert "<strong>database</strong>: unable to open database file" in answer.text
    assert site.client.get("/api/studies").status_code == 503
    assert "not available" in site.client.get("/api/studies").json()["error"]


def test_only_studies_where_something_failed_are_shown_on_request(
    site: Site, phantom_paths: list[Path]
) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    assert "Nothing has failed" in site.client.get("/?problems=true").text
    fail(site, job_id)
    assert 'href="/?problems=true"' in site.client.get("/").text
    assert 'id="s1"' in site.client.get("/?problems=true").text


def test_a_study_whose_results_were_refused_is_among_those_with_problems(
    site: Site, phantom_paths: list[Path]
) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    finish(site, job_id)
    refuse_all(site)
    page = site.client.get("/?problems=true").text
    assert 'id="s1"' in page
    assert "1 not delivered" in page
    page = site.client.get("/studies/1").text
    assert f'id="j{job_id}"' in page
    assert "Send again" in page
    assert "1 failed" in page


def test_an_alarm_of_a_job_leads_to_its_study(site: Site, phantom_paths: list[Path]) -> None:
    fail(site, study_with_job(site, phantom_paths[0]))
    assert '<a href="/studies/1">Job 1 failed</a>' in site.client.get("/alarms").text
    assert 'id="s1"' in site.client.get("/studies/1").text
    assert site.client.get("/studies/2").status_code == 404


def test_urls_carry_row_numbers_only(site: Site, phantom_paths: list[Path]) -> None:
    finish(site, study_with_job(site, phantom_paths[0]), objects=2)
    refuse_all(site)
    for page in ("/", "/studies/1"):
        urls = re.findall(r'(?:href|src|action|data-post)="([^"]*)"', site.client.get(page).text)
        assert len(urls) > 8
        assert [url for url in urls if not CLEAN_URL.fullmatch(url)] == []


def test_every_state_is_said_in_words_and_by_a_sign(site: Site, phantom_paths: list[Path]) -> None:
    seen = {}
    job_id = study_with_job(site, phantom_paths[0])
    for state in ("running", "failed", "pending"):
        if state == "failed":
            fail(site, job_id)
        if state == "pending":
            site.client.post(f"/api/jobs/{job_id}/retry", headers=MARK)
        section = site.client.get("/studies/1").text.split('class="job card"')[1]
        (seen[state],) = re.findall(
            r'class="badge \w+"><span aria-hidden="true">(.)</span> (\w+)</span>', section
        )
    assert seen["running"] == ("▶", "running")
    assert seen["failed"] == ("✕", "failed")
    assert seen["pending"] == ("○", "waiting")


def test_the_length_of_a_repeated_job_is_that_of_its_last_run(
    site: Site, phantom_paths: list[Path]
) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    fail(site, job_id)
    with site.database.write() as tx:
        ledger.restart(tx, job_id, START + timedelta(hours=5))
        ledger.claim(tx, START + timedelta(hours=5))
        ledger.failed(tx, job_id, START + timedelta(hours=5, seconds=4), "again", "")
    assert site.client.get(f"/api/jobs/{job_id}").json()["seconds"] == 4
    assert "took 4.0 s" in site.client.get("/studies/1").text


def test_what_waits_for_a_destination_that_is_away_is_said_with_the_next_try(
    site: Site, phantom_paths: list[Path]
) -> None:
    finish(site, study_with_job(site, phantom_paths[0]))
    with site.database.write() as tx:
        (one,) = outbox.claim(tx, "pacs", START + timedelta(hours=1))
        outbox.retry_later(tx, one.id, START, START + timedelta(days=9999), None, "no route")
    page = site.client.get("/studies/1").text
    assert "no route" in page
    assert re.search(r"1 waiting \(next try in \d+ days\)", page)


def test_findings_that_are_no_numbers_do_not_break_page_or_api(
    site: Site, phantom_paths: list[Path]
) -> None:
    broken = FindingRow("Left lung", "Ratio", float("nan"), "1")
    words = FindingRow("Both lungs", "Impression", None, "", "<b>clear</b>")
    job_id = study_with_job(site, phantom_paths[0])
    finish(site, job_id, (broken, words))
    page = site.client.get("/studies/1").text
    assert "not a number" in page
    assert "Impression: &lt;b&gt;clear&lt;/b&gt;" in page
    findings = site.client.get(f"/api/jobs/{job_id}").json()["findings"]
    assert [one["value"] for one in findings] == [None, None]


def test_a_part_that_lapsed_is_named_with_its_last_success(site: Site) -> None:
    for part in PARTS:
        site.parts[part].beat()
    assert "All parts work" in site.client.get("/").text
    site.now += timedelta(minutes=5)
    for part in PARTS:
        if part != "store":
            site.parts[part].beat()
    site.parts["store"].fault("no space left on device")
    page = site.client.get("/").text
    assert "All parts work" not in page
    assert "<strong>store</strong>: no space left on device (last success 5 min ago)" in page


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/", "no-store"), ("/api/jobs", "no-store"), ("/health", "no-store"),
     ("/static/wetread.css", "no-cache")],
)  # fmt: skip
def test_what_is_of_the_moment_is_not_kept_by_browsers(site: Site, path: str, kept: str) -> None:
    answer = site.client.get(path)
    assert answer.headers["cache-control"] == kept
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_runs_no_script_and_no_style_of_its_own_text(site: Site) -> None:
    page = site.client.get("/").text
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []


def test_it_stays_fresh_without_scripts(site: Site) -> None:
    page = site.client.get("/").text
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in page


def test_a_preview_whose_file_is_gone_is_404(site: Site, phantom_paths: list[Path]) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    finish(site, job_id)
    shutil.rmtree(site.results.root)
    assert site.client.get(f"/previews/{job_id}/0.png").status_code == 404
    assert site.client.get(f"/previews/{job_id}/1.png").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/api/jobs/99999999999999999999", "/api/studies/-1", "/?from=tomorrow", "/?state=lost",
     "/api/jobs?limit=0", "/api/jobs?state=lost", "/api/deliveries?job=99999999999999999999"],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_not_tried(site: Site, path: str) -> None:
    assert site.client.get(path).status_code == 422


def test_errors_have_one_form(site: Site, phantom_paths: list[Path]) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    assert "X-Wetread" in site.client.post(f"/api/jobs/{job_id}/retry").json()["error"]
    assert site.client.get("/nowhere").json() == {"error": "Not Found"}
    senseless = site.client.get("/api/jobs?limit=0").json()
    assert senseless == {"error": "query.limit: Input should be greater than or equal to 1"}
    assert site.client.get("/api/jobs/77").json() == {"error": "there is no job 77"}
    assert site.client.get(f"/api/jobs/{job_id}").json()["state"] == JobState.RUNNING.value


def test_health_answers_those_who_ask_for_the_head_only(site: Site) -> None:
    assert site.client.head("/health").status_code == 503
    for part in PARTS:
        site.parts[part].beat()
    assert site.client.head("/health").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/alarms", "/health", "/metrics", "/api/studies", "/api/jobs", "/api/events",
     "/static/wetread.css", "/openapi.json"],
)  # fmt: skip
def test_whatever_can_be_got_can_be_asked_for_by_its_head(site: Site, path: str) -> None:
    head, got = site.client.head(path), site.client.get(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


ODD = (
    "/?from=-1", "/?to=1e9", "/?sort=", "/?from=%00", "/?from=%ff", "/?modality=" + "x" * 99,
    "/?state=lost", "/?after=99999999999999999999x1", "/?problems=perhaps", "/?before=yesterday",
    "/?search=" + "9" * 4000,
)  # fmt: skip


@pytest.mark.parametrize("path", ODD)
def test_an_odd_address_of_the_page_is_answered_by_a_page_with_a_plain_sentence(
    site: Site, path: str
) -> None:
    answer = site.client.get(path)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"].startswith("text/html")
    assert "This cannot be shown" in answer.text
    name = path.split("?")[1].split("=")[0]
    assert re.search(rf"<p>{name.capitalize()}: [-A-Za-z ,0-9.'&#;^$]+\.</p>", answer.text)


@pytest.mark.parametrize(
    "path",
    ["/previews/1/99999999999999999999.png", "/previews/1/-1.png", "/previews/x/0.png",
     "/static/%00", "/static/..%2f..%2fapp.py", "/%00", "/api/jobs/%C0%80", "/api/jobs/1.5",
     "/?sort=date&before=zzdzz", "/api/events?level=ALARM&limit=%F0%9F%98%80", "/nowhere"],
)  # fmt: skip
def test_nothing_that_can_be_asked_is_an_internal_fault(site: Site, path: str) -> None:
    assert 400 <= site.client.get(path).status_code < 500
    browser = site.client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert 400 <= browser.status_code < 500
    assert "Traceback" not in browser.text


def test_a_browser_is_told_of_an_unknown_address_on_a_page(site: Site) -> None:
    answer = site.client.get("/nowhere", headers={"Accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 404
    assert "There is no such page" in answer.text


def test_the_api_describes_itself(site: Site) -> None:
    paths = site.client.get("/openapi.json").json()["paths"]
    assert "/api/jobs/{job_id}/retry" in paths
    assert list(paths["/health"]) == ["get"]


def test_alarms_that_differ_in_numbers_and_names_are_one_group(site: Site) -> None:
    with site.database.write() as tx:
        for number in range(alarm_groups.MEMBERS + 3):
            refused = f"conflict-{number:04x}.dcm: 1.2.840.{number} has {number} other bytes"
            events.record(tx, START, Level.ALARM, Topic.INSTANCE, number, "", "refused", refused)
        events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "disk is full")
    with site.database.read() as tx:
        disk, images = alarm_groups.read(tx)
    assert (disk.count, images.count, images.title) == (1, 23, "Images refused")
    assert (len(images.members), images.more) == (alarm_groups.MEMBERS, 3)
    with site.database.write() as tx:
        assert alarm_groups.acknowledge(tx, images.key, images.id) == 23
    with site.database.read() as tx:
        assert [one.title for one in alarm_groups.read(tx)] == [disk.title]


def test_text_that_does_not_decode_is_named_so_and_not_shown_as_signs(
    site: Site, phantom_paths: list[Path]
) -> None:
    study_with_job(site, phantom_paths[0], "Sch\udce4del")
    with site.database.write() as tx:
        events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "from CT\ufffd\ufffd1")
    page = site.client.get("/").text
    assert "Study description not readable" in page
    assert "from CT[not readable]1" in site.client.get("/alarms").text
    assert "\ufffd" not in page and "?del" not in page
    (study,) = site.client.get("/api/studies").json()
    assert study["description"] == "Study description not readable"
    (alarm,) = site.client.get("/api/alarms").json()
    assert alarm["reason"] == "from CT[not readable]1"


# --- the instance ledger --------------------------------------------------------------------------


def test_the_way_of_a_study_is_shown_and_its_gaps_are_alarms(
    site: Site, phantom_paths: list[Path]
) -> None:
    finish(site, study_with_job(site, phantom_paths[0]), objects=2)
    with site.database.write() as tx:
        (study,) = index.list_studies(tx)
        named = (Reference("1.2.840.10008.5.1.4.1.1.2", "1.2.3.404"),)
        new = NewAnnouncement(
            AnnouncementKind.MPPS,
            "9.1",
            "CT1",
            StepStatus.COMPLETED,
            (study.study_instance_uid,),
            named,
            {},
        )
        announcements.enter(tx, new, START)
        later = START + timedelta(hours=1)
        gaps.watch(tx, gaps.find(tx, later), later)
    page = site.client.get("/studies/1").text
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "announced 1 received 1, 1 announced is missing stored 1" in text
    assert "analyzed 1 of 1 results sent 0 of 2" in text
    assert "Images that were announced have not come (1), for" in text
    assert "Results have not been sent (2), for" in text
    assert "1.2.3.404" not in page
    assert "Thorax" in site.client.get("/?problems=true").text
    way = site.client.get(f"/api/studies/{study.id}").json()["way"]
    assert (way["announced"], way["missing"], way["received"], way["stored"]) == (1, 1, 1, 1)
    assert way["sent"] == {"done": 0, "total": 2}
    assert {one["stage"] for one in way["gaps"]} == {"received", "completed", "sent"}


def test_a_study_that_was_announced_and_never_came_is_an_alarm_without_its_uid(site: Site) -> None:
    with site.database.write() as tx:
        new = NewAnnouncement(
            AnnouncementKind.IAN,
            "9.1",
            "PACS",
            StepStatus.COMPLETED,
            ("1.2.3.505",),
            (Reference("1.2", "1.2.3.404"),),
            {},
        )
        announcements.enter(tx, new, START)
        gaps.watch(tx, gaps.find(tx, START), START)
    page = site.client.get("/alarms").text
    assert "Announced study" in page and "images that were announced have not come" in page
    assert "1.2.3.505" not in page


def test_results_are_told_apart_from_images(site: Site, phantom_paths: list[Path]) -> None:
    job = study_with_job(site, phantom_paths[0])
    assert "1 series, 1 image</span>" in site.client.get("/studies/1").text
    finish(site, job)
    with site.database.write() as tx:
        index.add_own(tx, 1, [result("9.1"), result("9.2")], START)
    text = site.client.get("/studies/1").text
    assert "1 series, 1 image</span>" in text
    assert "<span>2 results</span>" in text
    study = site.client.get("/api/studies/1").json()
    assert (study["instances"], study["results"], study["modalities"]) == (1, 2, "CT")
