"""Requests to the provider: short, to its own hosts, and without a redirect followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from node.config.oidc import OidcSettings
from node.config.values import is_local
from node.dimse.tls import TlsFiles, client_context
from node.errors import SettingsError
from node.web.access.oidc.errors import ProviderAway

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
"""Somebody waits for it."""
MOST_BYTES = 1 << 20
"""Of an answer; longer ones are no metadata, keys or tokens."""
_OK = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer of the provider that is a JSON object."""

    status: int
    told: Mapping[str, Any]

    @property
    def is_good(self) -> bool:
        return self.status == _OK


class Exchange:
    """Asks the provider of the settings. For any thread."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Asked:
        """Raises ProviderAway."""
        return self._asked("GET", url, headers or {}, None)

    def post(self, url: str, headers: Mapping[str, str], body: str) -> Asked:
        """Raises ProviderAway."""
        return self._asked("POST", url, headers, body)

    def _asked(self, method: str, url: str, headers: Mapping[str, str], body: str | None) -> Asked:
        check_address(url, self._settings)
        where = host_of(self._settings)
        try:
            context = client_context(TlsFiles(ca=self._settings.ca))
            with (
                httpx.Client(verify=context, timeout=TIMEOUT, trust_env=False) as client,
                client.stream(
                    method, url, headers={"Accept": "application/json", **headers}, content=body
                ) as answer,
            ):
                text = _read(answer)
                return Asked(answer.status_code, _object(text))
        except (httpx.HTTPError, SettingsError) as error:  # its text may hold what was asked
            raise ProviderAway(
                f"{where} does not answer", f"no answer: {type(error).__name__}"
            ) from error
        except ValueError as error:
            raise ProviderAway(f"{where} does not answer as a provider does", str(error)) from error


def check_address(url: object, settings: OidcSettings) -> str:
    """An address that the provider names: encrypted, unless all is on this machine.

    Raises
    ------
    ProviderAway
    """
    found = urlsplit(url) if isinstance(url, str) else urlsplit("")
    on_this_machine = is_local(urlsplit(settings.issuer).hostname or "")
    is_safe = found.scheme == "https" or (
        found.scheme == "http" and on_this_machine and is_local(found.hostname or "")
    )
    if not isinstance(url, str) or not found.hostname or not is_safe:
        raise ProviderAway(
            f"{host_of(settings)} does not answer as a provider does",
            "an address that it names does not begin with https:",
        )
    return url


def host_of(settings: OidcSettings) -> str:
    """The provider in words."""
    return urlsplit(settings.issuer).hostname or settings.issuer


def _read(answer: httpx.Response) -> bytes:
    text = b""
    for piece in answer.iter_bytes():
        text += piece
        if len(text) > MOST_BYTES:
            raise ValueError("the answer is too long")
    return text


def _object(text: bytes) -> Mapping[str, Any]:
    import json

    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")
    return found
