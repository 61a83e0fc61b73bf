"""Whoever has logged in at a provider is asked about again: what was taken there is taken here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog
from pydantic import ValidationError

from node.audit.events import Logout, Right, RightsChanged
from node.config.oidc import OidcSettings
from node.web.access.app_passwords import AppPasswords, Wanted, make
from node.web.access.oidc.attempt import Attempt
from node.web.access.oidc.errors import LoginEnded, NotAllowed
from node.web.access.oidc.flow import Flow
from node.web.access.oidc.provider import Provider
from node.web.access.oidc.rechecking import UNCHECKED, Rechecking
from node.web.access.sessions import Place
from storage.people import users
from storage.people.users import Role
from tests.node.web.access.houses import House, open_house
from tests.node.web.access.oidc.hostile import CLIENT, Hostile, serving
from tests.node.web.access.oidc.test_flow import BACK, THEIRS, _answer_of
from tests.node.web.access.oidc.test_login_elsewhere import Hospital
from tests.node.web.sites import Site

ROLES = {"radiologists": "viewer", "physicists": "operator", "admins": "administrator"}


def settings_of(issuer: str, **more: Any) -> OidcSettings:
    given = {"issuer": issuer, "client_id": CLIENT, "roles": ROLES, **more}
    return OidcSettings.model_validate(given)


@pytest.fixture
def hospital(site: Site) -> Iterator[Hospital]:
    provider = Hostile(House.now, refresh_token="first")
    with serving(provider), open_house(site, settings_of(provider.issuer)) as house:
        yield Hospital(house, provider)


def rechecking(hospital: Hospital) -> Rechecking:
    elsewhere = hospital.house.logins.elsewhere
    assert elsewhere is not None
    return elsewhere.rechecking


def pass_minutes(hospital: Hospital, minutes: float) -> None:
    """Time goes by, and then it is looked whose time has come."""
    hospital.house.pass_time(minutes=minutes)
    hospital.provider.now = hospital.house.now
    rechecking(hospital).step()


def is_in(browser: httpx.Client) -> bool:
    return browser.get("/alarms").status_code == 200


def renewals(hospital: Hospital) -> int:
    return sum(one.get("grant_type") == "refresh_token" for one in hospital.provider.bodies)


def test_who_has_lost_all_groups_is_logged_out_within_the_time_of_the_settings(
    hospital: Hospital,
) -> None:
    browser = hospital.logged_in()
    hospital.provider.claims = {"groups": []}
    pass_minutes(hospital, 14)
    assert is_in(browser)
    with structlog.testing.capture_logs() as lines:
        pass_minutes(hospital, 2)
    assert not is_in(browser)
    ended = [one for one in hospital.house.told.events if isinstance(one, Logout)]
    assert [(one.by.name, one.reason) for one in ended] == [
        ("ann", "none of the groups has a role")
    ]
    assert [one["event"] for one in lines] == ["provider_session_ended"]
    assert "ann" not in str(lines)


def test_who_keeps_his_groups_stays_and_each_renewal_goes_on_from_the_last(
    hospital: Hospital,
) -> None:
    browser = hospital.logged_in()
    for _ in range(6):
        pass_minutes(hospital, 16)
        assert is_in(browser)
    assert renewals(hospital) == 6
    rechecking(hospital).step()
    assert renewals(hospital) == 6, "not before the time has come again"


def test_another_role_there_is_another_one_here_at_once_and_is_told(hospital: Hospital) -> None:
    hospital.house.add("boss", Role.ADMINISTRATOR)
    browser = hospital.logged_in()
    assert browser.get("/users").status_code == 403
    hospital.provider.claims = {"groups": ["admins"]}
    pass_minutes(hospital, 16)
    assert browser.get("/users").status_code == 200
    hospital.provider.claims = {"groups": ["radiologists"]}
    pass_minutes(hospital, 16)
    assert browser.get("/users").status_code == 403
    told = [one for one in hospital.house.told.events if isinstance(one, RightsChanged)]
    assert [(one.right, one.whom, one.change) for one in told] == [
        (Right.ROLE, "ann", "viewer to administrator, by the groups of the provider"),
        (Right.ROLE, "ann", "administrator to viewer, by the groups of the provider"),
    ]


def test_a_login_that_the_provider_has_ended_ends_here(hospital: Hospital) -> None:
    browser = hospital.logged_in()
    hospital.provider.renewal = {"error": "invalid_grant"}
    pass_minutes(hospital, 16)
    assert not is_in(browser)


@pytest.mark.parametrize("error", ["invalid_client", "server_error"])
def test_a_provider_that_fails_otherwise_ends_nothing(hospital: Hospital, error: str) -> None:
    browser = hospital.logged_in()
    hospital.provider.renewal = {"error": error}
    with structlog.testing.capture_logs() as lines:
        for _ in range(6):
            pass_minutes(hospital, 16)
            assert is_in(browser)
    assert [one["event"] for one in lines] == ["provider_not_asked_again"]


def test_of_a_provider_without_refresh_tokens_a_session_ends_after_an_hour(
    hospital: Hospital,
) -> None:
    hospital.provider.refresh_token = ""
    browser = hospital.logged_in()
    for _ in range(2):
        pass_minutes(hospital, 25)
        assert is_in(browser)
    pass_minutes(hospital, 15)
    assert not is_in(browser)


def test_while_the_provider_is_away_whoever_is_logged_in_stays_so(site: Site) -> None:
    provider = Hostile(House.now)
    with serving(provider):
        house_of_it = open_house(site, settings_of(provider.issuer))
        house = house_of_it.__enter__()
        hospital = Hospital(house, provider)
        without = hospital.logged_in()
        provider.refresh_token = "first"
        with_one = hospital.logged_in()
    for _ in range(6):
        pass_minutes(hospital, 25)
        assert is_in(without)
        assert is_in(with_one)
    house_of_it.__exit__(None, None, None)


@pytest.mark.parametrize(
    "wrong", [{"claims": {"sub": "s-2"}}, {"claims": {"aud": "another"}}, {"header": {"kid": "x"}}]
)
def test_a_renewal_that_cannot_be_believed_is_none(
    hospital: Hospital, wrong: dict[str, Any]
) -> None:
    """It changes no role, and the session ends as one that cannot be asked about."""
    browser = hospital.logged_in()
    hospital.provider.claims = {"groups": ["admins"], **wrong.get("claims", {})}
    hospital.provider.header = wrong.get("header", {})
    pass_minutes(hospital, 16)
    assert is_in(browser)
    with hospital.house.site.database.look() as tx:
        assert users.get(tx, "ann").role is Role.VIEWER
    pass_minutes(hospital, 20)
    assert is_in(browser)
    pass_minutes(hospital, 28)
    assert not is_in(browser)


def test_without_an_id_token_the_address_of_users_is_asked(hospital: Hospital) -> None:
    browser = hospital.logged_in()
    hospital.provider.renewal = {"id_token": None}
    hospital.provider.user = {"sub": "s-1", "groups": ["radiologists"]}
    pass_minutes(hospital, 16)
    assert is_in(browser)
    hospital.provider.user = {"sub": "s-1", "groups": []}
    pass_minutes(hospital, 16)
    assert not is_in(browser)


def test_the_nodes_own_users_are_not_asked_about(hospital: Hospital) -> None:
    hospital.house.add("bob")
    browser = hospital.house.logged_in("bob")
    for _ in range(4):
        pass_minutes(hospital, 25)
        assert is_in(browser)
    assert hospital.provider.asked == []


def test_a_restart_gives_an_hour_anew(hospital: Hospital) -> None:
    browser = hospital.logged_in()
    for _ in range(3):
        pass_minutes(hospital, 25)
        assert is_in(browser)
    settings = settings_of(hospital.provider.issuer)
    house = hospital.house
    flow = Flow(Provider(settings), lambda: house.now)
    after = Rechecking(
        flow, house.site.database, house.logins.sessions, lambda: house.now, house.told
    )
    for _ in range(2):
        house.pass_time(minutes=25)
        after.step()
        assert is_in(browser)
    house.pass_time(minutes=UNCHECKED.total_seconds() / 60 - 45)
    after.step()
    assert not is_in(browser)


def lent(hospital: Hospital) -> str:
    """The secret of an app password that ann's account lends."""
    wanted = Wanted("Horos", Role.VIEWER, "", 365)
    house = hospital.house
    with house.site.database.write() as tx:
        return make(tx, users.get(tx, "ann"), wanted, "ann", house.now).secret


