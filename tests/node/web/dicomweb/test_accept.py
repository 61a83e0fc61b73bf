"""What is answered with, by what a client accepts."""

from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from node.web.dicomweb.accept import Chosen, Offer, choose

EXPLICIT, IMPLICIT, JPEG_2000 = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.90"
PARTS = Offer("application/dicom", multipart=True, syntaxes=(EXPLICIT, IMPLICIT))
ALONE = Offer("application/dicom", syntaxes=(EXPLICIT, IMPLICIT))
ZIP = Offer("application/zip")
INSTANCE = (PARTS, ALONE, ZIP)
STREAM = Offer("image/jp2", multipart=True, syntaxes=(JPEG_2000,), stored=JPEG_2000)
BYTES = Offer(
    "application/octet-stream", multipart=True, syntaxes=(EXPLICIT, JPEG_2000), stored=JPEG_2000
)
FRAMES = (STREAM, BYTES)


def asked(accept: str | None, query: str = "") -> Request:
    headers = [] if accept is None else [(b"accept", accept.encode())]
    return Request({"type": "http", "headers": headers, "query_string": query.encode()})


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, Chosen(PARTS, EXPLICIT)),
        ("", Chosen(PARTS, EXPLICIT)),
        ("*/*", Chosen(PARTS, EXPLICIT)),
        ("*", Chosen(PARTS, EXPLICIT)),
        ("multipart/related", Chosen(PARTS, EXPLICIT)),
        ("application/dicom", Chosen(ALONE, EXPLICIT)),
        ("application/*", Chosen(ALONE, EXPLICIT)),
        ("APPLICATION/DICOM", Chosen(ALONE, EXPLICIT)),
        ("application/zip", Chosen(ZIP)),
        ('multipart/related; type="application/dicom"', Chosen(PARTS, EXPLICIT)),
        ("multipart/related; type=application/dicom", Chosen(PARTS, EXPLICIT)),
        ("multipart/related;type=application/dicom;transfer-syntax=*", Chosen(PARTS, "*")),
        ('multipart/related; type="application/dicom"; transfer-syntax="*"', Chosen(PARTS, "*")),
        (f"application/dicom; transfer-syntax={IMPLICIT}", Chosen(ALONE, IMPLICIT)),
        (
            f'multipart/related; transfer-syntax={IMPLICIT}; type="application/dicom"',
            Chosen(PARTS, IMPLICIT),
        ),
        ("text/html, application/zip;q=0.5, application/dicom;q=0.9", Chosen(ALONE, EXPLICIT)),
        ("application/zip;q=0.5, */*;q=0.1", Chosen(ZIP)),
        ("*/*, application/zip", Chosen(ZIP)),
        ('*/*, multipart/related; type="application/dicom"; q=0', Chosen(ALONE, EXPLICIT)),
        ("nonsense, application/zip", Chosen(ZIP)),
        (
            f"application/dicom; transfer-syntax={JPEG_2000}, application/zip; q=0.1",
            Chosen(ZIP),
        ),
    ],
)
def test_an_instance_comes_in_the_form_that_is_wanted_most(
    accept: str | None, chosen: Chosen
) -> None:
    assert choose(asked(accept), INSTANCE) == chosen


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", Chosen(STREAM, JPEG_2000)),
        ('multipart/related; type="*/*"', Chosen(STREAM, JPEG_2000)),
        ('multipart/related; type="image/*"', Chosen(STREAM, JPEG_2000)),
        ("multipart/related; type=image/jp2; transfer-syntax=*", Chosen(STREAM, JPEG_2000)),
        ("multipart/related; type=application/octet-stream", Chosen(BYTES, EXPLICIT)),
        (
            "multipart/related; type=application/octet-stream; transfer-syntax=*",
            Chosen(BYTES, JPEG_2000),
        ),
        (
            f"multipart/related; type=application/octet-stream; transfer-syntax={EXPLICIT}",
            Chosen(BYTES, EXPLICIT),
        ),
        (
            'multipart/related; type="image/jphc", multipart/related; type="image/jp2";q=0.8,'
            ' multipart/related; type="application/octet-stream";q=0.5',
            Chosen(STREAM, JPEG_2000),
        ),
    ],
)
def test_a_compressed_frame_comes_as_stored_or_decompressed(accept: str, chosen: Chosen) -> None:
    assert choose(asked(accept), FRAMES) == chosen


@pytest.mark.parametrize(
    "accept",
    ["text/html", "image/png", "nonsense", "application/dicom;q=0", "multipart/related; type=a/b"],
)
def test_what_is_not_offered_is_refused_by_what_is(accept: str) -> None:
    with pytest.raises(HTTPException) as refused:
        choose(asked(accept), INSTANCE)
    assert refused.value.status_code == 406
    assert refused.value.detail == (
        'nothing is accepted of what is offered here: multipart/related; type="application/dicom",'
        f" application/dicom, application/zip; with transfer-syntax {EXPLICIT}, {IMPLICIT}"
    )


@pytest.mark.parametrize(
    ("query", "header", "chosen"),
    [
        ("accept=application/zip", "text/html,*/*;q=0.8", Chosen(ZIP)),
        ("accept=application/dicom", "application/json", Chosen(ALONE, EXPLICIT)),
        ("accept=application/dicom;transfer-syntax=*", "*/*", Chosen(ALONE, "*")),
    ],
)
def test_the_query_parameter_comes_before_the_header(
    query: str, header: str, chosen: Chosen
) -> None:
    assert choose(asked(header, query), INSTANCE) == chosen
