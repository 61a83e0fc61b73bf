"""Which of a job's objects go to a destination, and why the others do not: one pure function.

What others refer to goes first. A report goes only where all that it refers to goes too, or is
there; and of one finding one form goes, the best that is taken. Nothing that was sent is taken
back: what is there counts as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pydicom.uid import UID

from node.delivery.kinds import OF_KIND, ROWS, TEXTS, Role
from node.retrieve import transcode
from storage.kinds import ObjectKind

Takes = Callable[[str, str], bool]
"""Whether a destination takes a SOP class in a transfer syntax."""


class Standing(StrEnum):
    """Where an object stands at the destination."""

    OWED = "owed"
    LATER = "later"
    """Owed, and to be offered later: it was put off."""
    THERE = "there"
    GONE = "gone"
    """Refused, left out before, or never owed."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An object of the job. ``refers_to`` names objects that the node has made, this job or
    another."""

    uid: str
    kind: ObjectKind
    sop_class_uid: str
    transfer_syntax_uid: str
    standing: Standing = Standing.OWED
    refers_to: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wish:
    """What the settings want of a destination.

    listed: kinds that go wherever they are taken, whatever else goes.
    is_auto: whether the others are chosen by what the destination takes; else none goes.
    regions: the report is to speak of images alone, for readers that know no segments.
    """

    listed: frozenset[ObjectKind] = frozenset()
    is_auto: bool = True
    regions: bool = False

    def allows(self, kind: ObjectKind) -> bool:
        if kind is ObjectKind.RETRACTION:  # there is one where ``retract`` asks for it
            return True
        if kind in self.listed or (kind is ObjectKind.REGIONS and ObjectKind.REPORT in self.listed):
            return True
        return self.is_auto and OF_KIND[kind].role in (Role.ALWAYS, Role.STAND_IN)


AUTO = Wish()


@dataclass(frozen=True, slots=True)
class Situation:
    """A job as it stands at a destination.

    elsewhere: where the objects of other jobs stand that are referred to.
    further: forms that can still be made of its findings.
    unmade: those that cannot: it was tried.
    is_notice: its report says that there is no result; nobody has to be told where it cannot go.
    """

    offers: Sequence[Offer]
    elsewhere: Mapping[str, Standing] = field(default_factory=dict)
    further: frozenset[ObjectKind] = frozenset()
    is_notice: bool = False
    unmade: frozenset[ObjectKind] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of the objects that are owed, by their UIDs.

    goes: to be sent now, in this order.
    waits: not yet, and why: for what it refers to, or for a further form.
    left_out: not sent, and why.
    unserved: the report, where it goes in no form: somebody must know.
    wanted: further forms to be made.
    cannot: those that would be wanted, and cannot be made: nothing waits for them.
    """

    goes: tuple[str, ...]
    waits: Mapping[str, str]
    left_out: Mapping[str, str]
    unserved: Mapping[str, str]
    wanted: frozenset[ObjectKind]
    cannot: frozenset[ObjectKind] = frozenset()


NOT_ASKED = "not asked for"
QUIET = "made for the page: the settings of the destination do not ask for it"
DANGLING = "refers to what the destination does not have"
IN_PLACE = "stands in for {}, which the destination has"
AS_LABEL_MAP = "goes as a label map"
AS_REGIONS = "the destination wants the report that speaks of images alone"
IN_NO_FORM = "the destination takes no form of the report"
CANNOT = "its {} cannot be made"
BEING_MADE = "waits: a form of it that the destination takes is being made"
REFERS_LATER = "waits for what it refers to"


def plan(situation: Situation, takes: Takes, wish: Wish = AUTO) -> Plan:
    """What goes to a destination, what waits, and what is left out."""
    return _Choice(situation, takes, wish).made()


def forms_needed(takes: Takes | None, wish: Wish = AUTO) -> frozenset[ObjectKind]:
    """The further forms that a destination may need of a job that is not done yet.

    takes: None while nobody knows what it takes: then all that may stand in for others.
    """
    needed = set(wish.listed)
    if wish.regions:
        needed.add(ObjectKind.REGIONS)
    if wish.is_auto:
        needed |= _stand_ins() if takes is None else _stand_ins_of(takes)
    return frozenset(one for one in needed if OF_KIND[one].is_form)


