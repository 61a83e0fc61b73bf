"""What the page and the lists ask of the database when there is much, and many ask at once."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from node.observe.shared import Shared
from storage import events, index, ledger, outbox
from storage.engines import LOOK
from storage.records import Level, Topic
from tests.node.web.sites import START, Site
from tests.storage.samples import (
    announce,
    enqueue,
    minutes,
    new_job,
    record,
    results,
)

MARK = {"X-Wetread": "1"}
LISTS = (
    "/", "/alarms", "/?problems=true", "/?sort=date", "/api/studies?limit=1000",
    "/api/jobs?limit=1000", "/api/jobs?state=failed", "/api/deliveries?limit=1000", "/api/alarms",
    "/api/events?limit=1000", "/api/quarantine", "/api/deletions", "/api/jobs/1", "/api/studies/1",
)  # fmt: skip


def fill(site: Site, studies: int, first: int = 1, objects: int = 1) -> None:
    """Complete studies with a job that failed and one whose results the PACS refuses."""
    for number in range(first, first + studies):
        uid = f"1.2.{number}"
        at = START + minutes(number)
        with site.database.write() as tx:
            index.add(tx, [record(n, uid, f"{uid}.1", at) for n in (1, 2)])
            study = index.find_study(tx, uid)
            assert study is not None
            index.complete(tx, study.id, at, study.last_received_at)
            announce(tx, 1, 2, 3, study=uid, uid=f"9.{number}")
            enqueue(tx, new_job(tx, study.id, "bones", inputs=uid))
            done = enqueue(tx, new_job(tx, study.id, "lungs", inputs=uid))
            for _ in range(2):
                ledger.claim(tx, at + timedelta(days=9999))
            ledger.failed(tx, done - 1, at, "it broke", "Traceback")
            kinds = ("image",) * (objects - 1) + ("sr",)
            ledger.done(tx, done, at, results(f"8.{number}", kinds))
            for one in outbox.claim(tx, "pacs", at + timedelta(days=9999)):
                outbox.failed(tx, one.id, at, 0xA900, f"refused {number}")


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What is asked of any database meanwhile; not how a connection is set up for it."""
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if not statement.startswith("PRAGMA"):
            asked.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield asked
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def number_of_statements(site: Site, path: str) -> int:
    with statements() as asked:
        assert site.client.get(path).status_code == 200, path
    return len(asked)


def test_no_list_asks_more_of_the_database_for_many_than_for_few(site: Site) -> None:
    fill(site, 2)
    few = {path: number_of_statements(site, path) for path in LISTS}
    fill(site, 25, first=3, objects=7)
    many = {path: number_of_statements(site, path) for path in LISTS}
    assert many == few
    assert max(many.values()) <= 34


def test_a_job_with_many_objects_costs_the_page_no_row_of_each(site: Site) -> None:
    """Objects are counted by the database: what the page reads does not grow with them."""
    fill(site, 1, objects=3)
    few = rows_read(site, "/")
    fill(site, 1, first=2, objects=150)
    assert rows_read(site, "/") <= 2 * few + 10


def rows_read(site: Site, path: str) -> int:
    """How many rows the database gives for a page."""
    read: list[int] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            again = connection.connection.driver_connection.cursor()
            again.execute(statement, rest[0])
            read.append(len(again.fetchall()))
            again.close()

    sa.event.listen(sa.Engine, "after_cursor_execute", note)
    site.client.get(path)
    sa.event.remove(sa.Engine, "after_cursor_execute", note)
    return sum(read)


@pytest.mark.parametrize(
    "path",
    ["/", "/api/studies", "/api/jobs", "/api/jobs?state=done", "/api/events?level=info",
     "/api/events", "/api/deliveries?state=sent", "/api/alarms"],
)  # fmt: skip
def test_lists_are_read_from_indexes_and_never_sorted(site: Site, path: str) -> None:
    fill(site, 3)
    with statements() as asked:
        site.client.get(path)
    bad = [
        (statement, step)
        for statement, parameters in asked
        if statement.startswith("SELECT") and " LIMIT " in statement
        if "GROUP BY" not in statement
        for step in plan(site, statement, parameters)
        if "FOR ORDER BY" in step
    ]
    assert bad == []


def plan(site: Site, statement: str, parameters: Any) -> list[str]:
    with site.database.read() as tx:
        rows = tx.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
        return [row[3] for row in rows]


# --- paging ---------------------------------------------------------------------------------------


def test_no_study_is_shown_twice_or_passed_over_when_others_come_meanwhile(site: Site) -> None:
    fill(site, 9)
    with site.database.read() as tx:
        wanted = [one.id for one in index.list_studies(tx)]
    seen: list[int] = []
    path = "/api/studies?limit=2"
    while path:
        answer = site.client.get(path)
        seen += [one["id"] for one in answer.json()]
        fill(site, 1, first=100 + len(seen))
        path = answer.links.get("next", {}).get("url", "")
    assert seen == wanted


