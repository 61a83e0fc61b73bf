"""What URLs of the page and the API may say: numbers, places and words, with their bounds."""

from __future__ import annotations

from typing import Annotated

from fastapi import HTTPException, Path, Query

from node.web import places
from storage.records import StudyPlace

_LARGEST = 2**63 - 1
"""Of the databases' integers; larger numbers are refused here."""

RowId = Annotated[int, Path(ge=0, le=_LARGEST, description="Its number, as the lists show it.")]
SomeRowId = Annotated[int | None, Query(ge=0, le=_LARGEST)]
OfStudy = Annotated[SomeRowId, Query(description="Only of this study.")]
OfJob = Annotated[SomeRowId, Query(description="Only of this job.")]
BeforeJob = Annotated[SomeRowId, Query(description="Only jobs entered before this one.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="So many rows at most.")]
Offset = Annotated[int, Query(ge=0, le=_LARGEST, description="So many rows are passed over.")]
PlaceText = Annotated[
    str | None,
    Query(
        max_length=40,
        description="A place in the list, as the header Link of the answer before names it.",
        examples=["1772366407000000x17"],
    ),
]


def place_of(name: str, text: str | None) -> StudyPlace | None:
    """The place that a query names.

    Raises
    ------
    HTTPException
    """
    try:
        return None if text is None else places.read(text)
    except ValueError as error:
        raise HTTPException(422, f"query.{name}: {error}") from error
