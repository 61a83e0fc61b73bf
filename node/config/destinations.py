"""Where results go: destinations of three kinds, told apart by the key ``kind``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator

from node.config.dimse import MIB, CalledSettings
from node.config.file_names import DEFAULT_TEMPLATE, check_template
from node.config.sent import check_sent
from node.config.table import Table
from node.config.values import Name, example
from node.config.web_called import WebCalledSettings

SentName = Annotated[str, AfterValidator(check_sent)]


class DestinationSettings(Table):
    """Where results go: what is told of a destination of any kind."""

    name: Annotated[Name, example("pacs")]
    """What rules and commands call it."""
    max_per_minute: Annotated[Annotated[int, Field(ge=1)] | None, example(120)] = None
    """So many objects at most go there in a minute. Left out: as many as it takes."""
    max_mb_per_minute: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, example(500)
    ] = None
    """So much at most goes there in a minute; a larger object goes, and then nothing for a while.
    Left out: as much as it takes."""

    send: Annotated[Literal["auto"] | tuple[SentName, ...], example(["auto", "labelmap"])] = "auto"
    """`"auto"`: of each finding the best form that it takes. Or a list of kinds, taken at its word:
    these go where they are taken; with `"auto"` among them, beside what is chosen so. What refers
    to something that does not go does not go either."""
    sr: Annotated[Literal["full", "regions"], example("regions")] = "full"
    """`"regions"`: for readers that know no segments, the report that speaks of images alone."""
    retract: Annotated[Literal["quality", "safety", "retention"] | None, example("quality")] = None
    """Takes results back there that later ones have superseded, once these are stored: by a
    rejection note (IHE IOCM). `"quality"`, or `true`: rejected for quality reasons, so an archive
    keeps them apart. The others are for archives that hide by those only. Left out: nothing is."""

    @field_validator("retract", mode="before")
    @classmethod
    def _yes_or_no(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return "quality" if value else None
        return value

    @property
    def max_bytes_per_minute(self) -> float | None:
        return None if self.max_mb_per_minute is None else self.max_mb_per_minute * MIB


class DimseDestinationSettings(DestinationSettings, CalledSettings):
    """Where results go by C-STORE; studies are fetched from there too."""

    kind: Annotated[Literal["dimse"], example("dimse")] = "dimse"
    """How it is called; may be left out."""
    commitment: Annotated[bool, example(True)] = False
    """Ask it to commit to the results (storage commitment)."""


class StowDestinationSettings(DestinationSettings, WebCalledSettings):
    """Where results go by STOW-RS; studies are fetched from there too, by QIDO-RS and WADO-RS.
    There is no storage commitment over the web: its answer counts."""

    name: Annotated[Name, example("cloud_pacs")]
    """What rules and commands call it."""
    kind: Annotated[Literal["stow"], example("stow")]
    """How it is called."""
    max_request_objects: Annotated[int, Field(ge=1, le=10_000), example(1)] = 50
    """So many objects at most go with one request."""
    max_request_mb: Annotated[int, Field(ge=1, le=100_000), example(50)] = 100
    """So much at most goes with one request; a larger object goes alone."""

    @property
    def max_request_bytes(self) -> int:
        return self.max_request_mb * MIB


class FolderDestinationSettings(DestinationSettings):
    """Where results go as files. There is no storage commitment: a file that is there counts."""

    name: Annotated[Name, example("export")]
    """What rules and commands call it."""
    kind: Annotated[Literal["folder"], example("folder")]
    """How it is called."""
    path: Annotated[Path, example(Path("/mnt/export"))]
    """The folder. It has to be there: what is not mounted is not made."""
    template: Annotated[
        str, AfterValidator(check_template), example("{date}/{study}/{modality}-{digest}.dcm")
    ] = DEFAULT_TEMPLATE
    """How files are named below it, of `{job}`, `{object}`, `{modality}`, `{date}` (on which the
    object was made), `{digest}` (of its bytes) and `{study}` (a digest of its UID): nothing else of
    a header enters a name. Another file with that name stays: a number is added to the new one's.
    """

    @property
    def where(self) -> str:
        """Its address in words."""
        return f"the folder {self.path}"


_KINDS: dict[str, type[DestinationSettings]] = {
    "dimse": DimseDestinationSettings,
    "stow": StowDestinationSettings,
    "folder": FolderDestinationSettings,
}


def kind_of(value: Any) -> str:
    """The kind that a table has or names; without one it is called by DIMSE."""
    if isinstance(value, dict):
        return str(value.get("kind", "dimse"))
    return str(getattr(value, "kind", "dimse"))


def settings_of(kind: object) -> type[DestinationSettings] | None:
    """The table of a kind; None for what is none."""
    return _KINDS.get(str(kind))


AnyDestination = Annotated[
    Annotated[DimseDestinationSettings, Tag("dimse")]
    | Annotated[StowDestinationSettings, Tag("stow")]
    | Annotated[FolderDestinationSettings, Tag("folder")],
    Discriminator(
        kind_of,
        custom_error_type="unknown_kind",
        custom_error_message='kind is "dimse", "stow" or "folder"',
    ),
]
