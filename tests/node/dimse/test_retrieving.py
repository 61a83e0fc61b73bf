"""What C-GET and C-MOVE count, and how a C-MOVE parts what one association cannot take."""

from __future__ import annotations

import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.dimse.services.moving import batches, pairs_of
from node.dimse.services.retrieving import Tally
from node.dimse.wire.retrieves import failed_list


def test_more_kinds_than_one_association_has_contexts_for_go_over_several() -> None:
    kinds = frozenset((f"1.2.{number}", ExplicitVRLittleEndian) for number in range(150))
    parts = list(batches(kinds))
    assert [len(part) for part in parts] == [64, 64, 22]  # two contexts for each
    assert frozenset().union(*parts) == kinds
    for part in parts:
        assert len({pair for kind in part for pair in pairs_of(kind)}) <= 128
    assert list(batches(frozenset())) == []


@pytest.mark.parametrize(
    ("answered", "status"),
    [
        ([], 0x0000),
        ([0x0000, 0x0000], 0x0000),
        ([0x0000, 0xB000], 0xB000),
        ([0x0000, 0xA700], 0xB000),
        ([0xB007, None], 0xB000),
        ([0xC000, None], 0xA702),
    ],
)
def test_the_last_status_says_what_became_of_all(answered: list[int | None], status: int) -> None:
    tally = Tally(len(answered))
    for number, one in enumerate(answered):
        assert tally.remaining == len(answered) - number
        tally.settle(f"1.2.{number}", one)
    assert tally.remaining == 0
    assert tally.final_status() == status


def test_what_was_counted_and_never_settled_has_failed() -> None:
    none, some = Tally(2), Tally(2, completed=1)
    none.close()
    some.close()
    assert (none.final_status(), none.failures) == (0xA702, 2)
    assert (some.final_status(), some.failures, some.failed) == (0xB000, 1, [])


def test_a_list_of_failures_of_any_length_can_be_encoded() -> None:
    many = [f"1.2.826.0.1.3680043.8.498.{number:038}" for number in range(2000)]
    raw = failed_list(many, UID(ExplicitVRLittleEndian))
    assert raw[:8] == b"\x08\x00\x58\x00UN\x00\x00"  # longer than a UI may be. PS3.5 6.2.2
    assert int.from_bytes(raw[8:12], "little") == len(raw) - 12
    assert raw[12:].rstrip(b"\0").decode().split("\\") == many
    assert failed_list([], UID(ImplicitVRLittleEndian)) == b"\x08\x00\x58\x00\x00\x00\x00\x00"
