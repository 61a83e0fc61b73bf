"""What is answered to an action, to a question that cannot be answered, and by ``/health``."""

from __future__ import annotations

from pydantic import Field

from node.web.shapes.base import Moment, Shape


class Refused(Shape):
    """Why the answer is not what was asked for."""

    error: str = Field(examples=["there is no job 77"])
    """One sentence for people."""


class Done(Shape):
    """What was done."""

    done: str = Field(examples=["job 7 is due again"])


class DoneTo(Done):
    """What was done, and to how many."""

    number: int = Field(examples=[1])


class Check(Shape):
    """One part of the node."""

    name: str = Field(examples=["dispatcher"])
    ok: bool
    last_success_at: Moment | None
    """When it last did something that worked; null before the first time."""
    age_s: float | None
    """Seconds since then."""
    reason: str
    """What went wrong since; empty where nothing did."""


class Health(Shape):
    """Whether the node works."""

    ok: bool
    """Whether every part does."""
    checks: list[Check]
    survives_power_cut: bool
    """Whether what is acknowledged is on the disk by then: the setting storage.sync."""
    notes: list[str]
    """What whoever runs the node should know of it, a sentence each."""
