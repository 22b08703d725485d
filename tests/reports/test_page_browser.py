"""The page in a real browser, driven over a pipe: size, colours, network, console, focus."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metaact.reports import Document, page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason=f"no browser: none of {', '.join(NAMES)} found"),
    pytest.mark.skipif(os.name != "posix", reason="the browser's pipe is on file 3 and 4"),
]

PATIENCE = 60.0

LAUNCH = """
import os, sys
ends = [os.dup(int(end)) for end in sys.argv[1:3]]
while min(ends) < 5:
    ends = [os.dup(end) for end in ends]
for place, end in enumerate(ends, start=3):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser speaks on files 3 and 4: become it with the pipe's ends there."""


class Browser:
    """A headless Chromium that speaks the DevTools protocol over files 3 and 4."""

    def __init__(self, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        options = [
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--remote-debugging-pipe", "--no-first-run", f"--user-data-dir={profile}"),
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(to_read), str(to_write), str(CHROMIUM), *options],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        os.set_blocking(self._read, False)
        self._number, self._buffer = 0, b""
        self.events: list[Any] = []
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def _attach(self) -> None:
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        flat = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = flat["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    _session: str | None = None

    def ask(self, method: str, **params: Any) -> Any:
        """One call and its answer; what happens in between is kept in `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> Any:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            with contextlib.suppress(BlockingIOError):
                self._buffer += os.read(self._read, 1 << 20)
            if time.monotonic() > end:
                raise TimeoutError("the browser does not answer")
            time.sleep(0.005)
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, path: Path, *, width: int, scheme: str = "light") -> None:
        """Load a file as a screen of that width in pixels shows it."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.ask("Emulation.setEmulatedMedia", features=[feature])
        self.events.clear()
        self.ask("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, script: str) -> Any:
        """The value of an expression on the page."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        taken = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for end in (self._read, self._write):
            os.close(end)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    running = Browser(tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture
def file(document: Document, folder: Path) -> Path:
    """The page with its parts unfolded, so that all of it is measured; made once."""
    path = folder / "report.html"
    if not path.exists():
        path.write_text(page(document).replace("<details", "<details open"), "utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_it_fits_the_screen_in_silence_without_network(
    browser: Browser, file: Path, width: int, scheme: str
) -> None:
    browser.open(file, width=width, scheme=scheme)
    assert browser.value("document.documentElement.scrollWidth") <= width
    wide = "[...document.querySelectorAll('main > section > *')].filter(e => "
    assert browser.value(f"{wide}e.getBoundingClientRect().right > innerWidth + 1).length") == 0
    methods = [event["method"] for event in browser.events]
    assert "Log.entryAdded" not in methods
    assert "Runtime.consoleAPICalled" not in methods
    assert "Runtime.exceptionThrown" not in methods
    sent = [e for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    asked = [e["params"]["request"]["url"].partition("#")[0] for e in sent]
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(browser: Browser, file: Path, scheme: str) -> None:
    browser.open(file, width=1400, scheme=scheme)
    dark = browser.value("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    contrasts = browser.value(CONTRASTS)
    assert len(contrasts) > 300
    assert [found for found in contrasts if found[0] < 4.5] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_of_all_arms_stand_out_from_their_ground(
    browser: Browser, file: Path, scheme: str
) -> None:
    browser.open(file, width=1400, scheme=scheme)
    lines = browser.value(
        f"(() => {{ {RATIO} return [...document.querySelectorAll('.legend path[stroke-width]')]"
        ".map(e => [ratio(getComputedStyle(e).stroke, e), getComputedStyle(e).stroke]); })()"
    )
    assert len({colour for _, colour in lines}) >= 4
    assert [line for line in lines if line[0] < 3] == []
    every = browser.value(
        f"(() => {{ {RATIO} return [1, 2, 3, 4, 5, 6, 7].map(n => {{"
        "const e = document.body.appendChild(document.createElement('p'));"
        "e.style.color = `var(--arm-${n})`;"
        "return ratio(getComputedStyle(e).color, e); }); })()"
    )
    assert min(every) >= 3
    assert len(set(every)) == 7


def test_headings_are_seen_and_wide_tables_scroll_by_themselves(
    browser: Browser, file: Path
) -> None:
    browser.open(file, width=360)
    hidden = "[...document.querySelectorAll('h1,h2,h3')].filter(e => !e.checkVisibility()).length"
    assert browser.value(hidden) == 0
    frames = "[...document.querySelectorAll('.wide')]"
    assert browser.value(f"{frames}.some(e => e.scrollWidth > e.clientWidth + 50)")
    assert browser.value(f"{frames}.every(e => getComputedStyle(e).overflowX === 'auto')")
    assert browser.value(f"{frames}.every(e => (e.focus(), document.activeElement === e))")


def test_letters_in_pictures_can_be_read_on_a_phone(browser: Browser, file: Path) -> None:
    browser.open(file, width=360)
    heights = browser.value(
        "[...document.querySelectorAll('svg.picture text')].map(e => "
        "parseFloat(getComputedStyle(e).fontSize) * "
        "Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b))"
    )
    assert len(heights) > 50
    assert min(heights) > 7.5


def test_the_names_of_users_stay_text(browser: Browser, file: Path) -> None:
    browser.open(file, width=1400)
    assert browser.value("document.scripts.length") == 0
    assert browser.value("document.body.textContent.includes('<script>alert(1)</script>')")


RATIO = """
const rgb = text => text.match(/[\\d.]+/g).map(Number);
const part = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
const ground = e => {
  for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c;
  }
  return [255, 255, 255];
};
const ratio = (colour, e) => {
  const [a, b] = [light(rgb(colour)), light(ground(e))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
};
"""
"""Contrast as WCAG 2.2 defines it."""

CONTRASTS = f"""(() => {{ {RATIO}
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = [];
while (walk.nextNode()) {{
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || e.closest('title, .skip, .paper')) continue;
  const style = getComputedStyle(e);
  const drawn = e.closest('svg') ? style.fill : style.color;
  found.push([ratio(drawn, e), walk.currentNode.data.slice(0, 40)]);
}}
return found; }})()"""
