"""Links that open a study with its finding: by row numbers, by UID, by accession number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from node.ohif.install import install
from node.ohif.installed import Viewer
from node.web.app import create_app
from node.web.server import WebServer
from node.web.viewer import links
from storage import index, ledger
from storage.database import Transaction
from storage.kinds import ObjectKind
from storage.showing import Shown
from tests.node.ohif.packages import packed
from tests.node.web.sites import Site
from tests.storage.samples import NOON, add_study, enqueue, new_job, record, results, with_study

SHOWN = Shown(7, "1.2.3", ObjectKind.SEGMENTATION, "1.2.3.9", "1.2.3.1")


@pytest.fixture
def client(site: Site, tmp_path: Path) -> Iterator[httpx.Client]:
    """A node with OHIF, and an archive that studies can be fetched from."""
    tarball, package = packed(tmp_path)
    install(tmp_path / "viewer", tarball, lambda step: None, package)
    assert site.context is not None
    context = replace(site.context, viewer=Viewer(tmp_path / "viewer"), sources=("archive",))
    server = WebServer(lambda: create_app(context), "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as made:
        yield made
    server.stop()


def analyzed(tx: Transaction) -> tuple[int, int]:
    study = add_study(tx)
    job = enqueue(tx, new_job(tx, study))
    ledger.claim(tx, NOON)
    ledger.done(tx, job, NOON, results("9.1", ("sr", "seg", "image", "pr")))
    return study, job


def asked(answer: httpx.Response) -> dict[str, list[str]]:
    """What OHIF is asked for by the address that the answer sends to."""
    assert answer.status_code == 303
    assert urlsplit(answer.headers["Location"]).path == "/viewer"
    return parse_qs(urlsplit(answer.headers["Location"]).query)


@pytest.mark.parametrize("path", ["/open/studies/{study}", "/open/jobs/{job}", "/open?study=1.2.3"])
def test_a_link_opens_the_study_at_its_segmentation(
    site: Site, client: httpx.Client, path: str
) -> None:
    with site.database.write() as tx:
        study, job = analyzed(tx)
    found = asked(client.get(path.format(study=study, job=job)))
    assert found == {"StudyInstanceUIDs": ["1.2.3"], "initialSeriesInstanceUID": ["9.1.1.0"]}


def test_images_that_were_made_open_beside_their_source() -> None:
    address = links.in_ohif(replace(SHOWN, kind=ObjectKind.IMAGE))
    assert parse_qs(urlsplit(address).query) == {
        "StudyInstanceUIDs": ["1.2.3"],
        "initialSeriesInstanceUID": ["1.2.3.9"],
        "hangingProtocolId": ["wetread.beside"],
        "beside": ["1.2.3.1"],
    }


def test_what_ohif_does_not_show_opens_in_the_nodes_own_view(
    site: Site, client: httpx.Client
) -> None:
    with site.database.write() as tx:
        study, job = analyzed(tx)
        kinds = [one.kind for one in ledger.results_of(tx, job).objects]
    number = kinds.index(ObjectKind.PRESENTATION)
    answer = client.get(links.of_object(job, number))
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"/studies/{study}/look?object=")


def test_every_object_has_a_file_to_be_kept(site: Site) -> None:
    with site.database.write() as tx:
        _, job = analyzed(tx)
        made = ledger.results_of(tx, job).objects
    page = site.client.get(f"/jobs/{job}", headers={"Accept": "text/html"}).text
    for number, one in enumerate(made):
        assert f'href="{links.of_object(job, number)}"' in page
        assert f'href="{links.of_file(job, number)}" download="job-{job}-{one.kind.value}-' in page
        address = urlsplit(site.client.get(links.of_file(job, number)).headers["Location"])
        named = parse_qs(address.query)
        assert address.path == "/dicom-web/wado"
        assert (named["objectUID"], named["contentType"]) == (
            [one.sop_instance_uid],
            ["application/dicom"],
        )
        assert one.sop_instance_uid not in page, "pages name no UIDs"
    assert site.client.get(links.of_file(job, len(made))).status_code == 404


@pytest.mark.parametrize(
    ("frames", "reported", "opened"),
    [(2048, True, "seg"), (2049, True, "sr"), (2049, False, "seg")],
    ids=["light", "heavy", "heavy, without a report"],
)
def test_a_segmentation_that_ohif_opens_slowly_is_preceded_by_its_report(
    site: Site, client: httpx.Client, frames: int, reported: bool, opened: str
) -> None:
    kinds = ("sr", "seg") if reported else ("image", "seg")
    size = {"Rows": 512, "Columns": 512, "NumberOfFrames": frames}
    with site.database.write() as tx:
        study = add_study(tx)
        job = enqueue(tx, new_job(tx, study))
        ledger.claim(tx, NOON)
        made = results("9.1", kinds)
        header = made.objects[1].attributes.instance | size
        large = replace(made.objects[1].attributes, instance=header)
        objects = (made.objects[0], replace(made.objects[1], attributes=large))
        ledger.done(tx, job, NOON, replace(made, objects=objects))
    series = {"seg": "9.1.1.0", "sr": "9.1.0.0"}
    for path in (f"/open/studies/{study}", f"/open/jobs/{job}", "/open?study=1.2.3"):
        assert asked(client.get(path))["initialSeriesInstanceUID"] == [series[opened]]
    itself = asked(client.get(f"/open/jobs/{job}/objects/1"))
    assert itself["initialSeriesInstanceUID"] == [series["seg"]]


def test_without_ohif_every_link_opens_the_nodes_own_view(site: Site) -> None:
    with site.database.write() as tx:
        study, job = analyzed(tx)
    for link in (links.of_study(study), links.of_job(job), links.of_object(job, 0)):
        address = site.client.get(link).headers["Location"]
        assert address.partition("?")[0] == f"/studies/{study}/look"


def test_an_accession_number_of_several_studies_lets_one_choose(
    site: Site, client: httpx.Client
) -> None:
    with site.database.write() as tx:
        for uid in ("1.2.3", "4.5.6"):
            header = {"StudyInstanceUID": uid, "AccessionNumber": "A7", "StudyDate": "20300504"}
            study = with_study(record(1, uid, f"{uid}.1"), **header, StudyDescription="<b>CT</b>")
            index.add(tx, [study])
        rows = index.list_studies(tx)
    answer = client.get("/open", params={"accession": " A7 "})
    assert answer.status_code == 300
    for row in rows:
        assert f'href="/open/studies/{row.id}"' in answer.text
    assert "<b>CT" not in answer.text
    assert "1.2.3" not in answer.text, "pages name no UIDs"


@pytest.mark.parametrize(
    "query",
    [{"study": "1.2.99"}, {"accession": "A99"}, {"accession": "<script>alert(1)</script>"}],
)
def test_a_study_that_is_not_here_is_said_with_what_to_do(
    client: httpx.Client, query: dict[str, str]
) -> None:
    answer = client.get("/open", params=query)
    assert answer.status_code == 404
    assert "This study is not here" in answer.text
    assert "Fetch it from archive" in answer.text
    assert "<script>alert" not in answer.text


def test_what_is_no_study_is_refused(client: httpx.Client) -> None:
    assert client.get("/open", params={"study": "not a uid"}).status_code == 422
    assert "names a study" in client.get("/open").text
    assert client.get("/open/studies/99").status_code == 404
    assert client.get("/open/jobs/99").status_code == 404
