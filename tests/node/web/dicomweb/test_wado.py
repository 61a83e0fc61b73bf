"""WADO-RS: whole instances and frames, as they are stored."""

from __future__ import annotations

import email
import io
import zipfile
from email.message import Message
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from storage.files.seal import dataset_digest, seal_file
from tests.instances import make_dataset, write_instance
from tests.node.web.dicomweb.holding import hold, series_url, study_url, url
from tests.node.web.sites import Site

DICOM_PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FRAME_PARTS = "multipart/related; type=application/octet-stream; transfer-syntax=*"


def parts_of(answer: httpx.Response) -> list[Message]:
    """The parts, as the standard library reads them."""
    assert answer.status_code == 200, answer.text
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content)
    assert message.is_multipart() and not message.defects
    return list(message.get_payload())  # type: ignore[arg-type]


def content_of(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


def get(site: Site, path: str, accept: str = "*/*", **headers: str) -> httpx.Response:
    return site.client.get(path, headers={"Accept": accept, **headers})


def test_a_series_comes_as_the_bytes_that_are_stored_one_part_an_instance(site: Site) -> None:
    datasets = [make_dataset(seed) for seed in (1, 2, 3)]
    files = [hold(site, one) for one in datasets]
    answer = get(site, series_url(datasets[0]), DICOM_PARTS)
    assert 'type="application/dicom"' in answer.headers["content-type"]
    parts = parts_of(answer)
    assert [content_of(one) for one in parts] == [one.read_bytes() for one in files]
    assert parts[0]["Content-Type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"


def test_its_length_is_told_whatever_the_index_says_of_the_files(site: Site) -> None:
    datasets = [make_dataset(seed, 600) for seed in (1, 2)]
    files = [hold(site, one) for one in datasets]
    with site.database.write() as tx:
        tx.exec_driver_sql("UPDATE instances SET size_bytes = 7")
    answer = get(site, series_url(datasets[0]), DICOM_PARTS)
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert [content_of(one) for one in parts_of(answer)] == [one.read_bytes() for one in files]


def test_a_study_comes_with_all_its_series(site: Site) -> None:
    ct = make_dataset(1)
    other = make_dataset(2, SeriesInstanceUID="1.2.3")
    for one in (ct, other):
        hold(site, one)
    assert len(parts_of(get(site, study_url(ct)))) == 2
    assert len(parts_of(get(site, series_url(other)))) == 1


def test_an_instance_comes_alone_where_that_is_asked_for(site: Site) -> None:
    dataset = make_dataset()
    file = hold(site, dataset)
    answer = get(site, url(dataset), "application/dicom")
    assert answer.content == file.read_bytes()
    assert (
        answer.headers["content-type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_archive_holds_the_instances_under_numbers(site: Site) -> None:
    datasets = [make_dataset(seed) for seed in (1, 2)]
    files = [hold(site, one) for one in datasets]
    answer = get(site, study_url(datasets[0]), "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["00000001.dcm", "00000002.dcm"]
        assert [archive.read(one) for one in archive.namelist()] == [f.read_bytes() for f in files]


@pytest.mark.parametrize("path", ["/studies/1.2", "/studies/1.2/series/1.3/instances/1.4/frames/1"])
def test_what_is_not_held_is_answered_404(site: Site, path: str) -> None:
    answer = get(site, f"/dicom-web{path}")
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("the node holds no such")


def test_what_is_no_uid_is_answered_400(site: Site) -> None:
    assert get(site, "/dicom-web/studies/abc").status_code == 400


def test_a_method_that_is_not_known_is_answered_with_those_that_are(site: Site) -> None:
    answer = site.client.delete("/dicom-web/studies/1.2")
    assert answer.status_code == 405
    assert "GET, HEAD" in answer.headers["allow"]


def test_frames_come_in_the_order_in_which_they_are_listed(site: Site) -> None:
    chance = np.random.default_rng(1)
    pixels = chance.integers(0, 4096, (3, 8, 8), dtype=np.uint16)
    dataset = make_dataset(rows=8, NumberOfFrames=3, PixelData=pixels.tobytes())
    hold(site, dataset)
    parts = parts_of(get(site, url(dataset, "/frames/3,1"), FRAME_PARTS))
    assert [content_of(one) for one in parts] == [pixels[2].tobytes(), pixels[0].tobytes()]
    assert parts[0]["Content-Type"] == (
        "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    )
    assert parts[0]["Content-Location"].endswith("/frames/3")


def test_frames_are_those_of_the_bytes_that_lie_there_at_the_moment(site: Site) -> None:
    first, second = make_dataset(1), make_dataset(2, SOPInstanceUID=make_dataset(1).SOPInstanceUID)
    file = hold(site, first)
    seal_file(file, first.SOPInstanceUID)
    enter_digest(site, file)
    path = url(first, "/frames/1")
    seen = [get(site, path, "application/octet-stream") for _ in range(2)]
    assert [one.content for one in seen] == [first.PixelData] * 2
    write_instance(file, second)
    seal_file(file, first.SOPInstanceUID)
    enter_digest(site, file)
    after = get(
        site, path, "application/octet-stream", **{"If-None-Match": seen[0].headers["etag"]}
    )
    assert (after.status_code, after.content) == (200, second.PixelData)
    file.unlink()
    assert get(site, path, "application/octet-stream").status_code == 404


def test_frames_are_found_behind_whatever_head_the_file_has_now(site: Site) -> None:
    dataset = make_dataset()
    file = hold(site, dataset)
    enter_digest(site, file)
    path = url(dataset, "/frames/1")
    assert get(site, path, "application/octet-stream").content == dataset.PixelData
    dataset.file_meta.SourceApplicationEntityTitle = "ANOTHER SENDER"
    dataset.save_as(file, enforce_file_format=True)
    assert get(site, path, "application/octet-stream").content == dataset.PixelData


def enter_digest(site: Site, file: Path) -> None:
    """The index knows the bytes that are there, as after a correction."""
    with site.database.write() as tx:
        tx.exec_driver_sql("UPDATE instances SET sha256 = ?", (dataset_digest(file),))


def test_one_frame_comes_alone_where_that_is_asked_for(site: Site) -> None:
    dataset = make_dataset()
    hold(site, dataset)
    answer = get(site, url(dataset, "/frames/1"), "application/octet-stream")
    assert answer.content == dataset.PixelData


def test_frames_of_single_bits_begin_with_their_first_bit(site: Site) -> None:
    bits = np.random.default_rng(2).integers(0, 2, (3, 3, 5), dtype=np.uint8)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    dataset = make_dataset(rows=3, NumberOfFrames=3, PixelData=packed)
    dataset.Columns, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 5, 1, 1, 0
    hold(site, dataset)
    answer = get(site, url(dataset, "/frames/2"), "application/octet-stream")
    assert answer.content == np.packbits(bits[1].ravel(), bitorder="little").tobytes()


@pytest.mark.parametrize("has_table", [True, False])
def test_compressed_frames_come_as_their_codestreams(site: Site, has_table: bool) -> None:
    streams = [b"\xff\x4f\xff\x51" + bytes([n]) * 7 + b"\xff\xd9" for n in range(3)]
    data = encapsulate(streams, has_bot=has_table)
    dataset = make_dataset(NumberOfFrames=3, PixelData=data)
    dataset["PixelData"].is_undefined_length = True
    hold(site, dataset, JPEG2000Lossless)
    (part,) = parts_of(get(site, url(dataset, "/frames/2"), FRAME_PARTS))
    assert content_of(part).rstrip(b"\0") == streams[1]
    assert part["Content-Type"].endswith(f"transfer-syntax={JPEG2000Lossless}")
    (part,) = parts_of(get(site, url(dataset, "/frames/2"), "multipart/related; type=image/jp2"))
    assert part["Content-Type"] == f"image/jp2; transfer-syntax={JPEG2000Lossless}"


def test_a_frame_that_is_not_there_is_answered_404_and_says_how_many_there_are(site: Site) -> None:
    dataset = make_dataset()
    hold(site, dataset)
    answer = get(site, url(dataset, "/frames/2"))
    assert answer.status_code == 404
    assert answer.json()["error"] == "there is no frame 2: the instance has 1"
    assert get(site, url(dataset, "/frames/x")).status_code == 400


def test_an_instance_without_pixels_has_no_frames(site: Site) -> None:
    dataset = make_dataset()
    del dataset.PixelData
    hold(site, dataset)
    answer = get(site, url(dataset, "/frames/1"))
    assert (answer.status_code, answer.json()["error"]) == (404, "the instance holds no pixel data")


def test_head_tells_what_get_would_and_reads_nothing(site: Site) -> None:
    dataset = make_dataset()
    file = hold(site, dataset)
    size = file.stat().st_size
    alone = site.client.head(url(dataset), headers={"Accept": "application/dicom"})
    assert (alone.status_code, alone.headers["content-length"]) == (200, str(size))
    together = site.client.head(series_url(dataset))
    assert together.headers["content-type"].startswith("multipart/related")
    assert not together.content


def test_a_part_of_a_file_is_given_by_range(site: Site) -> None:
    dataset = make_dataset()
    content = hold(site, dataset).read_bytes()
    answer = get(site, url(dataset), "application/dicom", Range="bytes=128-131")
    assert (answer.status_code, answer.content) == (206, b"DICM")
    assert answer.headers["content-range"] == f"bytes 128-131/{len(content)}"
    answer = get(site, url(dataset), "application/dicom", Range="bytes=-10")
    assert answer.content == content[-10:]
    answer = get(site, url(dataset), "application/dicom", Range=f"bytes={len(content)}-")
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(content)}")
    answer = get(site, url(dataset), "application/dicom", Range=f"bytes=0-{'9' * 5000}")
    assert (answer.status_code, answer.content) == (200, content)


@pytest.mark.parametrize("below", ["", "/frames/1"])
def test_what_the_client_has_is_not_sent_again(site: Site, below: str) -> None:
    dataset = make_dataset()
    hold(site, dataset)
    first = get(site, url(dataset, below))
    again = get(site, url(dataset, below), **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "private, no-cache"


def test_an_instance_deleted_a_moment_ago_is_answered_404(site: Site) -> None:
    dataset = make_dataset()
    hold(site, dataset).unlink()
    assert get(site, url(dataset), "application/dicom").status_code == 404
    assert get(site, url(dataset, "/frames/1")).status_code == 404
    assert get(site, url(dataset)).status_code == 404


def test_the_file_that_is_sent_is_the_one_that_pydicom_reads(site: Site) -> None:
    dataset = make_dataset()
    hold(site, dataset)
    (part,) = parts_of(get(site, url(dataset)))
    assert pydicom.dcmread(io.BytesIO(content_of(part))).SOPInstanceUID == dataset.SOPInstanceUID


@pytest.mark.parametrize("accept", ["application/dicom", "*/*"])
def test_without_a_transfer_syntax_the_default_one_is_given(site: Site, accept: str) -> None:
    implicit, packed = make_dataset(1), make_dataset(2)
    hold(site, implicit, ImplicitVRLittleEndian)
    pixels = packed.PixelData
    hold(site, run_lengths(packed), RLELossless)
    for dataset, expected in ((implicit, implicit.PixelData), (packed, pixels)):
        answer = get(site, url(dataset), accept)
        content = answer.content if accept != "*/*" else content_of(parts_of(answer)[0])
        read = pydicom.dcmread(io.BytesIO(content))
        assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert read.PixelData == expected


def run_lengths(dataset: Dataset) -> Dataset:
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.compress(RLELossless, generate_instance_uid=False)
    return dataset


def test_what_cannot_be_decompressed_comes_as_stored_in_a_series_and_not_alone(site: Site) -> None:
    good = make_dataset(1)
    bad = make_dataset(2, PixelData=encapsulate([b"nonsense"]))
    bad["PixelData"].is_undefined_length = True
    hold(site, good)
    file = hold(site, bad, JPEG2000Lossless)
    parts = parts_of(get(site, series_url(bad)))
    assert content_of(parts[1]) == file.read_bytes()
    assert parts[1]["Content-Type"] == f"application/dicom; transfer-syntax={JPEG2000Lossless}"
    refused = get(site, url(bad), "application/dicom")
    assert refused.status_code == 406
    as_stored = get(site, url(bad), "application/dicom; transfer-syntax=*")
    assert as_stored.content == file.read_bytes()
