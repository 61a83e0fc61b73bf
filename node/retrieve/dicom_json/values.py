"""The value of one element as DICOM JSON (PS3.18 F.2.3 to F.2.7), from its bytes.

What has no number is no number here either: DS, IS, SV and UV that break their grammar, or that
no JSON number holds, are written as strings, as F.2.3 lets them be; FL and FD that are not finite
become null. Nothing here fails on any bytes.
"""

from __future__ import annotations

import math
import re
import struct
from base64 import b64encode
from collections.abc import Callable
from json.encoder import encode_basestring as quoted

from node.retrieve.dicom_json.characters import Characters

MOST_EXACT = 2**53
"""Whole numbers beyond it are not exact in every reader of JSON: they are written as strings."""
INLINE_BINARY_BYTES = 1024
INLINE_TEXT_BYTES = 64 * 1024
"""Longer values are fetched by their BulkDataURI."""
BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
Write = Callable[[bytes, Characters, bool], str]
"""From a value, its characters and whether it is little endian to what ``Value`` holds: a JSON
array, or nothing where the value is empty."""


def is_bulk(vr: str, length: int) -> bool:
    """Whether a value is too long to stand in the metadata: of the representations that PS3.18
    F.2.2 lists for it, and of others where they are longer than they may be."""
    return length > (INLINE_BINARY_BYTES if vr in BINARY else INLINE_TEXT_BYTES)


def attribute(vr: str, raw: bytes, characters: Characters, is_little: bool) -> str:
    """The JSON object of an element that is no sequence and not bulk."""
    if vr in BINARY:
        inline = b64encode(_little(vr, raw, is_little)).decode("ascii")
        return f'{{"vr":"{vr}","InlineBinary":"{inline}"}}' if raw else f'{{"vr":"{vr}"}}'
    values = _WRITE[vr](raw, characters, is_little)
    return f'{{"vr":"{vr}","Value":{values}}}' if values else f'{{"vr":"{vr}"}}'


def bulk(vr: str, uri: str) -> str:
    """The JSON object of an element whose value is elsewhere."""
    return f'{{"vr":"{vr}","BulkDataURI":{quoted(uri)}}}'


# --- text -----------------------------------------------------------------------------------------


def _strings(raw: bytes, characters: Characters, is_little: bool) -> str:
    """Values of text that the character set does not govern, and of codes, dates and UIDs."""
    return _array(_plain(raw).split("\\"), quoted)


def _titles(raw: bytes, characters: Characters, is_little: bool) -> str:
    return _array([one.strip(" ") for one in _plain(raw).split("\\")], quoted)


def _texts(raw: bytes, characters: Characters, is_little: bool) -> str:
    return _array(characters.decode(raw).split("\\"), quoted)


def _text(raw: bytes, characters: Characters, is_little: bool) -> str:
    return _array([characters.decode(raw)], quoted)


def _address(raw: bytes, characters: Characters, is_little: bool) -> str:
    return _array([_plain(raw)], quoted)


def _names(raw: bytes, characters: Characters, is_little: bool) -> str:
    return _array(characters.decode(raw).split("\\"), _name)


_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def _name(text: str) -> str:
    """A person name: its component groups that are not empty. PS3.18 F.2.2."""
    groups = zip(_GROUPS, (group.rstrip(" ") for group in text.split("=")), strict=False)
    parts = (f'"{kind}":{quoted(group)}' for kind, group in groups if group)
    return f"{{{','.join(parts)}}}"


def _plain(raw: bytes) -> str:
    return raw.decode("ascii" if raw.isascii() else "latin-1")


def _array(texts: list[str], write: Callable[[str], str]) -> str:
    """Without padding; null stands for an empty value among others. PS3.18 F.2.5."""
    bare = [one.rstrip(" \0") for one in texts]
    if not any(bare):
        return f"[{','.join(['null'] * len(bare))}]" if len(bare) > 1 else ""
    return f"[{','.join(write(one) if one else 'null' for one in bare)}]"


# --- numbers --------------------------------------------------------------------------------------

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,20})?")
"""Written as it stands: no digit is lost."""
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,300}")


def _decimals(raw: bytes, characters: Characters, is_little: bool) -> str:
    return _array([one.strip(" \0") for one in _plain(raw).split("\\")], _decimal)


def _decimal(text: str) -> str:
    if _JSON_NUMBER.fullmatch(text):
        return text
    number = float(text) if _DECIMAL.fullmatch(text) else math.inf
    return repr(number) if math.isfinite(number) else quoted(text)


def _integers(raw: bytes, characters: Characters, is_little: bool) -> str:
    return _array([one.strip(" \0") for one in _plain(raw).split("\\")], _integer)


def _integer(text: str) -> str:
    """Also what is spelt as a decimal, where it is a whole number: 1.0, 2e3."""
    if _WHOLE.fullmatch(text):
        number = int(text)
    elif _DECIMAL.fullmatch(text) and float(text).is_integer():
        number = int(float(text))
    else:
        return quoted(text)
    return str(number) if abs(number) <= MOST_EXACT else quoted(text)


def _packed(code: str, write: Callable[[float], str]) -> Write:
    """Of fixed length; what is left of a length that is no multiple of it is passed over."""
    size = struct.calcsize(f"<{code}")

    def values(raw: bytes, characters: Characters, is_little: bool) -> str:
        count = len(raw) // size
        if not count:
            return ""
        order = "<" if is_little else ">"
        found = struct.unpack_from(f"{order}{count}{code}", raw)
        return f"[{','.join(map(write, found))}]"

    return values


def _finite(number: float) -> str:
    return repr(number) if math.isfinite(number) else "null"


def _exact(number: float) -> str:
    return str(number) if abs(number) <= MOST_EXACT else f'"{number}"'


def _tags(raw: bytes, characters: Characters, is_little: bool) -> str:
    count = len(raw) // 4
    found = struct.unpack_from(f"{'<' if is_little else '>'}{count * 2}H", raw)
    tags = (f'"{group:04X}{one:04X}"' for group, one in zip(found[::2], found[1::2], strict=True))
    return f"[{','.join(tags)}]" if count else ""


def _little(vr: str, raw: bytes, is_little: bool) -> bytes:
    """Binary values as in Explicit VR Little Endian. PS3.18 F.2.7."""
    size = {"OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}.get(vr, 1)
    if is_little or size == 1:
        return raw
    words = (raw[at : at + size][::-1] for at in range(0, len(raw) - size + 1, size))
    return b"".join(words)


_WRITE: dict[str, Write] = {
    **dict.fromkeys(("AS", "CS", "DA", "DT", "TM", "UI"), _strings),
    **dict.fromkeys(("LO", "SH", "UC"), _texts),
    **dict.fromkeys(("LT", "ST", "UT"), _text),
    "AE": _titles,
    "UR": _address,
    "PN": _names,
    "DS": _decimals,
    "IS": _integers,
    "AT": _tags,
    "FD": _packed("d", _finite),
    "FL": _packed("f", _finite),
    "SL": _packed("l", str),
    "SS": _packed("h", str),
    "SV": _packed("q", _exact),
    "UL": _packed("L", str),
    "US": _packed("H", str),
    "UV": _packed("Q", _exact),
}
VRS = frozenset((*_WRITE, *BINARY, "SQ"))
