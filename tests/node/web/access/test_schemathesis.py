"""What Schemathesis makes of the API's document, asked as each role: nothing breaks, nothing leaks.

Its own judgement of shapes is not asked for: it is the node's answers that are looked at.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from node.config.restrictions import RestrictionSettings
from node.web.access import app_passwords
from node.web.access.app_passwords import AppPasswords, Wanted
from node.web.access.logins import Logins
from node.web.access.rights import Rights
from node.web.access.sessions import Sessions
from node.web.access.signing_in import SigningIn
from node.web.app import create_app
from node.web.server import WebServer
from storage.people import users
from storage.people.users import Role
from tests.node.web.access.houses import Told
from tests.node.web.access.test_foreign_study import Foreign, enter_both
from tests.node.web.sites import Site

PROGRAM = shutil.which("schemathesis")
SECONDS = 40


@dataclass
class Watched:
    """An application, with what it answered: statuses, and the answers that hold certain texts."""

    app: Any
    marks: tuple[bytes, ...]
    statuses: dict[int, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = f"{scope['method']} {scope['path']}"
        given = scope["query_string"] + scope["path"].encode()

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                self.statuses[status] = self.statuses.get(status, 0) + 1
                if status >= 500 and scope["path"] != "/health":
                    self.broken.append(f"{asked}: {status}")
            elif any(one in message.get("body", b"") and one not in given for one in self.marks):
                self.leaks.append(asked)
            await send(message)

        await self.app(scope, receive, watch)


@dataclass
class Asked:
    url: str
    watched: Watched
    secrets: dict[Role, str]


@pytest.fixture
def asked(site: Site) -> Iterator[Asked]:
    """A node on which viewers and operators see what came from CT1; another study came from MR9."""
    foreign: Foreign = enter_both(site)
    told, secrets = Told(), {}

    def clock() -> datetime:
        return datetime.now(UTC)

    with site.database.write() as tx:
        for role in Role:
            user = users.add(tx, f"the-{role}", role, "", clock())
            made = app_passwords.make(tx, user, Wanted("x", role, "", 9), "a test", clock())
            secrets[role] = f"the-{role}:{made.secret}"
    sessions = Sessions(site.database, clock, told)
    rules = [
        RestrictionSettings(role="viewer", ae_titles=("CT1",)),
        RestrictionSettings(role="operator", ae_titles=("CT1",)),
    ]
    logins = Logins(
        sessions,
        SigningIn(site.database, sessions, clock, told),
        others=(AppPasswords(site.database, clock, told),),
        rights=Rights(restrictions=rules),
    )
    assert site.context is not None
    app = create_app(replace(site.context, access=logins, logins=logins, audit=told))
    watched = Watched(app, tuple(one.encode() for one in foreign.marks))
    server = WebServer(lambda: watched, "127.0.0.1", 0)  # type: ignore[arg-type]
    server.start()
    yield Asked(f"http://127.0.0.1:{server.port}", watched, secrets)
    server.stop()


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(SECONDS * 6)
@pytest.mark.parametrize("role", list(Role))
def test_no_role_breaks_anything_or_sees_what_it_may_not(
    asked: Asked, role: Role, tmp_path: Path
) -> None:
    if PROGRAM is None:
        pytest.skip("schemathesis is not installed")
    shown = base64.b64encode(asked.secrets[role].encode()).decode()
    command = [
        PROGRAM, "run", f"{asked.url}/openapi.json", "--max-time", str(SECONDS),
        "-H", f"Authorization: Basic {shown}", "-H", "X-Wetread: 1",
        "-c", "not_a_server_error", "--continue-on-failure", "--suppress-health-check", "all",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS * 5
    )
    assert sum(asked.watched.statuses.values()) > 100, done.stdout[-3000:] + done.stderr[-2000:]
    assert asked.watched.statuses.get(200, 0) > 10, asked.watched.statuses
    print(role, dict(sorted(asked.watched.statuses.items())))
    assert asked.watched.broken == []
    if role is not Role.ADMINISTRATOR:
        assert asked.watched.leaks == []
