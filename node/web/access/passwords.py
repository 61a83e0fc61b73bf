"""Passwords: hashed by argon2id (RFC 9106), and few at a time, for each takes memory and time."""

from __future__ import annotations

import asyncio
import functools
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from node.errors import NodeError

LEAST = 10
MOST = 1024
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""What OWASP's cheat sheet asks for at least; some 30 ms."""
AT_ONCE = 20
"""So many strangers' passwords wait to be looked at; others are asked to come again."""


class BadPassword(NodeError):
    """It cannot be taken; the message says why."""


class TooMany(NodeError):
    """Too many log in at this moment."""


def hash_of(password: str) -> str:
    """What is kept of a new password.

    Raises
    ------
    BadPassword
    """
    plain = _normal(password)
    if not LEAST <= len(plain) <= MOST:
        raise BadPassword(f"a password has {LEAST} to {MOST} characters")
    if len(set(plain)) < 4:
        raise BadPassword("a password of so few different characters is guessed at once")
    return _HASHER.hash(plain)


def is_right(password_hash: str, password: str) -> bool:
    """Whether a password is the one; where there is none it takes as long to say no."""
    try:
        matches = _HASHER.verify(password_hash or _nobodys(), _normal(password)[:MOST])
    except (VerificationError, InvalidHashError):
        return False
    return matches and bool(password_hash)


def is_dated(password_hash: str) -> bool:
    """Whether it would be hashed in another way today."""
    return _HASHER.check_needs_rehash(password_hash)


@functools.cache
def _nobodys() -> str:
    return _HASHER.hash("the password of nobody")


def _normal(password: str) -> str:
    """RFC 8265 4.2: one form for each letter."""
    return unicodedata.normalize("NFC", password)


class Checking:
    """Checks passwords off the event loop: those who are known never wait for strangers."""

    def __init__(self) -> None:
        self._familiar = ThreadPoolExecutor(1, "login")
        self._strangers = ThreadPoolExecutor(1, "login-strangers")
        self._waiting = 0
        _nobodys()

    async def is_right(self, password_hash: str, password: str, is_familiar: bool) -> bool:
        """Whether a password is the one.

        Raises
        ------
        TooMany
        """
        loop = asyncio.get_running_loop()
        if is_familiar:
            return await loop.run_in_executor(self._familiar, is_right, password_hash, password)
        if self._waiting >= AT_ONCE:
            raise TooMany("too many log in at this moment: try again in a few seconds")
        self._waiting += 1
        try:
            return await loop.run_in_executor(self._strangers, is_right, password_hash, password)
        finally:
            self._waiting -= 1

    async def hash_of(self, password: str) -> str:
        """Raises BadPassword."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._familiar, hash_of, password)
