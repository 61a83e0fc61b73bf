"""What the conformance statement says of queries: the keys of each level, and how they match."""

from __future__ import annotations

from node.config.tables import QuerySettings
from node.conformance.writing import table
from node.query import keys
from storage.query import Level

_NEGOTIATED = (
    ("1 Relational-queries", "yes, unless `query.strict_hierarchy`"),
    ("2 Combined date-time matching", "yes"),
    ("3 Fuzzy semantic matching of person names", "no"),
    ("4 Timezone query adjustment", "no"),
    ("5 Enhanced multi-frame image conversion", "no"),
    ("6 Empty value matching", "yes"),
    ("7 Multiple value matching", "yes"),
)


def text() -> str:
    """The section, in Markdown."""
    fields = QuerySettings.model_fields
    return f"""###### Queries (PS3.4 C)

Both information models have one index: what was received and what the node made itself are found
alike. Answers come newest study first.

Keys that the index holds, by the level they belong to. All of them can be matched and returned, at
their own level and at those below it:

{table(("Level", "Attributes"), [(one.value, _indexed(one)) for one in Level])}
Computed, at the level and below it; they can be matched too:

{table(("Level", "Attributes"), [(one.value, _computed(one)) for one in Level])}
Of a level below the one asked for: {_below()}; they match where one series or
instance does, and are not returned.
All other attributes of the series and image levels that are asked for at STUDY or SERIES level are
those of one instance, the first that was received; every other attribute, a private one or a
sequence too, is read from the header of that instance's file. So many files are read for one
query at most: {fields["max_headers"].default} (`query.max_headers`). Beyond it a query that has to
match such an attribute ends with 0xA700; one that is only asked for is left out, with 0xFF01.
Pixel data and other bulk data are never returned, values of bytes up to 64 KiB.

Retrieve AE Title and Instance Availability (ONLINE) are always returned; Specific Character Set
(ISO_IR 192) where an answer holds more than the default repertoire. A key that is supported and has
no value comes back empty. One that is not supported is left out, and the status of every match is
0xFF01: keys of a level below, and {_nowhere()}.
Group lengths and elements of group 0002 in a request are ignored.

All character sets of PS3.3 C.12.1.1.2 are read in requests, with code extensions too;
in one that is not known, bytes beyond ASCII match nothing.

Matching:

- Single values: with case, but for person names; blanks round a value do not count. One of several
  values of an attribute is enough.
- Several values of a key: of UIDs, and without negotiation of all other representations too, one is
  enough. With multiple value matching all have to match.
- Wild cards: AE, CS, LO, LT, PN, SH, ST, UC, UR, UT.
- Person names: without case; each component group on its own. A key of one group may match any
  group, one of several matches each its own, and empty groups match anything. Trailing `^` and `=`
  do not count; `A^*` matches `A` too. Letters are compared as
  Unicode composes them (NFC); accents count.
- DS, IS and binary numbers: as numbers; `1.50` matches `1.5`. No ranges and no wild cards.
- DA, TM, DT: ranges, closed or half open. A value that leaves out parts stands for all that it can
  mean: `10` in TM from 10:00 to 10:59:59.999999. `*` and `-` match anything.
- Date and time match each on its own; with combined date-time matching the two ranges are one.
- Sequences: items in which all keys match; these are returned, with what was asked of them.
- At PATIENT level attributes are those of the patient's newest study.

SOP class extended negotiation (PS3.4 C.5.1.1):

{table(("Byte", "Supported"), _NEGOTIATED)}
A query without the unique keys above its level is answered as a relational one, negotiated or not,
and logged once a day and peer; with `query.strict_hierarchy` it is refused with 0xA900.
Timezone Offset From UTC in a request is ignored.
"""


def _indexed(level: Level) -> str:
    return ", ".join(name for name, at in keys.INDEXED.items() if at is level)


def _computed(level: Level) -> str:
    return ", ".join(name for name, at in keys.COMPUTED.items() if at is level)


def _below() -> str:
    rows = (f"at {level.value} {', '.join(names)}" for level, names in keys.BELOW.items())
    return "; ".join(rows)


def _nowhere() -> str:
    return ", ".join(sorted(keys.NOT_KEPT))
