"""A real node with login and TLS: its first administrator, its end and its next start."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import certificates, forked
from tests.node.web.access.houses import PAGE, PASSWORD
from tests.node_process import Node
from tests.waiting import until


@dataclass
class Encrypted:
    """A node on https."""

    node: Node
    context: ssl.SSLContext

    def code(self) -> str:
        """What it printed for the first administrator."""
        assert self.node.process is not None and self.node.process.stdout is not None
        found = re.search(r"and enter (\S+),", self.node.process.stdout.readline())
        assert found is not None
        return found.group(1)

    def browser(self) -> httpx.Client:
        base = f"https://127.0.0.1:{self.node.http_port}"
        return httpx.Client(base_url=base, verify=self.context, headers=PAGE, timeout=30)


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[Encrypted]:
    authority = certificates.authority(tmp_path / "ca")
    web = authority.issue("web")
    environment = {
        "WETREAD_HTTP__LOGIN": "true",
        "WETREAD_HTTP__TLS__CERTIFICATE": str(web.certificate),
        "WETREAD_HTTP__TLS__KEY": str(web.key),
    }
    node = Node(tmp_path / "node", environment=environment)
    yield Encrypted(node.start(), ssl.create_default_context(cafile=str(authority.ca)))
    node.kill()


def test_a_node_that_is_killed_knows_its_users_and_sessions_when_it_starts_again(
    encrypted: Encrypted,
) -> None:
    node, code = encrypted.node, encrypted.code()
    with encrypted.browser() as browser:
        form = {"code": code, "name": "root", "password": PASSWORD, "again": PASSWORD}
        made = browser.post("/login/first", data=form)
        assert made.status_code == 303, made.text
        assert all(
            "Secure" in one and one.startswith("__Host-")
            for one in made.headers.get_list("set-cookie")
        )
        assert browser.get("/health", headers={"Accept": "*/*"}).json()["checks"]
        node.kill()
        node.start()
        assert browser.get("/users").status_code == 200
        assert "/login/first" not in browser.get("/login?next=/").text
        log = "".join(one.read_text() for one in (node.var / "logs").iterdir())
        assert code not in log + node.log() and PASSWORD not in log
        wetread(node, "add", "ann", "--role", "administrator")
        wetread(node, "lock", "root")
        until(lambda: browser.get("/users").status_code == 303)


def wetread(node: Node, *words: str) -> None:
    arguments = ["user", *words, "--config", str(node.config)]
    forked.run(arguments, given=f"{PASSWORD}\n").check_returncode()
