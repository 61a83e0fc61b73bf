"""Who sees the studies of one place: of every other study there is nothing, wherever he asks.

Every route is asked for a study from elsewhere, and for one that there is not: the answers are the
same. What lists, lists nothing of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from node.config.restrictions import RestrictionSettings
from node.web.access.rights import Rights
from node.web.access.roles import Role, Who
from node.web.access.routes import NamedRoute, named
from node.web.app import create_app
from node.web.server import WebServer
from storage import events, index, ledger, quarantine
from storage.header.reading import read_attributes
from storage.quarantine import RefusalKind, Refused
from storage.records import (
    InstanceRecord,
    JobResults,
    Level,
    NewJob,
    Placement,
    Priority,
    PutOutcome,
    Topic,
)
from tests.instances import make_dataset, write_instance
from tests.node.web.sites import LUNG, START, Site

NOWHERE = {"study": "2.25.1", "series": "2.25.2", "instance": "2.25.3"}
LEVELS = ("Study", "Series", "SOP")
NO_ROW = "987654"
TEXTS = ("Foreign^Person", "FOREIGN-ID", "FOREIGN-ACC", "Foreign description", "MR9")


@dataclass(frozen=True)
class Foreign:
    """A study from elsewhere, with the numbers of its rows by the names that paths have."""

    uids: Mapping[str, str]
    rows: Mapping[str, int]

    @property
    def marks(self) -> tuple[str, ...]:
        """What would tell of it."""
        return (*TEXTS, *self.uids.values())


class _Always:
    def __init__(self, asking: Who) -> None:
        self._asking = asking

    async def identify(self, request: object) -> Who:
        return self._asking


RULES = (RestrictionSettings(role="operator", ae_titles=("CT1",)),)


@pytest.fixture
def foreign(site: Site) -> Foreign:
    return enter_both(site)


def enter_both(site: Site) -> Foreign:
    """Ours from CT1, another's from MR9; of both a job, an alarm and a refused image."""
    _enter(site, "CT1", PatientName="Our^Own", PatientID="OURS", AccessionNumber="OUR-ACC")
    return _enter(
        site,
        "MR9",
        PatientName="Foreign^Person",
        PatientID="FOREIGN-ID",
        AccessionNumber="FOREIGN-ACC",
        StudyDescription="Foreign description",
    )


def _enter(site: Site, calling_ae: str, **header: str) -> Foreign:
    dataset = make_dataset(**{f"{one}InstanceUID": generate_uid() for one in LEVELS}, **header)
    path = site.archive.instances.root / f"{calling_ae}.dcm"  # type: ignore[attr-defined]
    path.parent.mkdir(exist_ok=True)
    write_instance(path, dataset, ExplicitVRLittleEndian)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    placed = Placement(PutOutcome.NEW, path.name, path.stat().st_size, digest, "")
    uid = str(dataset.StudyInstanceUID)
    with site.database.write() as tx:
        index.add(tx, [InstanceRecord(read_attributes(path), placed, START, calling_ae)])
        study = index.find_study(tx, uid)
        assert study is not None
        (series,) = index.series_of(tx, study.id)
        instance = series.instances[0].id
        new = NewJob(
            calling_ae, "lung_segmentation", "1.0.0", "p", {}, study.id, series.id, (instance,),
            "chest", Priority.ROUTINE, ("pacs",),
        )  # fmt: skip
        job = ledger.enqueue(tx, new, START)
        assert job is not None
        ledger.claim(tx, START)
        made = JobResults(findings=(LUNG,), previews=(f"{calling_ae}/0.png",))
        ledger.done(tx, job, START + timedelta(seconds=7), made)
        alarm = events.record(
            tx, START, Level.ALARM, Topic.STUDY, study.id, "", "x", f"of {calling_ae}"
        )
        refused = Refused(
            calling_ae, RefusalKind.CONFLICT, f"of {calling_ae}", "f", "2.25.9", uid, calling_ae
        )
        quarantine.enter(tx, START, refused)
        (row,) = [one for one in quarantine.newest(tx) if one.refused.calling_ae == calling_ae]
    folder = site.results.folder(calling_ae)
    (folder / "0.png").write_bytes(b"a picture")
    rows = {"study_id": study.id, "job_id": job, "event_id": alarm, "quarantined_id": row.id}
    uids = {
        "study": uid,
        "series": str(dataset.SeriesInstanceUID),
        "instance": str(dataset.SOPInstanceUID),
    }
    return Foreign(uids, rows)


Asked = tuple[httpx.Client, list[NamedRoute]]


@pytest.fixture
def asked(site: Site, foreign: Foreign) -> Iterator[Asked]:
    """As an operator who sees what came from CT1."""
    with _asking(site, Rights(restrictions=RULES)) as found:
        yield found


