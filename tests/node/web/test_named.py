"""Analyzers and results by what people call them, in the language of the results."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from analyzers import registry
from node.config.settings import Settings
from node.results.words import phrases
from node.web.app import create_app
from node.web.named import KINDS, Named
from node.web.server import WebServer
from storage import own_jobs
from storage.kinds import ObjectKind
from tests.node.web.sites import SETTINGS, Site, fail, study_with_job

GERMAN = Settings.model_validate({**SETTINGS, "results": {"language": "de"}})


def test_every_kind_of_results_has_a_name() -> None:
    assert set(KINDS) == set(ObjectKind)
    assert Named(GERMAN).kind(ObjectKind.DOCUMENT) == "Befund (PDF)"


@pytest.mark.parametrize("name", registry.names())
def test_every_analyzer_has_a_german_title(name: str) -> None:
    title = registry.info(name).title
    assert Named(None).analyzer(name) == title
    assert title in phrases.german()


def test_what_is_not_installed_any_more_is_called_by_its_name() -> None:
    assert Named(GERMAN).analyzer("gone_analyzer") == "gone_analyzer"
    assert Named(GERMAN).analyzer(own_jobs.SUMMARY) == "Zusammenfassung der Studie"


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/1", "/studies/1"])
def test_pages_say_titles_in_the_language_of_the_results(
    site: Site, phantom_paths: list[Path], path: str
) -> None:
    fail(site, study_with_job(site, phantom_paths[0]))
    assert site.context is not None
    for settings, said in ((None, ">Lung segmentation<"), (GERMAN, ' lang="de">Lungensegmen')):
        app = create_app(replace(site.context, settings=settings))
        server = WebServer(lambda app=app: app, "127.0.0.1", 0)
        server.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
            text = client.get(path, headers={"Accept": "text/html"}).text
        server.stop()
        assert said in text
        assert not re.search(r"<(h2|td[^>]*|p)>lung_segmentation", text)
