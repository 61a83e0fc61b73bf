"""What the index is asked for holds whatever matches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from node.query.asked import Key, Level, Query, named_key
from node.query.matching import matches
from node.query.narrowing import narrowing
from storage import index as indexing
from storage import query as index
from storage.database import Database, open_database
from tests.storage.samples import record, with_study

NAMES = ("Smith^John", "SMITH^JANE^^", "smith", "Smithers^Al", "O'Hara^S=山田^太郎", "Ångström^A",
         "Müller ^Eva", "", "^Prince", "Rene\u0301^D")  # fmt: skip
IDS = ("A1", "A12", "a1", "Ä1", "A1*", "", "0001", "A\u0308 1")
DATES = ("20300101", "2030.01.02", "20291231", "", "19000101", "junk")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("narrowing")
    database = open_database(f"sqlite:///{folder}/wetread.db")
    with database.write() as tx:
        for number in range(60):
            said = {
                "PatientName": NAMES[number % len(NAMES)],
                "PatientID": IDS[number % len(IDS)],
                "AccessionNumber": IDS[(number // 2) % len(IDS)],
                "StudyDate": DATES[number % len(DATES)],
            }
            given = {word: value.strip() for word, value in said.items() if value}
            modality = ("CT", "MR", "PT")[number % 3]
            one = record(1, f"1.2.{number}", f"1.2.{number}.1", Modality=modality)
            indexing.add(tx, [with_study(one, **given)])
    yield database
    database.close()


def wanted(letters: str) -> some.SearchStrategy[str]:
    return some.text(letters, min_size=1, max_size=7)


KEYS = some.one_of(
    some.tuples(some.just("PatientName"), some.sampled_from(NAMES) | wanted("smiths^*?=JÅ山 ")),
    some.tuples(some.just("PatientID"), some.sampled_from(IDS) | wanted("aA1*?Ä\u0308 ")),
    some.tuples(some.just("AccessionNumber"), some.sampled_from(IDS) | wanted("aA1*?")),
    some.tuples(
        some.just("StudyDate"),
        some.sampled_from(("20300101", "20291231-20300101", "-20300101", "20300102-", "junk", "*")),
    ),
    some.tuples(some.just("ModalitiesInStudy"), some.sampled_from(("CT", "CT\\PT", "C*", "?T"))),
)


@pytest.mark.parametrize("few", [index.FEW, 0], ids=["followed", "walked"])
@settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
@given(pairs=some.lists(KEYS, min_size=1, max_size=3, unique_by=lambda one: one[0]))
def test_the_index_finds_all_that_matches(
    filled: Database, pairs: list[tuple[str, str]], few: int
) -> None:
    query = Query(Level.STUDY, tuple(named_key(name, text) for name, text in pairs))
    with filled.read() as tx:
        narrowed = index.find(tx, Level.STUDY, narrowing(query), None, 1000, few)
        every = index.find(tx, Level.STUDY, index.Narrowing(), None, 1000)
        modalities = index.modalities(tx, [one.id for one in every])
    found = {one.id for one in narrowed}
    for hit in every:
        fits = all(_fits(key, hit, modalities) for key in query.keys)
        assert not fits or hit.id in found


def _fits(key: Key, hit: index.Hit, modalities: dict[int, tuple[str, ...]]) -> bool:
    if key.keyword == "ModalitiesInStudy":
        return matches(key.vr, key.values, modalities[hit.id])
    value = hit.header.get(key.keyword, "")
    return matches(key.vr, key.values, [value] if value else [])
