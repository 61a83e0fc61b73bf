"""Whoever sees the studies of one place is answered as by a node that has no others: every list,
every filter, every part of a list, in status, headers and body."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from html import unescape
from itertools import islice
from pathlib import Path

import httpx
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from node.config.restrictions import RestrictionSettings
from node.web.access.rights import Rights
from node.web.access.roles import Role, Who
from node.web.access.routes import named
from node.web.app import create_app
from node.web.live import watch
from node.web.server import WebServer
from storage import events, index, ledger, quarantine
from storage.header.attributes import extract
from storage.quarantine import RefusalKind, Refused
from storage.records import (
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
from storage.revisions import Watched
from tests.instances import make_dataset
from tests.node.web.access.test_foreign_study import BODY, _Always
from tests.node.web.conftest import served
from tests.node.web.sites import LUNG, START, Site

OURS, THEIRS = 30, 30
"""More than a part of a list holds."""
RULES = (RestrictionSettings(role="operator", ae_titles=("CT1",)),)
MOST_ANSWERS = 40
"""Fewer than both have."""


def enter(site: Site, number: int, calling_ae: str) -> None:
    """A study with a job that failed or found something, an alarm, a refused image."""
    is_ours = calling_ae == "CT1"
    word = "Our" if is_ours else "Foreign"
    uid = f"1.2.{number}"
    dataset = make_dataset(
        number,
        StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", SOPInstanceUID=f"{uid}.1.1",
        PatientName=f"{word}^Person{number}", PatientID=f"{word}-ID-{number}",
        AccessionNumber=f"{word}-{number}", StudyDescription=f"{word} description",
        Modality="CT" if is_ours else "MR", InstitutionName=f"{word} house",
        StudyDate=f"20260{1 + number % 3}{10 + number % 17}",
    )  # fmt: skip
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    at = START + timedelta(minutes=7 * (number % 30), seconds=0 if is_ours else 30)
    placed = Placement(
        PutOutcome.NEW, f"k{number}", 1, hashlib.sha256(uid.encode()).hexdigest(), ""
    )
    with site.database.write() as tx:
        index.add(tx, [InstanceRecord(extract(dataset), placed, at, calling_ae)])
        study = index.find_study(tx, uid)
        assert study is not None
        index.complete(tx, study.id, at, study.last_received_at)
        if number % 3 == 0:
            return
        (series,) = index.series_of(tx, study.id)
        new = NewJob(
            f"i{number}", "lung_segmentation" if is_ours else "gaussian_filter", "1.0.0", "p", {},
            study.id, series.id, (series.instances[0].id,), "chest", Priority.ROUTINE, ("pacs",),
        )  # fmt: skip
        job = ledger.enqueue(tx, new, at)
        assert job is not None
        ledger.claim(tx, at)
        if number % 3 == 1:
            ledger.failed(tx, job, at, f"{word} reason", "Traceback")
        else:
            made = ResultObject(f"{uid}.9", "1.2", f"{uid}.8", "1.2.5", "sr", "abc/0.dcm", 9, "d")
            ledger.done(tx, job, at, JobResults(objects=(made,), findings=(LUNG,)))
        events.record(tx, at, Level.ALARM, Topic.STUDY, study.id, "", "x", f"{word} alarm")
        if not is_ours:
            refused = Refused(
                "MR9", RefusalKind.CONFLICT, "of MR9", f"f{number}", "2.25.9", uid, "MR9"
            )
            quarantine.enter(tx, at, refused)


@contextmanager
def asked(site: Site) -> Iterator[httpx.Client]:
    """By an operator who sees what came from CT1."""
    assert site.context is not None
    access = _Always(Rights(restrictions=RULES)(Who("ann", Role.OPERATOR)))
    context = replace(site.context, access=access, max_answers=MOST_ANSWERS)
    server = WebServer(lambda: create_app(context), "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        yield client
    server.stop()


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[httpx.Client, httpx.Client, list[str]]]:
    """A node that has others' studies too, one that has not, and the paths of lists."""
    with ExitStack() as stack:
        clients = []
        for name, others in (("with", THEIRS), ("without", 0)):
            (tmp_path / name).mkdir()
            site = stack.enter_context(served(tmp_path / name))
            for number in range(1, OURS + 1):
                enter(site, number, "CT1")
            for number in range(OURS + 1, OURS + 1 + others):
                enter(site, number, "MR9")
            clients.append(stack.enter_context(asked(site)))
        routes = named(create_app(site.context))  # type: ignore[arg-type]
        paths = [
            one.path
            for one in routes
            if one.method == "GET"
            and "{" not in one.path
            and one.need is not Role.ADMINISTRATOR
            and one.path != "/events"
        ]
        yield clients[0], clients[1], paths


