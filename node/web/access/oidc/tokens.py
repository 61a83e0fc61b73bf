"""An ID token: believed when every check of OpenID Connect Core 1.0, 3.1.3.7 has passed."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from node.web.access.oidc.errors import NotBelieved
from node.web.access.oidc.provider import Provider

ALGORITHMS: Mapping[str, str] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
"""Those that are believed, each with the type of its key. Never ``none``, and never one with a
shared key: its public key is known to everybody (RFC 8725 3.1, 3.2)."""
LEEWAY_S = 60
"""By so much the clocks of both may differ."""
MOST_CHARACTERS = 64 * 1024
_REFUSED = "the provider's answer does not pass a check: begin again"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to be of."""

    nonce: str
    access_token: str
    at: datetime


def verified(token: str, expected: Expected, provider: Provider) -> Mapping[str, Any]:
    """The claims of a token.

    Raises
    ------
    NotBelieved, ProviderAway
    """
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError

    header = _header(token)
    algorithm = header.get("alg")
    key_type = ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if key_type is None or not isinstance(algorithm, str):
        raise NotBelieved(_REFUSED, "the token is signed by an algorithm that is not believed")
    if "crit" in header:
        raise NotBelieved(_REFUSED, "the token has to be understood in a way that is not known")
    key_id = header.get("kid", "")
    key = provider.key(key_id if isinstance(key_id, str) else "", key_type)
    try:
        found = jwt.decode(token, jwk.import_key(dict(key)), algorithms=[algorithm])
        _check(found.claims, found.header, expected, provider)
    except JoseError as error:  # its text names a claim, and no value
        raise NotBelieved(_REFUSED, f"the token: {error.error} {error.description}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise NotBelieved(_REFUSED, f"the token cannot be read: {type(error).__name__}") from error
    return found.claims


def _check(
    claims: dict[str, Any], header: dict[str, Any], expected: Expected, provider: Provider
) -> None:
    """Raises JoseError, NotBelieved."""
    from authlib.oidc.core import CodeIDToken

    client_id = provider.settings.client_id
    told = CodeIDToken(
        claims,
        header,
        {
            "iss": {"essential": True, "value": provider.settings.issuer},
            "aud": {"essential": True, "value": client_id},
            "sub": {"essential": True, "allow_blank": False},
        },
        {
            "nonce": expected.nonce,
            "client_id": client_id,
            "access_token": expected.access_token,
        },
    )
    told.validate(now=int(expected.at.timestamp()), leeway=LEEWAY_S)
    audience = claims["aud"]
    if isinstance(audience, list) and set(audience) != {client_id}:
        raise NotBelieved(_REFUSED, "the token is meant for others too")
    if not isinstance(claims["sub"], str):
        raise NotBelieved(_REFUSED, "the token's subject is no text")


def _header(token: str) -> Mapping[str, Any]:
    """Of what has not been checked: it tells the key and nothing else."""
    first = token.partition(".")[0]
    if len(token) > MOST_CHARACTERS or token.count(".") != 2:
        raise NotBelieved(_REFUSED, "the token is none that is signed")
    try:
        found = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except ValueError as error:
        raise NotBelieved(_REFUSED, "the token has no header that can be read") from error
    if not isinstance(found, dict):
        raise NotBelieved(_REFUSED, "the token has no header that can be read")
    return found
