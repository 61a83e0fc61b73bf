"""Who looks at studies over the web, searches and takes them, is in the audit trail."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import httpx
import pytest
from starlette.requests import Request

from node.audit.events import Accessed, Query, Refused, Subject, Transferred
from node.web.access import routes as named_routes
from node.web.access.roles import Role, Who
from node.web.app import create_app
from tests.instances import make_dataset
from tests.node.web.dicomweb.holding import hold, series_url, study_url, url
from tests.node.web.sites import Site
from tests.trails import KeptTrail

STUDY = str(make_dataset(1).StudyInstanceUID)


@pytest.fixture
def trail(site: Site) -> KeptTrail:
    kept = site.context.audit
    assert isinstance(kept, KeptTrail)
    return kept


def test_slices_of_a_study_are_one_line_with_who_and_from_where(
    site: Site, trail: KeptTrail
) -> None:
    datasets = [make_dataset(seed) for seed in (1, 2, 3)]
    for one in datasets:
        hold(site, one)
    for one in datasets:
        assert site.client.get(f"{url(one)}/frames/1").status_code == 200
    assert site.client.get(f"{series_url(datasets[0])}/metadata").status_code == 200
    (told,) = trail.of(Accessed)
    assert told.by.name == "local" and told.by.address == "127.0.0.1" and told.by.is_person
    assert told.subjects == (Subject(STUDY),)
    assert told.what.endswith("/instances/{instance}/frames/{frames}")


def test_whole_instances_are_a_transfer_to_who_asked(site: Site, trail: KeptTrail) -> None:
    hold(site, make_dataset(1))
    assert site.client.get(study_url(make_dataset(1))).status_code == 200
    (told,) = trail.of(Transferred)
    assert (told.sender.name, told.receiver.name, told.is_received) == ("WETREAD", "local", False)


@pytest.mark.parametrize(
    ("content_type", "told_as"), [("application/dicom", Transferred), ("image/png", Accessed)]
)
def test_a_file_by_wado_uri_is_a_transfer_and_a_picture_is_none(
    site: Site, trail: KeptTrail, content_type: str, told_as: type[Transferred | Accessed]
) -> None:
    one = make_dataset(1)
    hold(site, one)
    asked = {
        "requestType": "WADO",
        "studyUID": str(one.StudyInstanceUID),
        "seriesUID": str(one.SeriesInstanceUID),
        "objectUID": str(one.SOPInstanceUID),
        "contentType": content_type,
    }
    assert site.client.get("/dicom-web/wado", params=asked).status_code == 200
    (told,) = trail.events
    assert isinstance(told, told_as)
    assert told.subjects == (Subject(STUDY),)


def test_who_saw_a_study_in_small_and_then_opens_it_is_told_of_both(
    site: Site, trail: KeptTrail
) -> None:
    hold(site, make_dataset(1))
    for path in ("/studies/1/thumbnail.webp",) * 2 + ("/studies/1/look",):
        assert site.client.get(path).status_code == 200
    small, opened = trail.of(Accessed)
    assert small.what == "/studies/{study_id}/thumbnail.webp"
    assert opened.what == "/studies/{study_id}/look"


def test_a_search_is_told_with_what_was_asked_and_a_list_without_is_none(
    site: Site, trail: KeptTrail
) -> None:
    site.client.get("/dicom-web/studies", params={"PatientName": "Secret*"})
    site.client.get("/api/studies")
    (told,) = trail.of(Query)
    assert (told.service, told.asked) == ("/dicom-web/studies", b"PatientName=Secret%2A")


def test_what_is_not_there_was_not_seen(site: Site, trail: KeptTrail) -> None:
    assert site.client.get("/dicom-web/studies/1.2.3/metadata").status_code == 404
    assert trail.events == []


def test_pages_of_a_study_or_a_job_name_it_by_its_row(site: Site, trail: KeptTrail) -> None:
    hold(site, make_dataset(1))
    assert site.client.get("/api/studies/1").status_code == 200
    assert [one.subjects for one in trail.of(Accessed)] == [(Subject(study_id=1),)]


def test_health_static_files_and_lists_tell_nothing(site: Site, trail: KeptTrail) -> None:
    for path in ("/health", "/metrics", "/", "/static/wetread.css", "/alarms"):
        site.client.get(path)
    assert trail.events == []


class Viewers:
    """Everybody is a viewer."""

    async def identify(self, request: Request) -> Who:
        return Who("meier", Role.VIEWER)


def test_who_may_not_is_told_by_route_and_not_by_address(site: Site, trail: KeptTrail) -> None:
    app = create_app(replace(site.context, access=Viewers()))

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return [(await client.post("/fetch")).status_code for _ in range(2)]

    assert asyncio.run(ask()) == [403, 403]
    (told,) = trail.of(Refused)
    assert (told.by.name, told.what) == ("meier", "POST /fetch")


def test_every_path_that_names_a_study_or_a_job_is_known_to_the_trail(site: Site) -> None:
    """A page whose path calls them otherwise would not be told of."""
    known = {"study", "study_id", "job_id"}
    other = {
        name
        for one in named_routes.named(create_app(site.context))
        for name in re.findall(r"\{([a-z_]+)", one.path)
        if ("stud" in name or "job" in name) and name not in known
    }
    assert other == set()


def test_answers_are_timed_by_route_and_not_by_address(site: Site) -> None:
    hold(site, make_dataset(1))
    site.client.get("/api/studies/1")
    site.client.get("/health")
    site.client.get("/nothing/of/the/kind/1.2.3")
    site.client.get(study_url(make_dataset(1)))
    labels = {sample.labels["route"] for sample in site.context.timings.answers.family().samples}
    assert labels == {"/api/studies/{study_id}", "/health", "other", "/dicom-web/studies/{study}"}
    (whole,) = {
        sample.labels["operation"] for sample in site.context.timings.retrieves.family().samples
    }
    assert whole == "WADO-RS"
