"""What the page brings from others is what they published, with its licence."""

from __future__ import annotations

import hashlib

from node.web.frame.render import ROOM

VENDOR = ROOM / "static" / "vendor"
KNOWN = {
    "idiomorph-0.8.0.min.js": "4cbd535caf7663a51eda9bce6595371c384fc430d54b8d414e29a61167f19f96",
}


def test_files_of_others_are_the_published_ones() -> None:
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.glob("*.js")
    }
    assert digests == KNOWN


def test_the_page_loads_what_lies_there_and_each_has_its_licence() -> None:
    page = (ROOM / "templates" / "layout.html").read_text()
    for name in KNOWN:
        assert f"/static/vendor/{name}" in page
        assert "Permission to use" in (VENDOR / f"{name.split('-')[0]}.LICENSE.txt").read_text()
