"""Fixtures of the browser tests: the application as people start it, with no network, and a Chromium.

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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import CHECKOUT
from playwright.sync_api import Browser, Playwright, sync_playwright

from assistant.store import Store

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
START_SECONDS = 120
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
        serve = [
            sys.executable,
            "-m",
            "assistant",
            "serve",
            "--data",
            str(self.data),
            "--port",
            str(self.port),
        ]
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
