"""Content-Type headers as clients write them, and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.web.dicomweb.media_types import MediaType, media_type


@pytest.mark.parametrize(
    ("header", "name", "parameters"),
    [
        ("application/dicom", "application/dicom", {}),
        (
            'Multipart/Related; Type="application/dicom"; boundary="a b;c=\\"d\\""',
            "multipart/related",
            {"type": "application/dicom", "boundary": 'a b;c="d"'},
        ),
        (
            "multipart/related;type=application/dicom;boundary=--x==; start=<1>",
            "multipart/related",
            {"type": "application/dicom", "boundary": "--x==", "start": "<1>"},
        ),
        ("multipart/related; boundary=1; boundary=2", "multipart/related", {"boundary": "1"}),
        ("", "", {}),
    ],
)
def test_a_header_is_read_with_quotes_or_without(
    header: str, name: str, parameters: dict[str, str]
) -> None:
    assert media_type(header) == MediaType(name, parameters)


@given(st.text(alphabet='/;=" \\,atype\u00ff', max_size=60))
@example('a;b="')
def test_whatever_stands_there_is_read(header: str) -> None:
    found = media_type(header)
    assert found.name == header.partition(";")[0].strip().lower()
    assert all(name == name.lower() for name in found.parameters)


@given(st.text(min_size=1, max_size=40), st.booleans())
def test_any_value_comes_out_of_its_quotes(value: str, is_first: bool) -> None:
    quoted = value.replace("\\", r"\\").replace('"', r"\"")
    header = f'a/b; x="{quoted}"; y=z' if is_first else f'a/b;y=z;x="{quoted}"'
    assert media_type(header).parameters == {"x": value, "y": "z"}
