"""A node that does nothing of what a person wants: for an application that is tried on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from node.errors import NotPossible
from node.wishes import Actions, DestinationTried, RefusedResult, RuleTried, Wish
from storage.restriction import Restriction


class _NoActions:
    def seen_by(self, restriction: Callable[[], Restriction]) -> Actions:
        return self

    def again(
        self, job_id: int, parameters: Mapping[str, Any], said_by: str, beside: bool = False
    ) -> int:
        raise _refusal()

    def analyze(self, wish: Wish) -> int:
        raise _refusal()

    def now(self, study_id: int, said_by: str) -> int:
        raise _refusal()

    def dry_run(self, study_id: int) -> Sequence[RuleTried]:
        return ()

    def try_destination(self, name: str) -> DestinationTried:
        raise _refusal()

    def refused_results(self) -> Sequence[RefusedResult]:
        return ()

    def release(self, name: str, said_by: str, reason: str) -> int:
        raise _refusal()


def _refusal() -> NotPossible:
    return NotPossible("nobody carries that out here")


NO_ACTIONS: Actions = _NoActions()
