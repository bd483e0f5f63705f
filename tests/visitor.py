"""A person at a browser, and what holds on every page such a person comes to."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conftest import PASSWORD
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from assistant.accounts import Accounts

try:
    from axe_playwright_python.sync_playwright import Axe
except ImportError:  # the checks by axe-core are left out, and the test that needs them says so
    Axe = None

if TYPE_CHECKING:
    from browser import Server

START_SECONDS = 60
WAIT = 30_000  # ms for anything to appear on a slow, busy machine
READ = 90_000  # ms for a text to be read: the first one waits for the engines to be loaded

expect.set_options(timeout=WAIT)


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
        self.page.locator(".columns").wait_for(timeout=READ)


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
    nameless = page.evaluate(NAMELESS)
    assert not nameless, f"{name}: controls without a name: {nameless}"
    if page.locator("#note").count():
        assert page.evaluate(ONE_NOTE) == 1, f"{name}: nothing tells a screen reader what happened"
    said = UNSAID.findall(page.locator("body").inner_text())
    assert not said, f"{name}: says {said}"
    assert page.evaluate("JSON.stringify(localStorage)") == "{}", f"{name}: something is kept in the browser"
    for words in private:
        assert words not in page.title() + page.url, f"{name}: the title or address tells {words!r}"
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        wide = page.evaluate(WIDE)
        assert not wide, f"{name}: wider than {width} pixels: {wide}"
    _shoot(page, name)
    page.set_viewport_size({"width": 1280, "height": 900})
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found = _accessibility(page)
        assert not found, f"{name}, {scheme}: {found}"
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
    if Axe is None:
        return []
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
