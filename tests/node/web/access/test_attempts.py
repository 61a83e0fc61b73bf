"""Wrong passwords make whoever gives them wait; who is known waits for nobody but himself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from node.web.access.attempts import Attempts, Counted, Kind, network_of
from storage.users import Role
from tests.node.web.access.houses import House, log_in
from tests.storage.samples import NOON

WRONG = "wrong horse battery"
HERE = Counted(Kind.ACCOUNT_AT_HOST, "ann 10.0.0.1")


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


def test_the_wait_doubles_up_to_its_longest_and_is_forgotten_after_an_hour() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    assert [attempts.begin([HERE]) for _ in range(Kind.ACCOUNT_AT_HOST.free)] == [0.0] * 5
    waits = []
    for _ in range(12):
        wait_s = attempts.begin([HERE])
        waits.append(wait_s)
        clock.now += timedelta(seconds=wait_s)
        assert attempts.begin([HERE]) == 0
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    clock.now += timedelta(minutes=61)
    assert [attempts.begin([HERE]) for _ in range(5)] == [0.0] * 5


def test_a_right_password_is_no_mistake_and_forgives_those_before_it_of_the_same_person() -> None:
    attempts = Attempts(Clock())
    host = Counted(Kind.HOST, "10.0.0.1")
    for _ in range(200):
        assert attempts.begin([HERE, host]) == 0
        attempts.forgive([HERE, host])


def test_no_more_is_kept_than_has_a_bound() -> None:
    attempts = Attempts(Clock())
    for number in range(10_500):
        attempts.begin([Counted(Kind.ACCOUNT, str(number))])
    assert len(attempts._kept[Kind.ACCOUNT]) == 10_000


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("", ""),
    ],
)
def test_a_person_s_ipv6_addresses_are_one(host: str, network: str) -> None:
    assert network_of(host) == network


def test_strangers_wait_and_the_one_whose_name_they_used_does_not(house: House) -> None:
    house.add("ann")
    known = house.logged_in("ann")
    elsewhere = house.browser()
    with house.site.database.write() as tx:  # he had come from another host
        tx.exec_driver_sql("UPDATE familiar_hosts SET host = '10.9.9.9'")
    statuses = [log_in(elsewhere, "ann", WRONG).status_code for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    refused = log_in(elsewhere, "ann")
    assert refused.status_code == 429, "nor is the right password looked at"
    assert int(refused.headers["retry-after"]) >= 1
    assert "too many wrong passwords" in refused.text.lower()
    assert log_in(known, "ann").status_code == 303, "his browser is known"
    house.pass_time(seconds=2)
    assert log_in(elsewhere, "ann").status_code == 303


def test_a_host_that_a_person_has_used_is_his_whatever_strangers_do_elsewhere(
    house: House,
) -> None:
    house.add("ann")
    house.logged_in("ann")
    with house.site.database.write() as tx:
        tx.exec_driver_sql("UPDATE familiar_hosts SET token_hash = 'lost'")
    strangers = Counted(Kind.ACCOUNT, "ann")
    for _ in range(60):
        house.logins.signing_in._attempts.begin([strangers])
    assert house.logins.signing_in._attempts.begin([strangers]) > 0
    assert log_in(house.browser(), "ann").status_code == 303


def test_names_that_nobody_has_are_counted_too(house: House) -> None:
    browser = house.browser()
    statuses = [log_in(browser, "nobody", WRONG).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    house.add("olga", Role.OPERATOR)
    assert log_in(browser, "olga").status_code == 303, "another name at this host"
