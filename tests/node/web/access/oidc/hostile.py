"""A provider that answers as a test wants: right in all that the test does not make wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc import jwk, jwt

CLIENT = "wetread"


@cache
def _key(key_id: str) -> Any:
    """Made once: it takes longer than most tests here."""
    return jwk.RSAKey.generate_key(2048, {"kid": key_id, "use": "sig"})


@dataclass
class Hostile:
    """``now``: by its clock. ``claims`` and ``header``: what its tokens say otherwise; None: not
    at all. ``signed``: makes a token of a header and claims, where it is not to be signed well."""

    now: datetime
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    key: Any = None
    published: list[Any] = field(default_factory=list)
    signed: Any = None
    issuer: str = ""
    asked: list[str] = field(default_factory=list)
    bodies: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_token: str = ""
    """What it gives with each login; without, a login cannot be renewed."""
    renewal: dict[str, Any] = field(default_factory=dict)
    """What it says otherwise at a renewal; None: not at all. With ``error`` it refuses."""

    def rotate(self, key_id: str) -> None:
        """Sign with another key, which is published from now on."""
        self.key = _key(key_id)
        self.published = [self.key]

    def log_in(self, url: str) -> dict[str, str]:
        """What a browser comes back with that was sent to ``url``."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def answer(self, path: str, body: dict[str, str]) -> tuple[int, object]:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return 200, self._metadata()
        if path == "/keys":
            return 200, {"keys": [one.as_dict(private=False) for one in self.published]}
        if path == "/user":
            return 200, self.user
        if path == "/token":
            return self._token(body)
        return 404, {}

    def _metadata(self) -> Mapping[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/user",
            "end_session_endpoint": f"{self.issuer}/logout",
            **self.metadata,
        }

    def _token(self, body: dict[str, str]) -> tuple[int, object]:
        self.bodies.append(body)
        if body.get("grant_type") == "refresh_token":
            return self._renewed(body)
        asked = self.codes.pop(body.get("code", ""), None)
        digest = hashlib.sha256(body.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        if asked["redirect_uri"] != body.get("redirect_uri"):
            return 400, {"error": "invalid_grant"}
        return 200, {
            "token_type": "Bearer",
            "access_token": "access",
            "id_token": self._id_token(asked["nonce"]),
            **({"refresh_token": self.refresh_token} if self.refresh_token else {}),
        }

    def _renewed(self, body: dict[str, str]) -> tuple[int, object]:
        if "error" in self.renewal or body["refresh_token"] != self.refresh_token:
            return 400, {"error": self.renewal.get("error", "invalid_grant")}
        self.refresh_token = secrets.token_urlsafe()
        told = {
            "token_type": "Bearer",
            "access_token": "access",
            "refresh_token": self.refresh_token,
            "id_token": self._id_token(None),
            **self.renewal,
        }
        return 200, {name: one for name, one in told.items() if one is not None}

    def _id_token(self, nonce: str | None) -> str:
        at = int(self.now.timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "s-1",
            "exp": at + 300,
            "iat": at,
            "nonce": nonce,
            "preferred_username": "ann",
            "groups": ["radiologists"],
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": self.key.kid, **self.header}
        if self.signed is not None:
            return str(self.signed(header, claims))
        return jwt.encode(header, claims, self.key, algorithms=[header["alg"]])


@contextmanager
def serving(hostile: Hostile) -> Iterator[Hostile]:
    """The provider on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(dict(parse_qsl(text)))

        def _answer(self, body: dict[str, str]) -> None:
            status, told = hostile.answer(urlsplit(self.path).path, body)
            text = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hostile.issuer = f"http://127.0.0.1:{server.server_port}"
    hostile.rotate("k1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hostile
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
