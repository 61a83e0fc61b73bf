"""The pages of destinations, quarantine, gaps, rules, analyzers and settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from analyzers import registry
from node.config.settings import Settings
from node.web import card
from node.web.pages.settings import shown
from storage import gaps, outbox, quarantine
from storage.quarantine import RefusalKind, Refused
from storage.records import DeliveryState
from tests.node.web.sites import START, Site, acting, finish, refuse_all, study_with_job
from tests.node.web.test_jobs_pages import SCRIPT, page, post


@pytest.fixture
def node(site: Site) -> Iterator[Site]:
    with acting(site) as one:
        yield one


# --- deliveries -----------------------------------------------------------------------------------


def test_a_destination_shows_what_it_refused_and_is_sent_it_again_once(
    node: Site, phantom_paths: list[Path]
) -> None:
    finish(node, study_with_job(node, phantom_paths[0]), objects=3)
    refuse_all(node)
    text = page(node, "/deliveries")
    assert "3 refused" in text
    assert "3 objects" in text
    for _ in range(2):
        assert post(node, "/deliveries/pacs/retry").status_code == 303
    with node.database.read() as tx:
        assert {one.state for one in outbox.list_deliveries(tx)} == {DeliveryState.PENDING}
    assert "0 refused" in page(node, "/deliveries")
    assert post(node, "/deliveries/pcas/retry").status_code == 404


def test_a_test_of_a_destination_that_is_away_says_so_on_the_page(node: Site) -> None:
    assert "Tested" not in page(node, "/deliveries")
    assert post(node, "/deliveries/pacs/try").status_code == 303
    assert "Tested" in page(node, "/deliveries")


# --- quarantine -----------------------------------------------------------------------------------


def test_alike_refused_images_are_one_line_and_accepted_together(
    node: Site, phantom_paths: list[Path]
) -> None:
    study_with_job(node, phantom_paths[0])
    with node.database.write() as tx:
        for number in range(20):
            quarantine.enter(tx, START, refused(f"{number}.dcm", "1.2.3", f"1.2.3.{number}"))
        quarantine.enter(tx, START, refused("u.dcm", "", "", RefusalKind.UNREADABLE))
    text = page(node, "/quarantine")
    assert text.count('<li id="q') == 2
    assert "20 images" in text
    assert SCRIPT not in text
    newest = 20
    assert post(node, f"/quarantine/{newest}/accept").status_code == 303
    with node.database.read() as tx:
        assert len(quarantine.accepted(tx)) == 20
    assert post(node, "/quarantine/99/accept").status_code == 404
    assert "No refused result" in post(node, "/quarantine/results/x/release", reason="why").text
    assert "say why it is released" in post(node, "/quarantine/results/x/release").text.lower()


def refused(key: str, study: str, uid: str, kind: RefusalKind = RefusalKind.CONFLICT) -> Refused:
    return Refused(key, kind, f"other bytes {SCRIPT}", "d", uid, study, SCRIPT)


# --- gaps -----------------------------------------------------------------------------------------


def test_a_study_that_was_left_behind_is_analyzed_at_once(
    node: Site, phantom_paths: list[Path]
) -> None:
    study_with_job(node, phantom_paths[0])
    assert "Nothing was left behind" in page(node, "/gaps")
    with node.database.write() as tx:
        later = START + timedelta(days=1)
        gaps.watch(tx, gaps.find(tx, later), later)
    text = page(node, "/gaps")
    assert 'action="/studies/1/now"' in text
    assert post(node, "/studies/1/now").status_code == 303
    assert "was analyzed already" in post(node, "/studies/1/now").text


# --- rules ----------------------------------------------------------------------------------------


def test_rules_are_tried_on_a_study_and_say_why(node: Site, phantom_paths: list[Path]) -> None:
    study_with_job(node, phantom_paths[0], SCRIPT)
    text = page(node, "/rules?study=1")
    assert "Modality is CT, not MR" in text
    assert "would run" in text
    assert "does not fire" in text
    assert SCRIPT not in text
    assert node.client.get("/rules?study=99").status_code == 404


# --- analyzers ------------------------------------------------------------------------------------


def test_every_analyzer_has_a_page_with_its_contract_and_card(node: Site) -> None:
    text = page(node, "/analyzers")
    for name in registry.names():
        assert f'href="/analyzers/{name}"' in text
    text = page(node, "/analyzers/hippocampus_mask_rcnn")
    assert "Medical Segmentation Decathlon" in text
    assert '<img class="figure" loading="lazy" src="/analyzers/hippocampus_mask_rcnn' in text
    picture = node.client.get("/analyzers/hippocampus_mask_rcnn/figures/worst_1.png")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert "standard deviation" in page(node, "/analyzers/gaussian_filter")


@pytest.mark.parametrize(
    "path",
    [
        "/analyzers/nothing",
        "/analyzers/nothing/figures/a.png",
        "/analyzers/hippocampus_mask_rcnn/figures/CARD.md",
        "/analyzers/hippocampus_mask_rcnn/figures/%2e%2e%2fa.png",
        "/analyzers/gaussian_filter/figures/a.png",
    ],
)
def test_nothing_but_the_figures_of_a_card_is_given(node: Site, path: str) -> None:
    assert node.client.get(path).status_code == 404


def test_a_card_is_shown_without_the_markup_it_may_hold() -> None:
    text = (
        f"# A {SCRIPT}\n\n**bold** `code` <b>no</b>\n\n- one\n  goes on\n- two\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        '![of "it"](fine.png) ![no](http://elsewhere/x.png) ![no](javascript:alert(1))'
    )
    html = str(card.shown(text, "/analyzers/x/figures"))
    assert "<script" not in html
    assert "<b>" not in html
    assert "elsewhere" not in html
    assert "javascript" not in html
    assert "<strong>bold</strong> <code>code</code>" in html
    assert "<li>one goes on</li><li>two</li>" in html
    assert "<th>a</th><th>b</th>" in html
    assert 'src="/analyzers/x/figures/fine.png"' in html


# --- settings -------------------------------------------------------------------------------------


def test_settings_are_shown_with_default_and_meaning_and_what_differs_stands_out(
    node: Site,
) -> None:
    text = page(node, "/settings")
    assert "[storage]" in text
    assert "[[rules]] chest" in text
    assert "[[destinations]] pacs" in text
    assert "With less room on the disk" in text


def test_no_secret_is_shown() -> None:
    settings = Settings.model_validate(
        {"storage": {"database_password_env": "PGPASSWORD"}, "node": {"ae_title": "OTHER"}}
    )
    tables = {one.title: {key.name: key for key in one.keys} for one in shown(settings)}
    assert tables["[node]"]["ae_title"].value == "OTHER"
    assert not tables["[node]"]["ae_title"].is_default
    assert tables["[storage]"]["database_password_env"].value == "PGPASSWORD"


@pytest.mark.parametrize("path", ["/rules?study=1", "/studies/1/analyze", "/studies/1/notes"])
def test_a_description_that_turns_the_direction_turns_nothing_beside_it(
    site: Site, phantom_paths: list[Path], path: str
) -> None:
    study_with_job(site, phantom_paths[0], "\u202eThorax")
    assert "<bdi>\u202eThorax</bdi>" in site.client.get(path, headers={"accept": "text/html"}).text
