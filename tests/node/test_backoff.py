"""Pauses between tries double up to a limit."""

from __future__ import annotations

from node.backoff import doubled


def test_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    assert [doubled(0.5, failures, 5.0) for failures in range(1, 7)] == [0.5, 1, 2, 4, 5, 5]


def test_a_failure_that_goes_on_for_years_is_no_overflow() -> None:
    assert doubled(10, 10**9, 600) == 600
