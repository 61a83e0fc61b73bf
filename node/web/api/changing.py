"""Changing something through the API: who may, and one after another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Header, HTTPException

from node.web.access.roles import Role, needs
from node.web.context import WebContext
from storage.database import Transaction
from storage.errors import Overloaded

CLICK_WAIT_S = 5.0
"""How long a click waits for another's."""


def same_origin(
    x_wetread: Annotated[
        str | None, Header(description="Must be 1: no page elsewhere can send it.", examples=["1"])
    ] = None,
) -> None:
    """A page elsewhere cannot add this header to a request without being asked first."""
    if x_wetread != "1":
        raise HTTPException(403, "the header X-Wetread: 1 is needed")


GUARDED = [needs(Role.OPERATOR), Depends(same_origin)]
"""Of what an operator does."""
ADMINISTERING = [needs(Role.ADMINISTRATOR), Depends(same_origin)]


class Changes:
    """Clicks wait here for one another, not on connections that receiving needs."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._one_at_a_time = threading.Lock()

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """A transaction that writes; what is shown is computed anew after it.

        Raises
        ------
        Overloaded
            Another changes something for too long.
        """
        if not self._one_at_a_time.acquire(timeout=CLICK_WAIT_S):
            raise Overloaded("others change something at this moment: try again")
        try:
            with self._context.database.write() as tx:
                yield tx
        finally:
            self._one_at_a_time.release()
            self._context.shared.forget()

    def wake(self) -> None:
        """Something is due again."""
        self._context.wake()
