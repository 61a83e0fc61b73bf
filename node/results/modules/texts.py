"""Texts and codes as an object can hold them."""

from __future__ import annotations

import highdicom as hd

from analyzers.contract import Code


def concept(code: Code) -> hd.sr.CodedConcept:
    """A code of the contract as highdicom's."""
    return hd.sr.CodedConcept(code.value, code.scheme, text(code.meaning))


def text(value: str, limit: int = 64) -> str:
    """``value`` as one line without backslashes, at most ``limit`` bytes (VR LO).

    The standard counts characters (PS3.5 6.2), many readers and dciodvfy bytes.
    """
    line = " ".join(value.replace("\\", "/").split())
    if len(line.encode()) <= limit:
        return line
    return line.encode()[: limit - 3].decode(errors="ignore").rstrip() + "..."
