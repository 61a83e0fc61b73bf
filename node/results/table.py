"""Tables of ``docs/results.md``: ``python -m node.results.table FILE``.

The kinds of results, and the structures that analyzers find; each is written between its marks.
Without a file the kinds are printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from pydicom.uid import UID, Comprehensive3DSRStorage

from analyzers import structures
from analyzers.structures import Structure
from node.results.forms.table import FORMS
from node.results.gate.required import LABEL_MAP_STORAGE
from node.results.kinds import KINDS
from node.results.report.sr import REPORT_NUMBER
from node.results.series_numbers import Block
from storage.kinds import ObjectKind

KINDS_MARK, STRUCTURES_MARK = "kinds", "structures"
_STRUCTURES_HEAD = (
    "| Key | English | German | Category; type; site | Side | CIELab | RT interpreted type |"
)
_HEAD = "| Finding | SOP class | Place in the run's block of series numbers | Kind | Delivered |"


def table() -> str:
    """In Markdown, one line a kind, in the order in which objects are made."""
    return "\n".join([_HEAD, "|---|---|---|---|---|", *_lines(), ""])


def structure_table() -> str:
    """In Markdown, one line a structure of the node's own table, in its order."""
    own = (resources.files("analyzers") / structures.FILE).read_text(encoding="utf-8")
    lines = [_structure(one) for one in structures.read(own, structures.FILE)]
    return "\n".join([_STRUCTURES_HEAD, "|---|---|---|---|---|---|---|", *lines, ""])


def filled(page: str) -> str:
    """The page with the tables between their marks. Raises ``ValueError`` where it has none."""
    return _filled(_filled(page, KINDS_MARK, table()), STRUCTURES_MARK, structure_table())


def _filled(page: str, name: str, content: str) -> str:
    begin_mark, end_mark = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, begin, rest = page.partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not begin or not end:
        raise ValueError(f"the page lacks the marks {begin_mark.strip()} and {end_mark.strip()}")
    return f"{before}{begin_mark}{content}{end_mark}{after}"


def _structure(one: Structure) -> str:
    codes = (one.category, one.kind, *([one.site] if one.site else ()))
    said = "; ".join(f"{code.meaning} ({code.value}, {code.scheme})" for code in codes)
    colour = f"{', '.join(f'{value:g}' for value in one.lab)} (#{bytes(one.rgb).hex()})"
    numbered = " *number*" if one.is_numbered else ""
    return (
        f"| `{one.key}` | {one.english}{numbered} | {one.german}{numbered} | {said} "
        f"| {one.sides} | {colour} | {one.interpreted} |"
    )


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
