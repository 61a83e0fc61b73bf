"""Segmentations as they are stored go out packed to whoever unpacks them."""

from __future__ import annotations

import gzip
from pathlib import Path

import httpx
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from node.web.viewer.links import on_wado_uri
from storage.kinds import ObjectKind
from storage.showing import Shown
from tests.instances import make_dataset
from tests.node.web.dicomweb.holding import hold, series_url, url
from tests.node.web.dicomweb.test_wado import DICOM_PARTS, content_of, parts_of
from tests.node.web.sites import Site

ALONE = "application/dicom"


def segmentation(rows: int = 512, seed: int = 1) -> Dataset:
    """Without anything in it."""
    pixels = bytes(2 * rows * rows)
    return make_dataset(seed, rows, SOPClassUID=SegmentationStorage, PixelData=pixels)


@pytest.fixture
def held(site: Site) -> tuple[Dataset, Path]:
    dataset = segmentation()
    return dataset, hold(site, dataset)


def get(site: Site, path: str, accept: str, coding: str, **more: str) -> httpx.Response:
    headers = {"Accept": accept, "Accept-Encoding": coding, **more}
    return site.client.get(path, headers=headers)


def sent(site: Site, path: str, accept: str) -> int:
    """Bytes of the body on their way."""
    headers = {"Accept": accept, "Accept-Encoding": "gzip"}
    with site.client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        raw = b"".join(answer.iter_raw())
    gzip.decompress(raw)
    return len(raw)


def test_a_segmentation_is_packed_for_whoever_unpacks(
    site: Site, held: tuple[Dataset, Path]
) -> None:
    dataset, file = held
    answer = get(site, url(dataset), ALONE, "gzip")
    assert answer.content == file.read_bytes()
    assert "Accept-Encoding" in answer.headers["vary"]
    assert sent(site, url(dataset), ALONE) < file.stat().st_size / 50
    (part,) = parts_of(get(site, series_url(dataset), DICOM_PARTS, "gzip"))
    assert content_of(part) == file.read_bytes()
    assert sent(site, series_url(dataset), DICOM_PARTS) < file.stat().st_size / 50


def test_the_file_that_a_page_offers_is_packed_too(site: Site, held: tuple[Dataset, Path]) -> None:
    dataset, file = held
    path = on_wado_uri(shown(dataset))
    assert get(site, path, "*/*", "gzip").content == file.read_bytes()
    assert sent(site, path, "*/*") < file.stat().st_size / 50


def shown(dataset: Dataset) -> Shown:
    return Shown(
        study_id=1,
        study_instance_uid=dataset.StudyInstanceUID,
        kind=ObjectKind.SEGMENTATION,
        series_instance_uid=dataset.SeriesInstanceUID,
        sop_instance_uid=dataset.SOPInstanceUID,
    )


@pytest.mark.parametrize("coding", ["identity", "gzip;q=0", "br"])
def test_who_does_not_unpack_gets_the_bytes_as_they_are(
    site: Site, held: tuple[Dataset, Path], coding: str
) -> None:
    dataset, file = held
    answer = get(site, url(dataset), ALONE, coding)
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == file.stat().st_size
    assert answer.content == file.read_bytes()
    assert "Accept-Encoding" in answer.headers["vary"]


def test_a_part_is_one_of_the_bytes_as_they_are(site: Site, held: tuple[Dataset, Path]) -> None:
    answer = get(site, url(held[0]), ALONE, "gzip", Range="bytes=128-131")
    assert (answer.status_code, answer.content) == (206, b"DICM")
    assert "content-encoding" not in answer.headers


def test_packed_and_not_are_kept_apart_and_neither_is_sent_again(
    site: Site, held: tuple[Dataset, Path]
) -> None:
    path = url(held[0])
    tags = {one: get(site, path, ALONE, one).headers["etag"] for one in ("gzip", "identity")}
    assert tags["gzip"] != tags["identity"]
    for coding, tag in tags.items():
        same = get(site, path, ALONE, coding, **{"If-None-Match": tag})
        assert (same.status_code, same.content) == (304, b"")
    other = get(site, path, ALONE, "gzip", **{"If-None-Match": tags["identity"]})
    assert other.status_code == 200


def test_images_and_what_is_short_are_not_packed(site: Site) -> None:
    for dataset in (make_dataset(1, 512), segmentation(8, 2)):
        file = hold(site, dataset)
        answer = get(site, url(dataset), ALONE, "gzip")
        assert "content-encoding" not in answer.headers
        assert answer.content == file.read_bytes()


def test_head_says_that_it_would_be_packed(site: Site, held: tuple[Dataset, Path]) -> None:
    headers = {"Accept": ALONE, "Accept-Encoding": "gzip"}
    answer = site.client.head(url(held[0]), headers=headers)
    assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
    assert "content-length" not in answer.headers
