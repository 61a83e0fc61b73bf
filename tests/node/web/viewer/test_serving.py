"""OHIF behind the node's own paths: what is served, how it is kept, and what it may do."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from starlette.requests import Request

from node.ohif.install import install, remove
from node.ohif.installed import Viewer
from node.web.access.roles import Role, Who
from node.web.app import create_app
from node.web.server import WebServer
from node.web.viewer.links import BESIDE_PROTOCOL
from tests.node.ohif.packages import BUNDLE, DOCUMENT, FILES, packed
from tests.node.web.sites import Site, study_with_job


@pytest.fixture
def viewer(tmp_path: Path) -> Viewer:
    tarball, package = packed(tmp_path)
    install(tmp_path / "viewer", tarball, lambda step: None, package)
    return Viewer(tmp_path / "viewer")


@pytest.fixture
def client(site: Site, viewer: Viewer) -> Iterator[httpx.Client]:
    assert site.context is not None
    server = WebServer(lambda: create_app(replace(site.context, viewer=viewer)), "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as made:
        yield made
    server.stop()


@pytest.mark.parametrize("path", ["/viewer", "/viewer/wetread?StudyInstanceUIDs=1.2", "/tmtv"])
def test_a_path_at_which_images_are_shown_is_the_document(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.content == DOCUMENT
    assert answer.headers["Referrer-Policy"] == "no-referrer", "its URL names a study"


@pytest.mark.parametrize("is_series_named", [False, True])
def test_what_it_opens_stands_in_the_document_until_it_has_started(
    site: Site, client: httpx.Client, phantom_paths: list[Path], is_series_named: bool
) -> None:
    study_with_job(site, phantom_paths[0])
    header = dcmread(phantom_paths[0], stop_before_pixels=True)
    asked = {"StudyInstanceUIDs": str(header.StudyInstanceUID)}
    if is_series_named:
        asked["initialSeriesInstanceUID"] = str(header.SeriesInstanceUID)
    answer = client.get("/viewer", params=asked)
    start, end = DOCUMENT.split(b"</body>")
    assert answer.content.startswith(start) and answer.content.endswith(b"</body>" + end)
    put = answer.text[len(start) : -len(b"</body>" + end)]
    assert header.StudyInstanceUID not in put and "Doe" not in put
    (picture,) = re.findall(r'<img src="([^"]+)"', put)
    assert picture == f"/studies/1/look/first.webp{'?series=1' if is_series_named else ''}"
    drawn = client.get(picture)
    assert (drawn.status_code, drawn.headers["content-type"]) == (200, "image/webp")
    (own,) = re.findall(r'<a href="([^"]+)"', put)
    assert client.get(own, headers={"Accept": "text/html"}).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        "StudyInstanceUIDs=1.2.3.4.5",
        "StudyInstanceUIDs=%22%3E%3Cscript%3E",
        "StudyInstanceUIDs={study},1.2.3",
        "StudyInstanceUIDs={study}&initialSeriesInstanceUID=1.2.3",
        "StudyInstanceUIDs={study}&initialSeriesInstanceUID=%3Cb%3E",
    ],
)
def test_a_document_of_what_is_not_known_stays_as_it_is(
    site: Site, client: httpx.Client, phantom_paths: list[Path], asked: str
) -> None:
    study_with_job(site, phantom_paths[0])
    study = dcmread(phantom_paths[0], stop_before_pixels=True).StudyInstanceUID
    assert client.get(f"/viewer?{asked.format(study=study)}").content == DOCUMENT


def test_who_is_not_shown_names_is_not_led_to_images_there_either(
    site: Site, viewer: Viewer
) -> None:
    assert site.context is not None
    context = replace(site.context, viewer=viewer, access=_NoNames())
    server = WebServer(lambda: create_app(context), "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        refused = client.get("/viewer", headers={"Accept": "text/html"})
        assert (refused.status_code, "has no images" in refused.text) == (403, True)
        assert client.get("/app-config.js").status_code == 200, "nothing of a patient is in it"
    server.stop()


class _NoNames:
    async def identify(self, request: Request) -> Who:
        return Who("vic", Role.VIEWER, has_images=False)


def test_scripts_run_only_from_files_or_by_their_hash(client: httpx.Client) -> None:
    policy = client.get("/viewer").headers["Content-Security-Policy"]
    rules = dict(one.strip().split(" ", 1) for one in policy.split(";"))
    for script in (b"window.PUBLIC_URL='/'", b"let x = 1"):
        digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
        assert f"'sha256-{digest}'" in rules["script-src"]
    assert "unsafe-inline" not in rules["script-src"]
    assert "http" not in policy, "no other host"
    assert client.get("/").headers["Content-Security-Policy"] != policy, "the node's is stricter"
    assert "unsafe" not in client.get("/").headers["Content-Security-Policy"]


def test_its_configuration_is_the_nodes_own_and_its_service_workers_are_empty(
    client: httpx.Client,
) -> None:
    text = client.get("/app-config.js").text
    assert "qidoRoot: '/dicom-web'" in text
    assert "'segmentation.store.defaultMode': { $set: 'bitmap' }" in text
    assert f"id: '{BESIDE_PROTOCOL}'" in text
    assert "http://" not in text and "https://" not in text
    for path in ("/sw.js", "/init-service-worker.js"):
        assert client.get(path).content == b""


def test_files_go_compressed_and_stay_with_the_browser(client: httpx.Client) -> None:
    answer = client.get(f"/{BUNDLE}")
    assert answer.content == FILES[f"package/dist/{BUNDLE}"]
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) < 200
    assert "immutable" in answer.headers["Cache-Control"]
    plain = client.get(f"/{BUNDLE}", headers={"Accept-Encoding": "identity"})
    assert plain.content == answer.content
    assert "Content-Encoding" not in plain.headers
    unnamed = client.get("/app.bundle.css").headers
    assert "immutable" not in unnamed["Cache-Control"], "its name stays when its content changes"


@pytest.mark.parametrize("name", ["app.bundle.css", "app-config.js", "init-service-worker.js"])
def test_what_stays_named_alike_is_sent_again_only_when_it_has_changed(
    client: httpx.Client, name: str
) -> None:
    first = client.get(f"/{name}")
    known = {"If-None-Match": first.headers["ETag"]}
    same = client.get(f"/{name}", headers=known)
    assert (same.status_code, same.content) == (304, b"")
    for header in ("Cache-Control", "Content-Security-Policy", "Cross-Origin-Embedder-Policy"):
        assert same.headers[header] == first.headers[header]
    other = client.get(f"/{name}", headers={"If-None-Match": '"of another version"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_a_packed_file_is_another_one_than_the_same_unpacked(
    client: httpx.Client, viewer: Viewer
) -> None:
    packed = gzip.compress(FILES["package/dist/app.bundle.css"])
    (viewer.folder / "app.bundle.css.gz").write_bytes(packed)
    first = client.get("/app.bundle.css")
    assert first.headers["Content-Encoding"] == "gzip"
    plain = {"Accept-Encoding": "identity", "If-None-Match": first.headers["ETag"]}
    assert client.get("/app.bundle.css", headers=plain).status_code == 200


@pytest.mark.parametrize(
    "path", ["/index.html", "/../w.db", "/%2e%2e/w.db", "/assets", "/ort/model.wasm", "/else"]
)
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_nodes_own_paths_stay_its_own(client: httpx.Client) -> None:
    assert client.get("/").content != DOCUMENT
    assert client.get("/health").json()
    assert client.post("/api/studies").status_code == 405, "as without the viewer"


def test_a_viewer_that_is_not_installed_says_what_to_do(
    client: httpx.Client, viewer: Viewer
) -> None:
    assert client.get("/viewer").is_success
    remove(viewer.folder.parent)
    answer = client.get("/viewer")
    assert answer.status_code == 404
    assert "wetread viewer install" in answer.json()["error"]
    assert client.get(f"/{BUNDLE}").status_code == 404
