"""A table of what was measured: this node beside others, with the goals."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

OURS = "Wetread"


@dataclass(frozen=True, slots=True)
class Goal:
    """Beside a side: at least so many times as fast. Of ourselves: at most so much."""

    beside: str = ""
    times: float = 0.0
    at_most: float = 0.0

    def __str__(self) -> str:
        return f"≥ {self.times:g} ×" if self.beside else f"≤ {self.at_most:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One goal and what came of it; all figures the less, the better."""

    case: str
    unit: str
    ours: float
    spread: str
    beside: str
    theirs: float | None
    ratio: float | None
    goal: str
    is_met: bool | None

    @property
    def cells(self) -> str:
        theirs = "" if self.theirs is None else f"{self.beside} {self.theirs:.4g}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        met = {True: "met", False: "**missed**", None: ""}[self.is_met]
        ours = f"{self.ours:.4g} {self.unit}"
        cells = (self.case, ours, self.spread, theirs, ratio, self.goal, met)
        return "| " + " | ".join(cells) + " |"


@dataclass(slots=True)
class Table:
    """Rows as they are found; printed as Markdown."""

    rows: list[Row] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """By case, why it was not measured."""

    def fail(self, case: str, why: str) -> None:
        """A case that could not be measured: the others go on."""
        self.failed[case] = " ".join(why.split())
        print(self._told(case), flush=True)

    def add(self, case: str, unit: str, values: dict[str, list[float]], *goals: Goal) -> None:
        """A row for each goal; values are those of every repeat, by side."""
        ours = statistics.median(values[OURS])
        spread = f"{min(values[OURS]):.4g} – {max(values[OURS]):.4g}"
        for goal in goals:
            if not goal.beside:
                met = ours <= goal.at_most if goal.at_most else None
                text = str(goal) if goal.at_most else ""
                self._add(Row(case, unit, ours, spread, "", None, None, text, met))
            elif goal.beside in values:
                theirs = statistics.median(values[goal.beside])
                ratio = theirs / ours
                met = ratio >= goal.times
                text = str(goal)
                self._add(Row(case, unit, ours, spread, goal.beside, theirs, ratio, text, met))
            else:
                text = f"{goal}, {goal.beside} has it not"
                self._add(Row(case, unit, ours, spread, "", None, None, text, None))

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        print(row.cells, flush=True)

    def text(self) -> str:
        head = "| case | Wetread, median | range | beside | ratio | goal | |"
        rows = [*(row.cells for row in self.rows), *map(self._told, self.failed)]
        return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])

    def _told(self, case: str) -> str:
        return f"| {case} | not measured: {self.failed[case]} | | | | | **failed** |"

    def save(self, file: Path) -> None:
        file.write_text(json.dumps([asdict(row) for row in self.rows], indent=1) + "\n")