QIDO = (
    "", "PatientName=Foreign*", "PatientName=*", "PatientID=Foreign-ID-35",
    "AccessionNumber=Foreign-35", "AccessionNumber=*-3*", "ModalitiesInStudy=MR", "Modality=MR",
    "StudyInstanceUID=1.2.35", "StudyInstanceUID=1.2.5,1.2.35", "StudyDate=20260101-20260331",
    "StudyDate=20260211", "InstitutionName=Foreign house", "StudyDescription=Foreign*",
    "NumberOfStudyRelatedInstances=1", "limit=5", "limit=5&offset=25", "offset=29", "offset=35",
    "limit=31", "limit=100", "fuzzymatching=true&PatientName=Foreign", "00100020=Foreign*",
    "includefield=all&ModalitiesInStudy=MR", "SeriesInstanceUID=1.2.35.1",
    "SOPInstanceUID=1.2.35.1.1", "SpecificCharacterSet=*",
)  # fmt: skip
PAGES = (
    "/?problems=true", "/?sort=date", "/?modality=MR", "/?modality=CT",
    "/?finding=lung", "/?finding=Left+lung", "/?from=2026-02-01&to=2026-02-28",
    "/?state=failed", "/?state=waiting", "/?state=finding", "/?state=read", "/?study=35",
    "/jobs?state=failed", "/jobs?state=pending", "/jobs?before=40", "/jobs?before=25",
    "/deliveries?destination=pacs", "/deliveries?job=35", "/api/jobs?study=35",
    "/api/jobs?state=failed", "/api/jobs?limit=5", "/api/jobs?before=35", "/api/studies?limit=5",
    "/api/studies?limit=40", "/api/deliveries?limit=5", "/api/deliveries?job=35",
    "/rules?study=35", "/studies/35", "/jobs/35", "/open?study=1.2.35",
    "/open?accession=Foreign-35",
    "/studies/35/thumbnail.webp", "/thumbnails/35/0.png", "/previews/35/0.png",
    "/dicom-web/studies/1.2.35/series", "/dicom-web/studies/1.2.35/metadata",
    "/dicom-web/studies/1.2.5/series?Modality=MR", "/dicom-web/studies/1.2.35/rendered",
)  # fmt: skip
PASSING = re.compile(r"\b\d+ (s|min|h|days) ago|\d\d:\d\d:\d\d(\.\d+)?|127\.0\.0\.1:\d+|:\d{4,5}\b")
"""What tells of the time or the port, and of nothing else."""
OF_THE_MOMENT = ("date",)


def told(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    """All that an answer tells of."""
    heads = {
        name: PASSING.sub("", value)
        for name, value in answer.headers.items()
        if name not in OF_THE_MOMENT
    }
    body = PASSING.sub("", answer.content.decode("latin-1"))
    heads["content-length"] = ""
    return answer.status_code, heads, body


def same(one: httpx.Client, other: httpx.Client, path: str, **head: str) -> httpx.Response:
    """What both answer, which is the same."""
    for _ in range(3):  # on a busy machine a page is shown without what could not be asked in time
        here, there = (client.get(path, headers=head) for client in (one, other))
        if told(here) == told(there):
            break
    assert told(here) == told(there), path
    assert "Foreign" not in here.text.replace(path, ""), path
    return here


def test_every_list_is_that_of_a_node_without_the_others(
    both: tuple[httpx.Client, httpx.Client, list[str]],
) -> None:
    one, other, paths = both
    asked_of = [*paths, *PAGES]
    for level in ("studies", "series", "instances"):
        asked_of += [f"/dicom-web/{level}?{query}" for query in QIDO]
    for path in asked_of:
        accept = "*/*" if path.startswith(("/dicom-web", "/api")) else "text/html"
        found = same(one, other, path, Accept=accept)
        assert found.status_code != 500, path
        if tag := found.headers.get("etag"):
            again = same(one, other, path, Accept=accept, **{"If-None-Match": tag})
            assert again.status_code == 304
    assert "Our" in one.get("/dicom-web/studies?PatientName=*").text


@pytest.mark.parametrize("start", ["/", "/?sort=date", "/jobs", "/deliveries", "/?problems=1"])
def test_the_parts_of_a_list_follow_one_another_alike(
    both: tuple[httpx.Client, httpx.Client, list[str]], start: str
) -> None:
    one, other, _ = both
    path, parts = start, 0
    while path:
        found = same(one, other, path, Accept="text/html")
        parts += 1
        older = re.findall(r'<a href="([^"]+)" rel="next"|rel="next" href="([^"]+)"', found.text)
        path = unescape("".join(older[0])) if older else ""
        assert parts < 20
    assert parts > (start in ("/", "/?sort=date"))


def test_who_acts_on_a_study_that_he_does_not_see_is_told_the_same(
    both: tuple[httpx.Client, httpx.Client, list[str]],
) -> None:
    one, other, _ = both
    head = {"X-Wetread": "1"}
    for path in ("/studies/35/now", "/api/studies/35/analyze", "/api/jobs/35/retry"):
        here, there = (client.post(path, json=BODY, headers=head) for client in (one, other))
        assert told(here) == told(there)


def test_the_stream_tells_of_everything_whatever_has_changed(
    both: tuple[httpx.Client, httpx.Client, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REGULARLY_S", 0.01)
    for client in both[:2]:
        with client.stream("GET", "/events") as answer:
            told = [line for line in islice(answer.iter_lines(), 8) if line.startswith("data:")]
        assert told == [f"data: {' '.join(sorted(Watched))}"] * len(told)
        assert told
