"""Values that metadata only name are fetched by their URLs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from tests.instances import make_dataset
from tests.node.web.dicomweb.holding import hold, url
from tests.node.web.dicomweb.test_wado import content_of, get, parts_of
from tests.node.web.sites import Site

TABLE = bytes(range(256)) * 12


def with_icon(**attributes: Any) -> Dataset:
    """Long values at the top, in an item, and in an item of an item."""
    inner, icon = Dataset(), Dataset()
    inner.RedPaletteColorLookupTableData = TABLE
    icon.PixelData = TABLE[::-1]
    icon["PixelData"].VR = "OB"
    icon.ReferencedImageSequence = [Dataset(), inner]
    dataset = make_dataset(IconImageSequence=[icon], RedPaletteColorLookupTableData=TABLE)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_every_url_that_metadata_name_leads_to_the_value(site: Site, syntax: str) -> None:
    dataset = with_icon()
    dataset["PixelData"].VR = "OB"
    hold(site, dataset, syntax)
    (metadata,) = json.loads(get(site, url(dataset, "/metadata")).content)
    uris = {path: get(site, uri).content for path, uri in uris_of(metadata)}
    words = np.frombuffer(TABLE, "<u2")
    table = words.byteswap().tobytes() if syntax == ExplicitVRBigEndian else TABLE
    assert uris == {
        "7FE00010": dataset.PixelData,
        "00281201": table,  # OW: given in little endian, whatever it is stored in
        "00880200/0/7FE00010": TABLE[::-1],
        "00880200/0/00081140/1/00281201": table,
    }


def uris_of(member: Any) -> list[tuple[str, str]]:
    found = []
    for element in member.values():
        if "BulkDataURI" in element:
            uri = element["BulkDataURI"]
            found.append((uri.partition("/bulkdata/")[2], uri))
        if element.get("vr") == "SQ":
            for item in element.get("Value", ()):
                found += uris_of(item)
    return found


def test_a_range_of_a_value_is_given(site: Site) -> None:
    dataset = with_icon()
    hold(site, dataset)
    answer = get(site, url(dataset, "/bulkdata/00281201"), Range="bytes=5-7")
    assert (answer.status_code, answer.content) == (206, bytes([5, 6, 7]))
    assert answer.headers["content-range"] == "bytes 5-7/3072"
    head = site.client.head(url(dataset, "/bulkdata/00281201"))
    assert head.headers["content-length"] == "3072"


def test_a_value_comes_as_a_part_where_that_is_asked_for(site: Site) -> None:
    dataset = with_icon()
    hold(site, dataset)
    accepted = 'multipart/related; type="application/octet-stream"'
    (part,) = parts_of(get(site, url(dataset, "/bulkdata/00281201"), accepted))
    assert content_of(part) == TABLE


def test_compressed_pixels_come_as_their_frames(site: Site) -> None:
    streams = [b"\xff\x4f\xff\x51" + bytes([n]) * 8 for n in range(2)]
    dataset = make_dataset(NumberOfFrames=2, PixelData=encapsulate(streams))
    dataset["PixelData"].is_undefined_length = True
    hold(site, dataset, JPEG2000Lossless)
    parts = parts_of(get(site, url(dataset, "/bulkdata/7FE00010")))
    assert [content_of(one) for one in parts] == streams
    assert parts[1]["Content-Location"] == url(dataset, "/frames/2")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("00281202", 404),
        ("00880200", 404),
        ("00880200/1/7FE00010", 404),
        ("00880200/x/7FE00010", 400),
        ("PixelData", 400),
        ("7FE00010/0", 400),
    ],
)
def test_what_is_not_there_is_answered_404_and_what_is_no_path_400(
    site: Site, path: str, status: int
) -> None:
    dataset = with_icon()
    hold(site, dataset)
    answer = get(site, url(dataset, f"/bulkdata/{path}"))
    assert answer.status_code == status
    assert answer.json()["error"]
