"""User identity negotiation (PS3.7 D.3.3.7): user names with passcodes, kept as scrypt hashes.

The file has one user a line, ``name:scrypt$N$r$p$salt$hash`` with salt and hash in hexadecimal;
``wetread password`` writes such a line. It is read again when it has changed.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

import structlog

from node.dimse.wire.negotiation import USER_NAME_AND_PASSCODE, UserIdentity
from node.errors import SettingsError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 1
"""16 MiB and some 50 ms for a guess."""
_MAX_MEMORY = 64 * 2**20
_SALT_BYTES, _HASH_BYTES = 16, 32
AT_ONCE = 2
"""Passcodes that are hashed at one time, however many associations ask."""


@dataclass(frozen=True, slots=True)
class _Secret:
    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    def is_of(self, passcode: bytes) -> bool:
        made = hashlib.scrypt(
            passcode, salt=self.salt, n=self.n, r=self.r, p=self.p,
            maxmem=_MAX_MEMORY, dklen=len(self.digest),
        )  # fmt: skip
        return hmac.compare_digest(made, self.digest)


def line_for(name: str, passcode: str) -> str:
    """A user's line for the file.

    Raises
    ------
    ValueError
        The name is empty, or has a colon or a line break.
    """
    if not name or any(sign in name for sign in ":\r\n") or name.startswith("#"):
        raise ValueError("a user name is not empty and has no colon, line break or leading #")
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.scrypt(
        passcode.encode(), salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P,
        maxmem=_MAX_MEMORY, dklen=_HASH_BYTES,
    )  # fmt: skip
    return f"{name}:scrypt${SCRYPT_N}${SCRYPT_R}${SCRYPT_P}${salt.hex()}${digest.hex()}"


class Users:
    """The users of a file."""

    def __init__(self, path: Path) -> None:
        """
        Raises
        ------
        SettingsError
            The file cannot be read, or a line is not of its form; the message names the line.
        """
        self._path = path
        self._lock = threading.Lock()
        self._hashing = threading.Semaphore(AT_ONCE)
        self._stamp = self._stamp_now()
        self._secrets = _read(path)
        # Hashed for names that are not there: the time tells nobody which names are.
        self._nobody = _Secret(
            SCRYPT_N, SCRYPT_R, SCRYPT_P, secrets.token_bytes(16), secrets.token_bytes(32)
        )

    def knows(self, identity: UserIdentity) -> bool:
        """Whether the identity is a user's, proved by the passcode."""
        if identity.kind != USER_NAME_AND_PASSCODE:
            return False
        name = identity.name.decode("utf-8", "replace")
        secret = self._current().get(name, self._nobody)
        with self._hashing:
            return secret.is_of(identity.passcode)

    def _current(self) -> dict[str, _Secret]:
        with self._lock:
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._secrets = _read(self._path)
                except SettingsError as error:
                    log.error("users_file_not_read", reason=str(error))
            return self._secrets

    def _stamp_now(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0)
        return (status.st_mtime_ns, status.st_size)


def _read(path: Path) -> dict[str, _Secret]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"dimse.identity.users_file: {error}") from error
    found: dict[str, _Secret] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, text = line.strip().partition(":")
        try:
            found[name] = _secret(text)
        except ValueError as error:
            raise SettingsError(
                f"{path}:{number}: is no user's line; `wetread password NAME` makes one"
            ) from error
    return found


def _secret(text: str) -> _Secret:
    scheme, n, r, p, salt, digest = text.split("$")
    secret = _Secret(int(n), int(r), int(p), bytes.fromhex(salt), bytes.fromhex(digest))
    if scheme != "scrypt" or len(secret.digest) < 16 or len(secret.salt) < 8:
        raise ValueError("unknown scheme or too short")
    _try_cost(secret.n, secret.r, secret.p)
    return secret


@functools.cache
def _try_cost(n: int, r: int, p: int) -> None:
    """Raise ValueError for numbers that scrypt does not take, at start instead of at a login."""
    hashlib.scrypt(b"", salt=b"", n=n, r=r, p=p, maxmem=_MAX_MEMORY)
