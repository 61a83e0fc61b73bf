"""Metadata of studies, series and instances over the web."""

from __future__ import annotations

from typing import Any

import pytest

from tests.instances import make_dataset
from tests.node.web.dicomweb.holding import hold, series_url, study_url, url
from tests.node.web.sites import Site


def metadata(site: Site, path: str) -> list[dict[str, Any]]:
    answer = site.client.get(f"{path}/metadata")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    objects: list[dict[str, Any]] = answer.json()
    return objects


def uids(objects: list[dict[str, Any]]) -> list[str]:
    return [one["00080018"]["Value"][0] for one in objects]


def test_each_level_gives_the_metadata_of_its_instances(site: Site) -> None:
    series = [make_dataset(seed) for seed in (1, 2, 3)]
    other = make_dataset(4, SeriesInstanceUID="1.2.3")
    for one in (*series, other):
        hold(site, one)
    expected = [one.SOPInstanceUID for one in (*series, other)]
    assert uids(metadata(site, study_url(other))) == expected
    assert uids(metadata(site, series_url(series[0]))) == expected[:3]
    (alone,) = metadata(site, url(series[1]))
    assert alone["00080018"]["Value"] == [series[1].SOPInstanceUID]
    uri = f"{site.client.base_url}".rstrip("/") + url(series[1], "/bulkdata/7FE00010")
    assert alone["7FE00010"] == {"vr": "OW", "BulkDataURI": uri}


def test_what_has_not_changed_is_not_sent_again(site: Site) -> None:
    first, late = make_dataset(1), make_dataset(2)
    hold(site, first)
    path = f"{series_url(first)}/metadata"
    tag = site.client.get(path).headers["etag"]
    again = site.client.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    hold(site, late)
    assert site.client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_metadata_are_packed_for_whoever_unpacks_them(site: Site) -> None:
    one = make_dataset(1)
    hold(site, one)
    path = f"{series_url(one)}/metadata"
    packed = site.client.get(path, headers={"Accept-Encoding": "gzip"})
    plain = site.client.get(path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()


def test_what_is_not_held_is_not_found(site: Site) -> None:
    for below in ("", "/series/1.2.4", "/series/1.2.4/instances/1.2.5"):
        assert site.client.get(f"/dicom-web/studies/1.2.3{below}/metadata").status_code == 404


def test_other_forms_are_not_acceptable(site: Site) -> None:
    one = make_dataset(1)
    hold(site, one)
    answer = site.client.get(
        f"{study_url(one)}/metadata",
        headers={"Accept": 'multipart/related; type="application/dicom+xml"'},
    )
    assert answer.status_code == 406


def test_head_tells_of_metadata_without_reading_them(site: Site) -> None:
    one = make_dataset(1)
    hold(site, one)
    answer = site.client.head(f"{study_url(one)}/metadata")
    assert answer.status_code == 200 and answer.content == b"" and answer.headers["etag"]


@pytest.mark.parametrize("host", ['127.0.0.1:"x', "127.0.0.1:\\g<7>", "127.0.0.1/a:1"])
def test_a_host_header_that_is_no_host_is_told_to_nobody(site: Site, host: str) -> None:
    """Starlette takes the address of the connection instead; older ones are refused."""
    one = make_dataset(1)
    hold(site, one)
    answer = site.client.get(f"{study_url(one)}/metadata", headers={"Host": host})
    assert host not in answer.text
    if answer.status_code != 400:
        root = f"{site.client.base_url}".rstrip("/")
        assert answer.json()[0]["7FE00010"]["BulkDataURI"].startswith(f"{root}/dicom-web/")


def test_a_client_that_leaves_the_port_out_of_host_is_told_of_it(site: Site) -> None:
    one = make_dataset(1)
    hold(site, one)
    path = f"{study_url(one)}/metadata"
    (direct,) = site.client.get(path, headers={"Host": "127.0.0.1"}).json()
    by_proxy = site.client.get(path, headers={"Host": "pacs.example"}).json()[0]
    root = f"{site.client.base_url}".rstrip("/")
    assert direct["7FE00010"]["BulkDataURI"].startswith(f"{root}/dicom-web/")
    assert by_proxy["7FE00010"]["BulkDataURI"].startswith("http://pacs.example/dicom-web/")
