"""What the browser tests share: the application as people start it, with no network, and a Chromium.

Server and Chromium run in a network namespace that holds loopback alone; where the machine grants
none, the server's sockets refuse every other address and Chromium resolves no other name. In both
cases each request of every page is written down.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import CHECKOUT, PASSWORD
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, expect, sync_playwright

from assistant.accounts import Accounts
from assistant.store import Store

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
START_SECONDS = 120
WAIT = 30_000  # ms for anything to appear on a slow, busy machine
REFUSING = """
import socket
def local(address):
    return not isinstance(address, tuple) or str(address[0]) in ("127.0.0.1", "::1", "localhost")
for name in ("connect", "connect_ex"):
    def guarded(self, address, real=getattr(socket.socket, name)):
        if not local(address):
            raise OSError("network is unreachable")
        return real(self, address)
    setattr(socket.socket, name, guarded)
"""

expect.set_options(timeout=WAIT)


@dataclass
class CutOff:
    """How to start a program so that it reaches this machine alone."""

    before: list[str]  # goes before the command
    environment: dict[str, str]
    flags: list[str]  # for Chromium
    chromium: str

    def reaches(self, address: str) -> bool:
        """Say whether a program started this way can open a connection to ``address``."""
        call = f"import socket; s = socket.socket(); s.settimeout(3); s.connect(({address!r}, 80))"
        command = [*self.before, sys.executable, "-c", call]
        return subprocess.run(command, env=self.environment, capture_output=True).returncode == 0


@pytest.fixture(scope="session")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CutOff]:
    """A namespace with loopback alone, kept open by a sleeping process, else refusing sockets."""
    place = tmp_path_factory.mktemp("cut-off")
    kept = {"MENTORING_MODELS": str(CHECKOUT / ".cache" / "models")} | dict(os.environ)
    holder = _namespace()
    if holder:
        before = ["nsenter", "-t", str(holder.pid), "-U", "-n", "--preserve-credentials"]
        wrapper = place / "chromium"
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(before)} {CHROMIUM} "$@"\n')
        wrapper.chmod(0o755)
        yield CutOff(before, kept, [], str(wrapper))
        holder.kill()
        holder.wait()
        return
    (place / "sitecustomize.py").write_text(REFUSING)
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(place), kept.get("PYTHONPATH", "")]))
    flags = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    yield CutOff([], kept, flags, CHROMIUM)


def _namespace() -> subprocess.Popen[str] | None:
    if not (shutil.which("unshare") and shutil.which("nsenter") and shutil.which("ip")):
        return None
    hold = ["unshare", "-rn", "sh", "-c", "ip link set lo up && echo ready && exec sleep 100000"]
    holder = subprocess.Popen(hold, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert holder.stdout
    enter = ["nsenter", "-t", str(holder.pid), "-U", "-n", "--preserve-credentials", "true"]
    if holder.stdout.readline() == "ready\n" and subprocess.run(enter, capture_output=True).returncode == 0:
        return holder
    holder.kill()
    holder.wait()
    return None


class Server:
    """``mentoring serve`` as a process of its own, on one data folder and one port."""

    def __init__(self, cut_off: CutOff, data: Path) -> None:
        self._cut_off = cut_off
        self.data = data
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.said: list[str] = []

    def start(self) -> None:
        """Start, and return once it has said where it is."""
        serve = [sys.executable, "-m", "assistant", "serve", "--data", str(self.data), "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*self._cut_off.before, *serve], cwd=CHECKOUT, env=self._cut_off.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(ready,), daemon=True).start()
        started = ready.wait(START_SECONDS) and self._process.poll() is None
        assert started, "the application did not start:\n" + "".join(self.said[-20:])

    def _listen(self, ready: threading.Event) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self.said.append(line)
            if line.startswith("Stop with"):
                ready.set()
        ready.set()

    def first_code(self) -> str:
        """Return the code that the terminal shows while nobody has an account."""
        found = re.search(r"with this code: (\S+)", "".join(self.said))
        assert found, "the terminal showed no code for the first account"
        return found.group(1)

    def stop(self) -> None:
        """End at once, as a power cut would."""
        self._process.kill()
        self._process.wait()

    def store(self) -> Store:
        return Store(self.data / "mentoring.sqlite")


@pytest.fixture(scope="module")
def server(cut_off: CutOff, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(cut_off, tmp_path_factory.mktemp("data"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def playing() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium(playing: Playwright, cut_off: CutOff) -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        reason = f"there is no {CHROMIUM}: install Chromium, or the pages stay untested"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    opened = playing.chromium.launch(executable_path=cut_off.chromium, args=[*FLAGS, *cut_off.flags])
    yield opened
    opened.close()


@dataclass
class Visitor:
    """One person at a browser of their own, and all that this browser did."""

    context: BrowserContext
    page: Page
    address: str
    outside: list[str] = field(default_factory=list)  # requests that left this machine
    asked: list[str] = field(default_factory=list)  # every address
    faults: list[str] = field(default_factory=list)  # dialogs, policy breaches, script errors

    def go(self, path: str, until: str = "h1") -> Page:
        """Open a page; while the application is still opening its port, try again."""
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.page.goto(self.address + path, wait_until="domcontentloaded")
                break
            except Error as error:
                if "ERR_CONNECTION_REFUSED" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(0.3)
        self.page.locator(until).first.wait_for(state="attached")
        return self.page

    def sign_up(self, code: str, name: str) -> None:
        page = self.go("/sign-up")
        page.fill("[name=code]", code)
        page.fill("[name=name]", name)
        page.fill("[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url("**/welcome")

    def sign_in(self, name: str) -> None:
        page = self.go("/sign-in")
        page.fill("[name=name]", name)
        page.fill("[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/sign-in" not in url)

    def write(self, text: str) -> None:
        """Put ``text`` on the sheet and wait until it is saved."""
        self.page.fill("#text", text)
        expect(self.page.locator(".sheet [data-status]")).to_have_text("Saved")

    def read(self, text: str) -> None:
        self.write(text)
        self.page.click("button[data-act=read]")
        self.page.locator(".columns").wait_for()


def visit(browser: Browser, server: Server, **options: object) -> Visitor:
    """Open a browser of its own, empty of anybody's traces, that notes what it asks for."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)  # type: ignore[arg-type]
    context.set_default_timeout(WAIT)
    visitor = Visitor(context, context.new_page(), server.address)

    def asked(url: str) -> None:
        visitor.asked.append(url)
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname != "127.0.0.1":
            visitor.outside.append(url)

    def said(text: str) -> None:
        if "Content Security Policy" in text or "Refused to" in text:
            visitor.faults.append(text)

    context.on("request", lambda request: asked(request.url))
    context.on("console", lambda message: said(message.text))
    context.on("weberror", lambda error: visitor.faults.append(str(error.error)))
    context.on("dialog", lambda dialog: (visitor.faults.append("dialog"), dialog.dismiss()))
    return visitor


