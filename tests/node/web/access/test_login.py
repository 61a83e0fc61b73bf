"""Login, logout, sessions, passwords and users, as a browser without scripts meets them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.audit.events import Login, Logout, Outcome, RightsChanged
from node.web.access.wanted import local_place
from storage.people import sessions, users
from storage.people.users import Role
from tests.node.web.access.houses import PASSWORD, House, log_in, open_house, token_of
from tests.node.web.sites import Site

COOKIE = "wetread-session"


def test_a_person_logs_in_is_led_to_where_he_wanted_and_logs_out(house: House) -> None:
    house.add("ann")
    browser = house.browser()
    sent = browser.get("/alarms")
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=/alarms")
    assert 'name="password"' in browser.get(sent.headers["location"]).text
    entered = log_in(browser, " ANN ", next="/alarms")
    assert (entered.status_code, entered.headers["location"]) == (303, "/alarms")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie
    page = browser.get("/alarms")
    assert page.status_code == 200 and "ann" in page.text
    stolen = browser.cookies[COOKIE]
    out = browser.post("/logout", data={"token": token_of(browser)})
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert browser.get("/alarms").status_code == 303
    thief = house.browser(Cookie=f"{COOKIE}={stolen}")
    assert thief.get("/alarms").status_code == 303, "a stolen cookie ends with the session"
    assert [type(one) for one in house.told.events] == [Login, Logout]


def test_only_the_hash_of_a_session_s_token_is_kept(house: House) -> None:
    house.add("ann")
    token = house.logged_in("ann").cookies[COOKIE]
    with house.site.database.read() as tx:
        kept = [tuple(row) for row in tx.exec_driver_sql("SELECT * FROM sessions")]
    assert len(kept) == 1
    assert token not in str(kept)


def test_a_session_that_somebody_else_chose_is_not_taken_over(house: House) -> None:
    house.add("ann")
    browser = house.browser()
    browser.cookies.set(COOKIE, "chosen-by-another", domain="127.0.0.1")
    assert log_in(browser, "ann").status_code == 303
    assert house.browser(Cookie=f"{COOKIE}=chosen-by-another").get("/alarms").status_code == 303
    log_in(browser, "ann")
    with house.site.database.read() as tx:
        assert len(sessions.all_sessions(tx)) == 1, "a browser has one session"
    before = house.logged_in("ann").cookies[COOKIE]
    assert house.logged_in("ann").cookies[COOKIE] != before, "each login has a token of its own"


def test_a_session_ends_when_nothing_is_done_and_by_age(house: House) -> None:
    house.add("ann")
    browser = house.logged_in("ann")
    for _ in range(3):
        house.pass_time(minutes=29)
        assert browser.get("/alarms").status_code == 200
    house.pass_time(minutes=31)
    assert browser.get("/alarms").status_code == 303
    busy = house.logged_in("ann")
    for _ in range(25):
        house.pass_time(minutes=29)
        answer = busy.get("/alarms")
    assert answer.status_code == 303, "after 12 hours it ends in any case"


RELOADED = {"Sec-Fetch-Mode": "navigate"}
CLICKED = {**RELOADED, "Sec-Fetch-User": "?1"}


@pytest.mark.parametrize("by_itself", [{"X-Wetread-Background": "1"}, RELOADED])
def test_what_a_page_asks_for_by_itself_keeps_no_session_alive(
    house: House, by_itself: dict[str, str]
) -> None:
    house.add("ann")
    browser = house.logged_in("ann")
    house.pass_time(minutes=20)
    assert browser.get("/alarms", headers=CLICKED).status_code == 200
    house.pass_time(minutes=20)
    assert browser.get("/alarms", headers=by_itself).status_code == 200
    house.pass_time(minutes=20)
    assert browser.get("/alarms", headers=CLICKED).status_code == 303


def test_name_and_password_are_refused_in_the_same_words_whichever_is_wrong(house: House) -> None:
    house.add("ann")
    house.add("locked")
    with house.site.database.write() as tx:
        users.lock(tx, users.get(tx, "locked").id, house.now)
    refused = [
        log_in(house.browser(), "ann", "wrong horse battery"),
        log_in(house.browser(), "nobody"),
        log_in(house.browser(), "locked"),
        log_in(house.browser(), "", ""),
    ]
    assert {one.status_code for one in refused} == {401}
    assert len({one.text for one in refused}) == 1
    told = [one for one in house.told.events if isinstance(one, Login)]
    assert {one.outcome for one in told} == {Outcome.MINOR_FAILURE}
    assert PASSWORD not in str(told) and "wrong horse" not in str(told)


def test_a_page_elsewhere_logs_nobody_in_or_out(house: House) -> None:
    house.add("ann")
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    browser = house.browser(**elsewhere)
    assert log_in(browser, "ann").status_code == 403
    known = house.logged_in("ann")
    token = token_of(known)
    assert known.post("/logout", data={"token": token}, headers=elsewhere).status_code == 403
    assert known.post("/logout", data={"token": "forged"}).status_code == 403
    assert known.post("/logout").status_code == 403
    assert known.get("/alarms").status_code == 200


def test_storing_needs_the_token_too_whatever_its_content_type(house: House) -> None:
    house.add("olga", Role.OPERATOR)
    browser = house.logged_in("olga")
    for kind in ("multipart/related", "text/plain", "application/dicom", ""):
        answer = browser.post("/dicom-web/studies", content=b"x", headers={"Content-Type": kind})
        assert answer.status_code in (403, 404, 405), kind
    assert "token" in browser.post("/api/jobs/1/retry", headers={"X-Wetread": "1"}).text


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("/studies/7?x=1", "/studies/7?x=1"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("/login?next=/login", "/"),
        ("//[elsewhere", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_to_pages_of_this_node_alone(wanted: str, place: str) -> None:
    assert local_place(wanted) == place


def test_an_odd_place_breaks_no_login(house: House) -> None:
    house.add("ann")
    browser = house.browser()
    assert browser.get("/login", params={"next": "//[x"}).status_code == 200
    assert log_in(browser, "ann", next="//[x").headers["location"] == "/"
    assert browser.get("/login", params={"next": "//[x"}).headers["location"] == "/"


def test_the_first_administrator_is_made_by_a_code_that_works_once(house: House) -> None:
    browser = house.browser()
    assert "/login/first" in browser.get("/login").text
    form = {"name": "root", "password": PASSWORD, "again": PASSWORD}
    wrong = browser.post("/login/first", data={**form, "code": "AAAA-AAAA-AAAA-AAAA"})
    assert (wrong.status_code, "not the code" in wrong.text) == (422, True)
    weak = {**form, "code": house.first.printed, "password": "short", "again": "short"}
    assert browser.post("/login/first", data=weak).status_code == 422
    code = house.first.printed.lower().replace("-", " ")
    made = browser.post("/login/first", data={**form, "code": code})
    assert (made.status_code, made.headers["location"]) == (303, "/users")
    assert browser.get("/users").status_code == 200
    (told,) = [one for one in house.told.events if isinstance(one, RightsChanged)]
    assert (told.by.name, told.whom) == ("root", "root")
    assert house.first.printed not in told.change
    again = house.browser().post("/login/first", data={**form, "name": "b", "code": code})
    assert again.status_code == 404
    assert "/login/first" not in house.browser().get("/login").text
    with house.site.database.read() as tx:
        assert [(one.name, one.role) for one in users.all_users(tx)] == [
            ("root", Role.ADMINISTRATOR)
        ]


def test_the_code_is_void_after_an_hour_and_where_there_is_an_administrator(house: House) -> None:
    form = {"name": "x", "password": PASSWORD, "again": PASSWORD, "code": house.first.printed}
    house.add("root", Role.ADMINISTRATOR)
    refused = house.browser().post("/login/first", data=form)
    assert (refused.status_code, "here is an administrator" in refused.text) == (422, True)
    house.pass_time(minutes=61)
    assert house.browser().get("/login/first").status_code == 404


def test_whoever_changes_his_password_stays_alone_logged_in(house: House) -> None:
    house.add("ann")
    here, elsewhere = house.logged_in("ann"), house.logged_in("ann")
    before = here.cookies[COOKIE]
    new = {"password": "another horse", "again": "another horse", "token": token_of(here)}
    refused = here.post("/password", data={**new, "current": "wrong"})
    assert (refused.status_code, "current password" in refused.text) == (422, True)
    assert here.post("/password", data={**new, "again": "x", "current": PASSWORD}).is_error
    done = here.post("/password", data={**new, "current": PASSWORD})
    assert done.status_code == 303
    assert here.cookies[COOKIE] != before, "a new token"
    assert here.get("/alarms").status_code == 200
    assert elsewhere.get("/alarms").status_code == 303
    assert log_in(house.browser(), "ann").status_code == 401
    assert log_in(house.browser(), "ann", "another horse").status_code == 303


def test_an_administrator_adds_promotes_and_locks_users(house: House) -> None:
    house.add("root", Role.ADMINISTRATOR)
    root = house.logged_in("root")
    token = {"token": token_of(root)}
    new = {"name": "Bob", "role": "viewer", "password": PASSWORD, "again": PASSWORD}
    assert root.post("/users", data={**new, **token}).status_code == 303
    assert "already" in root.post("/users", data={**new, **token}).text
    bob = house.logged_in("bob")
    with house.site.database.read() as tx:
        ids = {one.name: one.id for one in users.all_users(tx)}
    assert bob.get("/users").status_code == 403
    path = f"/users/{ids['bob']}"
    assert root.post(f"{path}/role", data={"role": "operator", **token}).status_code == 303
    assert bob.get("/fetch").status_code == 200
    assert root.post(f"{path}/lock", data=token).status_code == 303
    assert bob.get("/alarms").status_code == 303, "his session is over"
    assert log_in(house.browser(), "bob").status_code == 401
    assert root.post(f"{path}/unlock", data=token).status_code == 303
    assert log_in(house.browser(), "bob").status_code == 303
    last = root.post(f"/users/{ids['root']}/lock", data=token)
    assert (last.status_code, "last administrator" in last.text) == (422, True)
    told = [one.change for one in house.told.events if isinstance(one, RightsChanged)]
    assert told == [
        "a new user with the role viewer",
        "has the role operator",
        "locked",
        "unlocked",
    ]


def test_a_person_sees_and_ends_his_own_sessions_and_an_administrator_all(house: House) -> None:
    house.add("ann")
    house.add("root", Role.ADMINISTRATOR)
    ann, root = house.logged_in("ann"), house.logged_in("root")
    assert "<strong>root</strong>" not in ann.get("/sessions").text
    assert "<strong>ann</strong>" in root.get("/sessions").text
    with house.site.database.read() as tx:
        ids = {name: id for id, name in tx.exec_driver_sql(
            "SELECT sessions.id, users.name FROM sessions JOIN users ON users.id = user_id"
        )}  # fmt: skip
    form = {"token": token_of(ann)}
    assert ann.post(f"/sessions/{ids['root']}/end", data=form).status_code == 404
    assert root.get("/alarms").status_code == 200
    form = {"token": token_of(root)}
    assert root.post(f"/sessions/{ids['ann']}/end", data=form).status_code == 303
    assert ann.get("/alarms").status_code == 303


def test_nobody_logs_in_under_a_name_by_which_the_node_is_not_asked(site: Site) -> None:
    assert site.context is not None
    named = replace(site.context, allowed_hosts=("127.0.0.1", "localhost"))
    site.context = named
    with open_house(site) as house:
        house.add("ann")
        rebound = house.browser(Host="evil.example", Origin="http://evil.example")
        assert rebound.get("/login").status_code == 400
        assert log_in(rebound, "ann").status_code == 400
        with house.site.database.read() as tx:
            assert sessions.all_sessions(tx) == []


def test_this_machine_reads_metrics_and_health_in_detail_without_a_login(house: House) -> None:
    monitor = house.browser()
    answer = monitor.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert "checks" in monitor.get("/health").json()
    assert monitor.get("/", follow_redirects=False).status_code == 303, "pages need one"
