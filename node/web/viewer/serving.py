"""Serves OHIF from the root of the node's origin, behind every path that the node itself knows.

OHIF is compiled for the root path. Its documents have a Content-Security-Policy of their own: no
script but its files and the two that stand in its document, named by their hashes. Styles may stand
inline, for it writes them so; and it may compile texts that it makes itself (``unsafe-eval``): its
arrays of segmentations and its decoder of JPEG-LS are made that way. None of its service workers
runs: they load from other hosts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from node.ohif.installed import COMPRESSED, Installation, Viewer
from node.web.access.roles import PUBLIC, Need, Role, admit, admit_to_images
from node.web.context import WebContext
from node.web.dicomweb.conditions import entity_tag, is_known
from node.web.viewer import first_picture
from node.web.viewer.configuration import app_config

DOCUMENTS = frozenset(
    ("viewer", "segmentation", "tmtv", "dynamic-volume", "usAnnotation", "preclinical-4d")
)
"""The first part of the paths at which OHIF shows images: its modes."""
EMPTY = frozenset(("sw.js", "init-service-worker.js"))
CONFIGURATION = "app-config.js"
_OWN = EMPTY | {CONFIGURATION}
NOT_INSTALLED = (
    "the viewer OHIF is not installed on this node: whoever runs it can do so by"
    " `wetread viewer install`"
)
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
FOREVER = "private, max-age=31536000, immutable"
SHORT = "private, max-age=3600, stale-while-revalidate=604800"
"""Of what is named alike after an update: an hour later a browser asks whether it is the same."""
_NAMED_BY_CONTENT = re.compile(r"(?:^|[./])[0-9a-f]{16}\.(?:js|wasm|woff2)$")
_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "jsonc": "application/json",
    "xml": "application/xml",
    "wasm": "application/wasm",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
}


def routes(context: WebContext, viewer: Viewer) -> list[BaseRoute]:
    """They come last: they are asked for what nothing else has."""
    return [ViewerDocuments(context, viewer), ViewerFiles(viewer)]


def content_policy(installation: Installation) -> str:
    """Of OHIF's document, and of its files: a worker has that of its own script."""
    inline = " ".join(installation.inline_scripts)
    return (
        f"default-src 'self'; script-src 'self' 'unsafe-eval' {inline};"
        " worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
        " connect-src 'self' data: blob:; font-src 'self' data:; object-src 'none';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


class _Route(BaseRoute):
    """Matches what OHIF has, and nothing else: other paths stay those of the application."""

    path: str
    needs: Mapping[str, Need]
    shows_images = False

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and scope["method"] == "GET" and self._has(scope["path"][1:]):
            return Match.FULL, {}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await admit(request, self.needs["GET"])
        if self.shows_images:
            admit_to_images(request)
        answer = await run_in_threadpool(self._answer, request)
        await answer(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        found = self._viewer.installation()
        if found is None:
            raise HTTPException(404, NOT_INSTALLED)
        answer = self._of(found, request, request.url.path[1:])
        answer.headers["Content-Security-Policy"] = content_policy(found)
        return answer

    def _has(self, name: str) -> bool:
        raise NotImplementedError

    def _of(self, found: Installation, request: Request, name: str) -> Response:
        raise NotImplementedError


class ViewerDocuments(_Route):
    """The paths at which OHIF shows images."""

    path = "/viewer"
    needs = MappingProxyType({"GET": Role.VIEWER})
    shows_images = True

    def __init__(self, context: WebContext, viewer: Viewer) -> None:
        super().__init__(viewer)
        self._context = context

    def _has(self, name: str) -> bool:
        return name.partition("/")[0] in DOCUMENTS

    def _of(self, found: Installation, request: Request, name: str) -> Response:
        document = first_picture.in_document(self._context, found.document, request.query_params)
        return _sent(document, "html", "no-cache")


class ViewerFiles(_Route):
    """What OHIF's documents load. Nothing in it is of a patient or of this node, and browsers ask
    for some of it without their cookies."""

    path = "/app-config.js"
    needs = MappingProxyType({"GET": PUBLIC})

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self._configuration = app_config(viewer.segmentations_as).encode()

    def _has(self, name: str) -> bool:
        found = self._viewer.installation()
        return found is not None and (name in _OWN or name in found.files)

    def _of(self, found: Installation, request: Request, name: str) -> Response:
        if name == CONFIGURATION:
            return _unless_known(request, _sent(self._configuration, "js", "no-cache"))
        if name in EMPTY:
            return _unless_known(request, _sent(b"", "js", SHORT))
        is_kept_for_ever = _NAMED_BY_CONTENT.search(name)
        answer = _file(request, found, name, FOREVER if is_kept_for_ever else SHORT)
        return answer if is_kept_for_ever else _unless_known(request, answer)


def _unless_known(request: Request, answer: Response) -> Response:
    """304 where the browser has these very bytes."""
    tag = entity_tag(hashlib.sha256(answer.body).hexdigest())
    answer.headers["ETag"] = tag
    if not is_known(request, tag):
        return answer
    about_the_body = ("content-length", "content-type", "content-encoding")
    kept = {name: one for name, one in answer.headers.items() if name not in about_the_body}
    return Response(None, 304, kept)


def _file(request: Request, found: Installation, name: str, kept: str) -> Response:
    path = found.files[name]
    more = {"Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        compressed = path.with_name(path.name + COMPRESSED)
        if compressed.exists():
            path, more = compressed, {**more, "Content-Encoding": "gzip"}
    try:
        return _sent(path.read_bytes(), name.rpartition(".")[2], kept, more)
    except FileNotFoundError as error:
        raise HTTPException(404, NOT_INSTALLED) from error


def _sent(body: bytes, suffix: str, kept: str, more: Mapping[str, str] | None = None) -> Response:
    headers = {**ISOLATED, "Cache-Control": kept, **(more or {})}
    return Response(body, 200, headers, _TYPES.get(suffix, "application/octet-stream"))
