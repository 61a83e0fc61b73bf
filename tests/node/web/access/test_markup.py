"""Markup in whatever others send: on no page does any of it become an element or an attribute."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser

import httpx
import pytest
from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from node.web.access.roles import Role
from node.web.access.routes import NamedRoute, named
from node.web.app import create_app
from storage import events, index, ledger, outbox, quarantine
from storage.header import attributes
from storage.header.reading import read_attributes
from storage.quarantine import RefusalKind, Refused
from storage.records import (
    FindingRow,
    InstanceRecord,
    JobResults,
    Level,
    NewJob,
    Placement,
    Priority,
    PutOutcome,
    ResultObject,
    Topic,
)
from tests.instances import make_dataset, write_instance
from tests.node.web.access.houses import House
from tests.node.web.sites import START, Site, acting

ELEMENT = "<wt-evil>"
MARKUP = f"\"'>{ELEMENT}<script>wt()</script>' wt-evil=\" {{{{7*7}}}}"
TEXT_VRS = ("PN", "LO", "SH", "ST", "LT", "UT", "CS", "AE")


class Seen(HTMLParser):
    """What a browser would find on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.evil: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if "wt-evil" in (tag, *names) or any(name.startswith("on") for name in names):
            self.evil.append(f"{tag} {names}")
        if tag == "script" and "src" not in names:
            self.evil.append("a script within the page")
        for name, value in attrs:
            if name in ("href", "src", "action") and (value or "").lower().startswith("javascript"):
                self.evil.append(f"{name} {value}")

    def handle_data(self, data: str) -> None:
        self.text += data


def evil_on(page: str) -> list[str]:
    seen = Seen()
    seen.feed(page)
    seen.close()
    return seen.evil


def test_the_judge_sees_markup_that_runs() -> None:
    assert len(evil_on(f'<p title="{MARKUP}">{MARKUP}</p>')) > 2
    assert evil_on("<a href=javascript:x>")
    assert evil_on("<p>&lt;script&gt;</p>") == []


@pytest.fixture
def poisoned(site: Site) -> Site:
    """A study that says it in every text that is kept, with a job, an alarm and a refused image."""
    keywords = {*attributes.STUDY, *attributes.SERIES}
    texts = {one: MARKUP for one in keywords if dictionary_VR(one) in TEXT_VRS}
    with config.disable_value_validation():
        dataset = make_dataset(**{**texts, "Modality": "CT"})
        for level in ("Study", "Series", "SOP"):
            setattr(dataset, f"{level}InstanceUID", generate_uid())
        path = site.archive.instances.root / "evil.dcm"  # type: ignore[attr-defined]
        path.parent.mkdir(exist_ok=True)
        write_instance(path, dataset, ExplicitVRLittleEndian)
        told = read_attributes(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    placed = Placement(PutOutcome.NEW, path.name, path.stat().st_size, digest, "")
    with site.database.write() as tx:
        index.add(tx, [InstanceRecord(told, placed, START, MARKUP)])
        (study,) = index.list_studies(tx)
        (series,) = index.series_of(tx, study.id)
        new = NewJob(
            "i", "lung_segmentation", "1.0.0", "p", {"why": MARKUP}, study.id, series.id,
            (series.instances[0].id,), MARKUP, Priority.ROUTINE, ("pacs",),
        )  # fmt: skip
        job = ledger.enqueue(tx, new, START)
        assert job is not None
        ledger.claim(tx, START)
        made = ResultObject("1.2.3.9", "1.2", "1.2.4", "1.2.5", "sr", "abc/9.dcm", 9, "d")
        found = FindingRow(MARKUP, MARKUP, 1.5, MARKUP)
        results = JobResults(objects=(made,), findings=(found,), remarks=(MARKUP,))
        ledger.done(tx, job, START + timedelta(seconds=7), results)
        (due,) = outbox.claim(tx, "pacs", START + timedelta(hours=1))
        outbox.failed(tx, due.id, START, 0xA900, MARKUP)
        for topic, about in ((Topic.NODE, 0), (Topic.STUDY, study.id), (Topic.JOB, job)):
            events.record(tx, START, Level.ALARM, topic, about, "", MARKUP[:16], MARKUP)
        refused = Refused(MARKUP, RefusalKind.CONFLICT, MARKUP, "f", "2.25.9", "2.25.8", MARKUP)
        quarantine.enter(tx, START, refused)
    return site


def _pages(client: httpx.Client, routes: list[NamedRoute]) -> Iterator[tuple[str, str]]:
    """Every page that anybody can open, with its text."""
    paths = {one.path for one in routes if one.method == "GET"}
    filled = {re.sub(r"\{[^}]+\}", "1", one) for one in paths if not one.startswith("/dicom-web")}
    for path in sorted(filled - {"/events"}):
        answer = client.get(path, headers={"Accept": "text/html"})
        assert answer.status_code != 500, path
        if answer.headers.get("content-type", "").startswith("text/html"):
            yield path, answer.text


def test_markup_of_others_is_text_on_every_page(poisoned: Site) -> None:
    with acting(poisoned) as site:
        assert site.context is not None
        routes = named(create_app(site.context))
        shown = {path: page for path, page in _pages(site.client, routes)}
        found = {path: evil for path, page in shown.items() if (evil := evil_on(page))}
        assert found == {}
        said = [path for path, page in shown.items() if "wt-evil" in page]
        assert {"/", "/alarms", "/jobs/1", "/quarantine"} <= set(said)
        assert "{{7*7}}" in shown["/jobs/1"]


@pytest.mark.parametrize("path", [f"/{ELEMENT}", f"/?before={ELEMENT}", f"/studies/{ELEMENT}"])
def test_what_an_address_says_is_text_in_the_refusal(site: Site, path: str) -> None:
    page = site.client.get(path, headers={"Accept": "text/html"})
    assert evil_on(page.text) == []


def test_what_is_typed_at_the_login_is_text(house: House) -> None:
    house.add("boss", Role.ADMINISTRATOR)
    browser = house.browser()
    page = browser.post("/login", data={"name": MARKUP, "password": "x", "next": f"/{MARKUP}"})
    assert evil_on(page.text) == []
    boss = house.logged_in("boss")
    for one in ("/users", "/sessions", "/audit", "/app-passwords"):
        assert evil_on(boss.get(one).text) == []
    answer = house.browser(**{"User-Agent": MARKUP}).post(
        "/login", data={"name": "boss", "password": "right horse battery"}
    )
    assert answer.status_code == 303
    assert evil_on(boss.get("/sessions").text) == []
