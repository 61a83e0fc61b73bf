"""What every table of the settings is: frozen, with known keys only, of plain text."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, field_validator

from node.config.values import check_plain
from node.explained import Explained


class Table(Explained):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return check_plain(value)
