"""Text of a data set, by the Specific Character Set that it declares (PS3.5 6.1.2.3 to 6.1.2.5).

Nothing here fails: a byte that does not decode becomes U+FFFD, and a term that nobody knows counts
as Latin-1, as pydicom takes it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydicom.charset import CODES_TO_ENCODINGS, handled_encodings, python_encoding

_DEFAULT = "latin-1"
_ESCAPE = b"\x1b"
_FRAGMENT = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_LONG_CODES = (b"\x1b$(", b"\x1b$)")
_DELIMITERS = re.compile(rb"[\r\n\t\x0c\\^=]")
"""Each resets the code elements to those of the first term. PS3.5 6.1.2.5.3."""


class Characters:
    """How the bytes of a text are read. ``terms``: as (0008,0005) lists them."""

    __slots__ = ("_first", "terms")

    def __init__(self, terms: tuple[str, ...]) -> None:
        self.terms = terms
        self._first = _codec(terms[0] if terms else "")

    def decode(self, raw: bytes) -> str:
        """The text, with its delimiters and padding."""
        if _ESCAPE not in raw:
            return raw.decode("ascii" if raw.isascii() else self._first, "replace")
        return "".join(self._decode_fragment(part) for part in _FRAGMENT.findall(raw))

    def _decode_fragment(self, fragment: bytes) -> str:
        """One that begins with an escape sequence, or is the first."""
        code = fragment[: 4 if fragment.startswith(_LONG_CODES) else 3]
        codec = CODES_TO_ENCODINGS.get(code)
        if codec is None:
            return fragment.decode(self._first, "replace")
        if codec in handled_encodings:  # Python takes these with their escape sequences
            return fragment.decode(codec, "replace")
        rest = fragment[len(code) :]
        delimiter = _DELIMITERS.search(rest)
        ends = delimiter.start() if delimiter else len(rest)
        return rest[:ends].decode(codec, "replace") + rest[ends:].decode(self._first, "replace")


@lru_cache(maxsize=64)
def characters(declared: bytes) -> Characters:
    """From the raw value of (0008,0005)."""
    terms = declared.decode("ascii", "replace").rstrip(" \0").split("\\")
    return Characters(tuple(term.strip() for term in terms) if any(terms) else ())


def _codec(term: str) -> str:
    """Misspellings that are common are known: ``ISO IR 100``, ``ISO-IR 100``, ``iso_ir_100``."""
    spelt = re.sub(r"(?i)^ISO[ _-]IR[ _-]", "ISO_IR ", term)
    return python_encoding.get(spelt) or python_encoding.get(term) or _DEFAULT
