"""How much goes to a destination in a minute, where the settings limit it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from node.delivery.pace import Pace
from node.delivery.targets.folder import FolderTarget
from storage.records import DeliveryState
from tests.node.delivery.outboxes import START, Outbox, courier_of

SENT = DeliveryState.SENT


def test_without_a_limit_everything_goes() -> None:
    assert Pace().allows(START, 500) == 500


def test_a_minutes_worth_goes_at_once_and_then_as_time_passes() -> None:
    pace = Pace(most=6)
    assert pace.allows(START, 500) == 6
    pace.spend(6, 0)
    assert pace.allows(START, 500) == 0
    assert pace.allows(START + timedelta(seconds=25), 500) == 2
    assert pace.allows(START + timedelta(hours=1), 500) == 6


def test_an_object_above_the_limit_of_bytes_goes_and_is_made_up_for() -> None:
    pace = Pace(most_bytes=100)
    assert pace.allows(START, 500) == 500
    pace.spend(1, 250)
    assert pace.allows(START + timedelta(seconds=80), 500) == 0
    assert pace.allows(START + timedelta(seconds=100), 500) == 500


def test_a_courier_keeps_the_pace_and_the_report_still_goes_last(
    box: Outbox, tmp_path: Path
) -> None:
    (tmp_path / "export").mkdir()
    target = FolderTarget("pacs", tmp_path / "export", "{job}/{object}.dcm")
    for _ in range(2):
        box.finish_job()
    courier = courier_of(box, target, pace=Pace(most=1))
    assert courier.deliver_once()
    assert not courier.deliver_once()
    assert [one.stem for one in (tmp_path / "export").rglob("*.dcm")] == ["seg"]
    for _ in range(3):
        box.clock.advance(60)
        assert courier.deliver_once()
    assert box.states() == [SENT] * 4
    box.clock.advance(60)
    assert not courier.deliver_once()
