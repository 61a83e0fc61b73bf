"""The same OHIF before another server's DICOMweb: its files, and a configuration that names it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.ohif.install import install
from node.ohif.installed import COMPRESSED, Viewer

_TYPES = {".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm"}
_KEPT = {"Cache-Control": "private, max-age=31536000, immutable"}
_CONFIG = """
window.config = {
  name: 'benchmark', routerBasename: null, extensions: [], modes: [], showStudyList: false,
  customizationService: { 'ohif.tours': { $set: [] } }, disableConfirmationPrompts: true,
  investigationalUseDialog: { option: 'never' }, maxNumberOfWebWorkers: 3,
  showLoadingIndicator: true, strictZSpacingForVolumeViewport: true,
  maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
  defaultDataSourceName: 'pacs',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'pacs',
    configuration: {
      friendlyName: 'PACS', name: 'pacs', wadoUriRoot: '%web%', qidoRoot: '%web%',
      wadoRoot: '%web%', qidoSupportsIncludeField: false, imageRendering: 'wadors',
      thumbnailRendering: 'wadors', enableStudyLazyLoad: true, supportsFuzzyMatching: false,
      supportsWildcard: true, singlepart: 'bulkdata,video',
      bulkDataURI: { enabled: true, relativeResolution: 'studies' },
      omitQuotationForMultipartRequest: true,
    },
  }],
};
"""


def installed(folder: Path) -> Viewer:
    """OHIF below a folder: there from an earlier run, or fetched by npm."""
    viewer = Viewer(folder)
    if not viewer.is_installed:
        install(folder, None, lambda step: print(f"OHIF: {step}", flush=True))
    return viewer


@contextmanager
def page(viewer: Viewer, web: str) -> Iterator[str]:
    """OHIF before ``web``; gives its address."""
    found = viewer.installation()
    assert found is not None
    config = _CONFIG.replace("%web%", web)

    async def answer(request: Request) -> Response:
        name = request.url.path[1:]
        if name == "app-config.js":
            return Response(config, media_type="text/javascript")
        if name not in found.files:
            is_script = name.endswith(".js")
            body = b"" if is_script else found.document
            return Response(body, media_type="text/javascript" if is_script else "text/html")
        path = found.files[name]
        packed = path.with_name(path.name + COMPRESSED)
        headers = {**_KEPT, **({"Content-Encoding": "gzip"} if packed.exists() else {})}
        body = (packed if packed.exists() else path).read_bytes()
        return Response(body, 200, headers, _TYPES.get(path.suffix, "application/octet-stream"))

    application = Starlette(routes=[Route("/{path:path}", answer)])
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()
