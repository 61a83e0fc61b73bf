"""As whom a web service is asked: the one place where secrets enter requests.

Nothing here is logged, and no message holds a secret or what a service said of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Protocol
from urllib.parse import quote

import httpx

from node.config.web_called import WebCalledSettings
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.tls import TlsFiles, client_context
from node.errors import SettingsError

TOKEN_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
EARLY_S = 30.0
"""A token is renewed so long before it ends, or at the half of its life where that is later."""
UNSAID_S = 3600.0
"""How long a token is used whose end was not told (RFC 6749 5.1 only recommends it)."""
_OK = 200
_UNAUTHORIZED = 401


class Tokens(Protocol):
    """Where bearer tokens come from. Raises SettingsError, PeerUnavailable."""

    def current(self) -> str: ...

    def renewed(self) -> str:
        """Another one, as the current was refused."""


class Bearer(httpx.Auth):
    """Shows a token; where it is refused, a new one, once."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        shown = self._tokens.current()
        request.headers["Authorization"] = f"Bearer {shown}"
        answer = yield request
        if answer.status_code != _UNAUTHORIZED:
            return
        other = self._tokens.renewed()
        if other != shown:
            request.headers["Authorization"] = f"Bearer {other}"
            yield request


class _Basic(httpx.Auth):
    """The user with the password as it is now."""

    def __init__(self, settings: WebCalledSettings) -> None:
        self._settings = settings

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        settings = self._settings
        yield from httpx.BasicAuth(settings.user, settings.password()).auth_flow(request)


class _GivenTokens:
    """A token that somebody else keeps fresh, in a file or a variable."""

    def __init__(self, settings: WebCalledSettings) -> None:
        self._settings = settings

    def current(self) -> str:
        return self._settings.token()

    renewed = current


class ClientCredentials:
    """Tokens of an authorization server, by the client credentials grant (RFC 6749 4.4).

    ``now``: seconds of a clock that only goes forward.
    """

    def __init__(
        self, settings: WebCalledSettings, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._now = now
        self._token = ""
        self._ends = 0.0

    def current(self) -> str:
        if not self._token or self._now() >= self._ends:
            return self.renewed()
        return self._token

    def renewed(self) -> str:
        self._token = ""
        answer = self._asked()
        if answer.status_code != _OK:
            raise self._refused(f"answered {answer.status_code}{_error_code(answer)}")
        told = _told(answer)
        token, kind = told.get("access_token"), str(told.get("token_type", "bearer"))
        if not isinstance(token, str) or not token or kind.lower() != "bearer":
            raise self._refused("gives no bearer token")
        life_s = _seconds(told.get("expires_in"))
        self._ends = self._now() + max(life_s - EARLY_S, life_s / 2)
        self._token = token
        return token

    def _asked(self) -> httpx.Response:
        settings = self._settings
        wanted = {"grant_type": "client_credentials"}
        if settings.scope:
            wanted["scope"] = settings.scope
        # RFC 6749 2.3.1: both are form-encoded before they are joined
        who = quote(settings.client_id, safe=""), quote(settings.client_secret(), safe="")
        context = client_context(TlsFiles(ca=settings.token_ca))
        try:
            with httpx.Client(verify=context, timeout=TOKEN_TIMEOUT, trust_env=False) as client:
                return client.post(
                    settings.token_url,
                    data=wanted,
                    auth=who,
                    headers={"Accept": "application/json"},
                )
        except httpx.HTTPError as error:  # its text may hold what was asked
            raise PeerUnavailable(
                settings.name,
                PeerFault.UNREACHABLE,
                f"token_url does not answer ({type(error).__name__})",
            ) from error

    def _refused(self, what: str) -> PeerUnavailable:
        return PeerUnavailable(self._settings.name, PeerFault.REJECTED, f"token_url {what}")


def authorization_of(settings: WebCalledSettings) -> httpx.Auth | None:
    """As whom the service is asked, by what the settings name; None: as nobody."""
    if settings.token_url:
        return Bearer(ClientCredentials(settings))
    if settings.token_file or settings.token_env:
        return Bearer(_GivenTokens(settings))
    if settings.user:
        return _Basic(settings)
    return None


def _told(answer: httpx.Response) -> dict[str, object]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_ERRORS = (
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
)
"""RFC 6749 5.2. Anything else that stands there is not repeated."""


def _error_code(answer: httpx.Response) -> str:
    code = _told(answer).get("error")
    return f" ({code})" if code in _ERRORS else ""


def _seconds(value: object) -> float:
    """Some servers give the number as text."""
    try:
        found = float(str(value))
    except ValueError:
        return UNSAID_S
    return found if 0 < found < float("inf") else UNSAID_S


def check_secrets(settings: WebCalledSettings) -> None:
    """Whether what the settings name can be read.

    Raises
    ------
    SettingsError
    """
    for read in (settings.token, settings.password, settings.client_secret):
        try:
            read()
        except SettingsError as error:
            raise SettingsError(f"{settings.name}: {error}") from error
