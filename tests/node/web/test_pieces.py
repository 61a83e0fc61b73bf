"""Lines of the list are rendered when they change, and shown again to whom they say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from jinja2 import Environment

from node.config.restrictions import RestrictionSettings
from node.web.access.rights import Rights
from node.web.access.roles import Role, Who
from node.web.app import create_app
from node.web.pages import lines
from node.web.pages.pieces import KEPT, Beholder, Pieces
from node.web.server import WebServer
from storage import reading_state
from storage.study_list import Asked
from tests.node.web.access.test_foreign_study import TEXTS, enter_both
from tests.node.web.sites import START, Site
from tests.node.web.test_many import fill

RIGHTS = Rights(
    names_for=(Role.VIEWER,),
    restrictions=(RestrictionSettings(role="viewer", users=("eve",), ae_titles=("CT1",)),),
)
ANN = RIGHTS(Who("ann", Role.VIEWER, token="token-of-ann", is_known_by_cookie=True))
EVE = RIGHTS(Who("eve", Role.VIEWER, token="token-of-eve", is_known_by_cookie=True))
OPERATOR = RIGHTS(Who("otto", Role.OPERATOR, token="token-of-otto", is_known_by_cookie=True))
ADMINISTRATOR = RIGHTS(Who("ada", Role.ADMINISTRATOR, token="token-of-ada"))
LOOKS = Beholder(sees_names=True, has_images=True)


class _Changing:
    """Whoever the test says."""

    def __init__(self) -> None:
        self.now = ANN

    async def identify(self, request: object) -> Who:
        return self.now


class _Counted:
    """A template that writes the state of a line, and how often it was rendered."""

    def __init__(self) -> None:
        self.rendered: list[int] = []
        environment = Environment(autoescape=True)
        environment.globals["note"] = self.rendered.append
        text = "{{ note(line.study.id) or line.state.value }} {{ who.sees_names }}"
        self.template = environment.from_string(text)


@contextmanager
def _asking(site: Site) -> Iterator[tuple[httpx.Client, _Changing]]:
    access = _Changing()
    assert site.context is not None
    server = WebServer(lambda: create_app(replace(site.context, access=access)), "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        yield client, access
    server.stop()


def _list(page: str) -> str:
    found = re.search(r'<ol class="studies.*?</ol>', page, re.DOTALL)
    assert found is not None
    return re.sub(r"\d+ days ago", "ago", found.group())


def _lines(site: Site) -> tuple[lines.StudyLine, ...]:
    with site.database.read() as tx:
        return lines.read(tx, Asked()).lines


def test_a_line_is_rendered_once_and_again_when_it_has_changed(site: Site) -> None:
    fill(site, 3)
    counted, moment = _Counted(), START + timedelta(days=1)
    pieces = Pieces(counted.template)
    first = pieces.of(_lines(site), LOOKS, moment)
    assert pieces.of(_lines(site), LOOKS, moment + timedelta(seconds=1)) == first
    assert counted.rendered == [3, 2, 1]
    with site.database.write() as tx:
        seen = reading_state.as_it_stands(tx, 2)
        reading_state.mark_read(tx, 2, START, "ann", seen)
    assert pieces.of(_lines(site), LOOKS, moment) != first
    assert counted.rendered == [3, 2, 1, 2]


def test_a_line_is_rendered_anew_when_what_is_said_of_its_age_is_another(site: Site) -> None:
    fill(site, 1)
    counted = _Counted()
    pieces = Pieces(counted.template)
    for days in (1, 1, 2):
        pieces.of(_lines(site), LOOKS, START + timedelta(days=days))
    assert counted.rendered == [1, 1]


@pytest.mark.parametrize("other", [Beholder(False, True), Beholder(True, False)])
def test_no_piece_of_one_is_shown_to_who_is_shown_something_else(
    site: Site, other: Beholder
) -> None:
    fill(site, 1)
    counted, moment = _Counted(), START + timedelta(days=1)
    pieces = Pieces(counted.template)
    for one in (LOOKS, other, LOOKS, other):
        (text,) = pieces.of(_lines(site), one, moment)
        assert text == f"failed {one.sees_names}"
    assert len(counted.rendered) == 2


def test_no_more_pieces_are_kept_than_so_many(site: Site) -> None:
    fill(site, 1)
    (line,) = _lines(site)
    pieces = Pieces(_Counted().template)
    for number in range(KEPT + 5):
        one = replace(line, study=replace(line.study, id=number))
        pieces.of([one], LOOKS, START)
    assert len(pieces._kept) == KEPT


def test_roles_and_restrictions_that_read_one_list_in_turn_see_nothing_of_each_other(
    site: Site,
) -> None:
    enter_both(site)
    alone: dict[str, str] = {}
    for person in (ANN, EVE, OPERATOR, ADMINISTRATOR):
        with _asking(site) as (client, access):
            access.now = person
            alone[person.name] = _list(client.get("/").text)
    with _asking(site) as (client, access):
        for person in (ANN, EVE, OPERATOR, ADMINISTRATOR) * 2 + (EVE, ANN):
            access.now = person
            page = client.get("/").text
            assert _list(page) == alone[person.name], person.name
            others = {"ann", "eve", "otto", "ada"} - {person.name}
            assert not [one for one in others if f"token-of-{one}" in page]
    assert all(one in alone["ann"] for one in ("Foreign, Person", *TEXTS[1:4]))
    assert not any(one in alone["eve"] for one in ("Foreign, Person", *TEXTS))
    for masked in ("otto", "ada"):
        assert "Foreign, Person" not in alone[masked] and "FOREIGN-ID" not in alone[masked]
    assert "thumbnail" in alone["ada"] and "thumbnail" not in alone["otto"]
    assert "token" not in "".join(alone.values())
