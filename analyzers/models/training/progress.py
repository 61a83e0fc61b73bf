"""How a training tells how far it is: epochs (or folds) done, their total, the loss."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[int, int, float], None]


def silent(done: int, total: int, loss: float) -> None:
    """Tells nobody."""


def after(before: int, total: int, tell: Tell) -> Callable[[int, float], None]:
    """What a part of a training calls: ``before`` epochs of ``total`` were done when it began."""

    def told(done: int, loss: float) -> None:
        tell(before + done, total, loss)

    return told
