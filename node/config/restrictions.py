"""Which studies a role sees, where it does not see all."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from node.config.table import Table
from node.config.values import AETitle, example

RestrictedRole = Literal["viewer", "operator"]
SomeText = Annotated[str, Field(min_length=1, max_length=256)]


class RestrictionSettings(Table):
    """Whoever one of these tables speaks of sees the studies of these tables alone; the others are
    not there for it: on pages, in the API, over DICOMweb and in the viewer. What comes over DIMSE
    is a matter of `[[peers]]`."""

    role: Annotated[RestrictedRole, example("viewer")]
    """Administrators see all."""
    users: Annotated[tuple[SomeText, ...], example(["dr.north"])] = ()
    """Only these of the role. Left out: all of it."""
    ae_titles: Annotated[tuple[AETitle, ...], example(["CT1", "CT2"])] = ()
    """Studies of which one of these sent an image."""
    institutions: Annotated[tuple[SomeText, ...], example(["North Clinic"])] = ()
    """Studies that say so in their first image (Institution Name), whatever the case. With
    `ae_titles` both have to be so."""

    @model_validator(mode="after")
    def _names_studies(self) -> RestrictionSettings:
        if not self.ae_titles and not self.institutions:
            raise ValueError("give ae_titles or institutions: it would restrict nothing")
        return self