def test_older_and_newer_pages_lead_to_the_same_studies_whatever_comes(site: Site) -> None:
    fill(site, 65)

    def studies(path: str) -> list[str]:
        return re.findall(r'<li id="s(\d+)"', site.client.get(path).text)

    def link(path: str, word: str) -> str:
        before = site.client.get(path).text.split(f">{word} studies</a>")[0]
        return before.rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")

    for start in ("/", "/?problems=true"):
        first = studies(start)
        second_page = link(start, "Older")
        second = studies(second_page)
        third_page = link(second_page, "Older")
        assert [len(first), len(second)] == [25, 25]
        assert not {*first} & {*second} and not {*second} & {*studies(third_page)}
        assert studies(link(third_page, "Newer")) == second
        back = link(link(third_page, "Newer"), "Newer")
        assert studies(back)[-25:] == first or start == "/?problems=true"
        fill(site, 3, first=300 if start == "/" else 400)
        assert studies(second_page) == second
        assert "Older studies" not in site.client.get(third_page).text or start != "/"


@pytest.mark.parametrize(
    "place", ["x", "17", "1x", "-1x2", "1x2x3", "9" * 19 + "x1", "9" * 18 + "x1", "٣x٣"]
)
def test_a_place_that_is_none_is_refused(site: Site, place: str) -> None:
    for path in ("/", "/api/studies"):
        answer = site.client.get(path, params={"before": place})
        assert answer.status_code == 422, path
        assert "before" in answer.text.lower()


# --- many at once ---------------------------------------------------------------------------------


def test_when_all_connections_for_looking_are_taken_the_answer_says_when_to_ask_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.database._looking.pool, "_timeout", 0.05)
    with ExitStack() as looking:
        for _ in range(LOOK.size):
            looking.enter_context(site.database.look())
        for path in ("/", "/alarms", "/api/studies", "/api/jobs/1"):
            answer = site.client.get(path)
            assert answer.status_code == 503, path
            assert int(answer.headers["retry-after"]) > 0
            assert "too many ask at once" in answer.text.lower()
        assert site.client.get("/health").status_code in (200, 503)
        fill(site, 1)
    assert site.client.get("/api/studies").json()[0]["id"] == 1


def test_forty_readers_of_a_long_list_leave_the_connections_for_work_alone(site: Site) -> None:
    fill(site, 3)
    taken: list[int] = []

    def note(*rest: Any) -> None:
        taken.append(1)

    sa.event.listen(site.database._engine, "checkout", note)

    def ask() -> None:
        with site.client.stream("GET", "/api/studies?limit=1000"):
            pass

    readers = [threading.Thread(target=ask) for _ in range(40)]
    for one in readers:
        one.start()
    for one in readers:
        one.join()
    sa.event.remove(site.database._engine, "checkout", note)
    assert taken == []


def test_an_answer_is_computed_once_for_all_who_ask_meanwhile() -> None:
    """None is given what was begun before it asked: the five share the second computation."""
    looked, go_on, begun = threading.Semaphore(0), threading.Event(), threading.Event()
    moments = iter(range(1000))
    computed: list[int] = []
    answers: list[int] = []

    def now() -> float:
        looked.release()
        return float(next(moments))

    def compute() -> int:
        computed.append(1)
        begun.set()
        go_on.wait()
        return len(computed)

    shared = Shared(fresh_s=0, now=now)
    askers = [
        threading.Thread(target=lambda: answers.append(shared.get("page", compute)))
        for _ in range(6)
    ]
    askers[0].start()
    begun.wait()
    for one in askers[1:]:
        one.start()
    for _ in range(7):  # two looks at the clock by the first, one by each of the others
        looked.acquire()
    go_on.set()
    for one in askers:
        one.join()
    assert sorted(answers) == [1, 2, 2, 2, 2, 2]


def test_open_tabs_share_what_is_fresh_and_a_click_makes_it_anew() -> None:
    clock = [100.0]
    shared = Shared(fresh_s=1.0, now=lambda: clock[0])
    computed: list[float] = []

    def compute() -> int:
        computed.append(clock[0])
        return len(computed)

    assert [shared.get("page", compute) for _ in range(10)] == [1] * 10
    assert shared.get("another page", compute) == 2
    clock[0] += 0.9
    assert shared.get("page", compute) == 1
    clock[0] += 0.2
    assert shared.get("page", compute) == 3
    shared.forget()
    assert shared.get("page", compute) == 4


def test_what_fails_is_not_kept() -> None:
    shared = Shared(fresh_s=60)
    with pytest.raises(ZeroDivisionError):
        shared.get("page", lambda: 1 // 0)
    assert shared.get("page", lambda: 5) == 5


def test_alike_alarms_are_counted_and_acknowledged_by_the_database(site: Site) -> None:
    with site.database.write() as tx:
        for number in range(500):
            events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", f"kind {number % 3}")
    few = number_of_statements(site, "/alarms")
    assert "167×" in site.client.get("/alarms").text
    with statements() as asked:
        done = site.client.post("/api/alarms/500/acknowledge?alike=true", headers=MARK).json()
    assert done["number"] == 167
    assert len(asked) < 12
    assert number_of_statements(site, "/alarms") == few
