"""A real browser, driven over Chromium's debugging pipe (Chrome DevTools Protocol)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-sync", "--disable-background-networking", "--disable-component-update",
    "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip

_STATE = """JSON.stringify([document.visibilityState, document.hasFocus(),
  {...document.getElementById("look")?.dataset},
  [...document.querySelectorAll(".fault, [role=alert]")].map((one) => one.textContent.trim())])"""


class Page:
    """One tab. ``complaints`` holds what the page logged or threw: it should stay empty."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._number = 0
        self._rest = b""
        self._session: dict[str, str] = {}
        self.complaints: list[str] = []

    def attach(self) -> None:
        """Take hold of the browser's first tab."""
        targets = self.call("Target.getTargets")["targetInfos"]
        (tab,) = [one for one in targets if one["type"] == "page"]
        held = self.call("Target.attachToTarget", targetId=tab["targetId"], flatten=True)
        self._session = {"sessionId": held["sessionId"]}
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(answer["params"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._answers, 1 << 20)
            assert read, "the browser has ended"
            self._rest += read
        message, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(message))

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("document.documentElement?.classList.contains('live')")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression holds."""
        until(lambda: self.run(condition), told=lambda: f"{condition} {self._state()}")

    def _state(self) -> str:
        """What the page says of itself, for who reads why a test failed."""
        said = self.run(_STATE)
        return f"{said} {self.complaints[-3:]}"

    def press(self, key: str) -> None:
        """A key of the page's own: nothing that the browser itself would act on."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def dress(self, scheme: str) -> None:
        """As whoever prefers it sees the page: light or dark."""
        preferred = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=preferred)

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)


@contextmanager
def opened(profile: Path) -> Iterator[Page]:
    """A browser with one empty tab; its end is the end of the block."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed: the page's script is not tested")
    theirs_in, commands = os.pipe()
    answers, theirs_out = os.pipe()
    ends = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'  # the numbers the browser expects
    options = [*OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        ["bash", "-c", ends, "bash", program, *options],
        pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _close(theirs_in, theirs_out)
    try:
        page = Page(commands, answers)
        page.attach()
        yield page
    finally:
        _close(commands, answers)
        process.kill()
        process.wait()


def _close(*descriptors: int) -> None:
    for one in descriptors:
        os.close(one)
