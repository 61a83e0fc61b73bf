"""The badge of a study and the lines of its deliveries say what is true, in green only what is
good."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from node.web.app import WebContext, create_app
from node.web.context import Away
from node.web.server import WebServer
from storage import index, ledger, outbox
from storage.records import JobResults
from tests.node.web.sites import START, Site, fail, finish, refuse_all, study_with_job
from tests.storage.samples import add_study, result

BADGE = re.compile(r'<span class="badge (\w+)"><span aria-hidden="true">(.)</span> ([^<]+)</span>')
REPORT = JobResults(objects=(result("1.2.9", "sr"),))


def badge(site: Site) -> tuple[str, str, str]:
    """Class, sign and words of the badge that stands last above the facts of the first study."""
    above, _, _ = site.client.get("/studies/1").text.partition('id="s1-facts"')
    look, sign, words = BADGE.findall(above)[-1]
    return look, sign, words


def complete(site: Site) -> None:
    with site.database.write() as tx:
        (study,) = index.list_studies(tx)
        index.complete(tx, study.id, START, study.last_received_at)


def test_a_complete_study_of_which_nothing_was_analyzed_is_not_green(site: Site) -> None:
    with site.database.write() as tx:
        index.note(tx, add_study(tx), "no rule fires")
    assert badge(site) == ("not_applicable", "–", "nothing was analyzed")


def test_a_study_with_failed_jobs_says_how_many(site: Site, phantom_paths: list[Path]) -> None:
    fail(site, study_with_job(site, phantom_paths[0]))
    complete(site)
    assert badge(site) == ("failed", "✕", "1 of 1 analyses failed")
    assert "analyzed</span> 0 of 1" in site.client.get("/studies/1").text


def test_a_study_whose_analysis_was_cancelled_says_so(
    site: Site, phantom_paths: list[Path]
) -> None:
    job = study_with_job(site, phantom_paths[0])
    complete(site)
    with site.database.write() as tx:
        ledger.cancel(tx, job, START, "anna")
        assert ledger.cancelled(tx, job, START)
    assert "analysis cancelled" in badge(site)


def test_a_study_is_analyzed_when_its_results_are_where_they_belong(
    site: Site, phantom_paths: list[Path]
) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    assert badge(site)[0] == "receiving"
    complete(site)
    assert badge(site) == ("running", "▶", "being analyzed")
    finish(site, job_id, objects=2)
    assert badge(site) == ("pending", "○", "2 results to be sent")
    with site.database.write() as tx:
        for one in outbox.claim(tx, "pacs", START + timedelta(hours=1)):
            outbox.sent(tx, one.id, START, 0)
    assert badge(site) == ("done", "✓", "analyzed")


def test_a_study_whose_results_are_refused_is_not_green(
    site: Site, phantom_paths: list[Path]
) -> None:
    finish(site, study_with_job(site, phantom_paths[0]), objects=3)
    complete(site)
    refuse_all(site)
    assert badge(site) == ("failed", "✕", "3 results not delivered")


def end_with_a_report(site: Site, end: Callable[..., None], job_id: int, *words: str) -> str:
    with site.database.write() as tx:
        end(tx, job_id, START, *words, REPORT)
        for one in outbox.claim(tx, "pacs", START + timedelta(hours=1)):
            outbox.sent(tx, one.id, START, 0)
    page = site.client.get("/studies/1").text
    (line,) = re.findall(r'<li class="\w+"><span aria-hidden="true">.</span> pacs: [^<]*', page)
    return re.sub(r"<[^>]+>", "", line)


def test_what_was_sent_of_a_failed_job_is_called_the_report_of_the_failure(
    site: Site, phantom_paths: list[Path]
) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    said = end_with_a_report(site, ledger.failed, job_id, "it broke", "Traceback")
    assert said == "– pacs: only the report of the failure was sent"


def test_what_was_sent_of_a_job_that_does_not_apply_is_called_so(
    site: Site, phantom_paths: list[Path]
) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    said = end_with_a_report(site, ledger.not_applicable, job_id, "no CT")
    assert said == "– pacs: only the report that it does not apply was sent"
    complete(site)
    assert badge(site) == ("not_applicable", "–", "no analysis applies")


def context_of(site: Site, away: dict[str, Away], kind: str = "dimse") -> WebContext:
    return WebContext(
        database=site.database,
        results=site.results,
        archive=site.archive,
        health=site.health,
        title="WETREAD",
        version="1",
        dimse_host="127.0.0.1",
        dimse_port=lambda: 1,
        destinations=("pacs",),
        wake=lambda: None,
        away=lambda: away,
        kinds={"pacs": kind},
    )


async def _page_of_the_study(app: FastAPI) -> str:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        return (await client.get("/studies/1")).text


def drawn(site: Site, away: dict[str, Away], kind: str = "dimse") -> str:
    text = asyncio.run(_page_of_the_study(create_app(context_of(site, away, kind))))
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


@pytest.mark.parametrize("again_s", [400, -5])
def test_while_a_destination_is_away_nothing_is_tried_now(
    site: Site, phantom_paths: list[Path], again_s: float
) -> None:
    finish(site, study_with_job(site, phantom_paths[0]))
    with site.database.write() as tx:
        (one,) = outbox.claim(tx, "pacs", START + timedelta(hours=1))
        outbox.retry_later(tx, one.id, START, START, None, "no route")
    now = datetime.now(UTC)
    away = {"pacs": Away(now - timedelta(minutes=20), now + timedelta(seconds=again_s))}
    text = drawn(site, away)
    assert "1 waiting (until it answers)" in text
    assert "next try now" not in text
    assert "due, next in turn" in drawn(site, {})


def test_programs_are_told_the_kind_of_a_destination_and_since_when_it_is_silent(
    site: Site, phantom_paths: list[Path]
) -> None:
    finish(site, study_with_job(site, phantom_paths[0]))
    now = datetime.now(UTC)
    away = {"pacs": Away(now - timedelta(minutes=20), None)}
    server = WebServer(lambda: create_app(context_of(site, away, "folder")), "127.0.0.1", 0)
    server.start()
    try:
        (one,) = httpx.get(f"http://127.0.0.1:{server.port}/api/destinations").json()
    finally:
        server.stop()
    assert (one["name"], one["kind"], one["next_try"]) == ("pacs", "folder", None)
    assert one["silent_since"] == (now - timedelta(minutes=20)).isoformat()
    assert one["next_due"]
    (usual,) = site.client.get("/api/destinations").json()
    assert (usual["kind"], usual["silent_since"]) == ("dimse", None)
