"""Behind a proxy: what it says of who asks is believed, and of nobody else."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from node.config.values import is_local


class Behind:
    """An application behind proxies, given by address or network.

    only: nobody else beyond this machine is answered; his request came unencrypted.
    """

    def __init__(self, app: Any, proxies: Sequence[str], only: bool) -> None:
        self._networks = [ipaddress.ip_network(one, strict=False) for one in proxies]
        self._only = only
        self._app: ASGIApp = ProxyHeadersMiddleware(app, list(proxies))  # type: ignore[assignment]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._only and not self._knows(scope):
            sentence = "this node is asked through its proxy only (http.trusted_proxy)"
            await JSONResponse({"error": sentence}, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        host = scope["client"][0] if scope.get("client") else ""
        if is_local(host):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in one for one in self._networks)
