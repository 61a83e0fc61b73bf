"""Answers in DICOM JSON, and how they are packed on their way (RFC 9110 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from starlette.requests import Request

from node.web.dicomweb.accept import Offer
from node.web.dicomweb.media_types import DICOM_JSON
from node.web.dicomweb.refusing import bad_request

JSON = "application/json"
_NETLOC = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("127.0.0.1", "::1")
OFFERS = (Offer(DICOM_JSON), Offer(JSON))
GZIP = "gzip"


def joined(arrays: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    """Several JSON arrays, as ``array`` writes them, as one."""
    yield b"["
    separator = b""
    for one in arrays:
        last = b""
        for piece in filter(None, one):
            if piece.startswith(b"[]"):
                break
            if not last:
                yield separator
                piece = piece[1:]
            else:
                yield last
            last = piece
            separator = b",\n"
        yield last[:-1]
    yield b"]"


def takes_gzip(request: Request) -> bool:
    """Whether the client unpacks what was packed."""
    for part in ",".join(request.headers.getlist("accept-encoding")).split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip().lower() in (GZIP, "x-gzip"):
            weight = parameters.replace(" ", "").lower()
            return not weight.startswith("q=0") or bool(weight.strip("q=0."))
    return False


def origin(request: Request) -> str:
    """By which the client knows the node, so that it can ask for what URLs name.

    Some clients leave the port out of Host. Where it names the very address that the connection
    came to, there is no proxy between, and the port is known.

    Raises
    ------
    HTTPException
        400: Host is none; it would stand in what is kept and told to others.
    """
    netloc = request.url.netloc
    if not _NETLOC.fullmatch(netloc):
        raise bad_request("the Host header is no host and port")
    address, port = request.scope.get("server") or ("", None)
    here = {address, "localhost"} if address in _LOOPBACK else {address}
    if port and netloc in here and port != _PORTS.get(request.url.scheme):
        netloc = f"{netloc}:{port}"
    return f"{request.url.scheme}://{netloc}"
