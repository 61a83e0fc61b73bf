"""Login at a provider, from the button on: as a browser without scripts meets it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import structlog

from node.audit.events import Login, Outcome
from node.config.oidc import OidcSettings
from storage.people import sessions, users
from storage.people.users import Role
from tests.node.web.access.houses import House, log_in, open_house, token_of
from tests.node.web.access.oidc.hostile import CLIENT, Hostile, serving
from tests.node.web.sites import Site

SESSION, ATTEMPT = "wetread-session", "wetread-login"


@dataclass
class Hospital:
    """A node with login, and the provider of the hospital's accounts."""

    house: House
    provider: Hostile

    def sent(self, browser: httpx.Client, path: str = "/login/oidc?next=/alarms") -> str:
        """Where the button leads."""
        answer = browser.get(path)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def back(self, url: str) -> str:
        """Where the provider sends the browser."""
        return f"/login/oidc/back?{urlencode(self.provider.log_in(url))}"

    def logged_in(self) -> httpx.Client:
        browser = self.house.browser()
        answer = browser.get(self.back(self.sent(browser)))
        assert answer.status_code == 303, answer.text
        return browser


@pytest.fixture
def hospital(site: Site) -> Iterator[Hospital]:
    with serving(Hostile(House.now)) as provider:
        roles = {"radiologists": "viewer", "admins": "administrator"}
        settings = {"issuer": provider.issuer, "client_id": CLIENT, "roles": roles}
        with open_house(site, OidcSettings.model_validate(settings)) as house:
            yield Hospital(house, provider)


def test_a_person_of_the_hospital_logs_in_by_the_button(hospital: Hospital) -> None:
    browser = hospital.house.browser()
    page = browser.get("/login?next=/alarms").text
    assert 'href="/login/oidc?next=/alarms"' in page
    url = hospital.sent(browser)
    asked = parse_qs(urlsplit(url).query)
    assert asked["redirect_uri"] == [f"{browser.base_url}/login/oidc/back".replace("//l", "/l")]
    answer = browser.get(hospital.back(url))
    assert (answer.status_code, answer.headers["location"]) == (303, "/alarms")
    assert browser.cookies.get(ATTEMPT) is None
    page = browser.get("/alarms").text
    assert "ann" in page
    with hospital.house.site.database.look() as tx:
        (user,) = users.all_users(tx)
    assert (user.role, user.provider, user.subject) == (
        Role.VIEWER,
        hospital.provider.issuer,
        "s-1",
    )
    told = [one for one in hospital.house.told.events if isinstance(one, Login)]
    assert [(one.by.name, one.outcome) for one in told] == [("ann", Outcome.SUCCESS)]


def test_a_role_is_that_of_the_groups_at_each_login(hospital: Hospital) -> None:
    hospital.house.add("boss", Role.ADMINISTRATOR)
    assert hospital.logged_in().get("/users").status_code == 403
    hospital.provider.claims = {"groups": ["admins"]}
    assert hospital.logged_in().get("/users").status_code == 200
    hospital.provider.claims = {"groups": ["radiologists"]}
    assert hospital.logged_in().get("/users").status_code == 403


def test_a_session_is_never_one_that_the_browser_brought(hospital: Hospital) -> None:
    browser = hospital.house.browser()
    url = hospital.sent(browser)
    browser.cookies.set(SESSION, "fixed-by-somebody-else", domain="127.0.0.1")
    browser.get(hospital.back(url))
    given = [one.value for one in browser.cookies.jar if one.name == SESSION]
    other = hospital.house.browser()
    other.cookies.set(SESSION, "fixed-by-somebody-else")
    assert other.get("/alarms").status_code == 303
    assert any(value and value != "fixed-by-somebody-else" for value in given)


def test_an_answer_is_worth_nothing_in_another_browser_or_a_second_time(
    hospital: Hospital,
) -> None:
    browser = hospital.house.browser()
    back = hospital.back(hospital.sent(browser))
    stranger = hospital.house.browser()
    refused = stranger.get(back)
    assert refused.status_code == 401
    assert "has not begun a login" in refused.text
    kept = browser.cookies[ATTEMPT]
    assert browser.get(back).status_code == 303
    thief = hospital.house.browser()
    thief.cookies.set(ATTEMPT, kept)
    again = thief.get(back)
    assert again.status_code == 401
    assert SESSION not in thief.cookies


def test_a_user_who_is_locked_here_stays_out(hospital: Hospital) -> None:
    hospital.house.add("boss", Role.ADMINISTRATOR)
    browser = hospital.logged_in()
    with hospital.house.site.database.write() as tx:
        users.lock(tx, users.get(tx, "ann").id, hospital.house.now)
    hospital.house.pass_time(seconds=5)
    assert browser.get("/alarms").status_code == 303
    again = hospital.house.browser()
    refused = again.get(hospital.back(hospital.sent(again)))
    assert refused.status_code == 403
    assert "is locked here" in refused.text


def test_who_is_in_no_group_is_told_whom_to_ask(hospital: Hospital) -> None:
    hospital.provider.claims = {"groups": ["<script>alert(1)</script>"]}
    browser = hospital.house.browser()
    refused = browser.get(hospital.back(hospital.sent(browser)))
    assert refused.status_code == 403
    assert "ask who runs this node" in refused.text
    assert "alert(1)" not in refused.text


def test_while_the_provider_is_away_sessions_go_on_and_local_users_log_in(site: Site) -> None:
    with serving(Hostile(House.now)) as provider:
        roles = {"radiologists": "viewer"}
        settings = {"issuer": provider.issuer, "client_id": CLIENT, "roles": roles}
        with open_house(site, OidcSettings.model_validate(settings)) as house:
            house.add("boss", Role.ADMINISTRATOR)
            inside = Hospital(house, provider).logged_in()
    with open_house(site, OidcSettings.model_validate(settings)) as house:
        known = house.browser()
        known.cookies.set(SESSION, inside.cookies[SESSION])
        assert known.get("/alarms").status_code == 200
        page = house.browser().get("/login/oidc")
        assert page.status_code == 503
        assert "127.0.0.1 does not answer: users of this node can log in here" in page.text
        assert 'name="password"' in page.text
        assert log_in(house.browser(), "boss").status_code == 303
        out = known.post("/logout", data={"token": token_of(known)})
        assert (out.status_code, out.headers["location"]) == (303, "/login")
        assert known.get("/alarms").status_code == 303


def test_logging_out_leads_by_the_provider_and_ends_the_session_first(hospital: Hospital) -> None:
    browser = hospital.logged_in()
    stolen = browser.cookies[SESSION]
    page = browser.post("/logout", data={"token": token_of(browser)})
    assert page.status_code == 200
    assert f'content="0;url={hospital.provider.issuer}/logout?' in page.text
    assert "id_token_hint=" in page.text
    thief = hospital.house.browser()
    thief.cookies.set(SESSION, stolen)
    assert thief.get("/alarms").status_code == 303, "a stolen cookie is worth nothing"
    with hospital.house.site.database.look() as tx:
        assert sessions.all_sessions(tx) == []


def test_no_log_line_says_who_came_or_what_was_shown(hospital: Hospital) -> None:
    with structlog.testing.capture_logs() as lines:
        browser = hospital.house.browser()
        hospital.provider.claims = {"nonce": "x", "preferred_username": "Doe^Jane"}
        browser.get(hospital.back(hospital.sent(browser)))
    assert [one["event"] for one in lines] == ["provider_login_failed"]
    assert "Doe" not in str(lines)
    assert "s-1" not in str(lines)
