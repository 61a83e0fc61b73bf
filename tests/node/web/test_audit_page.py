"""Who looked at what: the administrator's page of the audit trail."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from node.audit.events import TrailRead
from storage import audit
from storage.audit import AuditRow
from tests.instances import make_dataset
from tests.node.web.dicomweb.holding import hold
from tests.node.web.sites import Site
from tests.trails import KeptTrail

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STUDY = str(make_dataset(1).StudyInstanceUID)


def line(number: int, person: str = "meier", patient: str = "P-4711", uid: str = "1.2") -> AuditRow:
    return AuditRow(
        NOON + timedelta(hours=number),
        "DICOM Instances Accessed",
        0,
        person,
        "10.0.0.7",
        "<AuditMessage/>",
        patient,
        "Secret^Jane",
        uid,
        f"look {number}",
    )


def keep(site: Site, *rows: AuditRow) -> None:
    with site.database.write() as tx:
        audit.keep(tx, rows)


def search(site: Site, **fields: str) -> httpx.Response:
    """As a person sends the form."""
    token = re.search(r'name="token" value="([^"]+)"', site.client.get("/audit").text)
    assert token
    return site.client.post("/audit", data={"token": token[1], **fields})


def looks(text: str) -> list[int]:
    return [int(one) for one in re.findall(r"look (\d+)<", text)]


def test_it_shows_who_looked_at_what_and_the_look_is_told(site: Site) -> None:
    hold(site, make_dataset(1))
    keep(site, line(1, uid=STUDY), line(2))
    answer = site.client.get("/audit")
    assert answer.status_code == 200
    assert looks(answer.text) == [2, 1]
    assert "meier" in answer.text and "10.0.0.7" in answer.text
    assert 'href="/studies/1"' in answer.text and "deleted" in answer.text
    assert STUDY not in answer.text
    trail = site.context.audit
    assert isinstance(trail, KeptTrail)
    assert [one.by.name for one in trail.of(TrailRead)] == ["local"]


def test_lines_like_another_are_asked_for_by_its_number(site: Site) -> None:
    keep(site, line(1), line(2, person="kunz"), line(3, patient="P-2", uid="1.3"), line(4, "kunz"))
    assert looks(site.client.get("/audit?like=2&by=person").text) == [4, 2]
    assert looks(site.client.get("/audit?like=2&by=patient").text) == [4, 2, 1]
    assert looks(site.client.get("/audit?like=3&by=study").text) == [3]
    assert site.client.get("/audit?like=99").status_code == 404


def test_what_names_a_patient_is_searched_by_a_form(site: Site) -> None:
    keep(site, line(1), line(2, patient="P-2"), line(30, person="<b>kunz</b>"))
    assert looks(search(site, patient_id="P-2").text) == [2]
    days = {"since": "2026-03-01", "until": "2026-03-01", "person": "meier"}
    assert looks(search(site, **days).text) == [2, 1]
    answer = search(site, person="<b>kunz</b>")
    assert looks(answer.text) == [30]
    assert "<b>" not in answer.text
    assert search(site, since="yesterday").status_code == 422
    assert looks(search(site, accession_number="none").text) == []


@pytest.mark.parametrize("is_search", [False, True])
def test_it_is_paged(site: Site, is_search: bool) -> None:
    keep(site, *(line(number) for number in range(1, 121)))
    if is_search:
        first = search(site, person="meier").text
        older = re.search(r'name="before" value="(\d+)"', first)
        assert older
        second = search(site, person="meier", before=older[1]).text
    else:
        first = site.client.get("/audit?like=1&by=person").text
        link = re.search(r'rel="next" href="([^"]+)"', first)
        assert link
        second = site.client.get(link[1].replace("&amp;", "&")).text
    assert looks(first) == list(range(120, 20, -1))
    assert looks(second) == list(range(20, 0, -1))
