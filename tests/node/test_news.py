"""A step that would find nothing is left out, and none that would find something."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.clock import system_clock
from node.loop import Loop
from node.news import News, NewsWatch
from node.observe.health import Heartbeat
from storage import suspension
from storage.database import Database, join_database, open_database
from storage.errors import DatabaseUnavailable
from tests.waiting import until

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
WAIT_S = 60.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'wetread.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


class Step:
    """Counts, and gives what it is told to."""

    def __init__(self, *answers: object) -> None:
        self.count = 0
        self._answers = list(answers)

    def __call__(self) -> object:
        self.count += 1
        answer = self._answers.pop(0) if self._answers else False
        if isinstance(answer, Exception):
            raise answer
        return answer


def write(database: Database) -> None:
    with database.write() as tx:
        suspension.suspend(tx, NOON, "somebody") or suspension.resume(tx, NOON, "somebody")


def test_a_step_that_found_nothing_is_done_again_once_something_was_written(
    database: Database,
) -> None:
    news, step = News(database), Step()
    for _ in range(5):
        assert not news.have(step)
    assert step.count == 1
    write(database)
    assert not news.have(step)
    assert step.count == 2


def test_who_is_woken_does_its_step_whatever_was_written(database: Database) -> None:
    news, step = News(database), Step()
    news.have(step)
    news.have(step, woken=True)
    assert step.count == 2


def test_a_step_with_more_to_do_or_a_fault_is_done_again(database: Database) -> None:
    news, step = News(database), Step(True, ZeroDivisionError())
    assert news.have(step)
    with pytest.raises(ZeroDivisionError):
        news.have(step)
    news.have(step)
    assert step.count == 3


def test_what_waits_for_its_time_is_asked_about_all_the_time(database: Database) -> None:
    waiting = [True, True, False]
    news, step = News(database, lambda tx: not waiting.pop(0)), Step()
    for _ in range(5):
        news.have(step)
    assert step.count == 3


def test_what_is_written_while_a_step_looks_is_not_missed(database: Database) -> None:
    news, seen = News(database), []

    def step() -> None:
        seen.append(len(seen))
        if len(seen) == 1:
            write(database)

    for _ in range(4):
        news.have(step)
    assert seen == [0, 1]


def test_a_wait_goes_on_while_nothing_is_told(database: Database) -> None:
    watch, waits = NewsWatch(database), list[float]()
    news, step = watch.news(), Step()
    watch.step()

    def wait(timeout_s: float) -> bool:
        waits.append(timeout_s)
        return False

    news.have(step)
    news.rest(wait, 0.5)
    assert len(waits) == 2
    assert waits[1] > waits[0]
    write(database)
    watch.step()
    news.rest(wait, 0.5)
    assert waits[2:] == [0.5]


def test_nobody_dozes_before_somebody_watches(database: Database) -> None:
    waits = list[float]()
    news = NewsWatch(database).news()
    news.have(Step())
    news.rest(lambda timeout_s: bool(waits.append(timeout_s)), 0.5)
    assert waits == [0.5]


def test_who_dozes_is_woken_by_what_another_process_writes(database: Database, url: str) -> None:
    watch, stepped = NewsWatch(database), threading.Semaphore(0)
    watch.step()
    news = watch.news()
    loop = Loop(stepped.release, Heartbeat("part", system_clock), 0.0, news=news)
    loop.start()
    try:
        assert stepped.acquire(timeout=WAIT_S)
        until(lambda: news._is_dozing)
        other = join_database(url)
        write(other)
        other.close()
        watch.step()
        assert stepped.acquire(timeout=WAIT_S)
    finally:
        assert loop.stop(WAIT_S)


def test_who_dozes_ends_when_it_is_to(database: Database) -> None:
    watch = NewsWatch(database)
    watch.step()
    news = watch.news()
    loop = Loop(lambda: None, Heartbeat("part", system_clock), 0.0, news=news)
    loop.start()
    until(lambda: news._is_dozing)
    assert loop.stop(WAIT_S)


def test_who_dozes_is_to_see_that_the_database_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, woken = NewsWatch(database), Step()
    watch.step()
    news = watch.news()
    news.wake = _calling(woken)
    news._is_dozing = True

    def away(self: Database) -> object:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(Database, "mark", away)
    with pytest.raises(DatabaseUnavailable):
        watch.step()
    assert woken.count == 1


def _calling(step: Step) -> Callable[[], None]:
    def call() -> None:
        step()

    return call
