"""By which names a browser may ask: a page elsewhere cannot reach the node under a name of its own
(DNS rebinding)."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class KnownHosts:
    """Refuses requests whose Host header names another host than those allowed."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self._app = app
        self._allowed = frozenset(without_brackets(one.lower()) for one in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._knows(Headers(scope=scope).get("host", "")):
            sentence = "this node is not asked by this name: http.allowed_hosts lists those it has"
            await JSONResponse({"error": sentence}, 400)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, header: str) -> bool:
        host = host_of(header.lower())
        above = (f"*.{host.split('.', number)[number]}" for number in range(1, host.count(".") + 1))
        return not self._allowed.isdisjoint({"*", host, *above})


def is_cross_site(headers: Headers) -> bool:
    """Whether a browser sends this at the wish of a page that is not the node's own.

    Told by Sec-Fetch-Site (Fetch Metadata), which counts where it is sent: pages that tell nobody
    where they are (Referrer-Policy) have a form's Origin be ``null``. Else by Origin (RFC 6454 7);
    other programs send neither.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return (
        origin is not None and origin.lower().partition("://")[2] != headers.get("host", "").lower()
    )


def host_of(header: str) -> str:
    """The host in a Host header (RFC 9112 3.2), without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def without_brackets(host: str) -> str:
    """An IPv6 address as it is written outside URLs; other hosts as they are."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host
