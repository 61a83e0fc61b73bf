"""Tells the audit trail of every answer that shows, searches or acts on studies, or refuses to.

It reads what the route names: a page or a service that is added is told of without further ado, if
its path names the study by ``{study}``, ``{study_id}`` or ``{job_id}``. A viewer asks for hundreds
of slices: that somebody looks at a study is told once in a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.audit.events import Accessed, Actor, AuditEvent, Query, Refused, Subject, Transferred
from node.audit.looks import REFUSED_AGAIN_S, Once
from node.audit.trail import Trail
from node.web.access.roles import who

DICOMWEB = "/dicom-web"
WHOLE = frozenset(
    f"{DICOMWEB}/studies/{{study}}{below}"
    for below in ("", "/series/{series}", "/series/{series}/instances/{instance}")
)
"""Instances are given away as they are."""
_SEARCHES = frozenset(
    {
        "/",
        "/api/studies",
        *(f"{DICOMWEB}/{name}" for name in ("studies", "series", "instances")),
        f"{DICOMWEB}/studies/{{study}}/series",
        f"{DICOMWEB}/studies/{{study}}/instances",
        f"{DICOMWEB}/studies/{{study}}/series/{{series}}/instances",
    }
)
_WADO_URI = f"{DICOMWEB}/wado"
_READING = frozenset({"GET", "HEAD"})
_IN_SMALL = frozenset({"/studies/{study_id}/thumbnail.webp"})
"""What a list shows of a study that nobody has opened."""


class _Kind(Enum):
    """What of a study was shown; each is told for itself."""

    WHOLE = auto()
    """Instances, given away as they are (PS3.15 A.5.3.7)."""
    IMAGES = auto()
    PAGE = auto()
    IN_SMALL = auto()


class Audited:
    """The innermost of what stands around the application: it sees who asked, and which route."""

    def __init__(self, app: ASGIApp, trail: Trail, node: str) -> None:
        self._app = app
        self._trail = trail
        self._node = Actor(node, is_ae=True)
        self._looks = Once()
        self._refusals = Once(REFUSED_AGAIN_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._tell(scope, message)
            await send(message)

        await self._app(scope, receive, tell)

    def _tell(self, scope: Scope, answer: Message) -> None:
        route, status = route_of(scope), int(answer["status"])
        if (by := actor(Request(scope))) is None:
            return
        if status == 403:
            if self._refusals.is_new((by, route)):
                self._trail.record(Refused(by, f"{scope['method']} {route}", "not allowed"))
        elif status < 400 and scope["method"] in _READING:
            event = self._looked(scope, route, by, _kind(route, answer))
            if event is not None:
                self._trail.record(event)
        elif status < 400 and not route.startswith(DICOMWEB):
            self._tell_act(scope, route, by)

    def _tell_act(self, scope: Scope, route: str, by: Actor) -> None:
        """What somebody had done with a study, each time: the job is cancelled, run again …"""
        subject = subject_of(scope.get("path_params", {}), route, b"")
        if subject is not None:
            self._trail.record(Accessed(by, (subject,), f"{scope['method']} {route}"))

    def _looked(self, scope: Scope, route: str, by: Actor, kind: _Kind) -> AuditEvent | None:
        query: bytes = scope.get("query_string", b"")
        if route in _SEARCHES:
            is_search = bool(query) or route.startswith(DICOMWEB)
            key = (by, scope["path"], query)
            is_told = is_search and self._refusals.is_new(key)
            return Query(by, route, query) if is_told else None
        subject = subject_of(scope.get("path_params", {}), route, query)
        if subject is None:
            return None
        if not self._looks.is_new((by, subject, kind)):
            return None
        if kind is _Kind.WHOLE:
            return Transferred(self._node, by, (subject,), is_received=False)
        return Accessed(by, (subject,), route)


def _kind(route: str, answer: Message) -> _Kind:
    if route in WHOLE or (route == _WADO_URI and _is_dicom(answer)):
        return _Kind.WHOLE
    if route in _IN_SMALL:
        return _Kind.IN_SMALL
    return _Kind.IMAGES if route.startswith(DICOMWEB) else _Kind.PAGE


def _is_dicom(answer: Message) -> bool:
    said = Headers(raw=answer.get("headers", [])).get("content-type", "")
    return said.partition(";")[0].strip() == "application/dicom"


def actor(request: Request) -> Actor | None:
    """Whoever asks; None: nobody whom the node knows."""
    found = who(request)
    if found.role is None:
        return None
    return Actor(found.name, address_of(request.scope), is_person=True)


def route_of(scope: Scope) -> str:
    """The path as the route has it, with ``{study}`` for what stands there; empty: none knew it."""
    route = getattr(scope.get("route"), "path", "")
    root = str(scope.get("root_path", ""))
    return route if route.startswith(root) else f"{root}{route}"


def address_of(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def subject_of(params: Mapping[str, object], route: str, query: bytes) -> Subject | None:
    """The study that a path is about."""
    if "study" in params:
        return Subject(str(params["study"]))
    if "study_id" in params:
        return Subject(study_id=int(str(params["study_id"])))
    if "job_id" in params:
        return Subject(job_id=int(str(params["job_id"])))
    if route == _WADO_URI:
        return Subject("".join(parse_qs(query.decode("latin-1")).get("studyUID", [])[:1]))
    return None
