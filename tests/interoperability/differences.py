"""Why archives answer generated queries otherwise than PS3.4 says, kind by kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType

from tests.interoperability.queries import Asked


@dataclass(frozen=True, slots=True)
class Answer:
    """What one side found, and the status it ended with."""

    found: frozenset[str]
    status: int


@dataclass(frozen=True, slots=True)
class Compared:
    """One query: what the standard says, what each side said."""

    asked: Asked
    right: frozenset[str]
    answers: dict[str, Answer]

    def differs(self, side: str) -> bool:
        return self.answers[side].found != self.right

    @property
    def sides(self) -> tuple[str, ...]:
        return tuple(side for side in self.answers if self.differs(side))


@dataclass(frozen=True, slots=True)
class Reason:
    """What decides a difference, and why the side answers as it does."""

    clause: str
    text: str


_CASE = Reason(
    "PS3.4 C.2.2.2.1",
    "compares names with their case; the standard leaves it to the implementation",
)
_EMPTY_COMPONENTS = Reason(
    "PS3.5 6.2.1.1", "takes empty components at the end of a name for a part of it"
)
_NO_KEY = Reason(
    "PS3.4 C.2.2.1.2", "does not support the optional key, and finds all as if it were not asked"
)
_STRICT = Reason(
    "PS3.4 C.4.1.2.1", "refuses a query without the unique keys above (0xC000): hierarchical only"
)
_ANY = Reason(
    "PS3.4 C.2.2.2.4",
    "the standard knows neither for a date; clients mean any, as the node takes it",
)
_NUMBERS = Reason("CP-2305", "compares the text of a number; left to the implementation")
_PRECISION = Reason(
    "PS3.4 C.2.2.2.5",
    "how a time of less precision compares is not said; the node takes 09 for all of that hour",
)
REASONS: MappingProxyType[tuple[str, str], Reason] = MappingProxyType(
    {
        ("Wetread", "time"): _PRECISION,
        ("Wetread", "range of times"): _PRECISION,
        ("Orthanc", "range of times"): _PRECISION,
        ("dcmqrscp", "range of times"): _PRECISION,
        ("Orthanc", "'-' or '*' for a date"): _ANY,
        ("dcmqrscp", "'-' or '*' for a date"): _ANY,
        ("Orthanc", "number, IS"): _NUMBERS,
        ("dcmqrscp", "number, IS"): _NUMBERS,
        ("Orthanc", "name, empty components at its end"): _EMPTY_COMPONENTS,
        ("dcmqrscp", "name, empty components at its end"): _EMPTY_COMPONENTS,
        ("Orthanc", "name by wildcard"): _EMPTY_COMPONENTS,
        ("Orthanc", "one of several values"): Reason(
            "PS3.4 C.2.2.2",
            "compares all values as one text; one of them is enough",
        ),
        ("Orthanc", "range of dates"): Reason(
            "PS3.4 C.2.2.2.5", "finds what has no date in a range without a beginning"
        ),
        ("dcmqrscp", "name"): _CASE,
        ("dcmqrscp", "name in other case"): _CASE,
        ("dcmqrscp", "name by wildcard"): _CASE,
        ("dcmqrscp", "another name"): _CASE,
        ("dcmqrscp", "patients"): _CASE,
        ("dcmqrscp", "modalities in study"): _NO_KEY,
        ("dcmqrscp", "several modalities in study"): _NO_KEY,
        ("dcmqrscp", "one of several values"): _NO_KEY,
        ("dcmqrscp", "Rows, US"): _NO_KEY,
        ("dcmqrscp", "series without the study's key"): _STRICT,
        ("dcmqrscp", "UID, without those above"): _STRICT,
    }
)


def unexplained(compared: list[Compared]) -> list[Compared]:
    """Differences that nothing decides, and those of the node where the standard is plain."""
    return [
        one
        for one in compared
        for side in one.sides
        if (side, one.asked.kind) not in REASONS or (side == "Wetread" and one.asked.decided)
    ]


_HEAD = """# Generated queries, beside two other archives

`python -m tests.interoperability.compare_queries --write` makes this page: {count} C-FIND queries,
made from a seed, on the same {studies} studies in this node, Debian's Orthanc 1.10.1 and DCMTK's
`dcmqrscp` 3.6.7. A plain matcher, written from PS3.4 C.2.2.2 alone, tells where the standard
stands. {agreed} queries were answered alike by all three and as the standard says.

| kind | matched as | queries | Wetread differs | Orthanc differs | dcmqrscp differs |
| --- | --- | --- | --- | --- | --- |
"""
_WHY = """
## Why

| side | kind | decided by | |
| --- | --- | --- | --- |
"""


def page(compared: list[Compared], studies: int) -> str:
    """The table of kinds, and a row for each side that differs in one."""
    counts = Counter(one.asked.kind for one in compared)
    clauses = {one.asked.kind: one.asked.clause for one in compared}
    differing = Counter((side, one.asked.kind) for one in compared for side in one.sides)
    agreed = sum(not one.sides for one in compared)
    rows = []
    for kind, count in sorted(counts.items()):
        sides = [str(differing[side, kind] or "") for side in ("Wetread", "Orthanc", "dcmqrscp")]
        rows.append(f"| {kind} | {_clause(clauses[kind])} | {count} | {' | '.join(sides)} |")
    why = [_why(side, kind) for side, kind in sorted(differing)]
    head = _HEAD.format(count=len(compared), studies=studies, agreed=agreed)
    return head + "\n".join(rows) + "\n" + _WHY + "\n".join(why) + "\n"


def _clause(clause: str) -> str:
    return f"PS3.4 {clause}" if clause.startswith("C.") else clause


def _why(side: str, kind: str) -> str:
    reason = REASONS.get((side, kind), Reason("?", "not explained"))
    return f"| {side} | {kind} | {reason.clause} | {reason.text} |"
