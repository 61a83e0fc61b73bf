"""WADO-URI: one object by the query of a URL."""

from __future__ import annotations

import io
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from tests.instances import make_dataset
from tests.node.web.dicomweb.holding import hold
from tests.node.web.sites import Site


def asked(site: Site, dataset: Dataset, **parameters: object) -> httpx.Response:
    query = {
        "requestType": "WADO",
        "studyUID": dataset.StudyInstanceUID,
        "seriesUID": dataset.SeriesInstanceUID,
        "objectUID": dataset.SOPInstanceUID,
        **parameters,
    }
    return site.client.get(f"/dicom-web/wado?{urlencode(query)}")


def test_an_object_comes_as_its_file(site: Site) -> None:
    dataset = make_dataset()
    file = hold(site, dataset, ImplicitVRLittleEndian)
    answer = asked(site, dataset, contentType="application/dicom")
    assert answer.content == file.read_bytes()


def test_another_transfer_syntax_is_given_where_it_can_be(site: Site) -> None:
    dataset = make_dataset()
    hold(site, dataset, ImplicitVRLittleEndian)
    syntax = "1.2.840.10008.1.2.1"
    answer = asked(site, dataset, contentType="application/dicom", transferSyntax=syntax)
    read = dcmread(io.BytesIO(answer.content))
    assert read.file_meta.TransferSyntaxUID == syntax
    assert read.PixelData == dataset.PixelData
    refused = asked(site, dataset, transferSyntax="1.2.840.10008.1.2.4.90")
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("transferSyntax is one of 1.2.840.10008.1.2,")


def test_an_image_comes_as_a_picture_where_no_type_is_named(site: Site) -> None:
    dataset = make_dataset()
    hold(site, dataset)
    answer = asked(site, dataset)
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (64, 64)


def test_what_is_no_image_comes_as_its_file_where_no_type_is_named(site: Site) -> None:
    dataset = make_dataset()
    del dataset.PixelData
    hold(site, dataset)
    assert asked(site, dataset).headers["content-type"].startswith("application/dicom")


def test_a_picture_has_the_size_the_part_and_the_window_that_are_asked_for(site: Site) -> None:
    row = np.arange(64, dtype=np.uint16) * 64
    dataset = make_dataset(PixelData=np.tile(row, 64).tobytes())
    hold(site, dataset)
    answer = asked(
        site, dataset, contentType="image/png", region="0.5,0,1,0.5", columns=16,
        windowCenter=3072, windowWidth=2048,
    )  # fmt: skip
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert picture.shape == (16, 16)
    assert picture[0, 0] < 20 and picture[0, -1] > 235


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"requestType": "STOW"}, "requestType is WADO"),
        ({"studyUID": ""}, "no UID"),
        ({"anonymize": "yes"}, "does not de-identify"),
        ({"windowCenter": 3}, "come together"),
        ({"frameNumber": 0}, "frameNumber is a whole number"),
        ({"rows": "many"}, "rows is a whole number"),
        ({"region": "0,0,2,1"}, "region is left,top,right,bottom"),
    ],
)
def test_a_query_without_sense_is_answered_400(
    site: Site, parameters: dict[str, object], word: str
) -> None:
    dataset = make_dataset()
    hold(site, dataset)
    answer = asked(site, dataset, **parameters)
    assert answer.status_code == 400
    assert word in answer.json()["error"]


def test_what_is_not_held_is_answered_404_and_what_is_not_offered_406(site: Site) -> None:
    dataset = make_dataset()
    assert asked(site, dataset).status_code == 404
    hold(site, dataset)
    assert asked(site, dataset, contentType="text/plain").status_code == 406
    assert asked(site, dataset, frameNumber=2).status_code == 404
