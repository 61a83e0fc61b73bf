"""Answers as they are sent: straight from their shapes, where there may be many rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from fastapi.responses import Response
from pydantic import TypeAdapter

from node.web.shapes.base import Shape

Row = TypeVar("Row", bound=Shape)


class Sender(Generic[Row]):
    """Sends lists of one shape. A route declares the same shape as its ``response_model``.

    FastAPI would check again what has its shape already, on the thread that serves all.
    """

    def __init__(self, shape: type[Row]) -> None:
        self._rows = TypeAdapter(list[shape])  # type: ignore[valid-type]  # mypy: no variable types

    def read(self, records: Iterable[object]) -> list[Row]:
        """Records of ``storage`` as shapes."""
        return self._rows.validate_python(list(records))

    def text(self, rows: list[Row]) -> bytes:
        """The JSON of a list."""
        return self._rows.dump_json(rows, by_alias=True)

    def answer(self, rows: list[Row]) -> Response:
        return as_sent(self.text(rows))


def as_sent(text: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON text as an answer."""
    return Response(text, media_type="application/json", headers=headers)