def forget(house: House) -> None:
    """App passwords are looked up again."""
    for one in house.logins.others:
        assert isinstance(one, AppPasswords)
        one.forget()


def opens(hospital: Hospital, secret: str) -> bool:
    """Whether a machine is let in by it, asked anew."""
    forget(hospital.house)
    machine = hospital.house.browser(Accept="*/*")
    return machine.get("/dicom-web/studies", auth=("ann", secret)).status_code == 200


def test_with_the_groups_go_the_app_passwords_and_that_is_told(hospital: Hospital) -> None:
    hospital.logged_in()
    secret = lent(hospital)
    assert opens(hospital, secret)
    hospital.provider.claims = {"groups": []}
    pass_minutes(hospital, 16)
    assert not opens(hospital, secret)
    hospital.provider.claims = {}
    hospital.logged_in()
    assert not opens(hospital, secret), "who has a role again makes a new one"
    told = [one for one in hospital.house.told.events if isinstance(one, RightsChanged)]
    assert [(one.right, one.whom, one.change) for one in told] == [
        (Right.USER, "ann", "1 app passwords ended: none of the groups has a role")
    ]


def test_they_go_as_well_when_somebody_without_groups_wants_to_log_in(hospital: Hospital) -> None:
    hospital.logged_in()
    secret = lent(hospital)
    hospital.provider.claims = {"groups": ["strangers"]}
    browser = hospital.house.browser()
    assert browser.get(hospital.back(hospital.sent(browser))).status_code == 403
    assert not opens(hospital, secret)


