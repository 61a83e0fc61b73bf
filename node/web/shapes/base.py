"""What all shapes of answers have in common: how texts, moments and rows of the tables are sent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
)

from node.explained import Explained
from node.web.wording import readable


class Shape(Explained):
    """A JSON object of an answer. It holds no UID and nothing that names a patient.

    The text below a field is its description in the OpenAPI document. Records of ``storage`` and
    views of the page are taken as they are, field by field.
    """

    model_config = ConfigDict(
        from_attributes=True,
        frozen=True,
        ser_json_inf_nan="null",
    )

    @classmethod
    def columns(cls, record: object) -> dict[str, Any]:
        """The values that a record has under the names of this shape's own fields."""
        return {name: getattr(record, name) for name in cls.model_fields}


Moment = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat, return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-03-01T12:00:07+00:00"]}
    ),
]
"""A moment with its zone (RFC 3339)."""

Text = Annotated[str, BeforeValidator(readable)]
"""May quote an image: what does not decode is named as unreadable."""
