"""Markup in every text of instances – private ones too –, in labels of segments, names of rules and
AE titles: no answer of any route has it as markup, and no browser runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from pydicom import config
from pydicom.dataset import Dataset

from analyzers.contract import Findings, Segment, Segmentation
from node.actions import NodeActions
from node.config.settings import Settings
from node.demo.phantom import ACQUISITIONS, ChestPhantom
from node.series.read import read_series
from node.web.access.routes import named
from node.web.app import create_app
from node.web.server import WebServer
from storage import index
from tests.node.look.studies import ANATOMY, LUNG, RED, Chest, hold_results
from tests.node.web import browser
from tests.node.web.access.test_markup import ELEMENT, MARKUP, evil_on, poisoned
from tests.node.web.dicomweb.holding import take
from tests.node.web.sites import SETTINGS, START, Site

__all__ = ["poisoned"]

STRUCK = f'{MARKUP}<img src=x onerror="struck=1"><svg/onload="struck=1">'
KEPT = ("SpecificCharacterSet", "FrameOfReferenceUID")
SLICES = slice(11, 19)
TEXTS = ("LO", "SH", "ST", "LT", "UT", "UC", "PN")
MODULES = (
    "PatientName", "PatientID", "OtherPatientNames", "PatientComments", "AccessionNumber",
    "ReferringPhysicianName", "StudyID", "StudyDescription", "AdditionalPatientHistory",
    "SeriesDescription", "ProtocolName", "OperatorsName", "PerformedProcedureStepDescription",
    "Manufacturer", "ManufacturerModelName", "InstitutionName", "InstitutionAddress",
    "StationName", "DeviceSerialNumber", "SoftwareVersions", "ImageComments",
    "ConvolutionKernel", "WindowCenterWidthExplanation", "ContrastBolusAgent", "FrameComments",
)  # fmt: skip


def poison(dataset: Dataset) -> None:
    """Markup in every text that it has, in those that images often have, and in private ones."""
    for element in dataset:
        if element.VR in TEXTS and element.keyword not in KEPT:
            element.value = STRUCK
    for keyword in MODULES:
        setattr(dataset, keyword, STRUCK)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    private = dataset.private_block(0x0009, STRUCK[:64], create=True)
    private.add_new(0x01, "LO", STRUCK)
    private.add_new(0x02, "UT", STRUCK)
    private.add_new(0x03, "OB", STRUCK.encode())
    private.add_new(0x04, "UN", STRUCK.encode())
    inner = Dataset()
    inner.CodeMeaning, inner.CodeValue, inner.CodingSchemeDesignator = STRUCK, "1", "99X"
    dataset.ProcedureCodeSequence = [inner]


@pytest.fixture
def hostile(poisoned: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A node of which whatever others could write says it."""
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    with config.disable_value_validation():
        folder = tmp_path / "ct"
        folder.mkdir()
        phantom = ChestPhantom.small(ACQUISITIONS["supine"])
        paths = phantom.write(folder)[SLICES]
        source = read_series(paths)
        truth = np.asarray(phantom.truth.masks["right_lung"])[SLICES]
        for path in paths:
            dataset = pydicom.dcmread(path)
            poison(dataset)
            dataset.save_as(path)
            take(poisoned, path)
        segment = Segment("lung", 1, STRUCK[:64], ANATOMY, LUNG, rgb=RED)
        found = Findings((Segmentation(truth.astype(np.uint8), (segment,), STRUCK[:64]),))
        (made,) = [
            one
            for one in hold_results(poisoned, Chest(source, {}, 0, 0), found, tmp_path)
            if pydicom.dcmread(one).Modality == "SEG"
        ]
        dataset = pydicom.dcmread(made)
        poison(dataset)
        dataset.SegmentSequence[0].SegmentDescription = STRUCK
        dataset.save_as(made)
    with _served(poisoned) as site:
        yield site


