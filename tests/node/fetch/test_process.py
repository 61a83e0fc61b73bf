"""The command, the API and the page of a real node that fetches."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from node.commands.fetch import NotFetched, fetch
from node.config.load import load
from node.dimse.scu.sender import Peer, send
from storage.database import open_database
from storage.fetches import Wanted
from tests import forked
from tests.instances import write_instance
from tests.node.fetch.archives import FakeArchive, running_archive, study
from tests.node_process import Node, running_node
from tests.waiting import until

FORM = {"source": "archive", "accession_number": "A2", "analyzer": ""}


@pytest.fixture(scope="module")
def archive() -> Iterator[FakeArchive]:
    with running_archive(
        [one for number in (1, 2, 3, 4) for one in study(number, 1 + number)]
    ) as one:
        yield one


@pytest.fixture(scope="module")
def node(archive: FakeArchive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    text = (
        '[[archives]]\nname = "archive"\nae_title = "ARCHIVE"\nhost = "127.0.0.1"\n'
        f"port = {archive.port}\n"
    )
    with running_node(tmp_path_factory.mktemp("node"), text) as one:
        yield one


def wetread(node: Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.run(["fetch", "--config", str(node.config), *arguments])


def filled(node: Node, **values: str) -> dict[str, str]:
    """The form as a browser sends it: the page's token is with it."""
    (token,) = re.findall('name="token" value="([^"]+)"', node.get("/fetch").text)
    return {**FORM, **values, "token": token}


def post(node: Node, path: str, **given: object) -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{node.http_port}{path}", **given)  # type: ignore[arg-type]


def test_the_command_follows_a_fetch_and_its_analysis_becomes_a_job(node: Node) -> None:
    done = wetread(node, "--from", "archive", "--accession", "A1", "--analyze", "quality")
    assert done.returncode == 0, done.stderr
    assert "done: 2 instances in 1 study: 2 came" in done.stdout
    assert "2.25.2" not in done.stdout
    state = node.wait(lambda state: bool(state.jobs))
    assert [(one.analyzer, one.rule.split()[0]) for one in state.jobs] == [("quality", "fetch")]
    assert wetread(node, "--from", "archive", "--accession", "A9").returncode == 1


def test_a_wish_that_cannot_be_carried_out_ends_with_2(node: Node) -> None:
    done = wetread(node, "--from", "archive")
    assert (done.returncode, done.stdout) == (2, "")
    assert "say what to fetch" in done.stderr


def test_the_form_works_without_scripts_and_the_page_shows_how_it_went(node: Node) -> None:
    page = node.get("/fetch")
    assert '<form method="post" action="/fetch">' in page.text
    assert "form-action 'self'" in page.headers["content-security-policy"]
    sent = post(node, "/fetch", data=filled(node))
    assert (sent.status_code, sent.headers["location"]) == (303, "/fetch")
    until(lambda: "3 instances in 1 study: 3 came" in node.get("/fetch").text)


def test_a_form_that_a_page_elsewhere_sends_is_refused(node: Node) -> None:
    form = filled(node)
    assert post(node, "/fetch", data=FORM).status_code == 403, "without the token"
    elsewhere = post(node, "/fetch", data=form, headers={"Origin": "http://evil.example"})
    assert elsewhere.status_code == 403
    assert post(node, "/fetch", data=form, headers={"Sec-Fetch-Site": "cross-site"}).is_error
    assert post(node, "/fetch", data={**form, "source": "other"}).status_code == 409
    assert post(node, "/fetch", data={"file": "x", "token": form["token"]}).status_code == 422
    assert (
        post(node, "/fetch", data=form | dict.fromkeys(map(str, range(200)), "x")).status_code
        == 422
    )
    assert post(node, "/fetch", content=iter([b"x" * 50_000] * 2)).status_code == 413


def test_the_api_has_something_fetched_and_tells_of_it_without_uids(node: Node) -> None:
    wish = {"source": "archive", "study_uids": ["2.25.5"]}
    guard = {"X-Wetread": "1"}
    assert post(node, "/api/fetches", json=wish).status_code == 403
    assert post(node, "/api/fetches", json={"source": "archive"}, headers=guard).status_code == 409
    asked = post(node, "/api/fetches", json=wish, headers=guard).json()
    path = f"/api/fetches/{asked['number']}"
    found = until(lambda: one if (one := node.get(path).json())["state"] == "done" else None)
    assert (found["expected"], found["received"], found["missing"]) == (5, 5, 0)
    assert [one["missing"] for one in found["found"]] == [0]
    assert "2.25.5" not in node.get(path).text + node.get("/api/fetches").text
    over = post(node, f"{path}/cancel", headers=guard)
    assert over.json() == {"done": "it is over"}


def test_nothing_that_names_a_study_stands_in_the_log(node: Node) -> None:
    wetread(node, "--from", "archive", "--accession", "A3", "--patient", "SECRET-ID")
    log = (node.var / "logs" / "wetread.log").read_text() + node.log()
    assert "fetch_ended" in log
    assert not any(one in log for one in ("SECRET", "2.25.2", "2.25.5", '"A3"'))


def test_a_node_that_is_killed_while_it_fetches_goes_on_when_it_starts_again(
    tmp_path: Path,
) -> None:
    with running_archive(study(1, 5), gate=threading.Event()) as archive:
        text = (
            '[[archives]]\nname = "archive"\nae_title = "ARCHIVE"\nhost = "127.0.0.1"\n'
            f"port = {archive.port}\n"
        )
        with running_node(tmp_path / "node", text) as node:
            assert post(node, "/fetch", data=filled(node, accession_number="A1")).status_code == 303
            until(lambda: node.get("/api/fetches/1").json()["received"] == 1)
            node.kill()
            archive.gate.set()
            node.start()
            found = until(
                lambda: one if (one := node.get("/api/fetches/1").json())["ended_at"] else {}
            )
    assert (found["state"], found["held"], found["received"]) == ("done", 1, 4)


def test_another_node_is_fetched_from_over_dicomweb_and_by_c_get(tmp_path: Path) -> None:
    held = [*study(5, 6), *study(6, 4)]
    images = [write_instance(tmp_path / f"{n}.dcm", one) for n, one in enumerate(held)]
    with running_node(tmp_path / "other") as other:
        send(images, Peer("o", "WETREAD", "127.0.0.1", other.port, "CT1"), lambda _, __: None)
        other.wait(lambda state: sum(one.instances for one in state.studies) == 10)
        text = (
            '[[web_archives]]\nname = "web"\n'
            f'url = "http://127.0.0.1:{other.http_port}/dicom-web"\n'
            '[[archives]]\nname = "dimse"\nae_title = "WETREAD"\nhost = "127.0.0.1"\n'
            f"port = {other.port}\n"
        )
        with running_node(tmp_path / "node", text) as node:
            over_web = wetread(node, "--from", "web", "--accession", "A5")
            by_get = wetread(node, "--from", "dimse", "--accession", "A6")
    assert "6 instances in 1 study: 6 came" in over_web.stdout, over_web.stderr
    assert "4 instances in 1 study: 4 came" in by_get.stdout, by_get.stderr


def test_without_a_running_node_the_command_says_so(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[[archives]]\nname = "archive"\nae_title = "A"\nhost = "h"\nport = 1\n')
    open_database(load(path).database_url()).close()
    with pytest.raises(NotFetched, match="it does not run"):
        fetch(path, "archive", Wanted(patient_id="P"), "")
