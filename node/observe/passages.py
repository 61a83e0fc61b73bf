"""A study's way through the node, told where it comes to its next stage: for metrics and traces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Stage(StrEnum):
    """What a study, or a job of it, has come to."""

    INDEXED = "indexed"
    COMPLETED = "completed"
    STARTED = "started"
    ENDED = "ended"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Passage:
    """From the stage before to this one. ``times``: so many instances or objects together."""

    stage: Stage
    began: datetime
    ended: datetime
    study_instance_uid: str
    job_id: int = 0
    times: int = 1

    @property
    def seconds(self) -> float:
        return (self.ended - self.began).total_seconds()


Passed = Callable[[Passage], None]


def unobserved(passage: Passage) -> None:
    """Of a part that is tried on its own."""
