"""What pages about people have in common: a new password, and telling of changed rights."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from node.audit.events import Actor, Right, RightsChanged
from node.audit.trail import Trail
from node.web.access import passwords
from node.web.access.passwords import LEAST as LEAST
from node.web.access.passwords import BadPassword
from node.web.access.roles import who
from node.web.access.sessions import host_of


async def hash_of(password: str, again: str) -> str:
    """Of a new password that was typed twice.

    Raises
    ------
    BadPassword
    """
    if password != again:
        raise BadPassword("the two passwords are not alike")
    return await run_in_threadpool(passwords.hash_of, password)


def tell(trail: Trail, request: Request, right: Right, whom: str, change: str) -> None:
    """In the audit trail: somebody may do more or less than before."""
    actor = Actor(who(request).name, host_of(request), is_person=True)
    trail.record(RightsChanged(actor, right, whom, change))


def now() -> datetime:
    return datetime.now(UTC)
