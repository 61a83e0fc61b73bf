"""The node's own viewer as pages without scripts: what it opens on, what its links lead to."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray
from PIL import Image

from analyzers.contract import Findings, Segment, Segmentation
from node.look.looker import Looker
from node.web.viewer.own import served
from storage import schema
from storage.files.blobs import Files
from storage.index import shown
from tests.node.look.studies import ANATOMY, LUNG, RED, Chest, chest, hold_found, hold_results
from tests.node.web.sites import Site, study_with_job

HOSTILE = '"><script>alert(1)</script>'
PEOPLE = {"accept": "text/html"}


@pytest.fixture
def one(site: Site, tmp_path: Path) -> Chest:
    made = chest(site, tmp_path / "ct")
    hold_found(site, tmp_path)
    return made


def page(site: Site, query: str = "") -> str:
    answer = site.client.get(f"/studies/1/look{query}", headers=PEOPLE)
    assert answer.status_code == 200, answer.text
    return answer.text


def drawn(text: str) -> str:
    """The URL of the picture of a page."""
    found = re.search(r'id="look-img" src="([^"]+)"', text)
    assert found is not None
    return found[1].replace("&amp;", "&")


def pixels(answer: httpx.Response) -> NDArray[np.uint8]:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def is_red(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    red, green, blue = (picture[..., i].astype(int) for i in range(3))
    return np.asarray((red > green + 60) & (red > blue + 60))


def covered(site: Site, url: str) -> int:
    """Pixels on which something lies."""
    rgba = np.asarray(Image.open(io.BytesIO(site.client.get(url).content)))
    return int((rgba[..., 3] > 0).sum())


def test_it_opens_on_the_slice_of_the_finding_with_the_finding_shown(
    site: Site, one: Chest
) -> None:
    text = page(site)
    areas = one.truth["right_lung"].sum(axis=(1, 2))
    largest = {
        f"axial, z = −{-float(one.source.headers[at].ImagePositionPatient[2]):.0f} mm"
        for at in np.flatnonzero(areas == areas.max())
    }
    assert any(where in text for where in largest)
    assert is_red(pixels(site.client.get(drawn(text)))).mean() > 0.005


def test_the_legend_has_names_and_volumes(site: Site, one: Chest) -> None:
    volume = one.source.volume
    assert volume is not None
    voxel_ml = abs(np.linalg.det(volume.affine[:3, :3])) / 1000
    said = f"{one.truth['right_lung'].sum() * voxel_ml:,.0f} mL".replace(",", " ")
    text = page(site)
    assert "Right lung" in text
    assert said in text


def test_the_links_lead_to_the_next_slice_and_back(site: Site, one: Chest) -> None:
    text = page(site, "?slice=4")
    links = dict(re.findall(r'<a href="([^"]+)" data-move="(-?1)"', text))
    assert sorted((by, re.findall(r"slice=(\d+)", href)) for href, by in links.items()) == [
        ("-1", ["3"]),
        ("1", ["5"]),
    ]


def test_a_finding_can_be_left_out_made_paler_and_drawn_as_outlines(site: Site, one: Chest) -> None:
    url = drawn(page(site)).replace(".jpg", ".png")
    over = url.replace("picture.png", "over.png")
    whole, outlined = (
        int(
            (np.asarray(Image.open(io.BytesIO(site.client.get(address).content)))[..., 3] > 0).sum()
        )
        for address in (over, f"{over}&style=outlined")
    )
    row = re.findall(r"object=(\d+)", url)[0]
    without = is_red(pixels(site.client.get(f"{url}&without={row}.1"))).sum()
    pale = is_red(pixels(site.client.get(f"{url}&opacity=10"))).sum()
    bare = is_red(pixels(site.client.get(url.replace(f"object={row}", "object=none")))).sum()
    assert whole > outlined > 0
    assert (without, pale, bare) == (0, 0, 0)


def test_values_are_those_of_the_file_and_say_how_they_become_hounsfield_units(
    site: Site, one: Chest
) -> None:
    answer = site.client.get(f"/studies/1/look/{one.series_id}/3/values")
    slope, intercept = (float(part) for part in answer.headers["wetread-scale"].split(","))
    rows, columns = (int(part) for part in answer.headers["wetread-size"].split(","))
    cells = np.frombuffer(answer.content, f"<{answer.headers['wetread-cells']}")
    volume = one.source.volume
    assert volume is not None
    at = len(volume.stored) - 3  # from the head down
    wanted = volume.values()[at]
    assert (rows, columns) == wanted.shape
    assert np.allclose(cells.reshape(rows, columns) * slope + intercept, wanted)


def test_a_picture_comes_in_each_form_that_is_asked_for(site: Site, one: Chest) -> None:
    for form, kind in (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")):
        answer = site.client.get(f"/studies/1/look/{one.series_id}/3/picture.{form}?longest=96")
        assert answer.headers["cache-control"] == "private, no-store"
        picture = Image.open(io.BytesIO(answer.content))
        assert (picture.format, max(picture.size)) == (kind, 96)


def test_a_series_in_small_shows_what_was_found_and_is_drawn_anew_when_the_study_changes(
    site: Site, one: Chest
) -> None:
    url = f"/studies/1/look/{one.series_id}/thumbnail.webp"
    text = site.client.get("/studies/1", headers=PEOPLE).text
    assert re.findall(r'class="pictured" href="([^"]+)"><img [^>]*src="([^"]+)" alt=""', text) == [
        (f"/studies/1/look?series={one.series_id}", url)
    ]
    answer = site.client.get(url)
    assert answer.headers["cache-control"] == "private, no-cache"
    assert max(pixels(answer).shape) == 144
    assert len(answer.content) < 8000
    assert is_red(pixels(answer)).mean() > 0.005
    known = {"If-None-Match": answer.headers["etag"]}
    assert site.client.get(url, headers=known).status_code == 304
    with site.database.write() as tx:
        table = schema.studies
        tx.execute(sa.update(table).values(revision=table.c.revision + 1))
    assert site.client.get(url, headers=known).status_code == 200
    assert site.client.get("/studies/1/look/99/thumbnail.webp").status_code == 404


@pytest.mark.parametrize("asked", ["", "?series={made}", "?series={images}"])
def test_the_first_picture_is_what_the_page_opens_with(site: Site, one: Chest, asked: str) -> None:
    with site.database.look() as tx:
        (made,) = [each.id for each in shown.series_shown(tx, 1) if each.modality == "SEG"]
    query = asked.format(made=made, images=one.series_id)
    first = pixels(site.client.get(f"/studies/1/look/first.webp{query}"))
    assert max(first.shape) == 900
    assert is_red(first).mean() > 0.005, "what was found lies on it"
    page_of = pixels(site.client.get(drawn(page(site, query))))
    assert np.abs(first.astype(int) - page_of).mean() < 2, "in another form, it is the same"


def test_the_list_shows_a_study_in_small_with_what_was_found_and_draws_it_once(
    site: Site, one: Chest, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn_for: list[int] = []
    drawn = served.drawn

    def counted(looker: Looker, study_id: int, *rest: Any) -> bytes:
        drawn_for.append(study_id)
        return drawn(looker, study_id, *rest)

    monkeypatch.setattr(served, "drawn", counted)
    read_as(site, "finding")
    (line,) = in_small(site)
    url = re.findall(r'<img loading="lazy" [^>]*width="44" height="44" src="([^"]+)"', line)[0]
    answers = [site.client.get(url) for _ in range(3)]
    assert drawn_for == [1]
    assert max(pixels(answers[0]).shape) == 144
    assert len(answers[0].content) < 8000
    assert is_red(pixels(answers[0])).mean() > 0.005
    assert answers[0].headers["cache-control"] == "private, no-cache"
    known = {"If-None-Match": answers[0].headers["etag"]}
    assert site.client.get(url, headers=known).status_code == 304
    with site.database.write() as tx:
        table = schema.studies
        tx.execute(sa.update(table).values(revision=table.c.revision + 1))
    assert site.client.get(url, headers=known).status_code == 200
    assert drawn_for == [1, 1]
    assert site.client.get("/studies/99/thumbnail.webp").status_code == 404


def read_as(site: Site, state: str) -> None:
    with site.database.write() as tx:
        tx.execute(sa.update(schema.studies).values(reading=state))


def in_small(site: Site) -> list[str]:
    """Where the list shows studies in small."""
    text = site.client.get("/", headers=PEOPLE).text
    return re.findall(r'<span class="c-look">(.*?)</span>', text)


def test_a_study_whose_images_come_or_are_analyzed_is_not_drawn_for_the_list(
    site: Site, one: Chest
) -> None:
    for state in ("receiving", "waiting", "running"):
        read_as(site, state)
        assert in_small(site) == [""], state


def test_a_study_that_cannot_be_read_has_no_picture_and_is_not_tried_again(
    site: Site, one: Chest, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def broken(looker: Looker, study_id: int, *rest: Any) -> bytes:
        tried.append(study_id)
        raise OSError("gone")

    monkeypatch.setattr(served, "drawn", broken)
    answers = [site.client.get("/studies/1/thumbnail.webp") for _ in range(2)]
    assert [shows_nothing(one) for one in answers] == [True, True]
    assert tried == [1]


def test_a_study_whose_file_is_gone_has_no_picture(site: Site, phantom_paths: list[Path]) -> None:
    study_with_job(site, phantom_paths[0])
    assert isinstance(site.archive.instances, Files)
    site.archive.instances.path("k").unlink()
    assert shows_nothing(site.client.get("/studies/1/thumbnail.webp"))


def shows_nothing(answer: httpx.Response) -> bool:
    """Whether what lies behind the picture is seen, and no sign that it is missing."""
    rgba = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))
    return answer.status_code == 200 and not rgba[..., 3].any()


def test_neither_a_page_nor_an_address_in_it_holds_a_uid_or_a_name(site: Site, one: Chest) -> None:
    text = page(site)
    header = one.source.headers[0]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientName"):
        assert str(header[keyword].value) not in text
    assert not re.search(r"\d+(\.\d+){6,}", text)


def test_markup_in_a_description_and_in_a_label_is_text(site: Site, tmp_path: Path) -> None:
    made = chest(site, tmp_path / "ct")
    labels = np.zeros(made.truth["right_lung"].shape, np.uint8)
    labels[made.truth["right_lung"]] = 1
    segment = Segment("lung", 1, HOSTILE, ANATOMY, LUNG, rgb=RED)
    hold_results(site, made, Findings((Segmentation(labels, (segment,), HOSTILE),)), tmp_path)
    text = page(site)
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text


def test_a_page_loads_nothing_inline_and_nothing_from_elsewhere(site: Site, one: Chest) -> None:
    text = page(site)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)


@pytest.mark.parametrize(
    "query",
    ["window=1", "window=5,1", "window=a,b", "window=nan,1", "object=x", "without=1", "slice=0",
     "style=x", "opacity=101"],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused_by_name(site: Site, query: str) -> None:
    answer = site.client.get(f"/studies/1/look?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["error"]


@pytest.mark.parametrize("path", ["7/look", "1/look?series=99", "1/look?slice=31"])
def test_what_is_not_there_is_not_found(site: Site, one: Chest, path: str) -> None:
    assert site.client.get(f"/studies/{path}").status_code == 404


def test_a_window_and_a_slice_are_kept_from_link_to_link(site: Site, one: Chest) -> None:
    text = page(site, "?slice=9&window=-160,240&style=outlined")
    hrefs = re.findall(r'<a href="(\?[^"]*slice=10[^"]*)"', text)
    assert any("window=-160,240" in href and "style=outlined" in href for href in hrefs)
    assert 'aria-current="true">Soft tissue<' in text


def test_an_object_that_is_an_image_opens_at_that_image(site: Site, one: Chest) -> None:
    with site.database.look() as tx:
        rows = [member.held.id for member in shown.members(tx, [one.series_id], 100)]
    assert 'id="look-number">1<' in page(site, f"?object={rows[0]}")  # the head was sent first
    assert 'id="look-number">30<' in page(site, f"?object={rows[-1]}")
