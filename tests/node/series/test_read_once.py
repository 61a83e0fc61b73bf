"""A series is read with two looks into each file: one at the header, one at the pixels."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid

from node.demo.ct_files import CtFiles
from node.demo.phantom import ChestPhantom
from node.series.read import read_series
from storage.header.reading import META_BYTES, named_syntax

_seen: list[Counter[str]] = []


def _hook(event: str, args: tuple[object, ...]) -> None:
    if event == "open" and _seen:
        _seen[-1][str(args[0])] += 1


sys.addaudithook(_hook)


@contextmanager
def opened() -> Iterator[Counter[str]]:
    """How often each file is opened meanwhile."""
    _seen.append(Counter())
    try:
        yield _seen[-1]
    finally:
        _seen.pop()


@pytest.mark.parametrize(
    "syntax",
    [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.JPEGLSLossless, uid.RLELossless],
)
def test_each_file_is_opened_for_its_header_and_for_its_pixels_and_not_again(
    syntax: str, phantom: ChestPhantom, tmp_path: Path
) -> None:
    paths = phantom.write(tmp_path, CtFiles(transfer_syntax=syntax))
    with opened() as times:
        volume = read_series(paths).volume
    assert volume is not None
    np.testing.assert_array_equal(volume.values(), phantom.truth.hu)
    assert {times[str(path)] for path in paths} == {2}


MOST_CALLS = 6000
"""Of functions, to read one image more: 4,700 with what is known of keywords and of values that
were converted before, 8,300 without."""


def test_an_image_more_costs_no_more_than_some_thousand_calls(
    phantom: ChestPhantom, tmp_path: Path
) -> None:
    paths = phantom.write(tmp_path)
    read_series(paths)
    few, all_ = len(paths) // 2, len(paths)
    assert _calls(lambda: read_series(paths)) - _calls(
        lambda: read_series(paths[:few])
    ) < MOST_CALLS * (all_ - few)


def _calls(do: Callable[[], object]) -> int:
    made = [0]

    def count(frame: object, event: str, arg: object) -> None:
        made[0] += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        do()
    finally:
        sys.setprofile(before)
    return made[0]


@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian, uid.JPEG2000Lossless]
)
def test_the_first_bytes_of_a_file_name_its_transfer_syntax(
    syntax: str, phantom: ChestPhantom, tmp_path: Path
) -> None:
    path = phantom.write(tmp_path, CtFiles(transfer_syntax=syntax))[0]
    assert named_syntax(path.read_bytes()[:META_BYTES]) == syntax


def test_first_bytes_that_are_cut_short_or_foreign_name_none(phantom_paths: list[Path]) -> None:
    whole = phantom_paths[0].read_bytes()
    meta_end = 144 + pydicom.dcmread(phantom_paths[0]).file_meta.FileMetaInformationGroupLength
    assert named_syntax(whole[:meta_end]) == uid.ExplicitVRLittleEndian
    for cut in range(0, whole.index(b"\x02\x00\x10\x00UI") + 8 + 19, 7):
        assert named_syntax(whole[:cut]) == ""
    assert named_syntax(bytes(META_BYTES)) == ""
    assert named_syntax(whole[:128] + b"DICM" + whole[meta_end:]) == ""
