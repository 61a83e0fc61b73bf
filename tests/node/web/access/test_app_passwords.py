"""Passwords of machines: made on a page, shown once, good for what they were made for alone."""

from __future__ import annotations

import asyncio
import base64
import re
from datetime import UTC, datetime

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from node.audit.events import Login, Outcome, RightsChanged
from node.web.access.app_passwords import AppPasswords, NotMade, Wanted, is_from, make, secret_hash
from node.web.access.roles import NOBODY, Role
from storage.people import app_passwords, users
from tests.node.web.access.houses import House, token_of
from tests.node.web.sites import Site

DICOMWEB = "/dicom-web/studies"


@pytest.fixture(autouse=True)
def today(house: House) -> None:
    """Pages go by the clock on the wall."""
    house.now = datetime.now(UTC)


def machine_of(house: House, **headers: str) -> httpx.Client:
    """A program, which shows no page."""
    return house.browser(Accept="*/*", **headers)


def made(house: House, name: str, **of: str) -> str:
    """The secret of a new one that somebody made on the page."""
    browser = house.logged_in(name)
    form = {"label": "Horos", "role": "viewer", "host": "", "days": "30", **of}
    page = browser.post("/app-passwords", data={**form, "token": token_of(browser)})
    assert page.status_code == 200, page.text
    (secret,) = re.findall('<code id="secret">([^<]+)</code>', page.text)
    assert secret not in browser.get("/app-passwords").text, "it is shown once"
    return str(secret)


def test_an_app_password_opens_dicomweb_and_the_api_and_no_page(house: House) -> None:
    house.add("ann", Role.OPERATOR)
    secret = made(house, "ann")
    assert re.fullmatch("wt_[-_A-Za-z0-9]{43}", secret)
    with house.site.database.look() as tx:
        (row,) = app_passwords.all_app_passwords(tx)
        assert app_passwords.find(tx, secret_hash(secret)) == row
    machine = machine_of(house)
    shown = ("Ann", secret)
    assert machine.get(DICOMWEB, auth=shown).status_code == 200
    assert machine.get("/api/studies", auth=shown).status_code == 200
    assert machine.get("/", auth=shown).status_code == 401
    refused = machine.post("/api/jobs/1/retry", auth=shown, headers={"X-Wetread": "1"})
    assert refused.status_code == 403, "it is a viewer's"
    logins = [one for one in house.told.events if isinstance(one, Login) and not one.by.is_person]
    assert [one.outcome for one in logins] == [Outcome.SUCCESS], "a visit is told once"
    assert any(isinstance(one, RightsChanged) for one in house.told.events)


@pytest.mark.parametrize(
    "shown",
    [
        lambda secret: ("ann", "wt_wrong"),
        lambda secret: ("bob", secret),
        lambda secret: ("ann", ""),
        lambda secret: ("ann", secret + "x"),
        lambda secret: ("ann", "\0" + secret),
        lambda secret: ("ann", "x" * 5000),
    ],
)
def test_a_wrong_app_password_opens_nothing(house: House, shown: object) -> None:
    house.add("ann")
    house.add("bob")
    secret = made(house, "ann")
    answer = machine_of(house).get(DICOMWEB, auth=shown(secret))  # type: ignore[operator]
    assert answer.status_code == 401
    assert secret not in answer.text


def test_what_is_no_basic_authentication_opens_nothing(house: House) -> None:
    for text in ("Basic", "Basic ???", "Bearer x", "Basic " + base64.b64encode(b"\xff").decode()):
        answer = machine_of(house, Authorization=text).get(DICOMWEB)
        assert answer.status_code == 401


def test_an_app_password_ends_at_once_or_by_its_date_or_with_its_owner(house: House) -> None:
    house.add("ann")
    house.add("boss", Role.ADMINISTRATOR)
    first, second, third = (made(house, "ann", label=one) for one in ("a", "b", "c"))
    machine = machine_of(house)
    assert machine.get(DICOMWEB, auth=("ann", first)).status_code == 200
    browser = house.logged_in("ann")
    (number, *_) = sorted(
        map(int, re.findall('id="a([0-9]+)"', browser.get("/app-passwords").text))
    )
    ended = browser.post(f"/app-passwords/{number}/end", data={"token": token_of(browser)})
    assert ended.status_code == 303
    assert machine.get(DICOMWEB, auth=("ann", first)).status_code == 401
    assert machine.get(DICOMWEB, auth=("ann", second)).status_code == 200
    house.pass_time(days=31)
    assert machine.get(DICOMWEB, auth=("ann", third)).status_code == 401
    with house.site.database.write() as tx:
        users.lock(tx, users.get(tx, "ann").id, house.now)


