"""The DICOM conformance statement in the form of PS3.2, made from the tables the node works by.

``python -m node.conformance`` writes it to ``docs/conformance.md``; a test holds the two together.
What stands in its parts in words alone is what no table says.
"""

from __future__ import annotations

from pathlib import Path

from node.conformance import (
    acceptance,
    annexes,
    configuration,
    delivery,
    initiation,
    overview,
    stow,
    web,
    writing,
)

DOCUMENT = Path("docs/conformance.md")
_CONTENTS = "<contents>"


def statement() -> str:
    """The whole text, in Markdown, in the order of PS3.2."""
    parts = (
        overview.text(_CONTENTS),
        overview.model(),
        acceptance.policies(),
        initiation.text(),
        acceptance.text(),
        web.text(),
        stow.text(),
        delivery.text(),
        configuration.text(),
        annexes.text(),
    )
    return writing.numbered("\n".join(parts), _CONTENTS)


def main() -> None:
    """Write the statement where it stands."""
    DOCUMENT.write_text(statement(), encoding="utf-8")