def account(server: Server, name: str, role: str = "mentee") -> str:
    """Make an account that has read the first page, past the browser; return its id."""
    store = server.store()
    accounts = Accounts(store)
    code = accounts.first_code() or accounts.signup_code(role)
    person = accounts.sign_up(code, name, PASSWORD).id
    accounts.welcome(person)
    store.close()
    return person


# What holds on every page

UNSAID = re.compile(r"\b(urgent|abstained|thin|lacks|detected|risk|barrier|scores)\b", re.IGNORECASE)
NAMELESS = """() => {
  const words = (node) => { const copy = node.cloneNode(true);
    copy.querySelectorAll("input, textarea, select").forEach((field) => field.remove()); return copy.textContent; };
  const name = (node) => node.getAttribute("aria-label") || node.title || [...(node.labels ?? [])].map(words).join("").trim()
    || (["INPUT", "TEXTAREA", "SELECT"].includes(node.tagName) ? "" : node.textContent.trim());
  return [...document.querySelectorAll("a[href], button, input:not([type=hidden]), textarea, select, summary")]
    .filter((node) => node.checkVisibility() && !name(node)).map((node) => node.outerHTML.slice(0, 160)); }"""
WIDE = """() => {
  const held = (node) => node.closest(".hidden, .skip") || getComputedStyle(node).display === "none";
  const wide = [...document.querySelectorAll("main *, header *")].filter((node) => !held(node)
    && node.getBoundingClientRect().right > innerWidth + 1).map((node) => node.outerHTML.slice(0, 120));
  const over = document.documentElement.scrollWidth - innerWidth;
  return over > 0 || wide.length ? [over, ...wide.slice(0, 3)] : []; }"""
ONE_NOTE = "document.querySelectorAll('#note[aria-live=polite], #note [aria-live=polite]').length"
WIDTHS = (320, 390, 768)
SCHEMES = ("light", "dark")


def look(visitor: Visitor, name: str, private: tuple[str, ...] = ()) -> None:
    """Check what holds on every page: headings, names, widths, colours, and nothing kept or told."""
    page = visitor.page
    assert page.locator("h1").count() == 1, f"{name}: not one main heading"
    assert page.evaluate(NAMELESS) == [], f"{name}: a control without a name"
    if page.locator("#note").count():
        assert page.evaluate(ONE_NOTE) == 1, f"{name}: nothing tells a screen reader what happened"
    said = UNSAID.findall(page.locator("body").inner_text())
    assert not said, f"{name}: says {said}"
    assert page.evaluate("JSON.stringify(localStorage)") == "{}", f"{name}: something is kept in the browser"
    for words in private:
        assert words not in page.title() + page.url, f"{name}: the title or address tells {words!r}"
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate(WIDE) == [], f"{name}: wider than {width} pixels"
    _shoot(page, name)
    page.set_viewport_size({"width": 1280, "height": 900})
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert _accessibility(page) == [], f"{name}, {scheme}"
    page.emulate_media(color_scheme="light")


def _shoot(page: Page, name: str) -> None:
    """Save pictures of the page where MENTORING_SHOTS names a folder."""
    folder = os.environ.get("MENTORING_SHOTS")
    if not folder:
        return
    for width, height in ((1280, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png", full_page=True)


def _accessibility(page: Page) -> list[str]:
    """Return what axe-core finds wrong: the rule, and the first place where it is broken."""
    found = Axe().run(page).response["violations"]
    return [f"{fault['id']}: {fault['nodes'][0]['html'][:160]} ({len(fault['nodes'])})" for fault in found]


def tabs_to(page: Page, selector: str, most: int = 60) -> bool:
    """Say whether the Tab key alone reaches ``selector`` from the top of the page."""
    page.evaluate("document.activeElement?.blur(); window.getSelection().removeAllRanges(); scrollTo(0, 0)")
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement?.matches(selector)", selector):
            return True
    return False
