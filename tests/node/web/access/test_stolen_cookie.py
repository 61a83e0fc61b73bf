"""What a stolen cookie is worth once its owner or an administrator has done something about it."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from storage.people import users
from storage.people.users import Role
from tests.node.web.access.houses import PASSWORD, House, token_of

OPENED = ("/", "/alarms", "/sessions", "/events", "/api/studies", "/dicom-web/studies", "/users")
"""What the cookie opened: pages, the stream, the API, DICOMweb."""
Act = Callable[[House, httpx.Client, httpx.Client], httpx.Response]


def _row(house: House, name: str) -> int:
    with house.site.database.read() as tx:
        return users.get(tx, name).id


def _logs_out(house: House, owner: httpx.Client, root: httpx.Client) -> httpx.Response:
    return owner.post("/logout", data={"token": token_of(owner)})


def _changes_password(house: House, owner: httpx.Client, root: httpx.Client) -> httpx.Response:
    new = {"password": "another horse", "again": "another horse", "current": PASSWORD}
    return owner.post("/password", data={**new, "token": token_of(owner)})


def _is_locked(house: House, owner: httpx.Client, root: httpx.Client) -> httpx.Response:
    path = f"/users/{_row(house, 'ann')}/lock"
    return root.post(path, data={"token": token_of(root)})


def _may_less(house: House, owner: httpx.Client, root: httpx.Client) -> httpx.Response:
    path = f"/users/{_row(house, 'ann')}/role"
    return root.post(path, data={"role": "viewer", "token": token_of(root)})


def _thief(house: House, owner: httpx.Client) -> httpx.Client:
    thief = house.browser(**{"User-Agent": "another browser"})
    thief.cookies = httpx.Cookies(owner.cookies)
    return thief


def _opens(thief: httpx.Client, path: str) -> int:
    with thief.stream("GET", path) as answer:
        return answer.status_code


@pytest.mark.parametrize("act", [_logs_out, _changes_password, _is_locked])
def test_it_opens_nothing_any_more(house: House, act: Act) -> None:
    house.add("root", Role.ADMINISTRATOR)
    house.add("ann", Role.OPERATOR)
    owner, root = house.logged_in("ann"), house.logged_in("root")
    thief = _thief(house, owner)
    assert {_opens(thief, path) for path in OPENED} == {200, 403, 406}  # DICOMweb gives no pages
    token = token_of(thief)
    assert act(house, owner, root).status_code == 303
    assert {path: _opens(thief, path) for path in OPENED} == dict.fromkeys(OPENED, 303)
    for path in ("/api/studies", "/dicom-web/studies"):
        assert thief.get(path, headers={"Accept": "application/json"}).status_code == 401
    written = thief.post("/jobs/suspend", data={"token": token, "reason": "x"})
    assert written.status_code == 303
    assert written.headers["location"].startswith("/login"), "its token is worth nothing either"


def test_after_the_role_is_taken_it_may_no_more_than_its_owner(house: House) -> None:
    house.add("root", Role.ADMINISTRATOR)
    house.add("ann", Role.ADMINISTRATOR)
    owner, root = house.logged_in("ann"), house.logged_in("root")
    thief = _thief(house, owner)
    assert _opens(thief, "/users") == 200
    assert _may_less(house, owner, root).status_code == 303
    assert {path: _opens(thief, path) for path in ("/users", "/audit", "/settings")} == {
        "/users": 403,
        "/audit": 403,
        "/settings": 403,
    }


def test_a_cookie_that_was_there_before_a_login_is_not_the_one_after_it(house: House) -> None:
    """Session fixation: whatever somebody had put in a browser names nobody once it is used."""
    house.add("ann")
    attacker = house.logged_in("ann")
    planted = dict(attacker.cookies)
    victim = house.browser()
    for chosen in (planted, {name: "f" * 43 for name in planted}):
        victim.cookies = httpx.Cookies(chosen)
        answer = victim.post("/login", data={"name": "ann", "password": PASSWORD})
        assert answer.status_code == 303
        given = [one.partition(";")[0] for one in answer.headers.get_list("set-cookie")]
        assert given
        assert not set(given) & {f"{name}={value}" for name, value in chosen.items()}
    stranger = house.browser()
    stranger.cookies = httpx.Cookies({name: "f" * 43 for name in planted})
    assert stranger.get("/alarms").status_code == 303