def is_taken(takes: Takes, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
    """Whether a destination takes an object as it is, or decompressed."""
    syntaxes = transcode.syntaxes_of(transfer_syntax_uid)
    return any(takes(sop_class_uid, one) for one in syntaxes)


def takes_kind(takes: Takes, kind: ObjectKind) -> bool:
    """Whether it takes every SOP class of a kind, decompressed at least."""
    return all(is_taken(takes, one, transcode.DECODED[0]) for one in OF_KIND[kind].sop_classes)


def _stand_ins() -> set[ObjectKind]:
    return {row.kind for row in ROWS if row.role is Role.STAND_IN}


def _stand_ins_of(takes: Takes) -> set[ObjectKind]:
    def lacks(*kinds: ObjectKind) -> bool:
        return not all(takes_kind(takes, one) for one in kinds)

    found: set[ObjectKind] = set()
    no_report = lacks(ObjectKind.REPORT)
    if no_report or lacks(ObjectKind.SEGMENTATION):
        found |= {ObjectKind.PICTURE, ObjectKind.OUTLINES}
    if no_report:
        found.add(ObjectKind.SHEET if lacks(ObjectKind.DOCUMENT) else ObjectKind.DOCUMENT)
    elif lacks(*(row.kind for row in ROWS if row.is_reported)):
        found.add(ObjectKind.REGIONS)
    return {one for one in found if takes_kind(takes, one)}


class _Choice:
    """Decides kind after kind, what others refer to first."""

    def __init__(self, situation: Situation, takes: Takes, wish: Wish) -> None:
        self._takes, self._wish = takes, wish
        self._situation = situation
        offers = sorted(situation.offers, key=lambda one: one.kind.rank)
        self._of_kind: dict[ObjectKind, list[Offer]] = {kind: [] for kind in ObjectKind}
        for one in offers:
            self._of_kind[one.kind].append(one)
        self._offers = offers
        self._standing = dict(situation.elsewhere)
        self._standing |= {one.uid: one.standing for one in offers}
        self._chosen: set[str] = set()
        self._waits: dict[str, str] = {}
        self._left_out: dict[str, str] = {}
        self._wanted: set[ObjectKind] = set()
        self._cannot: set[ObjectKind] = set()

    def made(self) -> Plan:
        self._structures()
        for row in ROWS:
            if row.role is not Role.STAND_IN and row.kind not in _DECIDED_APART:
                self._choose(row.kind)
        self._reports()
        self._drawings()
        self._texts()
        self._choose(ObjectKind.KEY_OBJECTS)
        self._choose(ObjectKind.RETRACTION)
        self._want_what_is_listed()
        unserved = self._unserved()
        owed = [one.uid for one in self._offers if one.standing is Standing.OWED]
        return Plan(
            goes=tuple(one for one in owed if one in self._chosen and one not in self._waits),
            waits={one: why for one, why in self._waits.items() if one in owed},
            left_out={one: why for one, why in self._left_out.items() if one not in unserved},
            unserved=unserved,
            wanted=frozenset(self._wanted),
            cannot=frozenset(self._cannot),
        )

    # --- the kinds --------------------------------------------------------------------------------

    def _structures(self) -> None:
        self._choose(ObjectKind.LABEL_MAP)
        self._choose(ObjectKind.SEGMENTATION, AS_LABEL_MAP if self._are_label_maps() else "")

    def _are_label_maps(self) -> bool:
        """Whether every segmentation goes as a label map."""
        found = sum(map(self._is_there, self._of_kind[ObjectKind.LABEL_MAP]))
        return 0 < len(self._of_kind[ObjectKind.SEGMENTATION]) <= found

    def _reports(self) -> None:
        """The report with all that it refers to; else the one that speaks of images alone."""
        regions = ObjectKind.REGIONS
        if self._wish.regions:
            self._choose(regions)
            self._want([regions] if self._has_reports() and not self._has(regions) else [])
            is_else = self._has(regions) or regions in self._wanted
            self._choose(ObjectKind.REPORT, AS_REGIONS if is_else else "")
            return
        self._choose(ObjectKind.REPORT)
        self._choose(regions, self._in_place_of(ObjectKind.REPORT))
        if self._has_reports() and not self._has(ObjectKind.REPORT, regions):
            self._want([regions])

    def _drawings(self) -> None:
        """Pictures and outlines, where nothing else shows where a finding is."""
        carriers = (
            (ObjectKind.SEGMENTATION, ObjectKind.LABEL_MAP)
            if self._of_kind[ObjectKind.SEGMENTATION]
            else (ObjectKind.REPORT, ObjectKind.REGIONS, ObjectKind.SUMMARY)
        )
        is_shown = self._are_shown() or not any(self._of_kind[one] for one in carriers)
        drawn = (ObjectKind.PICTURE, ObjectKind.OUTLINES)
        for kind in drawn:
            self._choose(kind, IN_PLACE.format(OF_KIND[carriers[0]].name) if is_shown else "")
        if self._has_reports() and not is_shown and self._wish.is_auto:
            self._want([one for one in drawn if not self._has(one)])

    def _are_shown(self) -> bool:
        """Whether every structure is seen; without any, whether there is a report with places."""
        structures = self._of_kind[ObjectKind.SEGMENTATION]
        if structures:
            return self._are_label_maps() or all(map(self._is_there, structures))
        return self._has(ObjectKind.REPORT, ObjectKind.REGIONS, ObjectKind.SUMMARY)

    def _texts(self) -> None:
        """A document, else a sheet, where no report goes."""
        document, sheet = ObjectKind.DOCUMENT, ObjectKind.SHEET
        reports = (ObjectKind.REPORT, ObjectKind.REGIONS, ObjectKind.SUMMARY)
        self._choose(document, self._in_place_of(*reports))
        self._choose(sheet, self._in_place_of(*reports, document))
        is_told = self._has(*TEXTS, ObjectKind.SUMMARY) or ObjectKind.REGIONS in self._wanted
        if is_told or not self._wish.is_auto:
            return
        if self._has_reports():
            self._want([document])
            self._want([sheet] if document not in self._wanted else [])
        elif self._of_kind[ObjectKind.SUMMARY]:
            self._want([document])

    def _want_what_is_listed(self) -> None:
        """Forms that the settings name, and that were not made."""
        for kind in self._wish.listed:
            if OF_KIND[kind].is_form and self._has_reports() and not self._of_kind[kind]:
                self._want([kind])

    def _unserved(self) -> dict[str, str]:
        """The report that goes in no form, unless one is being made: then it waits for that."""
        if self._of_kind[ObjectKind.SUMMARY] and not self._has_reports():
            return {}  # each report below it goes in some form
        owed = [
            one
            for kind in TEXTS
            for one in self._of_kind[kind]
            if one.standing is Standing.OWED and self._wish.allows(kind)
        ]
        if not owed or self._has(*TEXTS):
            return {}
        first = owed[0].uid
        if self._wanted.intersection(TEXTS):
            self._left_out.pop(first)
            self._waits[first] = BEING_MADE
            return {}
        if self._situation.is_notice:
            return {}
        unmade = [OF_KIND[kind].name for kind in TEXTS if kind in self._cannot]
        lacking = "".join(f"; {CANNOT.format(name)}" for name in unmade)
        return {first: f"{IN_NO_FORM}: {self._left_out[first]}{lacking}"}

    # --- one kind ---------------------------------------------------------------------------------

    def _choose(self, kind: ObjectKind, unless: str = "") -> None:
        """Send what is owed of a kind, where it may go. ``unless``: why not, in the settings'
        absence."""
        unless = "" if kind in self._wish.listed and kind not in _NEVER_BOTH else unless
        for one in self._of_kind[kind]:
            if one.standing in (Standing.OWED, Standing.LATER):
                self._choose_one(one, unless)

    def _choose_one(self, one: Offer, unless: str) -> None:
        why = self._why_not(one) or unless or self._why_dangling(one)
        if why:
            self._left_out[one.uid] = why
            return
        self._chosen.add(one.uid)
        if any(self._is_later(uid) for uid in one.refers_to):
            self._waits[one.uid] = REFERS_LATER

    def _why_not(self, one: Offer) -> str:
        if not self._wish.allows(one.kind):
            return QUIET if OF_KIND[one.kind].role is Role.QUIET else NOT_ASKED
        if is_taken(self._takes, one.sop_class_uid, one.transfer_syntax_uid):
            return ""
        return f"the destination does not take {UID(one.sop_class_uid).name}"

    def _why_dangling(self, one: Offer) -> str:
        are_there = [self._will_be_there(uid) for uid in one.refers_to]
        if one.kind is ObjectKind.RETRACTION:  # takes back what is there, and nothing else
            return "" if any(are_there) else DANGLING
        return "" if all(are_there) else DANGLING

    def _will_be_there(self, uid: str) -> bool:
        if uid in self._chosen:
            return True
        standing = self._standing.get(uid, Standing.GONE)
        if uid in self._situation.elsewhere:
            return standing is not Standing.GONE
        return standing is Standing.THERE

    def _is_later(self, uid: str) -> bool:
        """Whether what is referred to comes in another round than this."""
        if uid in self._waits:
            return True
        standing = self._standing.get(uid, Standing.GONE)
        is_owed = standing is Standing.OWED and uid in self._situation.elsewhere
        return is_owed or standing is Standing.LATER

    def _is_there(self, one: Offer) -> bool:
        return one.uid in self._chosen or one.standing is Standing.THERE

    def _has(self, *kinds: ObjectKind) -> bool:
        """Whether something of these kinds goes, or is there."""
        return any(self._is_there(one) for kind in kinds for one in self._of_kind[kind])

    def _has_reports(self) -> bool:
        return bool(self._of_kind[ObjectKind.REPORT])

    def _in_place_of(self, *kinds: ObjectKind) -> str:
        for kind in kinds:
            if self._has(kind):
                return IN_PLACE.format(OF_KIND[kind].name)
        return ""

    def _want(self, kinds: Iterable[ObjectKind]) -> None:
        """What can be made is; the next way is taken where it cannot."""
        for one in kinds:
            if self._wish.allows(one) and takes_kind(self._takes, one):
                if one in self._situation.further:
                    self._wanted.add(one)
                elif one in self._situation.unmade:
                    self._cannot.add(one)


_DECIDED_APART = (
    ObjectKind.LABEL_MAP,
    ObjectKind.SEGMENTATION,
    ObjectKind.REPORT,
    ObjectKind.KEY_OBJECTS,
    ObjectKind.RETRACTION,
)
_NEVER_BOTH = (ObjectKind.SEGMENTATION, ObjectKind.REPORT, ObjectKind.REGIONS)
"""Listed or not: a segmentation and its label map, a report and the same without segments."""
