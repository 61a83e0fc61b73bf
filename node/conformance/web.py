"""What the conformance statement says of DICOMweb; its services are the routes that serve them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from node.conformance import search
from node.conformance.writing import table
from node.retrieve.grey import WindowFunction
from node.retrieve.media_types import BY_SYNTAX, OCTET_STREAM
from node.retrieve.rendered import GIF, JPEG, PNG, QUALITY
from node.retrieve.transcode import DECODED
from node.web.api_document import idle_context
from node.web.dicomweb.frame_list import MOST_FRAMES
from node.web.dicomweb.room import Room
from node.web.dicomweb.routes import PREFIX, services
from node.web.dicomweb.services import Service
from node.web.dicomweb.viewing import MOST_PIXELS_A_SIDE, NOT_APPLIED, THUMBNAIL


def text() -> str:
    """The section, in Markdown."""
    return f"""#### Web services (PS3.18)

Below `{PREFIX}`, over HTTP/1.1, where the settings of `[http]` let clients in. Images and the
node's own results are served alike. Every resource that knows GET knows HEAD, which reads no body.

{_services()}
{search.text()}
Media types of instances: `application/dicom` in parts (`multipart/related`), alone where it is one,
and `application/zip`. Transfer syntaxes: `*` for what is stored, {_listed(DECODED)},
and the one that all instances of a request are stored in; who names none is given
`{DECODED[0]}`, as the standard says, and in archives what is stored. What cannot be
decompressed comes as stored, as its part says; alone it is answered 406. Nothing is ever
compressed, or compressed anew.

Frames come as stored, under the media type of their transfer syntax or `{OCTET_STREAM}` with
`transfer-syntax=*`; decompressed as `{OCTET_STREAM}` alone. In one request at most {MOST_FRAMES}.

{_media_types()}
Bulk data: `…/bulkdata/` and the tag of the value, or the tags and item numbers from 0 that lead to
it, as the metadata name them; `{OCTET_STREAM}`, alone or as a part. Compressed pixel data come as
frames.

Rendered: {_listed((JPEG, PNG, GIF))}, alone for one frame, in parts for several. Parameters:

{_parameters()}
Without a window the one of the header is taken, or its VOI LUT, else all values are shown. Colour
is shown as sRGB; segments have their Recommended Display CIELab Value. Presentation states are not
applied, overlays not drawn.

Files, values and other single parts are given by ranges of bytes. Answers have an entity tag, and
`If-None-Match` is answered 304, unless they hold more than 999 instances.

{_statuses()}"""


def _services() -> str:
    rows = (
        (one.name, one.method, f"`{PREFIX}{one.path.replace(':path', '')}`") for one in _known()
    )
    return table(("Service", "Method", "Resource"), rows)


def _known() -> list[Service]:
    with idle_context() as context, ThreadPoolExecutor(1) as slots:
        return services(Room(context, slots, slots))


def _media_types() -> str:
    by_type: dict[str, list[str]] = {}
    for syntax, media_type in BY_SYNTAX.items():
        by_type.setdefault(media_type, []).append(syntax)
    rows = ((f"`{media_type}`", _listed(found)) for media_type, found in by_type.items())
    return table(("Media type of a frame", "Transfer syntaxes"), rows)


def _parameters() -> str:
    return table(
        ("Parameter", "Form", "Left out"),
        [
            ("`window`", f"center,width,function; {_listed(WindowFunction)}", "the header's"),
            (
                "`viewport`",
                f"width,height,left,top,width,height; at most {MOST_PIXELS_A_SIDE} a side",
                f"as large as the image; of a thumbnail {THUMBNAIL},{THUMBNAIL}",
            ),
            ("`quality`", "1 to 100, of JPEG", QUALITY),
            (
                ", ".join(f"`{one}`" for one in NOT_APPLIED),
                "not applied: a Warning header says so",
                "",
            ),
        ],
    )


def _statuses() -> str:
    return table(
        ("Status", "When"),
        [
            ("200, 206, 304", "as asked; a range; the client has it already"),
            ("400", "a UID, a frame number or a parameter makes no sense: the answer says which"),
            ("404", "nothing is held under these UIDs, or the instance has no such frame or value"),
            ("405", "the resource does not know the method; `Allow` lists those it knows"),
            ("406", "nothing that is accepted is offered; the answer lists what is"),
            ("413", "the search is too broad, or the body too long"),
            ("416", "there is no such range"),
            ("503", "the database is not available, or too much is asked at once: `Retry-After`"),
        ],
    )


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{one}`" for one in words)