def test_while_nobody_logs_in_they_rest_after_a_month(hospital: Hospital) -> None:
    hospital.logged_in()
    secret = lent(hospital)
    hospital.house.pass_time(days=29)
    assert opens(hospital, secret)
    hospital.house.pass_time(days=1)
    assert not opens(hospital, secret)
    hospital.provider.now = hospital.house.now
    hospital.logged_in()
    assert opens(hospital, secret)


def test_how_long_they_go_on_alone_is_a_setting(site: Site) -> None:
    provider = Hostile(House.now, refresh_token="first")
    with serving(provider):
        given = settings_of(provider.issuer, app_passwords_rest_days=3)
        with open_house(site, given) as house:
            hospital = Hospital(house, provider)
            hospital.logged_in()
            secret = lent(hospital)
            house.pass_time(days=2)
            assert opens(hospital, secret)
            house.pass_time(days=1)
            assert not opens(hospital, secret)


@pytest.mark.parametrize("days", [0, -1, 731, "never"])
def test_they_rest_some_time(days: object) -> None:
    with pytest.raises(ValidationError, match="app_passwords_rest_days"):
        settings_of("https://login.example.org", app_passwords_rest_days=days)


@THEIRS
def test_who_has_lost_the_groups_at_oidc_provider_mock_lends_no_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    import oidc_provider_mock as theirs

    monkeypatch.setenv("OIDC_SECRET", "s3cret")
    claims = {"preferred_username": "ann", "groups": ["physicists"]}
    user = theirs.User(sub="a-1", claims=claims)
    with theirs.run_server_in_thread(user_claims=[user]) as server:
        address = f"http://localhost:{server.server_port}"
        given = settings_of(address, client_secret_env="OIDC_SECRET")
        with open_house(site, given) as house:
            house.now = datetime.now(UTC)
            elsewhere = house.logins.elsewhere
            assert elsewhere is not None

            def log_in() -> None:
                attempt, url = elsewhere.begin("/", BACK.partition("/login")[0])
                answer = _answer_of(url, "a-1")
                elsewhere.end(attempt, answer, BACK.partition("/login")[0], Place("10.0.0.7"))

            log_in()
            with house.site.database.write() as tx:
                wanted = Wanted("Horos", Role.OPERATOR, "", 365)
                secret = make(tx, users.get(tx, "ann"), wanted, "ann", house.now).secret
            machine = house.browser(Accept="*/*")
            assert machine.get("/dicom-web/studies", auth=("ann", secret)).status_code == 200
            httpx.put(f"{address}/users/a-1", json={**claims, "groups": []}).raise_for_status()
            with pytest.raises(NotAllowed):
                log_in()
            forget(house)
            assert machine.get("/dicom-web/studies", auth=("ann", secret)).status_code == 401


@THEIRS
def test_a_login_at_oidc_provider_mock_is_renewed_until_it_is_revoked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import oidc_provider_mock as theirs

    monkeypatch.setenv("OIDC_SECRET", "s3cret")
    now = datetime.now(UTC)
    claims = {"preferred_username": "bob", "groups": ["physicists"]}
    user = theirs.User(sub="b-1", claims=claims)
    with theirs.run_server_in_thread(
        user_claims=[user], access_token_max_age=timedelta(hours=1)
    ) as server:
        address = f"http://localhost:{server.server_port}"
        flow = Flow(Provider(settings_of(address, client_secret_env="OIDC_SECRET")), lambda: now)
        attempt = Attempt.begun(now, "/")
        found = flow.end(attempt, _answer_of(flow.begin(attempt, BACK), "b-1"), BACK)
        renewed = flow.renewed(found.refresh_token, found.subject)
        assert renewed.role is Role.OPERATOR
        changed = {**claims, "groups": ["radiologists"]}
        httpx.put(f"{address}/users/b-1", json=changed).raise_for_status()
        again = flow.renewed(renewed.refresh_token, found.subject)
        assert again.role is Role.VIEWER
        httpx.post(f"{address}/users/b-1/revoke-tokens").raise_for_status()
        with pytest.raises(LoginEnded):
            flow.renewed(again.refresh_token, found.subject)
