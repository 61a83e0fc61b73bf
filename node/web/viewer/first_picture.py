"""What stands in OHIF's document until OHIF has drawn: the finding on its slice, drawn by the node.

OHIF needs seconds to start, the picture a fraction of one. ``first_picture.js`` takes it away.
"""

from __future__ import annotations

import re
from html import escape

from starlette.datastructures import QueryParams

from node.web.context import WebContext
from node.web.viewer import links
from storage import showing
from storage.kinds import ObjectKind
from storage.showing import Shown

_UID = re.compile(r"[0-9.]{1,64}")
_LATER = frozenset((ObjectKind.SEGMENTATION, ObjectKind.LABEL_MAP))
"""OHIF draws these some time after the image below them."""
_STYLE = """
#first-picture{position:fixed;inset:0;z-index:2147483647;display:flex;flex-direction:column;
background:#000;color:#cbd5e1;font:15px system-ui,sans-serif}
#first-picture img{flex:1;min-height:0;width:100%;object-fit:contain}
#first-picture p{margin:0;padding:.6rem 1rem;text-align:center}
#first-picture a{color:#7dd3fc}
"""
_PICTURE = """<style>{style}</style>
<div id="first-picture" data-until="{until}"><img src="{picture}" alt="What was found, on its slice"
fetchpriority="high"><p role="status">The viewer is starting; this is a picture of what it opens.
<a href="{own}">Stay without it</a></p></div>"""


def in_document(context: WebContext, document: bytes, query: QueryParams) -> bytes:
    """OHIF's document with the picture of what its address opens; as it is where nothing is known.

    Raises
    ------
    DatabaseUnavailable
    """
    shown = _shown(context, query)
    if shown is None:
        return document
    picture = _PICTURE.format(
        style=_STYLE,
        until="segmentation" if shown.kind in _LATER else "image",
        picture=escape(links.first_picture(shown)),
        own=escape(links.own_view(shown)),
    )
    return document.replace(b"</body>", picture.encode() + b"</body>", 1)


def _shown(context: WebContext, query: QueryParams) -> Shown | None:
    """None also where several studies are opened side by side."""
    study = query.get("StudyInstanceUIDs", "")
    series = query.get("initialSeriesInstanceUID", "")
    if not _UID.fullmatch(study) or (series and not _UID.fullmatch(series)):
        return None
    with context.database.look() as tx:
        if series:
            return showing.of_series(tx, study, series)
        known = showing.by_uid(tx, study)
        return Shown(known[0].id, study) if known else None
