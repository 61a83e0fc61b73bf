"""Wrong passwords make whoever gives them wait; who is known waits for nobody but himself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from node import parts
from node.audit.trail import NO_TRAIL
from node.config.settings import Settings
from node.observe.health import Health
from node.web.access.attempts import Attempts, Counted, Kind, network_of
from node.web.access.logins import logins
from storage.database import Database
from storage.errors import DatabaseUnavailable
from storage.people import login_mistakes
from storage.people.users import Role
from tests.node.web.access.houses import House, log_in
from tests.node.web.test_many import statements
from tests.storage.samples import NOON
from tests.waiting import until

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


def by_itself(database: Database, clock: Clock) -> Attempts:
    """As after a restart."""
    made = Attempts(clock)
    made.remember(database)
    return made


def kept(database: Database) -> int:
    with database.read() as tx:
        return len(login_mistakes.recent(tx, NOON - timedelta(days=1)))


def test_a_restart_forgives_nothing_and_lets_nobody_wait_longer(database: Database) -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(5):
        assert attempts.begin([HERE]) == 0
        attempts.keep(database)
    after = by_itself(database, clock)
    assert after.begin([HERE]) == attempts.begin([HERE]) == 1
    clock.now += timedelta(seconds=1)
    assert after.begin([HERE]) == 0
    after.keep(database)
    assert by_itself(database, clock).begin([HERE]) == 2


def test_a_node_keeps_mistakes_and_knows_them_when_it_is_started_again(database: Database) -> None:
    clock, settings = Clock(), Settings.model_validate({})
    first = logins(database, settings, clock, NO_TRAIL)
    for _ in range(5):
        first.signing_in._attempts.begin([HERE])
    keeping, *others = parts.of_logins(first, Health(clock))
    assert others == []
    keeping.start()
    until(lambda: kept(database) == 1)
    assert keeping.stop(60)
    second = logins(database, settings, clock, NO_TRAIL)
    assert second.signing_in._attempts.begin([HERE]) == 1


def test_what_is_forgiven_is_so_after_a_restart_too(database: Database) -> None:
    clock = Clock()
    attempts = Attempts(clock)
    account = Counted(Kind.ACCOUNT, "ann")
    attempts.begin([HERE, account])
    attempts.keep(database)
    attempts.begin([HERE, account])
    attempts.forgive([HERE, account])
    attempts.keep(database)
    with database.read() as tx:
        (left,) = login_mistakes.recent(tx, NOON)
    assert (left.by.kind, left.number) == ("ACCOUNT", 1)


def test_mistakes_are_kept_for_an_hour_without_a_name_and_no_more_than_in_memory(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.web.access.attempts.KEPT", 7)
    clock = Clock()
    attempts = Attempts(clock)
    for number in range(20):
        attempts.begin([Counted(Kind.ACCOUNT, f"secret-{number}")])
        if number % 3 == 0:
            attempts.keep(database)
    attempts.keep(database)
    assert kept(database) == 7
    with database.read() as tx:
        found = login_mistakes.recent(tx, NOON)
    assert "secret" not in str(found)
    clock.now += timedelta(minutes=61)
    assert by_itself(database, clock).begin([Counted(Kind.ACCOUNT, "secret-19")]) == 0
    attempts.begin([HERE])
    attempts.keep(database)
    assert kept(database) == 1


def test_what_could_not_be_kept_is_kept_the_next_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = Attempts(Clock())
    attempts.begin([HERE])
    with monkeypatch.context() as away:
        away.setattr(database, "write", raising)
        with pytest.raises(DatabaseUnavailable):
            attempts.keep(database)
    attempts.keep(database)
    assert kept(database) == 1


def raising() -> None:
    raise DatabaseUnavailable("away")


def test_nothing_is_asked_of_the_database_while_nobody_is_wrong(database: Database) -> None:
    attempts = Attempts(Clock())
    with statements() as asked:
        attempts.keep(database)
    assert asked == []


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
