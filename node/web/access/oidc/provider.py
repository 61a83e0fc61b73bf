"""What the provider says of itself, and the keys it signs with; kept, and asked for again.

Keys change without notice (Core 1.0, 10.1.1): one that is not known is looked for again, but not
more often than every ``KEYS_EVERY_S``, whatever tokens are shown to the node.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from node.config.oidc import OidcSettings
from node.web.access.oidc.errors import NotBelieved, ProviderAway
from node.web.access.oidc.exchange import Exchange, check_address, host_of

METADATA_S = 3600.0
"""How long what it says of itself is used."""
AWAY_S = 5.0
"""How long it counts as away after it did not answer."""
KEYS_S = 12 * 3600.0
"""How long keys are used before they are asked for again: one that was withdrawn ends then."""
KEYS_EVERY_S = 30.0
_SIGNING = ("RSA", "EC", "OKP")
"""Public keys. What is shared (oct) is none that anybody could publish."""

Key = Mapping[str, Any]
"""A JSON Web Key (RFC 7517)."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """OpenID Connect Discovery 1.0, 3. Empty: it has no such address."""

    authorization: str
    token: str
    keys: str
    userinfo: str
    end_session: str
    authentication: str
    """How the node says who it is at ``token``."""


class Provider:
    """The provider of the settings. For any thread; ``now``: seconds of a clock that only goes
    forward."""

    def __init__(self, settings: OidcSettings, now: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.exchange = Exchange(settings)
        self._now = now
        self._lock = threading.Lock()
        self._metadata: Metadata | None = None
        self._metadata_until = float("-inf")
        self._away: ProviderAway | None = None
        self._away_at = float("-inf")
        self._keys: tuple[Key, ...] = ()
        self._keys_at = float("-inf")

    def metadata(self) -> Metadata:
        """Raises ProviderAway."""
        with self._lock:
            if self._metadata is None or self._now() >= self._metadata_until:
                self._metadata = self._asked_for()
                self._metadata_until = self._now() + METADATA_S
            return self._metadata

    def reach(self) -> None:
        """Asks whether the provider is there, now. Raises ProviderAway."""
        self._discover()

    def _asked_for(self) -> Metadata:
        """One that does not answer is not asked again at once: others wait for the same."""
        if self._away is not None and self._now() - self._away_at < AWAY_S:
            raise ProviderAway(str(self._away), self._away.detail)
        try:
            found = self._discover()
        except ProviderAway as error:
            self._away, self._away_at = error, self._now()
            raise
        self._away = None
        return found

    def key(self, key_id: str, key_type: str) -> Key:
        """The key of a token's header; of one that names none the only key of its type.

        Raises
        ------
        NotBelieved
            There is none, or it is not clear which.
        ProviderAway
        """
        metadata = self.metadata()
        with self._lock:
            is_old = self._now() - self._keys_at >= KEYS_S
            found = [] if is_old else _fitting(self._keys, key_id, key_type)
            if len(found) != 1 and self._now() - self._keys_at >= KEYS_EVERY_S:
                self._keys_at = self._now()  # also where it fails: it is not asked in a loop
                self._keys = self._fetch_keys(metadata.keys)
                found = _fitting(self._keys, key_id, key_type)
        if len(found) != 1:
            raise NotBelieved(_REFUSED, "the token is signed with a key that is not the provider's")
        return found[0]

    def _discover(self) -> Metadata:
        settings = self.settings
        address = f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        answer = self.exchange.get(address)
        if not answer.is_good:
            raise ProviderAway(
                f"{host_of(settings)} does not answer as a provider does",
                f"its metadata are answered with {answer.status}",
            )
        if answer.told.get("issuer") != settings.issuer:
            raise ProviderAway(
                f"{host_of(settings)} does not answer as a provider does",
                "it calls itself otherwise than http.oidc.issuer",
            )
        return self._read(answer.told)

    def _read(self, told: Mapping[str, Any]) -> Metadata:
        def needed(name: str) -> str:
            return check_address(told.get(name), self.settings)

        def some(name: str) -> str:
            return needed(name) if told.get(name) else ""

        return Metadata(
            needed("authorization_endpoint"),
            needed("token_endpoint"),
            needed("jwks_uri"),
            some("userinfo_endpoint"),
            some("end_session_endpoint"),
            self._authentication(told.get("token_endpoint_auth_methods_supported")),
        )

    def _authentication(self, supported: object) -> str:
        """Left out it is ``client_secret_basic`` (Discovery 1.0, 3)."""
        if not self.settings.client_secret():
            return "none"
        known = supported if isinstance(supported, list) else ["client_secret_basic"]
        is_post = "client_secret_basic" not in known and "client_secret_post" in known
        return "client_secret_post" if is_post else "client_secret_basic"

    def _fetch_keys(self, address: str) -> tuple[Key, ...]:
        answer = self.exchange.get(address)
        keys = answer.told.get("keys")
        if not answer.is_good or not isinstance(keys, list):
            raise ProviderAway(
                f"{host_of(self.settings)} does not answer as a provider does", "it gives no keys"
            )
        return tuple(one for one in keys if isinstance(one, dict))


_REFUSED = "the provider's answer does not pass a check: begin again"


def _fitting(keys: tuple[Key, ...], key_id: str, key_type: str) -> list[Key]:
    return [
        one
        for one in keys
        if one.get("kty") == key_type
        and one.get("kty") in _SIGNING
        and one.get("use", "sig") == "sig"
        and (not key_id or one.get("kid") == key_id)
    ]