@contextmanager
def _asking(site: Site, rights: Rights) -> Iterator[Asked]:
    assert site.context is not None
    access = _Always(rights(Who("ann", Role.OPERATOR)))
    app = create_app(replace(site.context, access=access))
    server = WebServer(lambda: app, "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        yield client, named(app)
    server.stop()


def _filled(path: str, uids: Mapping[str, str], rows: Mapping[str, Any]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1].partition(":")[0]
        return str(uids.get(name) or rows.get(name, "1"))

    return re.sub(r"\{([^}]+)\}", value, path)


BODY = {"reason": "because", "analyzer": "gaussian_filter", "parameters": {}, "destinations": []}


def _ask(client: httpx.Client, method: str, path: str) -> httpx.Response:
    body = {"json": BODY} if method not in ("GET", "HEAD") else {}
    return client.request(method, path, headers={"X-Wetread": "1"}, **body)  # type: ignore[arg-type]


def test_every_route_answers_of_a_foreign_study_as_if_there_were_none(
    asked: Asked, foreign: Foreign
) -> None:
    client, routes = asked
    rows = {name: NO_ROW for name in foreign.rows}
    asked_of = 0
    for one in routes:
        theirs = _filled(one.path, foreign.uids, foreign.rows)
        nowhere = _filled(one.path, NOWHERE, rows)
        if theirs == nowhere or one.need is Role.ADMINISTRATOR or one.method == "*":
            continue
        there, none = _ask(client, one.method, theirs), _ask(client, one.method, nowhere)
        text = there.text
        for name, row in foreign.rows.items():
            text = re.sub(rf"\b{row}\b", rows[name], text)
        for name, uid in foreign.uids.items():
            text = text.replace(uid, NOWHERE[name])
        assert (there.status_code, text) == (none.status_code, none.text), one
        assert not any(mark in there.text for mark in TEXTS), one
        asked_of += 1
    assert asked_of > 25


def test_who_sees_all_is_given_what_the_others_are_not(site: Site, foreign: Foreign) -> None:
    with _asking(site, Rights()) as (client, routes):
        given = [
            one.path
            for one in routes
            if one.method == "GET"
            and (path := _filled(one.path, foreign.uids, foreign.rows)) != one.path
            and one.need is not Role.ADMINISTRATOR
            and client.get(path).status_code == 200
        ]
    assert len(given) > 15
    assert {"/dicom-web/studies/{study}", "/api/studies/{study_id}"} <= set(given)


def test_what_lists_lists_nothing_of_a_foreign_study(asked: Asked, foreign: Foreign) -> None:
    client, routes = asked
    lists = {one.path for one in routes if one.method == "GET" and "{" not in one.path}
    lists -= {"/events"}  # a stream without end
    lists |= {
        "/dicom-web/studies?PatientName=Foreign*",
        "/dicom-web/studies?AccessionNumber=FOREIGN-ACC&includefield=all",
        "/dicom-web/series?Modality=CT&includefield=all",
        f"/dicom-web/instances?StudyInstanceUID={foreign.uids['study']}",
        "/?problems=true",
        f"/?study={foreign.rows['study_id']}",
        f"/api/jobs?study={foreign.rows['study_id']}",
        f"/api/deliveries?job={foreign.rows['job_id']}",
        "/dicom-web/wado?requestType=WADO&studyUID={study}&seriesUID={series}"
        "&objectUID={instance}".format(**foreign.uids),
        f"/open?study={foreign.uids['study']}",
        "/open?accession=FOREIGN-ACC",
    }
    shown = 0
    for path in sorted(lists):
        answer = client.get(path, headers={"Accept": "*/*"})
        assert answer.status_code != 500, path
        found = [mark for mark in foreign.marks if mark in answer.text]
        assert not found or (path in str(answer.url) and set(found) <= set(_said(path))), path
        shown += answer.status_code == 200
    assert shown > 8
    ours = client.get("/dicom-web/studies?includefield=all").text
    assert "OUR-ACC" in ours


def _said(path: str) -> Iterator[str]:
    """What whoever asks has said himself may be repeated to him."""
    yield from re.findall(r"[0-9.]{5,}|FOREIGN-ACC", path)


def test_who_is_not_shown_names_has_no_images(site: Site, foreign: Foreign) -> None:
    assert site.context is not None
    access = _Always(Rights(names_for=("operator",))(Who("vic", Role.VIEWER)))
    server = WebServer(lambda: create_app(replace(site.context, access=access)), "127.0.0.1", 0)
    server.start()
    base = f"http://127.0.0.1:{server.port}"
    refused = site.client.get(f"{base}/dicom-web/studies")
    assert refused.status_code == 403
    assert "is not shown patients' names" in refused.json()["error"]
    rows = foreign.rows
    for path in (
        "/previews/{job_id}/0.png",
        "/thumbnails/{job_id}/0.png",
        "/studies/{study_id}/look",
        "/studies/{study_id}/look/1/1/picture.png",
        "/studies/{study_id}/look/1/1/values",
        "/studies/{study_id}/look/1/stack",
        "/studies/{study_id}/look/1/thumbnail.webp",
        "/studies/{study_id}/thumbnail.webp",
        "/open/studies/{study_id}",
        "/open/jobs/{job_id}",
        "/open?accession=FOREIGN-ACC",
    ):
        assert site.client.get(base + path.format(**rows)).status_code == 403, path
    study = site.client.get(f"{base}/studies/{rows['study_id']}").text
    assert "Left lung" in study, "what was found is told"
    page = site.client.get(f"{base}/").text
    for shown in (study, page):
        assert not re.search("/previews/|/thumbnails/|thumbnail.webp|/look|/open/", shown)
    assert "Foreign^Person" not in page
    assert "FOREIGN-ID" not in page
    server.stop()
