"""A multipart body in parts: what clients send, and what nobody should."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.receive.body_parts import (
    MAX_HEADER_BYTES,
    MAX_PREAMBLE_BYTES,
    BodyFault,
    BodyParts,
)

Parts = list[tuple[dict[str, str], bytes]]

JUST_TYPE = {"content-type": "application/dicom"}
HEADER = b"Content-Type: application/dicom\r\n\r\n"


class Collected:
    def __init__(self) -> None:
        self.whole: Parts = []
        self.headers: dict[str, str] = {}
        self.content = bytearray()

    def begin_part(self, headers: Mapping[str, str]) -> None:
        self.headers, self.content = dict(headers), bytearray()

    def part_data(self, data: memoryview) -> None:
        self.content += data

    def end_part(self) -> None:
        self.whole.append((self.headers, bytes(self.content)))


def parts_of(*chunks: bytes, boundary: bytes = b"b0") -> Parts:
    collected = Collected()
    parser = BodyParts(boundary, collected)
    for chunk in chunks:
        parser.feed(chunk)
    parser.finish()
    return collected.whole


def outcome(chunks: list[bytes]) -> Parts | str:
    try:
        return parts_of(*chunks)
    except BodyFault as fault:
        return str(fault)


AS_CLIENTS_SEND = {
    "plain": b"--b0\r\n" + HEADER + b"one\r\n--b0\r\n" + HEADER + b"two\r\n--b0--\r\n",
    "a line break in front": (
        b"\r\n--b0\r\n" + HEADER + b"one\r\n--b0\r\n" + HEADER + b"two\r\n--b0--"
    ),
    "no last boundary": b"--b0\r\n" + HEADER + b"one\r\n--b0\r\n" + HEADER + b"two",
    "a last boundary that is not marked as last": (
        b"--b0\r\n" + HEADER + b"one\r\n--b0\r\n" + HEADER + b"two\r\n--b0\r\n"
    ),
    "cut within the last boundary": (
        b"--b0\r\n" + HEADER + b"one\r\n--b0\r\n" + HEADER + b"two\r\n--b0-"
    ),
    "no line break before the last boundary": (
        b"--b0\r\n" + HEADER + b"one\r\n--b0\r\n" + HEADER + b"two--b0--\r\n"
    ),
    "blanks behind the boundary": (
        b"--b0 \t\r\n" + HEADER + b"one\r\n--b0  \r\n" + HEADER + b"two\r\n--b0--  \r\n"
    ),
    "text around it": (
        b"This is MIME.\r\n--b0x\r\n\r\n--b0\r\n" + HEADER + b"one\r\n--b0\r\n" + HEADER
        + b"two\r\n--b0--\r\nand more\r\n--b0\r\n\r\nnot any more"
    ),
    "lines that end with LF": (
        b"\n--b0\nContent-Type: application/dicom\n\none\n"
        b"--b0\nContent-Type: application/dicom\n\ntwo\n--b0--\n"
    ),
    "a folded header": (
        b"--b0\r\ncontent-type:\r\n application/dicom\r\n\r\none\r\n--b0\r\n" + HEADER
        + b"two\r\n--b0--"
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", AS_CLIENTS_SEND.values(), ids=list(AS_CLIENTS_SEND))
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_what_clients_send_is_two_parts_however_it_is_cut(body: bytes, step: int) -> None:
    chunks = [body[start : start + step] for start in range(0, len(body), step)]
    assert parts_of(*chunks) == [(JUST_TYPE, b"one"), (JUST_TYPE, b"two")]


def test_parts_without_headers_or_content_are_parts() -> None:
    body = b"--b0\r\n\r\nbare\r\n--b0\r\n" + HEADER + b"--b0\r\n\r\n\r\n--b0--"
    assert parts_of(body) == [({}, b"bare"), (JUST_TYPE, b""), ({}, b"")]


def test_line_breaks_and_beginnings_of_boundaries_in_the_content_stay_in_it() -> None:
    content = b"\r\n\r\n--b\r\n--b00\r\n--b0x--\n--b0\r\r\n-\r\n--b0 x\r\n"
    assert parts_of(b"--b0\r\n\r\n" + content + b"\r\n--b0--") == [({}, content)]


def test_in_a_body_with_lf_lines_a_cr_before_the_boundary_is_content() -> None:
    assert parts_of(b"--b0\n\n\r\n\r\n--b0--") == [({}, b"\r\n\r")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"--b0--\r\n",
        b"--b0\r\nContent-Type: application/dicom\r\n",
        b"--b0\r\n" + bytes(128) + b"DICM\r\n\r\n\r\n--b0--",
        b"--b0\r\n" + b"x: y\r\n" * (MAX_HEADER_BYTES // 6 + 1) + b"\r\none\r\n--b0--",
        b" " * (MAX_PREAMBLE_BYTES + 1) + b"\r\n--b0\r\n\r\none\r\n--b0--",
    ],
)
@pytest.mark.parametrize("step", [7, 1 << 20])
def test_what_has_no_parts_is_a_fault_however_it_is_cut(body: bytes, step: int) -> None:
    chunks = [body[start : start + step] for start in range(0, len(body), step)]
    if body == b"--b0--\r\n":  # a body of none
        assert parts_of(*chunks) == []
    else:
        with pytest.raises(BodyFault):
            parts_of(*chunks)


PIECES = st.sampled_from(
    [
        b"\r", b"\n", b"\r\n", b"-", b"--", b"--b0", b"b0", b"--b0--", b" ", b"\t", b":", b"x",
        b"a: b", HEADER, b"\r\n--b0\r\n", b"\n--b0\n", bytes(9), b"DICM", b"\r\n\r\n",
    ]
)  # fmt: skip
BODIES = st.one_of(
    st.lists(PIECES, max_size=25).map(b"".join),
    st.lists(PIECES, max_size=25).map(lambda some: b"--b0\r\n" + HEADER + b"".join(some)),
    st.binary(max_size=60),
)


@settings(deadline=None, max_examples=400)
@given(body=BODIES, cuts=st.lists(st.integers(0, 300), max_size=12))
def test_any_bytes_give_the_same_parts_or_the_same_fault_wherever_they_are_cut(
    body: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    chunks = [body[begin:end] for begin, end in itertools.pairwise(edges)]
    assert outcome(chunks) == outcome([body])
    assert outcome([body[at : at + 1] for at in range(len(body))]) == outcome([body])


@settings(deadline=None)
@given(contents=st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_what_was_put_into_a_body_comes_out_of_it(contents: list[bytes]) -> None:
    body = b"".join(b"\r\n--a.boundary\r\n" + HEADER + one for one in contents)
    body += b"\r\n--a.boundary--\r\n"
    expected = [(JUST_TYPE, one) for one in contents]
    assert parts_of(body, boundary=b"a.boundary") == expected
