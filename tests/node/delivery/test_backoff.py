"""Pauses and the circuit, without a network."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from node.delivery import backoff
from node.delivery.backoff import Circuit, pause

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def test_pauses_double_from_two_seconds_up_to_ten_minutes() -> None:
    class NoChance(random.Random):
        def random(self) -> float:
            return 0.0

    pauses = [pause(attempt, NoChance()).total_seconds() for attempt in range(1, 12)]
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    assert pause(10_000, NoChance()).total_seconds() == 600


def test_chance_shortens_a_pause_by_a_fifth_at_most() -> None:
    pauses = {pause(5, random.Random(seed)).total_seconds() for seed in range(200)}
    assert len(pauses) > 100
    assert 32 * 0.8 <= min(pauses) < max(pauses) <= 32


def test_the_attempts_last_three_days() -> None:
    chance = random.Random(1)
    total = sum((pause(attempt, chance) for attempt in range(1, backoff.MAX_ATTEMPTS)), timedelta())
    assert timedelta(days=2.5) < total < timedelta(days=3.1)


def test_three_failures_open_the_circuit_and_an_answer_closes_it() -> None:
    circuit, chance = Circuit(), random.Random(1)
    for _ in range(2):
        circuit.failed(NOW, chance)
    assert not circuit.is_open
    circuit.failed(NOW, chance)
    assert circuit.is_open
    assert circuit.down_since == NOW
    circuit.worked()
    assert not circuit.is_open
    assert circuit.down_since is None


def test_an_outage_is_an_alarm_after_five_minutes() -> None:
    circuit, chance = Circuit(), random.Random(1)
    circuit.failed(NOW, chance)
    assert not circuit.alarm_is_due(NOW + timedelta(seconds=299))
    assert circuit.alarm_is_due(NOW + timedelta(seconds=300))
    circuit.alarmed = True
    assert not circuit.alarm_is_due(NOW + timedelta(hours=1))
