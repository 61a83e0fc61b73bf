"""The page in a real browser: it stays fresh without disturbing who reads it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import events
from storage.records import FindingRow, Level, Topic
from tests.instances import make_dataset
from tests.node.web import browser
from tests.node.web.dicomweb.bodies import file_of
from tests.node.web.dicomweb.test_stow import Counter, counter, open_counter
from tests.node.web.sites import LUNG, PARTS, START, Site, fail, finish, study_with_job
from tests.node.web.test_many import fill
from tests.zips import zipped

pytestmark = pytest.mark.interop
__all__ = ["counter", "open_counter"]

HOSTILE = '"><img src=x onerror="struck=1"><script>struck=1</script>'


@pytest.fixture
def page(site: Site, tmp_path: Path) -> Iterator[browser.Page]:
    for part in PARTS:
        site.parts[part].beat()
    with browser.opened(tmp_path / "profile") as opened:
        yield opened


def _show(page: browser.Page, site: Site, query: str = "") -> None:
    page.open(f"http://127.0.0.1:{site.server.port}/{query}")


def test_what_is_open_selected_and_focused_stays_so_while_the_page_changes(
    site: Site, page: browser.Page, phantom_paths: list[Path]
) -> None:
    fail(site, study_with_job(site, phantom_paths[0]))
    _show(page, site, "studies/1")
    page.run("document.querySelector('details#t1').open = true")
    page.run("getSelection().selectAllChildren(document.querySelector('pre'))")
    page.run("document.querySelector('#j1-retry button').focus()")
    with site.database.write() as tx:
        events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "the PACS is away")
    page.wait("document.body.textContent.includes('2 alarms')")
    assert page.run("document.querySelector('details#t1').open")
    assert page.run("getSelection().toString().trim()") == "Traceback here"
    assert page.run("document.activeElement.form.id") == "j1-retry"
    assert page.run("document.title") == "(2) Study 1 · WETREAD · Wetread"
    assert page.complaints == []


def test_what_is_scrolled_to_stays_where_it_is_when_something_goes_away_above(
    site: Site, page: browser.Page, phantom_paths: list[Path]
) -> None:
    finish(site, study_with_job(site, phantom_paths[0]))
    fill(site, 6)
    with site.database.write() as tx:
        alarm = events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "look here")
    _show(page, site, "studies/1")
    page.run("said = document.querySelector('#alarming').textContent")
    page.run("document.querySelector('#s1').scrollIntoView()")
    page.run("document.querySelector('#j1 .previews a').focus()")
    page.run("document.querySelector('#health').open = true")
    page.run("document.querySelector('#s1').scrollIntoView()")
    before = page.run("document.querySelector('#s1').getBoundingClientRect().top")
    with site.database.write() as tx:
        events.acknowledge(tx, alarm)
    page.wait("document.querySelector('#alarming')?.textContent !== said")
    assert abs(page.run("document.querySelector('#s1').getBoundingClientRect().top") - before) < 2
    assert page.run("document.activeElement.className") == "preview"
    assert page.run("document.querySelector('#health').open")
    assert page.complaints == []


def test_no_two_parts_of_the_page_have_one_id(
    site: Site, page: browser.Page, phantom_paths: list[Path]
) -> None:
    finish(site, study_with_job(site, phantom_paths[0]))
    fill(site, 3)
    _show(page, site)
    ids = page.run("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


def test_what_appears_above_does_not_load_the_images_below_again(
    site: Site, page: browser.Page, phantom_paths: list[Path]
) -> None:
    job_id = study_with_job(site, phantom_paths[0])
    finish(site, job_id)
    _show(page, site, "studies/1")
    page.wait("document.querySelector('.preview img').naturalWidth === 600")
    page.run("document.querySelector('.preview img').marked = true")
    with site.database.write() as tx:
        events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "look here")
    page.wait("!!document.querySelector('#alarming')")
    assert page.run("document.querySelector('.preview img').marked")


def test_a_click_on_a_preview_enlarges_it(
    site: Site, page: browser.Page, phantom_paths: list[Path]
) -> None:
    finish(site, study_with_job(site, phantom_paths[0]))
    _show(page, site, "studies/1")
    page.run("document.querySelector('a.preview').click()")
    page.wait("document.querySelector('dialog[open] img').naturalWidth === 600")
    page.run("document.querySelector('dialog button').click()")
    page.wait("!document.querySelector('dialog').open")


def test_the_buttons_try_again_and_acknowledge_do_what_they_say(
    site: Site, page: browser.Page, phantom_paths: list[Path]
) -> None:
    fail(site, study_with_job(site, phantom_paths[0]))
    _show(page, site, "studies/1")
    page.run("document.querySelector('#j1-retry button').click()")
    page.wait("location.pathname === '/jobs/1'")
    _show(page, site, "alarms")
    page.run("document.querySelector('.action button').click()")
    page.wait("document.body.textContent.includes('No alarm is open')")
    assert site.client.get("/api/alarms").json() == []
    assert site.woken == ["woken"]


def test_a_search_keeps_what_was_typed_while_the_page_changes(
    site: Site, page: browser.Page, phantom_paths: list[Path]
) -> None:
    study_with_job(site, phantom_paths[0])
    _show(page, site)
    page.run("document.querySelector('[name=words]').focus()")
    page.call("Input.insertText", text="do")
    with site.database.write() as tx:
        events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "the PACS is away")
    page.wait("document.body.textContent.includes('1 alarm')")
    assert page.run("document.querySelector('[name=words]').value") == "do"
    page.run("document.querySelector('#search button').click()")
    page.wait("location.search.includes('search=')")
    page.wait("document.documentElement?.classList.contains('live')")
    assert page.run("document.querySelectorAll('.studies > li').length") == 1
    assert page.complaints == []


def test_when_the_node_is_gone_the_page_says_that_it_is_old(site: Site, page: browser.Page) -> None:
    _show(page, site)
    site.server.stop()
    page.wait("!document.getElementById('offline').hidden")
    assert "does not answer" in page.run("document.getElementById('offline').textContent")
    assert page.run("document.title").startswith("✕")


def test_what_comes_from_images_is_never_run(
    site: Site, page: browser.Page, phantom_paths: list[Path]
) -> None:
    study_with_job(site, phantom_paths[0], HOSTILE)
    _show(page, site)
    page.run("refresh()")
    assert page.run("document.querySelector('#s1 .c-what').textContent").endswith(HOSTILE)
    assert page.run("window.struck") is None
    assert page.complaints == []


def test_a_name_that_turns_the_direction_turns_nothing_beside_it(
    site: Site, page: browser.Page, phantom_paths: list[Path]
) -> None:
    study_with_job(site, phantom_paths[0])
    for path in ("jobs/1", "rules?study=1"):
        _show(page, site, path)
        ends = page.run(
            "(() => { const name = document.querySelector('.patient');"
            " name.textContent = '\\u202eDoe, Jane';"
            " const id = name.parentNode.querySelector('.patient-id');"
            " return [name.getBoundingClientRect().right, id.getBoundingClientRect().left]; })()"
        )
        assert ends[0] <= ends[1]


def test_on_a_phone_values_are_in_sight_beside_the_longest_words(
    site: Site, page: browser.Page, phantom_paths: list[Path]
) -> None:
    long = FindingRow(
        "Knochenmineraldichteverteilungskoeffizient",
        "Wahrscheinlichkeit der Lumbalwirbelkörperkompressionsfraktur",
        1695.4,
        "mL",
        reference="1200 – 3200 mL",
        is_unusual=True,
    )
    finish(site, study_with_job(site, phantom_paths[0]), (long, LUNG))
    page.resize(360, 800)
    for path in ("studies/1", "jobs/1"):
        _show(page, site, path)
        ends = page.run(
            "[...document.querySelectorAll('.findings td')].filter((one) => one.textContent)"
            ".map((one) => one.getBoundingClientRect().right)"
        )
        assert len(ends) == 9
        assert max(ends) <= 360
        assert page.run("document.documentElement.scrollWidth") <= 360


def test_nothing_sticks_out_of_a_narrow_phone(
    site: Site, page: browser.Page, phantom_paths: list[Path]
) -> None:
    job_id = study_with_job(site, phantom_paths[0], "Verlaufskontrolle" * 3)
    fail(site, job_id, "x" * 300)
    page.resize(360, 800)
    for query in ("", "studies/1/analyze"):
        _show(page, site, query)
        assert page.run("document.documentElement.scrollWidth") == 360, query


@pytest.mark.parametrize("path", ["", "audit"], ids=["the first", "the last"])
def test_the_name_of_the_page_is_in_sight_on_a_narrow_phone(
    site: Site, page: browser.Page, path: str
) -> None:
    page.resize(360, 740)
    _show(page, site, path)
    edges = """(() => {
      const own = document.querySelector(".top nav a[aria-current]").getBoundingClientRect();
      return [own.left, own.right];
    })()"""
    left, right = page.run(edges)
    assert (left >= 0, right <= 360) == (True, True), f"from {left} to {right}"


def test_files_and_archives_that_are_dropped_are_stored_and_each_says_what_became_of_it(
    counter: Counter, tmp_path: Path
) -> None:
    datasets = [make_dataset(seed) for seed in (1, 2, 3, 4, 5)]
    encoded = [b64encode(file_of(one)).decode() for one in datasets[:4]]
    within = {"IM/5": file_of(datasets[4]), "IM/6": b"\x02\x00no", "README": b"words"}
    archive = b64encode(zipped(within)).decode()
    with browser.opened(tmp_path / "profile") as page:
        page.open(f"http://127.0.0.1:{counter.server.port}/upload")
        page.run(
            f"for (const [n, text] of {encoded}.entries()) {{"
            " const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));"
            " (window.dropped ??= new DataTransfer()).items.add(new File([bytes], `${n}.dcm`)); }"
            f" dropped.items.add(new File(['no DICOM'], {HOSTILE!r}));"
            f" const packed = Uint8Array.from(atob('{archive}'), (one) => one.charCodeAt(0));"
            " dropped.items.add(new File([packed], 'cd.zip'));"
            " document.getElementById('drop').dispatchEvent("
            "new DragEvent('drop', { dataTransfer: dropped, cancelable: true }))"
        )
        page.wait("document.getElementById('summed').textContent === '5 of 7 stored, 2 refused'")
        lines = (
            "[...document.querySelectorAll('#list .{}')].map((one) => one.parentNode.textContent)"
        )
        refused, stored = page.run(lines.format("failed")), page.run(lines.format("done"))
        assert [sum(name in one for one in refused) for name in (HOSTILE, "› IM/6")] == [1, 1]
        assert [one for one in stored if "cd.zip" in one] == [
            "cd.zip – passed over, no DICOM or a DICOMDIR: README✓ 1 in it stored, 1 passed over",
            "cd.zip › IM/5✓ stored",
        ]
        assert page.run("typeof struck") == "undefined"
        assert counter.stored() == {one.SOPInstanceUID for one in datasets}
        assert [one for one in page.complaints if "409" not in one] == []
