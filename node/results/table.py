"""The kinds of results as a table for ``docs/results.md``: ``python -m node.results.table FILE``.

Writes it between the marks in the file; without a file it prints the table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pydicom.uid import UID, Comprehensive3DSRStorage

from node.results.forms.table import FORMS
from node.results.gate.required import LABEL_MAP_STORAGE
from node.results.kinds import KINDS
from node.results.report.sr import REPORT_NUMBER
from node.results.series_numbers import Block
from storage.kinds import ObjectKind

BEGIN, END = "<!-- kinds: begin -->\n", "<!-- kinds: end -->\n"
_HEAD = "| Finding | SOP class | Place in the run's block of series numbers | Kind | Delivered |"


def table() -> str:
    """In Markdown, one line a kind, in the order in which objects are made."""
    return "\n".join([_HEAD, "|---|---|---|---|---|", *_lines(), ""])


def filled(page: str) -> str:
    """The page with the table between its marks. Raises ``ValueError`` where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the marks {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{table()}{END}{after}"


def _lines() -> Iterator[str]:
    for kind in KINDS:
        if kind.objects is None:
            yield f"| {kind.name} (`{kind.finding.__name__}`) | in the report | | | |"
            continue
        made = kind.objects
        classes = ", ".join(uid.name for uid in made.sop_classes)
        yield (
            f"| {kind.name} (`{kind.finding.__name__}`) | {classes} | {_numbers(made.numbers)} "
            f"| {_place(made.kind)} |"
        )
    name = Comprehensive3DSRStorage.name
    yield f"| Report of all findings | {name} | {_numbers(REPORT_NUMBER)} | {_place('sr')} |"
    for form in FORMS:
        yield (
            f"| {form.name} | {_class_name(form.sop_class)} | {_numbers(form.numbers)} "
            f"| {_place(form.kind)} |"
        )


def _class_name(sop_class: UID) -> str:
    """pydicom does not know label maps yet."""
    is_map = sop_class == LABEL_MAP_STORAGE
    return "Label Map Segmentation Storage" if is_map else sop_class.name


def _numbers(block: Block) -> str:
    first, last = f"{block.first:02d}", f"{block.offsets[-1]:02d}"
    if block.is_one_series:
        return f"{first}, one series for all"
    return first if first == last else f"{first}–{last}"


def _place(kind: str) -> str:
    return f"{ObjectKind(kind)} | {ObjectKind(kind).rank + 1}"


def main() -> None:
    if len(sys.argv) < 2:
        print(table(), end="")
        return
    path = Path(sys.argv[1])
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
