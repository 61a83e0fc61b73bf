"""The code flow: where a browser is sent, and what its return is worth."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from node.config.oidc import OidcSettings
from node.web.access.oidc.attempt import Attempt, Used
from node.web.access.oidc.errors import (
    LoginEnded,
    LoginFailed,
    NotAllowed,
    NotBelieved,
    ProviderAway,
)
from node.web.access.oidc.exchange import Asked, host_of
from node.web.access.oidc.provider import Metadata, Provider
from node.web.access.oidc.tokens import Expected, verified
from storage.people.users import Role

_AGAIN = "begin the login again"
_LONGEST_NAME = 120
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Identified:
    """Somebody whom the provider knows, with the role of the groups.

    subject: what the provider calls the account, and never gives another (``sub``).
    id_token: shown when the person logs out there too.
    refresh_token: by which is asked again what the person may; empty where none was given.
    """

    subject: str
    name: str
    role: Role
    groups: tuple[str, ...]
    id_token: str
    refresh_token: str = ""


@dataclass(frozen=True, slots=True)
class Renewed:
    """What somebody may now, and the token by which is asked the next time."""

    role: Role
    refresh_token: str


@dataclass(frozen=True, slots=True)
class _Tokens:
    """id_token: empty where none was given."""

    id_token: str
    access_token: str
    refresh_token: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> _Tokens:
        """What is no text is none."""
        names = ("id_token", "access_token", "refresh_token")
        return cls(*(str(told[name]) if isinstance(told.get(name), str) else "" for name in names))


class Flow:
    """Logins at one provider. ``clock``: the moment now."""

    def __init__(self, provider: Provider, clock: Callable[[], datetime]) -> None:
        self._provider = provider
        self._settings = provider.settings
        self._clock = clock
        self._used = Used()

    @property
    def settings(self) -> OidcSettings:
        return self._settings

    def begin(self, attempt: Attempt, back_to: str) -> str:
        """Where the browser goes now. Raises ProviderAway."""
        metadata = self._provider.metadata()
        client = self._client(back_to, metadata)
        url, _ = client.create_authorization_url(
            metadata.authorization,
            state=attempt.state,
            nonce=attempt.nonce,
            code_verifier=attempt.code_verifier,
        )
        return str(url)

    def end(self, attempt: Attempt | None, answer: Mapping[str, str], back_to: str) -> Identified:
        """Who has come back, by the query of the address that the provider sent the browser to.

        Raises
        ------
        LoginFailed
        """
        code = self._code(attempt, answer)
        assert attempt is not None
        tokens = self._tokens(code, attempt, back_to)
        expected = Expected(attempt.nonce, tokens.access_token, self._clock())
        claims = verified(tokens.id_token, expected, self._provider)
        groups = self._groups(claims, tokens)
        return Identified(
            str(claims["sub"]),
            self._name(claims),
            self._role(groups, str(claims["sub"])),
            groups,
            tokens.id_token,
            tokens.refresh_token,
        )

    def renewed(self, refresh_token: str, subject: str) -> Renewed:
        """What somebody may who has logged in before (RFC 6749 6, Core 1.0 12).

        Raises
        ------
        LoginEnded
            The provider does not know the login any more.
        NotAllowed, NotBelieved, ProviderAway
        """
        body = urlencode({"grant_type": "refresh_token", "refresh_token": refresh_token})
        answer = self._asked_for_tokens(body)
        if not answer.is_good:
            error = answer.told.get("error", "")
            if error == "invalid_grant":
                raise LoginEnded(f"{host_of(self._settings)} has ended this login")
            raise ProviderAway(
                f"{host_of(self._settings)} does not answer as a provider does",
                f"a renewal was refused: {_known_error(error)}",
            )
        tokens = _Tokens.of(answer.told)
        groups = self._groups(self._claims_again(tokens, subject), tokens)
        return Renewed(self._role(groups, subject), tokens.refresh_token or refresh_token)

    def reach(self) -> None:
        """Raises ProviderAway where the provider does not answer now."""
        self._provider.reach()

    def _claims_again(self, tokens: _Tokens, subject: str) -> Mapping[str, Any]:
        """Of the same account; an ID token may be left out where its address of users answers."""
        if not tokens.id_token:
            if not self._provider.metadata().userinfo:
                raise NotBelieved(
                    f"{host_of(self._settings)} does not say who you are", "no id_token"
                )
            return {"sub": subject}
        expected = Expected("", tokens.access_token, self._clock())
        claims = verified(tokens.id_token, expected, self._provider)
        if claims["sub"] != subject:
            raise NotBelieved(
                f"{host_of(self._settings)} speaks of somebody else", "another sub at a renewal"
            )
        return claims

    def goodbye(self, id_token: str, back_to: str) -> str:
        """Where the browser goes to be logged out there too (RP-Initiated Logout 1.0); empty where
        the provider has no such address, or does not answer."""
        try:
            address = self._provider.metadata().end_session
        except ProviderAway:
            return ""
        if not address:
            return ""
        asked = {"client_id": self._settings.client_id, "post_logout_redirect_uri": back_to}
        if id_token:
            asked["id_token_hint"] = id_token
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    def _code(self, attempt: Attempt | None, answer: Mapping[str, str]) -> str:
        """The code of an answer to this browser's own attempt, once."""
        if attempt is None:
            raise NotBelieved(
                f"this browser has not begun a login here: {_AGAIN}, and allow cookies",
                "an answer without the cookie of an attempt",
            )
        if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise NotBelieved(f"this is the answer to another login: {_AGAIN}", "wrong state")
        if attempt.is_over(self._clock()):
            raise NotBelieved(f"this login took too long: {_AGAIN}", "the attempt is over")
        if not self._used.use(attempt):
            raise NotBelieved(f"this login was used already: {_AGAIN}", "a state came twice")
        if answer.get("iss", self._settings.issuer) != self._settings.issuer:  # RFC 9207
            raise NotBelieved(f"this is the answer of another provider: {_AGAIN}", "wrong iss")
        if "error" in answer or not answer.get("code"):
            raise LoginFailed(
                f"{host_of(self._settings)} did not log you in: {_AGAIN}",
                f"the provider refused: {_known_error(answer.get('error', ''))}",
            )
        return answer["code"]

    def _tokens(self, code: str, attempt: Attempt, back_to: str) -> _Tokens:
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        body = prepare_token_request(
            "authorization_code",
            redirect_uri=back_to,
            code=code,
            code_verifier=attempt.code_verifier,
        )
        answer = self._asked_for_tokens(body)
        if not answer.is_good:
            raise NotBelieved(
                f"{host_of(self._settings)} does not know this login: {_AGAIN}",
                f"the code was refused: {_known_error(answer.told.get('error', ''))}",
            )
        tokens = _Tokens.of(answer.told)
        if not tokens.id_token:
            raise NotBelieved(f"{host_of(self._settings)} does not say who you are", "no id_token")
        return tokens

    def _asked_for_tokens(self, body: str) -> Asked:
        """As the client that the provider knows. Raises ProviderAway."""
        metadata = self._provider.metadata()
        client = self._client("", metadata)
        signed = client.client_auth(client.token_endpoint_auth_method)
        address, headers, body = signed.prepare("POST", metadata.token, dict(_FORM), body)
        return self._provider.exchange.post(address, headers, body)

    def _client(self, back_to: str, metadata: Metadata) -> Any:
        from authlib.oauth2.client import OAuth2Client

        settings = self._settings
        return OAuth2Client(
            None,
            client_id=settings.client_id,
            client_secret=settings.client_secret() or None,
            token_endpoint_auth_method=metadata.authentication,
            scope=" ".join(settings.scopes),
            redirect_uri=back_to,
            code_challenge_method="S256",
        )

    # --- who it is, and what he may ---------------------------------------------------------------

    def _groups(self, claims: Mapping[str, Any], tokens: _Tokens) -> tuple[str, ...]:
        found = _at(claims, self._settings.groups_claim)
        if found is None:
            found = _at(self._told_of_user(claims, tokens), self._settings.groups_claim)
        if isinstance(found, str):
            return (found,)
        return tuple(map(str, found)) if isinstance(found, list) else ()

    def _told_of_user(self, claims: Mapping[str, Any], tokens: _Tokens) -> Mapping[str, Any]:
        """Core 1.0, 5.3: what is not in the token."""
        address = self._provider.metadata().userinfo
        if not address or not tokens.access_token:
            return {}
        bearer = {"Authorization": f"Bearer {tokens.access_token}"}
        answer = self._provider.exchange.get(address, bearer)
        if not answer.is_good or answer.told.get("sub") != claims["sub"]:
            raise NotBelieved(
                f"{host_of(self._settings)} does not say who you are: {_AGAIN}",
                "what it tells of a user is not of the one who has logged in",
            )
        return answer.told

    def _name(self, claims: Mapping[str, Any]) -> str:
        found = _at(claims, self._settings.name_claim)
        name = found if isinstance(found, str) and found.strip() else str(claims["sub"])
        plain = "".join(one for one in name if one.isprintable()).strip()
        return plain[:_LONGEST_NAME] or "somebody"

    def _role(self, groups: tuple[str, ...], subject: str) -> Role:
        roles = self._settings.roles
        found = {Role(roles[one]) for one in groups if one in roles}
        for role in reversed(Role):
            if role in found:
                return role
        raise NotAllowed(
            "your account has no role here: ask who runs this node to let one of your groups in"
            " (http.oidc.roles)",
            "none of the groups has a role",
            subject,
        )


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or by the names that lead to it."""
    if path in claims:  # some providers have addresses as names
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


_ERRORS = frozenset(
    (
        "access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope",
        "login_required", "consent_required", "interaction_required", "server_error",
        "temporarily_unavailable", "unauthorized_client", "unsupported_grant_type",
        "unsupported_response_type",
    )
)  # fmt: skip
"""RFC 6749 4.1.2.1, 5.2, Core 1.0 3.1.2.6. Anything else is not repeated."""


def _known_error(code: object) -> str:
    return str(code) if code in _ERRORS else "for another reason"
