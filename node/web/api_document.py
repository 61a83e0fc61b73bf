"""The API as a page of text, made from its OpenAPI document.

``python -m node.web.api_document`` writes it to ``docs/api.md``; a test holds the two together.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI

from node.clock import system_clock
from node.observe.health import Health
from node.receive.uploads import Uploads
from node.web.api.routes import routes
from node.web.context import WebContext
from node.web.dicomweb import routes as dicomweb
from node.web.dicomweb.document import TAG
from storage.database import open_database
from storage.files.archive import Archive
from storage.files.results import ResultStore

DOCUMENT = Path("docs/api.md")
_HEAD = """# The API

This text is made from `/openapi.json`, which every node serves, by `make docs`; a test holds the
two together.

Answers are JSON, moments are RFC 3339 with their zone. What changes something wants the header
`X-Wetread: 1`; storing over DICOMweb does not, and is refused to pages of other sites. An answer
other than 2xx, and 503 of `/health`, is `{"error": "a sentence"}`. No answer but those of DICOMweb
holds a UID or names a patient.
"""

Schema = dict[str, Any]


def openapi() -> Schema:
    """The document of a node's API, whatever its settings."""
    with idle_context() as context:
        app = FastAPI(title="Wetread")
        app.router.routes.extend(routes(context).routes)
        document = app.openapi()
        document["paths"].update(dicomweb.paths(context))
        return document


@contextmanager
def idle_context() -> Iterator[WebContext]:
    """Of a node that holds nothing and does nothing: enough to list what it would serve."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'wetread.db'}")
        results = ResultStore(Path(folder))
        yield WebContext(
            database=database,
            results=results,
            archive=Archive(results.blobs, results.blobs),
            health=Health(system_clock),
            title="WETREAD",
            version="",
            dimse_host="",
            dimse_port=lambda: 0,
            destinations=(),
            wake=lambda: None,
            uploads=Uploads(cast(Any, None), cast(Any, None), 0),  # brings nothing: it is described
        )
        database.close()


def text(document: Schema) -> str:
    """The whole page, in Markdown."""
    shapes = document["components"]["schemas"]
    parts = [_HEAD, "## Addresses"]
    web = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if TAG in operation.get("tags", ()):
                web.append((f"{method.upper()} {path}", operation["summary"]))
            else:
                parts.append(_address(method.upper(), path, operation))
    parts.append(_web(web))
    parts.append("## Shapes")
    parts += [_shape(name, shapes[name]) for name in sorted(shapes) if "Validation" not in name]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


_DICOMWEB = """## DICOMweb

What DICOM PS3.18 says of these holds; the conformance statement says which media types and
attributes there are. Bodies are DICOM, and hold what the instances hold."""


def _web(rows: Iterable[tuple[str, str]]) -> str:
    body = [f"| `{address}` | {name} |" for address, name in rows]
    return "\n".join([_DICOMWEB, "", "| Address | Transaction |", "|---|---|", *body])


def _address(method: str, path: str, operation: Schema) -> str:
    answers = operation["responses"]
    refusals = ", ".join(sorted(status for status in answers if status != "200"))
    lines = [
        f"### {method} {path}",
        "",
        operation["description"],
        "",
        f"Answers with {_type(_content(answers['200']))}; else {refusals}.",
    ]
    parameters = [one for one in operation.get("parameters", ()) if one["in"] != "header"]
    if parameters:
        lines += ["", *_table("Parameter", map(_parameter, parameters))]
    return "\n".join(lines)


def _content(answer: Schema) -> Schema:
    found: Schema = answer["content"]["application/json"]["schema"]
    return found


def _parameter(one: Schema) -> tuple[str, str, str]:
    schema = one["schema"]
    said = one.get("description", "")
    if one["required"]:
        said = f"{said} Needed.".strip()
    elif schema.get("default") is not None:
        said = f"{said} Default: {str(schema['default']).lower()}.".strip()
    return one["name"], _type(schema).removesuffix(" or null"), said


def _shape(name: str, shape: Schema) -> str:
    said = " ".join(shape.get("description", "").split())
    lines = [f"### {name}", *(["", said] if said else [])]
    if "enum" in shape:
        return "\n".join([*lines, "", _type(shape)])
    fields = ((key, _type(one), _said(one)) for key, one in shape["properties"].items())
    return "\n".join([*lines, "", *_table("Field", fields)])


def _said(schema: Schema) -> str:
    said = " ".join(schema.get("description", "").split())
    of_its_own = "$ref" not in schema and schema.get("format") != "date-time"
    examples = ", ".join(f"`{one}`" for one in schema.get("examples", ()) if of_its_own)
    return f"{said} Such as {examples}.".strip() if examples else said


def _type(schema: Schema) -> str:
    """A schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("format") == "date-time":
        return "moment"
    return " ".join([str(schema.get("type", "anything")), *_bounds(schema)])


def _bounds(schema: Schema) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < 2**62:
        yield f"{low} to {high}"
    elif low is not None:
        yield f"from {low}"
    if "maxLength" in schema:
        yield f"of at most {schema['maxLength']} characters"


def _table(first: str, rows: Iterable[tuple[str, str, str]]) -> list[str]:
    body = [f"| `{name}` | {kind} | {said} |" for name, kind, said in rows]
    return [f"| {first} | Type | |", "|---|---|---|", *body]


if __name__ == "__main__":
    DOCUMENT.write_text(text(openapi()))
