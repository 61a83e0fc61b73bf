"""By which names the status page may be asked for."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from node.web.hosts import KnownHosts

LOCAL = ("localhost", "127.0.0.1", "[::1]", "Wetread.local", "*.example.org")


async def status_of(host: str, allowed: tuple[str, ...]) -> int:
    async def page(request: object) -> PlainTextResponse:
        return PlainTextResponse("page")

    app = KnownHosts(Starlette(routes=[Route("/", page)]), allowed)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        answer = await client.get("http://any/", headers={"Host": host})
    return answer.status_code


def ask(host: str, allowed: tuple[str, ...] = LOCAL) -> int:
    import asyncio

    return asyncio.run(status_of(host, allowed))


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]", "[::1]:8080", "LOCALHOST:8080",
     "wetread.local", "a.example.org:80", "a.b.example.org"],
)  # fmt: skip
def test_a_listed_name_is_served_with_and_without_port_and_brackets(host: str) -> None:
    assert ask(host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "example.org", "127.0.0.1.evil.example", "[::2]",
     "", "localhost@evil.example", "evilexample.org"],
)  # fmt: skip
def test_another_name_is_refused(host: str) -> None:
    assert ask(host) == 400


def test_a_star_stands_for_any_name() -> None:
    assert ask("evil.example", ("*",)) == 200