def test_an_app_password_is_good_from_its_place_alone(house: House) -> None:
    house.add("ann")
    near, far = made(house, "ann", host="127.0.0.0/8"), made(house, "ann", host="10.0.0.7")
    machine = machine_of(house)
    assert machine.get(DICOMWEB, auth=("ann", near)).status_code == 200
    assert machine.get(DICOMWEB, auth=("ann", far)).status_code == 401
    assert is_from("::ffff:10.0.0.7", "10.0.0.0/24")
    assert not is_from("somewhere", "10.0.0.0/24")


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "operator"},
        {"role": "king"},
        {"label": " "},
        {"host": "somewhere"},
        {"days": "0"},
        {"days": "731"},
        {"days": "x"},
    ],
    ids=str,
)
def test_what_is_not_possible_is_said_and_nothing_made(house: House, wrong: dict[str, str]) -> None:
    house.add("ann")
    browser = house.logged_in("ann")
    form = {"label": "Horos", "role": "viewer", "host": "", "days": "30", **wrong}
    page = browser.post("/app-passwords", data={**form, "token": token_of(browser)})
    assert page.status_code == 422
    assert 'role="alert"' in page.text
    with house.site.database.look() as tx:
        assert app_passwords.all_app_passwords(tx) == []


def test_nobody_sees_or_ends_anothers_and_the_administrator_makes_some_for_others(
    house: House,
) -> None:
    for name, role in (("ann", Role.VIEWER), ("bob", Role.VIEWER), ("boss", Role.ADMINISTRATOR)):
        house.add(name, role)
    secret = made(house, "boss", owner="ann", label="Reading room")
    assert machine_of(house).get(DICOMWEB, auth=("ann", secret)).status_code == 200
    bob = house.logged_in("bob")
    assert "Reading room" not in bob.get("/app-passwords").text
    token = token_of(bob)
    theirs = bob.post("/app-passwords/1/end", data={"token": token})
    nothing = bob.post("/app-passwords/99/end", data={"token": token})
    assert theirs.status_code == nothing.status_code == 404
    assert "Reading room" in house.logged_in("ann").get("/app-passwords").text
    forged = bob.post(
        "/app-passwords",
        data={"label": "x", "role": "viewer", "days": "9", "owner": "ann", "token": token},
    )
    assert "goes with it is <code>bob</code>" in forged.text, "a viewer makes his own alone"


def test_an_app_password_is_not_taken_in_the_clear_from_elsewhere(site: Site, house: House) -> None:
    house.add("ann")
    secret = made(house, "ann")
    access = AppPasswords(site.database, lambda: house.now, house.told)

    def asking(scheme: str, host: str) -> object:
        shown = base64.b64encode(f"ann:{secret}".encode())
        scope = {
            "type": "http",
            "method": "GET",
            "scheme": scheme,
            "path": DICOMWEB,
            "query_string": b"",
            "headers": [(b"authorization", b"Basic " + shown)],
            "client": (host, 1),
            "server": ("node", 80),
        }
        return asyncio.run(access.identify(Request(scope)))

    with pytest.raises(HTTPException, match="over TLS alone"):
        asking("http", "10.0.0.7")
    assert asking("https", "10.0.0.7") != NOBODY
    assert asking("http", "127.0.0.1") != NOBODY


def test_none_is_made_for_who_is_locked(house: House) -> None:
    house.add("boss", Role.ADMINISTRATOR)
    house.add("ann")
    with house.site.database.write() as tx:
        users.lock(tx, users.get(tx, "ann").id, house.now)
        with pytest.raises(NotMade, match="is locked"):
            make(tx, users.get(tx, "ann"), Wanted("x", Role.VIEWER, "", 9), "boss", house.now)
