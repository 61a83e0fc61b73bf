"""What a destination that speaks DIMSE is found to take, without anything being sent to it."""

from __future__ import annotations

import pytest
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    RLELossless,
    SegmentationStorage,
)

from node.delivery.targets.dimse import DimseTarget
from node.delivery.targets.port import Abilities, Telling
from node.dimse.errors import PeerUnavailable
from node.dimse.scu.sender import Peer
from tests.node.delivery.outboxes import PATIENT, QUICK
from tests.peers import free_port, running_pacs

KINDS = (str(CTImageStorage), str(SegmentationStorage), str(ComprehensiveSRStorage))


def target_at(port: int) -> DimseTarget:
    return DimseTarget(Peer("pacs", "FAKEPACS", "127.0.0.1", port, "WETREAD"), PATIENT)


def test_a_destination_tells_which_classes_it_takes_and_is_sent_nothing() -> None:
    with running_pacs(refused_classes=frozenset({SegmentationStorage})) as pacs:
        found = target_at(pacs.port).abilities(KINDS)
        assert pacs.associations == 1
        assert not pacs.received
    assert found.telling is Telling.THESE
    assert [found.takes(one) for one in KINDS] == [True, False, True]
    assert found.takes(CTImageStorage, ExplicitVRLittleEndian)


def test_a_destination_that_takes_nothing_of_it_has_told_so() -> None:
    with running_pacs(refused_classes=frozenset({SegmentationStorage})) as pacs:
        found = target_at(pacs.port).abilities([SegmentationStorage])
        assert target_at(pacs.port).probe() > 0
    assert found == Abilities(Telling.THESE)
    assert not found.takes(SegmentationStorage, RLELossless)


def test_more_classes_than_an_association_has_contexts_are_asked_for_over_several() -> None:
    many = [f"1.2.840.10008.5.1.4.1.1.{number}" for number in range(1, 60)]
    with running_pacs() as pacs:
        target_at(pacs.port).abilities(many)
        assert pacs.associations == 2


def test_nobody_knows_what_a_destination_takes_that_is_off() -> None:
    peer = Peer("pacs", "FAKEPACS", "127.0.0.1", free_port(), "WETREAD")
    with pytest.raises(PeerUnavailable, match="no connection"):
        DimseTarget(peer, QUICK).abilities(KINDS)


def test_of_those_that_do_not_tell_everything_is_presumed() -> None:
    for telling in (Telling.ALL, Telling.UNTOLD):
        assert Abilities(telling).takes(SegmentationStorage, RLELossless)
