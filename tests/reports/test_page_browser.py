"""The page in a real browser: size, colours, network, keyboard, names, landmarks, print."""

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

from metaact.analysis.figures.canvas import ALL_COLOURS
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

    def open(self, path: Path, *, width: int, scheme: str = "light", media: str = "") -> None:
        """Load a file as a screen of that width in pixels, or paper, shows it."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[feature])
        self.events.clear()
        self.ask("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, script: str) -> Any:
        """The value of an expression on the page."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        code = {"Tab": 9, "Enter": 13}[key]
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        letter = {"text": "\r"} if key == "Enter" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **about, **letter)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **about)

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


@pytest.fixture
def folded(document: Document, folder: Path) -> Path:
    """The page as it is, with an example."""
    path = folder / "folded.html"
    if not path.exists():
        path.write_text(page(document, pictures=1), "utf-8")
    return path


SCHEMES = ["light", "dark"]
WIDTHS = [390, 768, 1440]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
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
    assert any("against relu" in words for _, words in contrasts)  # of the forest
    assert [found for found in contrasts if found[0] < 4.5] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_of_all_arms_stand_out_from_their_ground(
    browser: Browser, file: Path, scheme: str
) -> None:
    browser.open(file, width=1400, scheme=scheme)
    lines = browser.value(
        f"(() => {{ {RATIO} return [...document.querySelectorAll('main path[style*=\"--arm-\"]')]"
        ".filter(e => getComputedStyle(e).stroke !== 'none')"
        ".map(e => [ratio(getComputedStyle(e).stroke, e), getComputedStyle(e).stroke]); })()"
    )
    assert len({colour for _, colour in lines}) >= 4
    assert [line for line in lines if line[0] < 3] == []
    count = len(ALL_COLOURS)
    every = browser.value(
        f"(() => {{ {RATIO} return [...Array({count}).keys()].map(n => {{"
        "const e = document.body.appendChild(document.createElement('p'));"
        "e.style.color = `var(--arm-${n + 1})`;"
        "return ratio(getComputedStyle(e).color, e); }); })()"
    )
    assert min(every) >= 3
    assert len(set(every)) == count


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


@pytest.mark.parametrize("width", WIDTHS)
def test_everything_is_reached_by_keyboard_in_its_order_and_seen_there(
    browser: Browser, folded: Path, width: int
) -> None:
    browser.open(folded, width=width)
    browser.value("document.querySelectorAll('main details').forEach(e => e.open = true)")
    stops = browser.value(
        "[...document.querySelectorAll('a[href], summary, [tabindex]')]"
        ".filter(e => e.checkVisibility({contentVisibilityAuto: true}))"
        ".map((e, i) => (e.dataset.stop = i)).length"
    )
    assert stops > 60
    for stop in range(stops):
        browser.press("Tab")
        at, seen = browser.value(FOCUS)
        assert at == str(stop)
        assert seen, browser.value("document.activeElement.outerHTML.slice(0, 200)")
    browser.open(folded, width=width)
    browser.press("Tab")
    browser.press("Enter")
    assert browser.value("location.hash") == "#summary"


