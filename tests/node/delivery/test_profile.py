"""What goes to a destination, over all that a destination may take and a job may have made."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import combinations, product

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from node.delivery import profile
from node.delivery.kinds import LABEL_MAP_STORAGE, OF_KIND, ROWS, STAND_INS, TEXTS, Role
from node.delivery.profile import AUTO, Offer, Plan, Situation, Standing, Takes, Wish
from node.results import kinds as made_kinds
from storage.kinds import ObjectKind as K

REPORTS = (K.REPORT, K.REGIONS, K.DOCUMENT, K.SHEET)
FORMS = frozenset(row.kind for row in ROWS if row.is_form)
CLASSES = tuple(dict.fromkeys(uid for row in ROWS for uid in row.sop_classes))
SEG, SR, SC, GSPS, PDF = (
    OF_KIND[one].sop_classes[0]
    for one in (K.SEGMENTATION, K.REPORT, K.PICTURE, K.OUTLINES, K.DOCUMENT)
)
SHAPES: dict[str, tuple[K, ...]] = {
    "structures": (K.SEGMENTATION, K.SEGMENTATION, K.REPORT),
    "with every form": (K.SEGMENTATION, K.LABEL_MAP, K.REPORT, *sorted(FORMS - {K.LABEL_MAP})),
    "boxes": (K.REPORT, K.PICTURE, K.OUTLINES, K.REGIONS, K.DOCUMENT, K.SHEET),
    "map": (K.IMAGE, K.MAP, K.REGISTRATION, K.PRESENTATION, K.REPORT, K.REGIONS, K.SHEET),
    "notice": (K.REPORT,),
    "study": (K.SUMMARY, K.KEY_OBJECTS, K.DOCUMENT),
}
WISHES = {
    "auto": AUTO,
    "regions": Wish(regions=True),
    "label maps": Wish(frozenset({K.LABEL_MAP})),
    "a PDF beside": Wish(frozenset({K.DOCUMENT})),
    "structures and report": Wish(frozenset({K.SEGMENTATION, K.REPORT}), is_auto=False),
    "only the sheet": Wish(frozenset({K.SHEET}), is_auto=False),
    "only the report": Wish(frozenset({K.REPORT}), is_auto=False),
}


def offers(kinds: tuple[K, ...], standing: Standing = Standing.OWED) -> tuple[Offer, ...]:
    """Objects as a job makes them: the report refers to all that is not a form."""
    uids = [f"1.{number}" for number in range(len(kinds))]
    primary = [uid for uid, kind in zip(uids, kinds, strict=True) if OF_KIND[kind].is_reported]
    images = [uid for uid, kind in zip(uids, kinds, strict=True) if kind is K.IMAGE]
    references = {K.REPORT: primary, K.REGIONS: images, K.PRESENTATION: images}
    references[K.KEY_OBJECTS] = [u for u, k in zip(uids, kinds, strict=True) if k is K.SUMMARY]
    return tuple(
        Offer(
            uid,
            kind,
            OF_KIND[kind].sop_classes[0],
            RLELossless if kind is K.LABEL_MAP else ExplicitVRLittleEndian,
            standing,
            frozenset(references.get(kind, ())),
        )
        for uid, kind in zip(uids, kinds, strict=True)
    )


def taking(*classes: str) -> Takes:
    return lambda sop_class, syntax: sop_class in classes and syntax == ExplicitVRLittleEndian


def some_of_all() -> Iterator[tuple[str, ...]]:
    """Every set of SOP classes that a destination may take, of those that something stands in
    for, or that stand in; the others are taken."""
    matter = (SEG, SR, SC, GSPS, PDF, LABEL_MAP_STORAGE, OF_KIND[K.MAP].sop_classes[0])
    others = tuple(set(CLASSES) - set(matter))
    for size in range(len(matter) + 1):
        for some in combinations(matter, size):
            yield (*some, *others)


def every_case() -> Iterator[tuple[tuple[Offer, ...], Takes, Wish, Plan]]:
    for classes in some_of_all():
        takes = taking(*classes)
        for shape, wish in product(SHAPES.values(), WISHES.values()):
            made = offers(shape)
            for further in (FORMS, frozenset[K]()):
                situation = Situation(made, further=further)
                yield made, takes, wish, profile.plan(situation, takes, wish)


def kinds_of(made: tuple[Offer, ...], plan: Plan) -> list[K]:
    return [one.kind for uid in plan.goes for one in made if one.uid == uid]


def dangling(made: tuple[Offer, ...], there: set[str]) -> list[Offer]:
    return [one for one in made if one.uid in there and not one.refers_to <= there]


def check_one_fate_each(made: tuple[Offer, ...], plan: Plan) -> None:
    fates = [*plan.goes, *plan.waits, *plan.left_out, *plan.unserved]
    assert sorted(fates) == sorted(one.uid for one in made)
    assert all({**plan.waits, **plan.left_out, **plan.unserved}.values())


def check_one_form_each(kinds: list[K]) -> None:
    assert sum(one in kinds for one in (K.REPORT, K.REGIONS)) <= 1
    assert not {K.SEGMENTATION, K.LABEL_MAP} <= set(kinds)


def check_chosen_by_itself(kinds: list[K], wish: Wish) -> None:
    assert sum(one in kinds for one in REPORTS if one not in wish.listed) <= 1
    if {K.SEGMENTATION, K.LABEL_MAP} & set(kinds):
        assert not {K.PICTURE, K.OUTLINES} & set(kinds)


def check_is_told(made: tuple[Offer, ...], takes: Takes, wish: Wish, plan: Plan) -> None:
    """A report that somebody could have had in some form goes in one, or is being made."""
    kinds = kinds_of(made, plan)
    if K.REPORT not in {one.kind for one in made} or set(TEXTS) & set(kinds):
        return
    if set(plan.wanted) & set(TEXTS):
        return
    possible = [
        one
        for one in made
        if one.kind in TEXTS and wish.allows(one.kind) and not one.refers_to
        if profile.is_taken(takes, one.sop_class_uid, one.transfer_syntax_uid)
    ]
    assert not possible
    assert plan.unserved or not wish.allows(K.REPORT)


def test_whatever_is_taken_no_reference_dangles_and_no_finding_goes_in_two_forms() -> None:
    cases = 0
    for made, takes, wish, plan in every_case():
        cases += 1
        kinds = kinds_of(made, plan)
        check_one_fate_each(made, plan)
        check_one_form_each(kinds)
        assert not dangling(made, set(plan.goes))
        assert all(wish.allows(kind) for kind in kinds)
        assert [kind.rank for kind in kinds] == sorted(kind.rank for kind in kinds)
        for one in made:
            if one.uid in plan.goes:
                assert profile.is_taken(takes, one.sop_class_uid, one.transfer_syntax_uid)
        if wish.is_auto:
            check_chosen_by_itself(kinds, wish)
        check_is_told(made, takes, wish, plan)
    assert cases > 10_000


def test_a_destination_that_changes_its_mind_again_and_again_holds_nothing_that_dangles() -> None:
    chance = random.Random(1)
    for _ in range(500):
        made = offers(chance.choice(list(SHAPES.values())))
        standing = {one.uid: Standing.OWED for one in made}
        ever: list[K] = []
        for _ in range(6):
            takes = taking(*chance.sample(CLASSES, chance.randint(0, len(CLASSES))))
            seen = tuple(_standing(one, standing[one.uid]) for one in made)
            plan = profile.plan(Situation(seen), takes)
            for uid in plan.goes:  # and each may be refused, or put off, after all
                refers_to = next(one.refers_to for one in made if one.uid == uid)
                if all(standing[one] is Standing.THERE for one in refers_to):
                    fates = [Standing.THERE, Standing.THERE, Standing.GONE, Standing.OWED]
                    standing[uid] = chance.choice(fates)
            for uid in (*plan.left_out, *plan.unserved):
                standing[uid] = Standing.GONE
            there = {uid for uid, one in standing.items() if one is Standing.THERE}
            assert not dangling(made, there)
            ever = [one.kind for one in made if one.uid in there]
        check_one_form_each(ever)
        assert sum(one in ever for one in REPORTS) <= 1


def _standing(one: Offer, standing: Standing) -> Offer:
    fields = (one.uid, one.kind, one.sop_class_uid, one.transfer_syntax_uid)
    return Offer(*fields, standing, one.refers_to)


# --- the rows of the table, one by one ------------------------------------------------------------

ALL = SHAPES["with every form"]


def gone_to(*classes: str, wish: Wish = AUTO, shape: tuple[K, ...] = ALL) -> set[K]:
    made = offers(shape)
    return set(kinds_of(made, profile.plan(Situation(made), taking(*classes), wish)))


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (CLASSES, {K.SEGMENTATION, K.REPORT}),
        ((SR, SC, GSPS, PDF), {K.PICTURE, K.OUTLINES, K.REGIONS}),
        ((SR, SC), {K.PICTURE, K.REGIONS}),
        ((SEG, SC, GSPS, PDF), {K.SEGMENTATION, K.DOCUMENT}),
        ((SEG, SC, GSPS), {K.SEGMENTATION, K.SHEET}),
        ((SC, GSPS, PDF), {K.PICTURE, K.OUTLINES, K.DOCUMENT}),
        ((SC,), {K.PICTURE, K.SHEET}),
        ((SEG,), {K.SEGMENTATION}),
        ((), set()),
    ],
)
def test_what_a_destination_gets_by_what_it_takes(
    classes: tuple[str, ...], expected: set[K]
) -> None:
    assert gone_to(*classes) == expected


def test_label_maps_go_where_they_are_asked_for_and_taken_in_place_of_the_segmentation() -> None:
    asked = Wish(frozenset({K.LABEL_MAP}))
    assert gone_to(*CLASSES, wish=asked) == {K.LABEL_MAP, K.REGIONS}
    without = [one for one in CLASSES if one != LABEL_MAP_STORAGE]
    assert gone_to(*without, wish=asked) == {K.SEGMENTATION, K.REPORT}


def test_a_reader_that_knows_no_segments_gets_the_report_that_speaks_of_images_alone() -> None:
    assert gone_to(*CLASSES, wish=Wish(regions=True)) == {K.SEGMENTATION, K.REGIONS}


def test_a_list_is_taken_at_its_word_and_still_nothing_dangles() -> None:
    both = Wish(frozenset({K.SEGMENTATION, K.REPORT, K.DOCUMENT}), is_auto=False)
    assert gone_to(*CLASSES, wish=both) == {K.SEGMENTATION, K.REPORT, K.DOCUMENT}
    assert gone_to(*CLASSES, wish=WISHES["only the report"]) == {K.REGIONS}
    beside = Wish(frozenset({K.STRUCTURE_SET}))
    assert gone_to(*CLASSES, wish=beside) == {K.SEGMENTATION, K.REPORT, K.STRUCTURE_SET}


def test_findings_without_segmentation_are_drawn_where_no_report_shows_their_places() -> None:
    assert gone_to(SC, GSPS, PDF, shape=SHAPES["boxes"]) == {K.PICTURE, K.OUTLINES, K.DOCUMENT}
    assert gone_to(*CLASSES, shape=SHAPES["boxes"]) == {K.REPORT}


def test_what_is_compressed_goes_where_it_is_taken_uncompressed_alone() -> None:
    (one,) = offers((K.LABEL_MAP,))
    takes: Callable[[str, str], bool] = lambda _, syntax: syntax == ImplicitVRLittleEndian  # noqa: E731
    assert one.transfer_syntax_uid == RLELossless
    wish = Wish(frozenset({K.LABEL_MAP}))
    assert profile.plan(Situation((one,)), takes, wish).goes == (one.uid,)


def test_what_is_made_for_the_page_goes_where_it_is_asked_for() -> None:
    quiet, takes = offers((K.WINDOW, K.RECORD)), taking(*CLASSES)
    left_out = dict.fromkeys(("1.0", "1.1"), profile.QUIET)
    assert profile.plan(Situation(quiet), takes).left_out == left_out
    asked = Wish(frozenset({K.WINDOW, K.RECORD}))
    assert profile.plan(Situation(quiet), takes, asked).goes == ("1.0", "1.1")


def test_what_refers_to_objects_of_other_jobs_waits_for_them_and_goes_only_with_them() -> None:
    one = Offer("1.1", K.KEY_OBJECTS, OF_KIND[K.KEY_OBJECTS].sop_classes[0],
                ExplicitVRLittleEndian, refers_to=frozenset({"2.1"}))  # fmt: skip
    takes = taking(*CLASSES)
    by_standing = {
        Standing.THERE: "goes",
        Standing.OWED: "waits",
        Standing.LATER: "waits",
        Standing.GONE: "left_out",
    }
    for standing, fate in by_standing.items():
        plan = profile.plan(Situation((one,), {"2.1": standing}), takes)
        assert "1.1" in getattr(plan, fate)


def test_a_report_whose_parts_were_put_off_waits_for_them() -> None:
    structure, report = offers((K.SEGMENTATION, K.REPORT))
    plan = profile.plan(Situation((_standing(structure, Standing.LATER), report)), taking(*CLASSES))
    assert plan.waits == {report.uid: profile.REFERS_LATER}
    assert not plan.goes
    assert not plan.left_out


def test_a_form_that_is_lacking_is_wanted_and_the_report_waits_for_it() -> None:
    made = offers((K.SEGMENTATION, K.REPORT))
    plan = profile.plan(Situation(made, further=FORMS), taking(SC, GSPS, PDF))
    assert plan.wanted == {K.PICTURE, K.OUTLINES, K.DOCUMENT}
    assert plan.waits == {made[1].uid: profile.BEING_MADE}
    assert list(plan.left_out) == [made[0].uid]


def test_where_a_form_cannot_be_made_the_next_way_is_taken_and_nothing_waits() -> None:
    made = offers((K.SEGMENTATION, K.REPORT))
    further = FORMS - {K.DOCUMENT}
    without = Situation(made, further=further, unmade=frozenset({K.DOCUMENT}))
    plan = profile.plan(without, taking(SC, GSPS, PDF))
    assert plan.cannot == {K.DOCUMENT}
    assert plan.wanted == {K.PICTURE, K.OUTLINES, K.SHEET}
    assert plan.waits == {made[1].uid: profile.BEING_MADE}  # for the sheet


def test_a_summary_goes_as_a_document_where_no_report_is_taken() -> None:
    made = offers((K.SUMMARY, K.KEY_OBJECTS, K.DOCUMENT))
    without = tuple(one for one in made if one.kind is not K.DOCUMENT)
    assert profile.plan(Situation(without, further=FORMS), taking(PDF, SC)).wanted == {K.DOCUMENT}
    assert profile.plan(Situation(made), taking(PDF, SC)).goes == (made[2].uid,)
    assert made[2].uid in profile.plan(Situation(made), taking(*CLASSES)).left_out


def test_a_report_of_which_no_form_can_be_made_is_unserved_and_says_which() -> None:
    made = offers((K.SEGMENTATION, K.REPORT))
    plan = profile.plan(Situation(made, unmade=FORMS), taking(SC, GSPS, PDF))
    assert not plan.waits
    assert not plan.wanted
    assert "its PDF report cannot be made" in plan.unserved[made[1].uid]


def test_a_report_that_goes_in_no_form_is_said_to_be_unserved() -> None:
    made = offers((K.SEGMENTATION, K.REPORT))
    plan = profile.plan(Situation(made), taking(SEG))
    assert plan.goes == (made[0].uid,)
    assert list(plan.unserved) == [made[1].uid]
    assert profile.IN_NO_FORM in plan.unserved[made[1].uid]


def test_what_a_person_asks_for_later_goes_beside_what_is_there() -> None:
    made = {one.kind: one for one in offers(ALL)}
    there = {K.PICTURE, K.OUTLINES, K.DOCUMENT}
    seen = tuple(
        _standing(one, Standing.THERE if kind in there else Standing.OWED)
        for kind, one in made.items()
    )
    assert set(kinds_of(seen, profile.plan(Situation(seen), taking(*CLASSES)))) == {
        K.SEGMENTATION,
        K.REPORT,
    }


@pytest.mark.parametrize(
    ("classes", "needed"),
    [
        (CLASSES, set()),
        ([one for one in CLASSES if one != SEG], {K.PICTURE, K.OUTLINES, K.REGIONS}),
        ([one for one in CLASSES if one != SR], {K.PICTURE, K.OUTLINES, K.DOCUMENT}),
        ([SC], {K.PICTURE, K.SHEET}),
    ],
)
def test_the_forms_that_a_destination_may_need(classes: list[str], needed: set[K]) -> None:
    assert profile.forms_needed(taking(*classes)) == needed


def test_a_destination_that_nobody_knows_may_need_every_stand_in() -> None:
    assert profile.forms_needed(None) == set(STAND_INS)
    listed = Wish(frozenset({K.MESH, K.SEGMENTATION}), is_auto=False)
    assert profile.forms_needed(None, listed) == {K.MESH}


def test_every_kind_has_a_row_with_the_classes_that_it_is_made_of() -> None:
    assert [row.kind for row in ROWS] == list(K)
    for kind in made_kinds.KINDS:
        if kind.objects and kind.objects.kind is not K.IMAGE:
            assert set(kind.objects.sop_classes) <= set(OF_KIND[kind.objects.kind].sop_classes)
    assert all(row.is_form for row in ROWS if row.role is Role.STAND_IN)
