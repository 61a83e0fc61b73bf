"""Models whose fields are explained by the text below them, read from the source when it is wanted.

pydantic reads it too (``use_attribute_docstrings``), but at every import: a tenth of the node's
start, for documents that few ask for.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue


class Explained(BaseModel):
    """In its JSON Schema the text below a field is the field's description."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        made = handler(schema)
        properties = handler.resolve_ref_schema(made).get("properties", {})
        for name, field in cls.model_fields.items():
            text = _text(cls, name)
            for key in (name, field.alias, field.serialization_alias):
                if text and key in properties:
                    properties[key].setdefault("description", text)
        return made


def _text(model: type[BaseModel], field: str) -> str:
    """Where a class declares a field again, its own text counts."""
    declaring = (one for one in model.__mro__ if field in inspect.get_annotations(one))
    return next((_texts(one).get(field, "") for one in declaring), "")


@cache
def _texts(model: type) -> dict[str, str]:
    """By the name of the field above each."""
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(found, ast.ClassDef)
    return {
        above.target.id: inspect.cleandoc(below.value.value)
        for above, below in pairwise(found.body)
        if isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(below.value.value, str)
    }
