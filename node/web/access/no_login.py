"""Without login everybody who reaches the node is its administrator: on this machine alone."""

from __future__ import annotations

import secrets

from starlette.requests import Request

from node.web.access.roles import Role, Who

NAME = "local"


class NoLogin:
    """Everybody is the administrator."""

    def __init__(self) -> None:
        self._local = Who(NAME, Role.ADMINISTRATOR, True, secrets.token_urlsafe())

    async def identify(self, request: Request) -> Who:
        return self._local
