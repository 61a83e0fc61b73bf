"""Certificates and revocation lists that end: said in time, once, and not for ever."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.config.load import load
from node.dimse import tls_in_use
from node.observe.certificates import CertificateWatch
from node.observe.validity import validities
from storage import events
from storage.database import Database
from storage.records import Level
from tests.certificates import Authority, authority


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls"), "hospital")


class Later:
    """A clock that stands, so many days after now."""

    def __init__(self) -> None:
        self.days = 0.0
        self._start = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self._start + timedelta(days=self.days)


@pytest.fixture
def clock() -> Later:
    return Later()


@pytest.fixture
def watch(database: Database, clock: Later) -> Callable[..., CertificateWatch]:
    return lambda *paths: CertificateWatch(paths, database, clock)


def alarms(database: Database) -> list[str]:
    with database.read() as tx:
        found = events.open_alarms(tx)
    assert all(one.level is Level.ALARM for one in found)
    return [one.reason for one in reversed(found)]


def test_an_end_is_said_once_before_and_once_after(
    hospital: Authority, watch: Callable[..., CertificateWatch], clock: Later, database: Database
) -> None:
    """Certificates of tests live two days: their last half day counts."""
    node = hospital.issue("node")
    found = watch(node.certificate)
    for days in (0, 1.4, 1.6, 1.9, 2.1, 3):
        clock.days = days
        found.step()
    before, after = alarms(database)
    assert before.startswith("node.pem: the certificate ends on ")
    assert after == before.replace("ends", "ended")


def test_a_certificate_that_was_replaced_in_time_is_silent(
    hospital: Authority, watch: Callable[..., CertificateWatch], clock: Later, database: Database
) -> None:
    node = hospital.issue("replaced")
    found = watch(node.certificate)
    found.step()
    first = found.ends()
    hospital.issue("replaced")
    assert found.step() == [] == alarms(database)
    assert found.ends().keys() == first.keys() == {"replaced.pem"}
    assert found.ends()["replaced.pem"] == pytest.approx(first["replaced.pem"], abs=60)
    assert first["replaced.pem"] == pytest.approx((clock() + timedelta(days=2)).timestamp(), abs=60)


def test_a_revocation_list_that_ends_says_what_follows(
    hospital: Authority, watch: Callable[..., CertificateWatch], clock: Later
) -> None:
    found = watch(hospital.revoke())
    clock.days = 1.9
    [said] = found.step()
    assert "the revocation list ends on" in said
    assert said.endswith("from then on those of its authority are refused")


def test_of_several_in_a_file_each_counts_and_the_key_beside_them_does_not(
    hospital: Authority, tmp_path: Path, watch: Callable[..., CertificateWatch], clock: Later
) -> None:
    node = hospital.issue("chained")
    whole = tmp_path / "whole.pem"
    whole.write_bytes(
        b"".join(one.read_bytes() for one in (node.key, node.certificate, hospital.ca))
    )
    assert len(validities(whole)) == 2
    clock.days = 1.9
    said = watch(whole, whole).step()
    assert said and len(said) == len(set(said)) <= 2


def test_an_authority_that_was_left_in_the_file_is_not_an_alarm_for_ever(
    hospital: Authority, watch: Callable[..., CertificateWatch], clock: Later, database: Database
) -> None:
    clock.days = 40
    assert watch(hospital.ca).step() == [] == alarms(database)


def test_a_file_that_cannot_be_read_is_said_and_hides_no_other(
    hospital: Authority, tmp_path: Path, watch: Callable[..., CertificateWatch], clock: Later
) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    beside = shutil.copy(hospital.ca, tmp_path / "beside.pem")
    clock.days = 1.9
    found = watch(tmp_path / "missing.pem", broken, Path(beside))
    assert [text.partition(" on ")[0] for text in found.step()] == [
        "missing.pem: cannot be read: No such file or directory",
        "broken.pem: is no PEM file of certificates or revocation lists",
        "beside.pem: the certificate ends",
    ]
    assert found.step() == []


def test_a_certificate_without_its_new_key_is_an_alarm_each_time_it_happens(
    tmp_path: Path, hospital: Authority, clock: Later, database: Database
) -> None:
    """The listener goes on with the old ones: nobody would know before the next start."""
    own = hospital.issue("listener")
    settings = tmp_path / "config.toml"
    settings.write_text(
        f'[dimse.tls]\ncertificate = "{own.certificate}"\nkey = "{own.key}"\nca = "{hospital.ca}"\n'
    )
    loaded = load(settings)
    found = CertificateWatch(
        tls_in_use.paths(loaded), database, clock, lambda: tls_in_use.faults(loaded)
    )
    assert found.step() == []
    right = own.key.read_bytes()
    for _ in range(2):
        shutil.copy(hospital.issue("other").key, own.key)
        [said] = found.step()
        assert said == (
            f"tls: {own.certificate} with {own.key}: key values mismatch; "
            "the node does not start again with it"
        )
        assert found.step() == []
        own.key.write_bytes(right)
        assert found.step() == []
    assert len(alarms(database)) == 2
