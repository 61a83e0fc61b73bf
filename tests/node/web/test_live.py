"""Open pages are told of what changes, by one watcher for all of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from node.web.live import stream
from node.web.live import watch as module
from node.web.live.watch import Listener, Regular, TooMany, Watch
from storage import events
from storage.records import Level, Topic
from storage.revisions import Watched
from tests.node.web.access.houses import open_house, token_of
from tests.node.web.sites import START, Site
from tests.waiting import until


def alarm(site: Site) -> None:
    with site.database.write() as tx:
        events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "the PACS is away")


def watchers() -> int:
    return sum(one.name == "live" for one in threading.enumerate())


@contextmanager
def looks(site: Site) -> Iterator[list[str]]:
    """What is asked of the database by pages meanwhile."""
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        asked.append(statement)

    sa.event.listen(site.database._looking, "before_cursor_execute", note)
    yield asked
    sa.event.remove(site.database._looking, "before_cursor_execute", note)


def test_an_open_page_is_told_of_an_alarm_and_the_watcher_ends_with_the_last(site: Site) -> None:
    with site.client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        until(lambda: watchers() == 1)
        told = (line.split()[1:] for line in lines if line.startswith("data:"))
        assert set(next(told)) == set(Watched)  # nobody had looked before
        alarm(site)
        assert "alarms" in next(told)
    until(lambda: watchers() == 0)


def test_a_page_is_told_of_what_came_between_its_drawing_and_its_listening(site: Site) -> None:
    async def listen() -> None:
        watch = Watch(site.database, every_s=0.02)
        first, later = Listener(), Listener()
        watch.listen(first)
        assert await first.changes(60) == frozenset(Watched)
        await asyncio.to_thread(alarm, site)
        assert Watched.ALARMS in await first.changes(60)
        watch.listen(later)  # its page may have been drawn before the alarm
        assert Watched.ALARMS in await later.changes(60)
        watch.leave(first)
        watch.leave(later)

    asyncio.run(listen())
    until(lambda: watchers() == 0)


def test_what_came_while_nobody_listened_is_told_to_the_next_and_nothing_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECENT_S", -1.0)

    looked: list[int] = []

    def look() -> tuple[int, ...]:
        looked.append(1)
        return ()

    watch = Watch(site.database, look, every_s=0.02)

    async def listen() -> frozenset[Watched]:
        """What is told to one who comes and stays for three looks."""
        one, before = Listener(), len(looked)
        watch.listen(one)
        while len(looked) < before + 3:
            await asyncio.sleep(0.01)
        told = await one.changes(0.01)
        watch.leave(one)
        return told

    for came, expected in ((False, set(Watched)), (False, set()), (True, {Watched.ALARMS})):
        if came:
            alarm(site)
        told = asyncio.run(listen())
        until(lambda: watchers() == 0)
        assert told >= expected and bool(told) == bool(expected)


def test_what_was_computed_before_a_change_is_shown_to_nobody_who_is_told_of_it(
    site: Site,
) -> None:
    order: list[str] = []

    class Noting(Listener):
        def told(self, topics: frozenset[Watched]) -> None:
            order.append("told")
            super().told(topics)

    async def listen() -> None:
        watch = Watch(site.database, every_s=0.02, on_changed=lambda: order.append("forgotten"))
        one = Noting()
        watch.listen(one)
        await one.changes(60)
        watch.leave(one)

    asyncio.run(listen())
    assert order[:2] == ["forgotten", "told"]
    until(lambda: watchers() == 0)


def test_fifty_pages_are_watched_for_by_one_and_ask_nothing_themselves(site: Site) -> None:
    async def listen() -> None:
        watch = Watch(site.database, every_s=0.02)
        pages = [Listener() for _ in range(50)]
        for one in pages:
            watch.listen(one)
        assert watchers() == 1
        with looks(site) as asked:
            await asyncio.sleep(0)
            while sum("totals" in one for one in asked) < 3:
                await asyncio.sleep(0.01)
            rounds = sum("totals" in one for one in asked)
            assert len(asked) <= 10 * (rounds + 1)
        await asyncio.gather(*(one.changes(10) for one in pages))  # nobody had looked before
        await asyncio.to_thread(alarm, site)
        told = await asyncio.gather(*(one.changes(10) for one in pages))
        assert all(Watched.ALARMS in one for one in told)
        assert await pages[0].changes(0.01) == frozenset()
        for one in pages:
            watch.leave(one)

    asyncio.run(listen())
    until(lambda: watchers() == 0)


def test_who_sees_some_studies_only_is_not_told_when_something_changes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listen() -> None:
        watch = Watch(site.database, every_s=0.02)
        sees_all, sees_some = Listener(), Regular()
        watch.listen(sees_some)
        watch.listen(sees_all)
        monkeypatch.setattr(module, "REGULARLY_S", 3600.0)
        waits = asyncio.create_task(sees_some.changes(3600.0))
        assert await sees_all.changes(60) == frozenset(Watched)
        await asyncio.to_thread(alarm, site)
        assert await sees_all.changes(60)
        assert not waits.done()
        waits.cancel()
        monkeypatch.setattr(module, "REGULARLY_S", 0.0)
        assert await sees_some.changes(60) == frozenset(Watched)  # nothing has changed again
        watch.leave(sees_all)
        watch.leave(sees_some)

    asyncio.run(listen())
    until(lambda: watchers() == 0)


def test_no_more_listen_than_there_is_room_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)

    async def listen() -> None:
        watch = Watch(site.database, every_s=0.02)
        one = Listener()
        watch.listen(one)
        with pytest.raises(TooMany):
            watch.listen(Listener())
        watch.leave(one)

    asyncio.run(listen())
    until(lambda: watchers() == 0)


def test_the_stream_is_over_when_the_session_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SIGN_OF_LIFE_S", 0.05)
    with open_house(site) as house:
        house.add("jane")
        browser = house.logged_in("jane")
        token = token_of(browser)
        with browser.stream("GET", "/events") as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("retry:")
            assert ": here" in lines
            assert browser.post("/logout", data={"token": token}).status_code == 303
            assert "event: over" in lines
            assert not [one for one in lines if one.startswith("event:")]
    until(lambda: watchers() == 0)


def test_the_stream_is_over_when_nobody_has_done_anything_for_long(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SIGN_OF_LIFE_S", 0.05)
    with open_house(site) as house:
        house.add("jane")
        with house.logged_in("jane").stream("GET", "/events") as answer:
            lines = answer.iter_lines()
            assert ": here" in lines
            house.pass_time(minutes=31)
            assert "event: over" in lines


def test_the_more_listen_the_longer_each_rests_after_it_was_told(site: Site) -> None:
    async def listen() -> None:
        is_rushed = False
        watch = Watch(site.database, every_s=0.02, is_rushed=lambda: is_rushed)
        listeners = [Listener() for _ in range(50)]
        watch.listen(listeners[0])
        assert 0.15 <= watch.rest_s() <= 0.45
        for one in listeners[1:]:
            watch.listen(one)
        assert 7.5 <= watch.rest_s() <= 22.5, "50 pages are read three times a second, all together"
        is_rushed = True
        assert 15 <= watch.rest_s() <= 45, "images come first"
        for one in listeners:
            watch.leave(one)

    asyncio.run(listen())
    until(lambda: watchers() == 0)


def test_what_changes_while_a_page_rests_is_told_to_it_together_afterwards() -> None:
    async def listen() -> frozenset[Watched]:
        one = Listener()
        resting = asyncio.create_task(one.changes(60, asyncio.get_running_loop().time() + 3600))
        for topic in (Watched.ALARMS, Watched.STUDIES):
            one.told(frozenset({topic}))
            for _ in range(10):
                await asyncio.sleep(0)
        assert not resting.done()
        resting.cancel()
        return await one.changes(60)

    assert asyncio.run(listen()) == {Watched.ALARMS, Watched.STUDIES}
