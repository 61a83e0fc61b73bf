"""Notes on a study by its page and the API: written, shown as text, struck out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from node.audit.events import Accessed
from node.web.access.roles import Role, Who
from node.web.app import create_app
from node.web.server import WebServer
from storage.people.kept_notes import NotesFolder
from tests.node.web.sites import Site, study_with_job
from tests.trails import KeptTrail

MARKUP = '</textarea><script>alert(1)</script>"'
MARK = {"X-Wetread": "1"}
PEOPLE = {"Accept": "text/html"}


class _Named:
    """Whoever says who he is, is."""

    async def identify(self, request: object) -> Who:
        name, role = request.headers["as"].split()  # type: ignore[attr-defined]
        sees = Role(role) is not Role.ADMINISTRATOR
        return Who(name, Role(role), sees, token="t", is_known_by_cookie=True)


@pytest.fixture
def house(site: Site, phantom_paths: list[Path], tmp_path: Path) -> Iterator[httpx.Client]:
    study_with_job(site, phantom_paths[0])
    assert site.context is not None
    named = replace(site.context, access=_Named(), notes=NotesFolder(tmp_path / "notes"))
    server = WebServer(lambda: create_app(named), "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        yield client
    server.stop()


def post(house: httpx.Client, by: str, path: str, **fields: str) -> httpx.Response:
    return house.post(path, data={**fields, "token": "t"}, headers={"As": by, **PEOPLE})


def test_a_viewer_writes_and_everybody_reads_it_as_text(site: Site, house: httpx.Client) -> None:
    answer = post(house, "ann viewer", "/studies/1/notes", text=f"line\r\n{MARKUP}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/1#n1")
    for path in ("/studies/1", "/studies/1/notes"):
        text = house.get(path, headers={"As": "bob viewer", **PEOPLE}).text
        assert "line\n&lt;/textarea&gt;&lt;script&gt;" in text
        assert "<script>alert" not in text
        assert "<span>ann</span>" in text
        assert "/notes/1/strike" not in text, "it is not his"
    assert isinstance(site.context and site.context.audit, KeptTrail)
    told = [one.what for one in site.context.audit.of(Accessed)]  # type: ignore[union-attr]
    assert "POST /studies/{study_id}/notes" in told


def test_its_author_and_an_administrator_strike_it_out_and_it_stays_there(
    house: httpx.Client,
) -> None:
    for _ in range(2):
        post(house, "ann viewer", "/studies/1/notes", text="a mistake")
    assert post(house, "bob operator", "/studies/1/notes/1/strike").status_code == 409
    assert post(house, "ann viewer", "/studies/1/notes/1/strike").status_code == 303
    assert post(house, "root administrator", "/studies/1/notes/2/strike").status_code == 303
    text = house.get("/studies/1", headers={"As": "ann viewer", **PEOPLE}).text
    assert text.count("<del>a mistake</del>") == 2
    assert "struck out by root" in text
    assert "/strike" not in text
    assert post(house, "ann viewer", "/studies/1/notes/9/strike").status_code == 404


def test_programs_write_read_and_strike(house: httpx.Client) -> None:
    ann = {"As": "ann viewer", "X-Wetread-Token": "t"}
    path = "/api/studies/1/notes"
    made = house.post(path, json={"text": "seen"}, headers={**ann, **MARK})
    assert (made.status_code, made.json()["author"]) == (200, "ann")
    struck = house.post(f"{path}/{made.json()['id']}/strike", headers={**ann, **MARK}).json()
    assert struck["struck_by"] == "ann"
    assert house.get(path, headers=ann).json() == [struck]
    assert house.get("/api/studies/9/notes", headers=ann).status_code == 404
    long = house.post(path, json={"text": "x" * 2001}, headers={**ann, **MARK})
    assert (long.status_code, "2000 characters at most" in long.json()["error"]) == (409, True)
    assert house.post(path, json={"text": ""}, headers={**ann, **MARK}).status_code == 422


def test_a_page_elsewhere_writes_none(house: httpx.Client) -> None:
    ann = {"As": "ann viewer"}
    assert house.post("/studies/1/notes", data={"text": "x"}, headers=ann).status_code == 403
    token = {**ann, "X-Wetread-Token": "t"}
    assert house.post("/api/studies/1/notes", json={"text": "x"}, headers=token).status_code == 403
    assert house.get("/api/studies/1/notes", headers=ann).json() == []


def test_whoever_is_shown_no_names_is_shown_no_notes_of_others(house: httpx.Client) -> None:
    post(house, "ann viewer", "/studies/1/notes", text="Meier knows")
    post(house, "root administrator", "/studies/1/notes", text="my own")
    root = {"As": "root administrator", "X-Wetread-Token": "t"}
    for path in ("/studies/1", "/studies/1/notes"):
        text = house.get(path, headers={**root, **PEOPLE}).text
        assert "Meier" not in text
        assert "Not shown to you: it may name the patient." in text
        assert "my own" in text
    told = house.get("/api/studies/1/notes", headers=root).json()
    assert [(one["text"], one["is_hidden"]) for one in told] == [("", True), ("my own", False)]
    struck = house.post("/api/studies/1/notes/1/strike", headers={**root, **MARK})
    assert struck.json()["struck_by"] == "root"
    assert "Meier" not in struck.text
    assert "Meier" not in house.get("/studies/1", headers={**root, **PEOPLE}).text


def test_what_people_say_is_kept_beside_the_database(house: httpx.Client, tmp_path: Path) -> None:
    post(house, "ann viewer", "/studies/1/notes", text="seen")
    (path,) = (tmp_path / "notes").iterdir()
    assert '"text": "seen"' in path.read_text()
    post(house, "ann viewer", "/studies/1/notes/1/strike")
    assert '"struck_by": "ann"' in path.read_text()
