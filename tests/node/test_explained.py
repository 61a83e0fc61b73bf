"""What a field means stands below it in the code, and in the JSON Schema that is made of it."""

from __future__ import annotations

from pydantic import Field

from node.explained import Explained


class Broad(Explained):
    width_mm: float = 1.0
    """From side to side."""
    height_mm: float = 2.0
    """From top to bottom."""
    depth_mm: float = 3.0


class Narrow(Broad):
    height_mm: float = 1.0
    size_bytes: int = Field(default=0, serialization_alias="bytes")
    """On the disk,
    compressed."""
    inner: Broad = Broad()
    """What lies in it."""


def test_the_text_below_a_field_is_its_description() -> None:
    schema = Narrow.model_json_schema(mode="serialization")
    said = {name: field.get("description") for name, field in schema["properties"].items()}
    assert said == {
        "width_mm": "From side to side.",
        "height_mm": None,  # declared again, without a word
        "depth_mm": None,
        "bytes": "On the disk,\ncompressed.",
        "inner": "What lies in it.",
    }
    inner = schema["$defs"]["Broad"]["properties"]
    assert inner["height_mm"]["description"] == "From top to bottom."
