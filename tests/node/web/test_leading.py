"""Every page leads to the finding on the image, and offers nobody what he may not do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.people.users import Role
from tests.node.web.access.houses import House, open_house
from tests.node.web.sites import Site, fail, finish, study_with_job


@pytest.fixture
def house(site: Site, phantom_paths: list[Path]) -> Iterator[House]:
    study_with_job(site, phantom_paths[0])
    with open_house(site) as made:
        made.add("reader", Role.VIEWER)
        made.add("operator", Role.OPERATOR)
        yield made


@pytest.mark.parametrize(
    ("path", "link"),
    [("/", "/open/studies/1"), ("/studies/1", "/open/jobs/1"), ("/jobs/1", "/open/jobs/1")],
)
def test_a_finding_is_one_click_from_its_image(
    site: Site, phantom_paths: list[Path], path: str, link: str
) -> None:
    finish(site, study_with_job(site, phantom_paths[0]))
    assert f'href="{link}"' in site.client.get(path).text
    assert site.client.get(link).status_code == 303


def test_a_jobs_page_shows_its_pictures(site: Site, phantom_paths: list[Path]) -> None:
    finish(site, study_with_job(site, phantom_paths[0]))
    assert 'src="/previews/1/0.png"' in site.client.get("/jobs/1").text


def test_who_may_only_look_is_offered_no_repetition_and_no_traceback(house: House) -> None:
    fail(house.site, 1)
    reader = house.logged_in("reader").get("/studies/1").text
    assert "it broke" in reader
    assert "Traceback" not in reader
    assert "/retry" not in reader
    operator = house.logged_in("operator").get("/studies/1").text
    assert "Traceback here" in operator
    assert "/jobs/1/retry" in operator


def test_the_viewer_says_whose_images_they_are(house: House) -> None:
    page = house.logged_in("reader").get("/studies/1/look").text
    assert "Doe, Jane" in page