@contextmanager
def _served(site: Site) -> Iterator[Site]:
    """With a rule and a destination that are called so."""
    rule = {**SETTINGS["rules"][0], "name": STRUCK[:60], "when": {"SeriesDescription": STRUCK}}
    settings = Settings.model_validate({**SETTINGS, "rules": [rule]})
    assert site.context is not None
    actions = NodeActions(settings, site.database, site.results, lambda: START)
    context = replace(site.context, settings=settings, actions=actions)
    server = WebServer(lambda: create_app(context), "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        yield replace(site, client=client, server=server, context=context)
    server.stop()


AS_A_BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
RUN = re.compile("html|svg|^text/xml|^application/xml")
"""Media types whose scripts a browser runs."""
ACCEPTS = (AS_A_BROWSER, "*/*", "application/dicom+json", 'multipart/related; type="*/*"')


def uids(site: Site) -> Iterator[dict[str, str]]:
    """Of an instance of each series of the study in which all lies."""
    with site.database.read() as tx:
        for study in index.list_studies(tx):
            for series in index.series_of(tx, study.id):
                yield {
                    "study_id": str(study.id), "series_id": str(series.id),
                    "study": study.study_instance_uid, "series": series.series_instance_uid,
                    "instance": series.instances[0].sop_instance_uid,
                    "instance_id": str(series.instances[0].id),
                }  # fmt: skip


def filled(path: str, by: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: by.get(found[1], "1"), path)


def test_no_route_gives_it_as_something_that_a_browser_runs(hostile: Site) -> None:
    assert hostile.context is not None
    routes = named(create_app(hostile.context))
    paths = {one.path for one in routes if one.method == "GET"} - {"/events"}
    asked = {filled(path, by) for path in paths for by in uids(hostile)}
    asked |= {"/dicom-web/instances?includefield=all", "/dicom-web/series?includefield=all"}
    holding = 0
    for path in sorted(asked):
        for accept in ACCEPTS if path.startswith("/dicom-web") else ACCEPTS[:1]:
            answer = hostile.client.get(path, headers={"Accept": accept})
            kind = answer.headers.get("content-type", "")
            assert answer.status_code != 500, path
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert "wt-evil" not in str(answer.headers), path
            if kind.startswith("text/html"):
                assert evil_on(answer.text) == [], path
            elif ELEMENT.encode() in answer.content:
                assert not RUN.search(kind), (path, kind)
                holding += 1
    assert holding > 10


PAGES = (
    "/", "/studies/1", "/studies/2", "/studies/1/analyze", "/jobs", "/jobs/1", "/alarms",
    "/deliveries", "/quarantine", "/rules?study=2", "/gaps", "/settings", "/audit",
)  # fmt: skip
INJECTED = "document.querySelectorAll('wt-evil, [wt-evil], [onload], [onerror]').length"


@pytest.mark.interop
def test_no_browser_runs_it_on_any_page(hostile: Site, tmp_path: Path) -> None:
    with browser.opened(tmp_path / "profile") as page:
        shown = 0
        for path in PAGES:
            page.open(f"http://127.0.0.1:{hostile.server.port}{path}")
            page.run("typeof refresh === 'function' ? refresh().then(() => 1) : 1")
            assert page.run(INJECTED) == 0, path
            assert page.run("typeof struck") == "undefined", path
            shown += page.run("document.body.textContent.includes('wt-evil')")
        assert shown > 6
        page.open(f"http://127.0.0.1:{hostile.server.port}/studies/2/look")
        page.wait("document.getElementById('look').dataset.drawn")
        assert "wt-evil" in page.run("document.querySelector('.look-entries').textContent")
        for key in ("o", "f", "1", "ArrowDown", "End"):
            page.press(key)
        page.wait("document.getElementById('look').dataset.drawn === '8'")
        assert page.run(INJECTED) == 0
        assert page.run("typeof struck") == "undefined"
        blocked = [one for one in page.complaints if "Content Security Policy" in one]
        assert blocked == []
