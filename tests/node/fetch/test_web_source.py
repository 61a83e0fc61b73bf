"""Fetching over DICOMweb: from archives of several manners, and ones that break off."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node import parts
from node.config.archives import WebArchiveSettings
from node.fetch.web_source import WebSource
from storage.fetches import Counts, FetchState
from tests.certificates import authority
from tests.instances import dataset_bytes, write_instance
from tests.node.fetch.archives import made, study
from tests.node.fetch.ward import Ward, running_ward
from tests.node.fetch.web_archives import WebArchive, file_of, running_web_archive
from tests.peers import running_orthanc

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
SECRET = "2.25.2"


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with running_ward(tmp_path / "ward") as one:
        yield one


def source(ward: Ward, url: str, **given: object) -> WebSource:
    settings = WebArchiveSettings(name="cloud", url=url, **given)  # type: ignore[arg-type]
    return WebSource(settings, ward.receiver, parts.refusal)


def from_(ward: Ward, archive: WebArchive, **given: object) -> WebSource:
    return source(ward, archive.url, **given)


def test_a_study_comes_series_by_series_and_only_what_is_missing(ward: Ward) -> None:
    held = study(1, 3, series=2)
    with running_web_archive(held) as archive:
        first = ward.fetched(from_(ward, archive), accession_number="A1")
        archive.held += study(1, 4)[3:]
        again = ward.fetched(from_(ward, archive), accession_number="A1")
        last = archive.paths[-1]
    assert first.state is FetchState.DONE
    assert first.counts == Counts(studies=1, expected=6, held=0, received=6)
    assert again.counts == Counts(studies=1, expected=7, held=6, received=1)
    assert last == "/studies/2.25.2/series/2.25.2.0/instances/2.25.2.0.3"


def test_the_bytes_are_those_that_the_archive_has(ward: Ward, tmp_path: Path) -> None:
    (one,) = study(1, 1)
    with running_web_archive([one]) as archive:
        ward.fetched(from_(ward, archive), study_uids=("2.25.2",))
    sent = tmp_path / "sent.dcm"
    sent.write_bytes(file_of(one))
    stored = ward.store.path(ward.store.key_of("2.25.2.0.0"))
    assert dataset_bytes(stored) == dataset_bytes(sent)


@pytest.mark.parametrize("page", [2, 1000])
def test_matches_come_page_by_page(ward: Ward, page: int) -> None:
    with running_web_archive(study(1, 5, series=3), page=page) as archive:
        fetch = ward.fetched(from_(ward, archive), accession_number="A1")
    assert fetch.counts.received == 15


def test_an_archive_that_knows_no_offset_is_asked_once_more_and_not_for_ever(ward: Ward) -> None:
    with running_web_archive(study(1, 2), ignores_offset=True) as archive:
        fetch = ward.fetched(from_(ward, archive), accession_number="A1")
    assert fetch.counts.received == 2


def test_series_alone_and_several_studies_are_found(ward: Ward) -> None:
    with running_web_archive([*study(1, 2, series=2), *study(2, 1), *study(3, 1)]) as archive:
        by_series = ward.fetched(from_(ward, archive), series_uids=("2.25.2.1",))
        several = ward.fetched(from_(ward, archive), study_uids=("2.25.3", "2.25.4"))
    assert by_series.counts.expected == 2
    assert several.counts.studies == 2


@pytest.mark.parametrize("says_204", [True, False])
def test_nothing_found_is_said_in_either_edition(ward: Ward, says_204: bool) -> None:
    with running_web_archive(study(1, 1), says_204=says_204) as archive:
        fetch = ward.fetched(from_(ward, archive), accession_number="A9")
    assert fetch.state is FetchState.NOTHING


def test_a_body_that_breaks_off_leaves_what_came_and_is_said_to_be_partial(ward: Ward) -> None:
    with running_web_archive(study(1, 5), cuts_after=2) as archive:
        fetch = ward.fetched(from_(ward, archive), accession_number="A1")
    assert fetch.state is FetchState.PARTIAL
    assert (fetch.counts.received, fetch.counts.missing) == (2, 3)
    assert "cloud: the connection was lost (RemoteProtocolError)" in fetch.reason


def test_a_file_without_end_ends_the_body_by_name(ward: Ward) -> None:
    endless = made(1, 0, 1)
    endless.PixelData = bytes(100_000)
    limited = replace(ward, receiver=replace(ward.receiver, max_instance_bytes=10_000))
    with running_web_archive([made(1, 0, 0), endless]) as archive:
        fetch = limited.fetched(from_(limited, archive), accession_number="A1")
    assert (fetch.state, fetch.counts.received) == (FetchState.PARTIAL, 1)
    assert "cloud: an instance has no end: far more than dimse.max_instance_mb" in fetch.reason


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"/studies": (500, b"")}, "answered a query (QIDO-RS) with 500"),
        ({"/studies": (200, b"<html>")}, "does not answer a query with JSON"),
        ({"/studies": (200, b'{"error": 1}')}, "nothing of the kind"),
        ({"/studies": (200, bytes(40_000_000))}, "with more than 32 MB: no more is read"),
    ],
)
def test_what_is_no_answer_to_a_query_is_said(
    ward: Ward, answers: dict[str, tuple[int, bytes]], why: str
) -> None:
    with running_web_archive(study(1, 1), answers=answers) as archive:
        assert why in ward.fetched(from_(ward, archive), patient_id="P").reason


def test_a_user_or_a_token_is_said_to_the_archive_and_nobody_learns_of_it(
    ward: Ward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    monkeypatch.setenv("CLOUD_PASSWORD", "wetread")
    with running_web_archive(study(1, 1), authorization="Bearer t0ken") as archive:
        refused = ward.fetched(from_(ward, archive), accession_number="A1")
        known = from_(ward, archive, token_file=tmp_path / "token")
        assert ward.fetched(known, accession_number="A1").state is FetchState.DONE
        archive.authorization = "Basic d2V0cmVhZDp3ZXRyZWFk"
        user = from_(ward, archive, user="wetread", password_env="CLOUD_PASSWORD")
        assert ward.fetched(user, accession_number="A1").state is FetchState.DONE
    assert "with 401" in refused.reason
    missing = from_(ward, archive, token_file=tmp_path / "gone")
    assert "token_file" in ward.fetched(missing, accession_number="A1").reason


def test_over_tls_the_archive_has_to_prove_its_name(ward: Ward, tmp_path: Path) -> None:
    hospital, other = authority(tmp_path / "a"), authority(tmp_path / "b")
    shown = hospital.issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.certificate, shown.key)
    with running_web_archive(study(1, 2), ssl_context=context) as archive:
        unknown = ward.fetched(from_(ward, archive, ca=other.ca), accession_number="A1")
        known = ward.fetched(from_(ward, archive, ca=hospital.ca), accession_number="A1")
    assert unknown.state is FetchState.FAILED
    assert "certificate verify failed" in unknown.reason.lower()
    assert known.state is FetchState.DONE


def test_an_archive_that_is_away_is_named_without_what_was_asked(ward: Ward) -> None:
    fetch = ward.fetched(source(ward, "http://127.0.0.1:1/dicom-web"), study_uids=(SECRET,))
    assert fetch.state is FetchState.FAILED
    assert "cloud: no connection" in fetch.reason
    assert SECRET not in fetch.reason


@pytest.mark.interop
def test_orthancs_dicomweb_is_fetched_from(ward: Ward, tmp_path: Path) -> None:
    if not PLUGIN.exists():
        pytest.skip("Orthanc's DICOMweb plugin is not installed")
    with running_orthanc(tmp_path, plugins=[PLUGIN]) as orthanc:
        for number, one in enumerate([*study(1, 4, series=2), *study(2, 2)]):
            path = write_instance(tmp_path / f"{number}.dcm", one)
            orthanc.upload(path.read_bytes())
        cloud = source(ward, f"{orthanc.rest.base_url}/dicom-web".replace("//dicom", "/dicom"))
        fetch = ward.fetched(cloud, accession_number="A1")
        both = ward.fetched(cloud, patient_id="SECRET-ID", modality="CT")
        none = ward.fetched(cloud, accession_number="A7")
    assert (fetch.state, fetch.counts.received) == (FetchState.DONE, 8)
    assert both.counts == Counts(studies=2, expected=10, held=8, received=2)
    assert none.state is FetchState.NOTHING