def test_values_are_told_on_focus_and_on_hover(browser: Browser, folded: Path) -> None:
    browser.open(folded, width=1440)
    shown = (
        "[...document.querySelectorAll('.told')]"
        ".filter(e => e.checkVisibility({visibilityProperty: true})).map(e => e.textContent)"
    )
    assert browser.value(shown) == []
    browser.value("document.querySelector('#forest .value').focus()")
    (told,) = browser.value(shown)
    assert told.startswith("arelu")
    place = browser.value(
        "(() => { const r = document.querySelectorAll('#forest .value .place')[1]"
        ".getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    browser.value("document.activeElement.blur()")
    browser.ask("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    (hovered,) = browser.value(shown)
    assert hovered != told
    outside = browser.value(
        "[...document.querySelectorAll('.value')].filter(e => { e.focus(); "
        "const a = e.querySelector('.told rect').getBoundingClientRect(); "
        "const b = e.ownerSVGElement.getBoundingClientRect(); "
        "return a.left < b.left - 1 || a.right > b.right + 1; }).length"
    )
    assert outside == 0


def test_the_contents_list_is_in_view_on_wide_screens_and_folds_on_narrow_ones(
    browser: Browser, folded: Path
) -> None:
    link = "document.querySelector('.contents a')"
    seen = f"{link}.checkVisibility({{contentVisibilityAuto: true}})"
    browser.open(folded, width=390)
    assert not browser.value(seen)
    browser.press("Tab")
    browser.press("Tab")
    browser.press("Enter")
    assert browser.value(seen)
    browser.open(folded, width=1440)
    assert browser.value(seen)
    browser.value("scrollTo(0, document.body.scrollHeight / 2)")
    assert 0 <= browser.value(f"{link}.getBoundingClientRect().top") < 300
    browser.value("document.querySelector('.to-top').click()")
    browser.value("new Promise(done => requestAnimationFrame(done))")
    assert browser.value("location.hash") == "#top"
    assert browser.value("scrollY") < 30


def test_a_study_takes_no_more_than_three_screens(
    browser: Browser, folded: Path, document: Document
) -> None:
    browser.open(folded, width=1440)
    tall = browser.value("document.querySelector('main').scrollHeight")
    assert tall < 900 + 2700 * len(document.studies)


def test_a_link_into_what_is_folded_opens_it(browser: Browser, folded: Path) -> None:
    browser.open(folded, width=1440)
    browser.value("document.querySelector('a[href$=\"-runs-and-how-to-make-them-again\"]').click()")
    assert browser.value("document.querySelector(location.hash).closest('details').open")


@pytest.mark.parametrize("width", [390, 1440])
def test_parts_have_names_and_landmarks_are_there_once(
    browser: Browser, folded: Path, width: int
) -> None:
    browser.open(folded, width=width)
    browser.ask("Accessibility.enable")
    nodes = browser.ask("Accessibility.getFullAXTree")["nodes"]
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]
    roles = [role for role, _ in found]
    for landmark in ("banner", "main", "navigation", "contentinfo"):
        assert roles.count(landmark) == 1, landmark
    named = ("link", "image", "img", "table", "region", "navigation", "heading")
    without = [role for role, name in found if role in named and not name.strip()]
    assert without == []
    regions = [name for role, name in found if role == "region"]
    assert len(regions) == len(set(regions))


def test_on_paper_all_is_open_and_nothing_is_for_a_screen(browser: Browser, folded: Path) -> None:
    browser.open(folded, width=768, scheme="dark", media="print")
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    hidden = "[...document.querySelectorAll('main details > :not(summary)')]"
    hidden += ".filter(e => e.getBoundingClientRect().height === 0).length"
    assert browser.value(hidden) == 0
    assert not browser.value("document.querySelector('nav').checkVisibility()")
    browser.open(folded, width=768)


def test_the_names_of_users_stay_text(browser: Browser, file: Path) -> None:
    browser.open(file, width=1400)
    assert browser.value("document.scripts.length") == 0
    assert browser.value("document.body.textContent.includes('<script>alert(1)</script>')")


FOCUS = """(() => {
const e = document.activeElement, place = e.querySelector('.place');
const style = getComputedStyle(place ?? e);
const ring = place ? style.stroke !== 'none' : style.outlineStyle !== 'none';
return [e.dataset.stop, ring && e.checkVisibility({contentVisibilityAuto: true})];
})()"""
"""Which stop has the focus, and whether that is seen."""

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
  if (!walk.currentNode.data.trim() || e.closest('title, .skip')) continue;
  const style = getComputedStyle(e);
  const drawn = e.closest('svg') ? style.fill : style.color;
  if (['rgb(255, 255, 254)', 'rgb(0, 0, 1)'].includes(drawn)) continue;  // on a coloured cell
  found.push([ratio(drawn, e), walk.currentNode.data.slice(0, 40)]);
}}
return found; }})()"""
