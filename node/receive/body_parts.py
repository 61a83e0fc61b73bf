"""The parts of a multipart body (RFC 2046 5.1), told as its bytes come.

What old clients get wrong is taken as they mean it: lines that end with LF alone, blanks behind a
boundary, a last boundary that is missing or has no line break before it, parts without headers,
text before the first boundary and after the last. No more than a few lines are held back.

Not by ``python_multipart``, which is made for forms and refuses most of these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple, Protocol

MAX_PREAMBLE_BYTES = 64 * 1024
MAX_HEADER_BYTES = 16 * 1024
"""Of all headers of a part together."""

_AFTER_BOUNDARY = re.compile(rb"--|[ \t]{0,80}(\r?\n)")
_AFTER_BOUNDARY_CRLF = re.compile(rb"--|[ \t]{0,80}(\r\n)")
_PERHAPS_AFTER_BOUNDARY = re.compile(rb"-|[ \t]{0,80}\r?")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LAST_LINE = 2
"""The longest line break."""


class BodyFault(Exception):
    """The body is not what its Content-Type says; the message says what was met."""


class TooMuch(Exception):
    """The body is larger than any may be; the message says by which limit."""


class PartSink(Protocol):
    """Takes the parts of a body."""

    def begin_part(self, headers: Mapping[str, str]) -> None:
        """A part comes; the names of its headers are in lower case."""

    def part_data(self, data: memoryview) -> None:
        """Bytes of its content, valid for this call."""

    def end_part(self) -> None:
        """It has come whole."""


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    CONTENT = auto()
    EPILOGUE = auto()


class _Delimiter(NamedTuple):
    """A line with the boundary, from the line break before it to the one behind it."""

    begin: int
    end: int
    is_whole: bool = True
    """False: bytes that are yet to come decide whether it is one."""
    is_last: bool = False
    line_break: bytes = b""


class BodyParts:
    """Splits a body at its boundary. Where its bytes are cut in coming makes no difference."""

    def __init__(self, boundary: bytes, sink: PartSink) -> None:
        self._sink = sink
        self._dashed = b"--" + boundary
        self._marker = b"\n" + self._dashed
        self._after_boundary = _AFTER_BOUNDARY
        self._held_bytes = len(self._dashed) + 2 + 2 * _LAST_LINE
        self._rest = b"\n"  # a boundary stands at the beginning of a line
        self._at = 0
        self._passed = -len(self._rest)
        self._lead = 0
        """So many bytes before the content are its headers' last line break, and may be that before
        a boundary too: then the content is empty."""
        self._state = _State.PREAMBLE

    def feed(self, data: bytes) -> None:
        """More of the body.

        Raises
        ------
        BodyFault
        """
        self._rest = self._rest[self._at - self._lead :] + data
        self._at = self._lead
        steps = {
            _State.PREAMBLE: self._pass_preamble,
            _State.HEADERS: self._take_headers,
            _State.CONTENT: self._take_content,
            _State.EPILOGUE: self._pass_epilogue,
        }
        while steps[self._state]():
            pass

    def finish(self) -> None:
        """The body is over.

        Raises
        ------
        BodyFault
        """
        rest = self._rest[self._at :]
        if self._state is _State.PREAMBLE:
            raise BodyFault("the body has no part: its boundary does not occur in it")
        if self._state is _State.HEADERS and rest.strip():
            raise BodyFault("the body ends within the headers of a part")
        if self._state is _State.CONTENT:
            self._tell(self._at, self._end_of_unended())
            self._sink.end_part()
        self._state = _State.EPILOGUE

    # --- steps: each says whether there is another ------------------------------------------------

    def _pass_preamble(self) -> bool:
        found = self._delimiter(self._at)
        begin = found.begin if found else max(self._at, len(self._rest) - len(self._marker))
        self._passed += begin - self._at
        if self._passed > MAX_PREAMBLE_BYTES:
            raise BodyFault("the boundary does not occur where the body begins")
        self._at = begin
        if found is None or not found.is_whole:
            return False
        if found.line_break == b"\r\n":  # as all do who follow RFC 2046: then it is asked of all
            self._marker = b"\r\n" + self._dashed
            self._after_boundary = _AFTER_BOUNDARY_CRLF
        self._enter(found)
        return True

    def _take_headers(self) -> bool:
        rest, begin = self._rest, self._at
        if rest.startswith((b"\n", b"\r\n"), begin):
            end = behind = begin
        else:
            blank = _BLANK_LINE.search(rest, begin)
            end = blank.start() if blank else len(rest)
            if end - begin > MAX_HEADER_BYTES:
                raise BodyFault("the headers of a part are too long")
            if blank is None:
                return False
            behind = end + 1
        self._lead = 1 if rest.startswith(b"\n", behind) else 2
        self._at = behind + self._lead
        self._state = _State.CONTENT
        self._sink.begin_part(_headers(rest[begin:end]))
        return True

    def _take_content(self) -> bool:
        found = self._delimiter(self._at - self._lead)
        if found is not None and found.is_whole:
            self._tell(self._at, found.begin)
            self._sink.end_part()
            self._enter(found)
            return True
        sure = len(self._rest) - self._held_bytes
        if found is not None:
            sure = min(sure, found.begin)
        if sure > self._at:
            self._tell(self._at, sure)
            self._at, self._lead = sure, 0
        return False

    def _pass_epilogue(self) -> bool:
        self._at = len(self._rest)
        return False

    def _enter(self, found: _Delimiter) -> None:
        """Behind a delimiter."""
        self._at, self._lead = found.end, 0
        self._state = _State.EPILOGUE if found.is_last else _State.HEADERS

    # --- what they need ---------------------------------------------------------------------------

    def _tell(self, begin: int, end: int) -> None:
        if end > begin:
            self._sink.part_data(memoryview(self._rest)[begin:end])

    def _delimiter(self, begin: int) -> _Delimiter | None:
        """The next one; a boundary that other bytes follow is none: it begins a longer one."""
        rest, marker = self._rest, self._marker
        at = rest.find(marker, begin)
        while at >= 0:
            after = at + len(marker)
            whole = self._after_boundary.match(rest, after)
            if whole:
                is_last = whole.group(1) is None
                return _Delimiter(at, whole.end(), True, is_last, whole.group(1) or b"")
            if _PERHAPS_AFTER_BOUNDARY.fullmatch(rest, after):
                return _Delimiter(at, len(rest), False)
            at = rest.find(marker, at + 1)
        return None

    def _end_of_unended(self) -> int:
        """Where the content of the last part ends, of which no boundary told."""
        found = self._delimiter(self._at - self._lead)
        if found is not None:
            return found.begin
        last = self._dashed + b"--"
        for line_break in (b"", b"\n", b"\r\n"):
            if self._rest.endswith(last + line_break, self._at):
                return len(self._rest) - len(last + line_break)
        return len(self._rest)


def _headers(block: bytes) -> dict[str, str]:
    """Raises BodyFault."""
    headers: dict[str, str] = {}
    for line in _FOLD.sub(b" ", block).splitlines():
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise BodyFault("a line within the headers of a part is no header")
        headers.setdefault(name.strip().lower(), value.strip())
    return headers
